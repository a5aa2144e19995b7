"""A database on PostgreSQL 15 and later, whose schema `public` is closed, and stores in schemas of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests import postgres
from tests.commands import manage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postgres.binaries() is None, reason="NOT TESTED: PostgreSQL IS NOT INSTALLED"),
]

ROOT = Path(__file__).resolve().parents[2]
_numbers = count(1)
USE = """
from statestore import search
from statestore.agents import capture
from statestore.access.audit import SYSTEM
from statestore.store import StateStore
store = StateStore()
store.save_agent_state("a1", '{"step": 1}')
store.save_event({"id": "e1", "event_type": "note", "session_id": "s", "actor_type": "Agent", "actor_id": "a1",
                  "content": "a needle in it"})
assert [event.pk for event in search.find(search.parse("needle"))] == ["e1"]
assert not capture.status().is_on
capture.switch_on(by=SYSTEM)
assert capture.status().is_on
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.running_cluster() as cluster:
        cluster.execute("postgres", "CREATE ROLE dash LOGIN; CREATE ROLE other LOGIN")
        yield cluster


@pytest.fixture
def database(cluster: postgres.Cluster) -> str:
    """A database of the superuser's, in which an ordinary user may do nothing yet."""
    name = f"shared_{next(_numbers)}"
    cluster.execute("postgres", f"CREATE DATABASE {name}")
    return name


def url(cluster: postgres.Cluster, database: str, options: str = "", user: str = "dash") -> str:
    return f"postgres://{user}@{str(cluster.home).replace('/', '%2F')}/{database}{options}"


def refused(urls: dict[str, str], *words: str) -> str:
    """Return the one line with which a command refuses."""
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env={**os.environ, **urls}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    return done.stderr


def value(cluster: postgres.Cluster, database: str, sql: str) -> str:
    """Return what psql prints for a query."""
    programs = postgres.binaries()
    assert programs is not None
    command = [programs / "psql", "-h", cluster.home, "-U", "postgres", "-d", database, "-Atc", sql]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout.strip()


SCHEMAS_OF = "SELECT string_agg(schemaname, ',' ORDER BY schemaname) FROM pg_tables WHERE tablename = '{}'"


@pytest.mark.parametrize("options", ["?search_path={}", "?options=-c%20search_path%3D{}"])
def test_the_dashboard_and_two_stores_share_a_database_in_schemas_of_their_own(
    cluster: postgres.Cluster, database: str, options: str
):
    cluster.execute(database, "CREATE EXTENSION pg_trgm SCHEMA public")
    for name in ("dashboard", "agents", "fleet"):
        cluster.execute(database, f"CREATE SCHEMA {name} AUTHORIZATION dash")
    own = url(cluster, database, options.format("dashboard"))
    for name in ("agents", "fleet"):
        urls = {"DATABASE_URL": own, "STORE_URL": url(cluster, database, options.format(name))}
        manage(urls, ["migrate"], ["migrate", "--database", "store"], ["shell", "-v", "0", "-c", USE])
    assert value(cluster, database, SCHEMAS_OF.format("agent_states")) == "agents,fleet"
    assert value(cluster, database, SCHEMAS_OF.format("auth_user")) == "dashboard"
    assert value(cluster, database, SCHEMAS_OF.format("django_migrations")) == "agents,dashboard,fleet"
    indexes = "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%' AND schemaname = '{}'"
    assert [value(cluster, database, indexes.format(name)) for name in ("agents", "fleet")] == ["3", "3"]


def test_a_save_of_a_program_with_another_search_path_is_captured(cluster: postgres.Cluster, database: str):
    """Regression: the trigger's function did not find its table, and the orchestrator's save failed."""
    cluster.execute(database, "CREATE EXTENSION pg_trgm SCHEMA public; CREATE SCHEMA agents AUTHORIZATION dash")
    urls = {
        "DATABASE_URL": url(cluster, "dashboard", user="postgres"),
        "STORE_URL": url(cluster, database, "?search_path=agents"),
    }
    manage(urls, ["migrate", "--database", "store"], ["shell", "-v", "0", "-c", USE])
    cluster.execute(database, "UPDATE agents.agent_states SET state_data = '{}'")
    assert value(cluster, database, "SELECT state_after FROM agents.dash_capture") == "{}"


def test_the_extension_goes_to_public_where_this_user_may_put_it(cluster: postgres.Cluster, database: str):
    cluster.execute(database, f"ALTER DATABASE {database} OWNER TO dash")
    for name in ("agents", "fleet"):
        cluster.execute(database, f"CREATE SCHEMA {name} AUTHORIZATION dash")
        urls = {"STORE_URL": url(cluster, database, f"?search_path={name}")}
        manage({**urls, "DATABASE_URL": url(cluster, "dashboard")}, ["migrate", "--database", "store"])
    place = "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'"
    assert value(cluster, database, place) == "public"


def test_the_extension_goes_to_the_stores_schema_where_public_is_closed(cluster: postgres.Cluster, database: str):
    cluster.execute(database, f"GRANT CREATE ON DATABASE {database} TO dash; CREATE SCHEMA agents AUTHORIZATION dash")
    urls = {"DATABASE_URL": url(cluster, "dashboard"), "STORE_URL": url(cluster, database, "?search_path=agents")}
    manage(urls, ["migrate", "--database", "store"])
    cluster.execute(database, "CREATE SCHEMA fleet AUTHORIZATION other")
    urls["STORE_URL"] = url(cluster, database, "?search_path=fleet", user="other")
    line = refused(urls, "migrate", "--database", "store")
    assert "pg_trgm of" in line
    assert "is in the schema agents, which the user other may not use" in line
    cluster.execute(database, "ALTER EXTENSION pg_trgm SET SCHEMA public")
    manage(urls, ["migrate", "--database", "store"])


@pytest.mark.parametrize(
    ("prepared", "options", "words"),
    [
        ("SELECT 1", "", "may not make tables in the schema public of"),
        ("SELECT 1", "?search_path=agents", "has no schema of the search path agents that its user dash may use"),
        ("CREATE SCHEMA agents", "?search_path=agents", "has no schema of the search path agents"),
        ("CREATE SCHEMA dash AUTHORIZATION dash", "", "lacks the extension pg_trgm"),
    ],
)
def test_a_missing_right_is_a_line_with_what_the_owner_has_to_run(
    cluster: postgres.Cluster, database: str, prepared: str, options: str, words: str
):
    cluster.execute(database, prepared)
    urls = {"DATABASE_URL": url(cluster, "dashboard"), "STORE_URL": url(cluster, database, options)}
    line = refused(urls, "migrate", "--database", "store")
    assert words in line
    assert "As its owner, run: " in line
    assert value(cluster, database, SCHEMAS_OF.format("agent_states")) == ""
