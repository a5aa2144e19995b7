"""A dashboard of several stores: files of their own, each with an agent of the same id."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import getclosurevars
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from descartes_site.stores import alias_of
from statestore.adoption import status
from statestore.db import connection_limit
from statestore.db.routers import chosen
from tests.builders import make_agent, make_event, make_session, make_snapshot, make_task, make_transition
from tests.conftest import migrate_into
from tests.templates import Templates

COLOURS = ("crimson", "azure")


def database_at(path: Path) -> dict[str, Any]:
    """Return Django's settings for a store that is a file."""
    return {**connections["default"].settings_dict, "ENGINE": "statestore.db.sqlite", "NAME": str(path)}


@contextmanager
def served(settings: Any, databases: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Serve several stores, by name, within a block."""
    aliases = {name: alias_of(name) for name in databases}
    settings.STORES, settings.STORE_IS_EMBEDDED = aliases, False
    for name, alias in aliases.items():
        connections.databases[alias] = databases[name]
    try:
        yield
    finally:
        settings.STORES = {}
        status.forget_store_status()
        vars(connection_limit._local).clear()
        for alias in aliases.values():
            connections[alias].close()
            del connections[alias]
            del connections.databases[alias]


@pytest.fixture
def any_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests connect to databases that were no settings when the test began; Django's own patch would refuse."""
    patched = getclosurevars(BaseDatabaseWrapper.ensure_connection).nonlocals
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", patched["real_ensure_connection"])


@pytest.fixture
def stores(any_database: None, templates: Templates, tmp_path: Path, settings: Any) -> Iterator[dict[str, Path]]:
    """Serve a crimson and an azure store, and return their files."""
    settings.VAR_DIR = tmp_path / "var"
    settings.VAR_DIR.mkdir()
    made = templates.get("migrated", migrate_into) / "store.db"
    files = {colour: Path(shutil.copy(made, tmp_path / f"{colour}.db")) for colour in COLOURS}
    with served(settings, {colour: database_at(file) for colour, file in files.items()}):
        for colour in COLOURS:
            with chosen(alias_of(colour)):
                fill(colour)
        yield files


def fill(colour: str) -> None:
    """Make one of everything, with the same ids in each store, and the store's colour in every text."""
    agent = make_agent("a1", name=f"{colour} agent", state={"note": f"{colour} state", "step": 2})
    make_snapshot(agent, {"note": f"{colour} snapshot"}, id="s1", description=f"{colour} snapshot")
    make_transition(
        agent, {"note": f"{colour} before"}, {"note": f"{colour} state"}, id="t1", reason=f"{colour} reason"
    )
    make_session(agent, id="session-1", status=f"{colour} status")
    make_event(id="e1", actor_id="a1", content=f"{colour} content", git_commit="a41f")
    make_task(id="k1", title=f"{colour} title")
