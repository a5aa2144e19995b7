"""A store of each release goes forward with its data, at once whatever its size, and never back unseen."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from pytest_django.plugin import DjangoDbBlocker

from statestore import models
from statestore.access import audit_chain
from statestore.adoption.adopt import adopt
from statestore.adoption.schema_detection import our_migrations
from statestore.adoption.status import forget_store_status, store_status
from statestore.adoption.temporary_store import store_at
from statestore.errors import MigrationError
from tests.commands import manage
from tests.stores import execute, make_store

pytestmark = [pytest.mark.sqlite, pytest.mark.slow]

# The last migration of each release, of the store.
RELEASES = {"0.1": "0017_audit_by_person_and_action"}
AUDIT = (
    "INSERT INTO dash_audit (at, actor, address, verb, noun, row_id, hash_before, hash_after, detail)"
    " VALUES (1790000000, 'ada', '', 'edit', 'task', 'task-1', '', '', '')"
)
RESTORE = (
    "INSERT INTO dash_restore (id, agent_id, at, actor, reason, moment, hash_before, hash_after, safety_snapshot_id,"
    " transition_id) VALUES ('r1', 'planner', 1790000000, 'ada', '', 'now', '', '', 's1', 't1')"
)


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield
    forget_store_status()


@pytest.mark.parametrize("release", RELEASES)
def test_a_store_of_an_earlier_release_goes_forward_with_its_data(tmp_path: Path, release: str):
    with store_at(tmp_path / "store.db") as using:
        call_command("migrate", "statestore", RELEASES[release], database=using, verbosity=0)
        population = make_store(tmp_path / "orchestrator.db")
        connections[using].close()
        copy_rows(population, tmp_path / "store.db")
        execute(tmp_path / "store.db", AUDIT, RESTORE)
        agents = list(models.AgentState.objects.using(using).values_list("agent_id", "state_data"))
        assert agents
        call_command("migrate", database=using, verbosity=0)
        assert list(models.AgentState.objects.using(using).values_list("agent_id", "state_data")) == agents
        assert models.Restore.objects.using(using).get().actor == "ada"
        found = audit_chain.verify(using, heads=[])
        assert (found.is_good, found.older) == (True, 1)
        assert store_status(using).is_ready


def copy_rows(source: Path, target: Path) -> None:
    tables = ("agent_states", "state_transitions", "state_snapshots", "events", "sessions")
    execute(
        target, f"ATTACH '{source}' AS source",
        *(f"INSERT INTO {table} SELECT * FROM source.{table}" for table in tables),
    )  # fmt: skip


def test_no_migration_since_the_release_reads_or_rewrites_a_table_that_grows(tmp_path: Path):
    """So that `migrate` takes no longer on a store of a million rows."""
    newest = RELEASES[max(RELEASES)]
    slow = []
    with store_at(tmp_path / "store.db") as using:
        call_command("migrate", database=using, verbosity=0)
        made: set[str] = set()
        for name in our_migrations():
            if name <= newest:
                continue
            out = StringIO()
            call_command("sqlmigrate", "statestore", name, database=using, stdout=out)
            for statement in filter(None, (line.strip() for line in out.getvalue().split(";"))):
                statement = "\n".join(line for line in statement.splitlines() if not line.startswith("--")).strip()
                made |= set(re.findall(r'^CREATE TABLE "(\w+)"', statement))
                if not is_quick(statement, made):
                    slow.append(f"{name}: {statement}")
    assert slow == []


# Sources are few, however many agents there are.
SMALL = re.compile(r'.*"(?:new__)?dash_source"')


def is_quick(statement: str, made: set[str]) -> bool:
    if SMALL.match(statement):
        return True
    if statement in {"", "BEGIN", "COMMIT"} or re.match(r'CREATE TABLE "\w+"', statement):
        return True
    if re.match(r'ALTER TABLE "\w+" ADD COLUMN "\w+" \w+(\(\d+\))? NULL$', statement):
        return True
    index = re.match(r'CREATE (?:UNIQUE )?INDEX "\w+" ON "(\w+)"', statement)
    return index is not None and index[1] in made


def test_an_upgrade_that_saves_would_wait_for_is_done_while_the_orchestrator_is_stopped(tmp_path: Path, settings: Any):
    settings.STORE_IS_EMBEDDED = False
    path, backups = make_store(tmp_path / "store.db"), tmp_path / "backups"
    adopt(path, backup_dir=backups)
    with store_at(path) as using:
        call_command("migrate", "statestore", "0014_browser_sessions", database=using, verbosity=0)
    execute(path, AUDIT, "UPDATE sqlite_sequence SET seq = 1000000 WHERE name = 'dash_audit'", AUDIT)
    with pytest.raises(MigrationError, match=r"1,000,001 entries.*about 9\.0 s\. Nothing was changed.*--stopped"):
        adopt(path, backup_dir=backups)
    with store_at(path) as using:
        with pytest.raises(CommandError, match=r"1,000,001 entries.*adopt .*store\.db --stopped"):
            call_command("migrate", database=using, verbosity=0)
        connections[using].close()
        adopt(path, backup_dir=backups, stopped=True)
        forget_store_status()
        assert store_status(using).is_ready


def test_the_dashboards_own_database_is_upgraded_beside_a_shared_store(tmp_path: Path):
    """Its migrations are those of a store, of which it has no tables."""
    adopt(make_store(tmp_path / "store.db"), backup_dir=tmp_path / "backups")
    own = {"STORE_URL": f"sqlite:///{tmp_path / 'store.db'}", "DATABASE_URL": f"sqlite:///{tmp_path / 'own.db'}"}
    manage(own, ["migrate", "statestore", RELEASES["0.1"], "-v", "0"], ["migrate", "-v", "0"])
    with closing(sqlite3.connect(tmp_path / "own.db")) as connection:
        applied = {name for (name,) in connection.execute("SELECT name FROM django_migrations")}
    assert set(our_migrations()) <= applied


def test_a_store_of_a_newer_release_is_refused_in_words(tmp_path: Path):
    path = tmp_path / "store.db"
    with store_at(path) as using:
        call_command("migrate", database=using, verbosity=0)
        connections[using].close()
        execute(path, "INSERT INTO django_migrations (app, name, applied) VALUES ('statestore', '9999_later', '2030')")
        forget_store_status()
        status = store_status(using)
        assert not status.is_ready
        assert status.found == f"{path} was written by a newer release of the dashboard: 9999_later."
        execute(path, f"DELETE FROM django_migrations WHERE name = '{our_migrations()[-1]}'")
        with pytest.raises(CommandError, match=r"newer release of the dashboard: 9999_later\. Nothing was changed"):
            call_command("migrate", database=using, verbosity=0)


def test_the_releases_are_migrations_that_exist():
    graph = MigrationLoader(None).graph
    assert all(("statestore", name) in graph.nodes for name in RELEASES.values())
