"""Stores with rows of all kinds, and empty databases on a PostgreSQL server of the tests' own."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from descartes_site import database_urls
from statestore import models
from statestore.access.audit import Actor
from statestore.adoption.temporary_store import store_at
from statestore.store import StateStore
from tests.builders import make_agent, make_event, make_session, make_snapshot, make_task, make_transition
from tests.postgres import Cluster, binaries, empty_cluster

Database = Callable[..., str]
STEPS = 12


@pytest.fixture(autouse=True)
def _databases_may_be_used(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, settings: Any, tmp_path: Path
) -> Iterator[None]:
    settings.VAR_DIR = tmp_path / "var"
    settings.VAR_DIR.mkdir()
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if binaries() is None:
        pytest.skip("NOT TESTED: PostgreSQL IS NOT INSTALLED")
    with empty_cluster() as cluster:
        yield cluster


_numbers = count(1)


@pytest.fixture
def database(cluster: Cluster) -> Database:
    """Return what makes an empty database and gives its URL; with a schema, it is that one's."""

    def made(schema: str = "", within: str = "") -> str:
        name = within or f"transferred_{next(_numbers)}"
        if not within:
            cluster.execute("postgres", f"CREATE DATABASE {name}")
        if schema:
            cluster.execute(name, f"CREATE SCHEMA {schema}")
        place = str(cluster.home).replace("/", "%2F")
        return f"postgres://postgres@{place}/{name}{f'?search_path={schema},public' if schema else ''}"

    return made


def sqlite_url(path: Path) -> str:
    return database_urls.sqlite_url(str(path))


@contextmanager
def migrated(path: Path) -> Iterator[str]:
    """Yield the alias of a new store of our own."""
    with store_at(path) as alias:
        call_command("migrate", database=alias, verbosity=0)
        yield alias


def fill(alias: str, *, agents: int = 4, first: int = 0) -> None:
    """Put rows of most kinds into a store: what an orchestrator saves, and what the dashboard adds."""
    store = StateStore(using=alias, actor=Actor("ada"))
    for number in range(first, first + agents):
        agent = make_agent(f"agent-{number}", state={"step": STEPS, "notes": "ö" * 50})
        for step in range(STEPS):
            make_transition(agent, {"step": step, "log": ["x"] * step}, {"step": step + 1, "log": ["x"] * (step + 1)})
            make_event(actor_id=agent.agent_id, content=f"said {step}, “{number}”")
        make_session(agent)
        store.restore_snapshot(make_snapshot(agent, {"step": 3}).pk)
    sooner, later = make_task("First"), make_task("Second")
    models.TaskDependency.objects.create(task=later, depends_on=sooner)


def rows(alias: str) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of the tables that models have, in the order of their values."""
    found = {}
    for table in connections[alias].introspection.django_table_names(only_existing=True):
        if table == "dash_adoption":
            continue
        with connections[alias].cursor() as cursor:
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            named = (
                {
                    name: value
                    for name, value in sorted(zip(names, row, strict=True))
                    if name not in {"rowid", "stored_as"}
                }
                for row in cursor.fetchall()
            )
            found[table] = sorted(named, key=repr)
    return found


@pytest.fixture(scope="module")
def _filled(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Path:
    path = tmp_path_factory.mktemp("filled") / "store.db"
    with django_db_blocker.unblock(), migrated(path) as alias:
        fill(alias)
    return path


@pytest.fixture
def origin(_filled: Path, tmp_path: Path) -> Path:
    """A store of our own on SQLite with rows of all kinds."""
    return Path(shutil.copy(_filled, tmp_path / "origin.db"))
