"""A file as Django's store within a `with` block, instead of the one that STORE_URL names."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from descartes_site import database_urls
from statestore.db.routers import chosen

_numbers: Final = count(1)


@contextmanager
def store_at(path: Path) -> Iterator[str]:
    """Yield the alias of a store that is the file at `path`; models and migrations go there meanwhile."""
    with _connected(_database(path)) as alias, chosen(alias):
        yield alias


@contextmanager
def database_at(url: str) -> Iterator[str]:
    """Yield the alias of the PostgreSQL database that a URL names. Raises ValueError for a URL that names none."""
    named = database_urls.parsed(url)
    given = {**named, "ENGINE": "statestore.db.postgresql", "OPTIONS": {"connect_timeout": 2, **named["OPTIONS"]}}
    with _connected({**_database(Path()), **given}) as alias:
        yield alias


@contextmanager
def _connected(database: dict[str, object]) -> Iterator[str]:
    alias = f"named_{next(_numbers)}"
    connections.databases[alias] = database
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


@contextmanager
def foreign_keys_off(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let the schema change without cascades, and despite dangling foreign keys that other programs left."""
    connection.ensure_connection()
    connection.disable_constraint_checking()
    check = connection.check_constraints
    connection.check_constraints = lambda table_names=None: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        connection.check_constraints = check  # type: ignore[method-assign]
        connection.enable_constraint_checking()


def _database(path: Path) -> dict[str, object]:
    return {
        "ENGINE": "statestore.db.sqlite",
        "NAME": str(path),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 5},
        "ATOMIC_REQUESTS": False,
        "AUTOCOMMIT": True,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "TIME_ZONE": None,
        "USER": "",
        "PASSWORD": "",
        "HOST": "",
        "PORT": "",
        "TEST": {},
    }
