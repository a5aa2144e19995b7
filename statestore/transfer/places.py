"""The two places of a transfer: the store that is read, as it is at one moment, and the database that is filled."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction

from descartes_site import database_urls
from descartes_site.locations import COMMAND
from statestore.adoption import ownership, schema_detection, transfer_mark
from statestore.adoption.temporary_store import database_at, store_at
from statestore.adoption.transfer_mark import Mark
from statestore.backups import taking
from statestore.db import bulk, served, shell
from statestore.db.routers import chosen
from statestore.errors import Conflict, DatabaseError
from statestore.transfer.tables import of_store


def path_of(place: str) -> Path | None:
    """Return the SQLite file that a place is, None of a PostgreSQL database. Raises ValueError."""
    database = _database(place)
    return Path(str(database["NAME"])) if "sqlite" in database["ENGINE"] else None


def _database(place: str) -> dict[str, Any]:
    """Return what is known of a place, by Django's names. Raises ValueError."""
    if alias := served.aliases().get(place):
        return dict(connections[alias].settings_dict)
    return database_urls.parsed(place)


def shown(place: str) -> str:
    """Return a place without its password."""
    path = path_of(place)
    return str(path) if path else place if place in served.aliases() else database_urls.without_credentials(place)


def check(source: str, target: str) -> None:
    """Raise Conflict for two files: a copy of a file's bytes loses nothing, one of its rows might.

    And for a pooler of transactions, through which a table could not be read in parts.
    """
    for place in (source, target):
        if _database(place).get("IS_POOLED"):
            raise Conflict(f"{shown(place)} is behind a pooler. Nothing was changed. Name the server itself.")
    if path_of(source) and path_of(target):
        raise Conflict(
            f"Both are SQLite files. Copy one with `{COMMAND} backup` and `{COMMAND} restore-backup --to`; it may be in"
            " use."
        )


@contextmanager
def _opened(place: str) -> Iterator[str]:
    """Yield the alias of a place, chosen as the store."""
    path = path_of(place)
    if path is not None:
        with store_at(path) as alias:
            yield alias
    elif known := served.aliases().get(place):
        with chosen(known):
            yield known
    else:
        with database_at(place) as alias, chosen(alias):
            yield alias


@contextmanager
def read(place: str, *, is_stopped: bool) -> Iterator[str]:
    """Yield the alias of a store as it is at this moment; other programs may write meanwhile. Raises DatabaseError."""
    with ExitStack() as stack:
        if path := path_of(place):
            # A long read would keep an orchestrator's log from being emptied, or its saves waiting.
            settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="transfer-", dir=settings.VAR_DIR))
            alias = stack.enter_context(store_at(_copied(path, Path(scratch), is_shared=not is_stopped)))
        else:
            alias = stack.enter_context(_opened(place))
            stack.enter_context(_one_moment(alias))
        _check_is_ours(alias, place)
        yield alias


def _copied(path: Path, directory: Path, *, is_shared: bool) -> Path:
    if not path.is_file():
        raise DatabaseError(f"{path} does not exist. Check the path.")
    copy = directory / "store.db"
    copy.touch(mode=0o600)
    taking.copy_sqlite(path, copy, is_shared=is_shared)
    return copy


@contextmanager
def _one_moment(alias: str) -> Iterator[None]:
    with transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _check_is_ours(alias: str, place: str) -> None:
    """Raise DatabaseError unless the database has all migrations of this release and is whole."""
    connection = connections[alias]
    connection.ensure_connection()
    if transfer_mark.found(connection):
        raise DatabaseError(f"{shown(place)} is being filled by another transfer. Let that one end first.")
    missing = set(schema_detection.our_migrations()) - ownership.applied(connection)
    if missing:
        remedy = f"{COMMAND} adopt {shell.word(str(path))}" if (path := path_of(place)) else f"{COMMAND} migrate"
        raise DatabaseError(
            f"{shown(place)} is no store of this release: it lacks {', '.join(sorted(missing)[:3])}."
            f" Run `{remedy}` first."
        )


@contextmanager
def filled(place: str, source: str) -> Iterator[str]:
    """Yield the alias of a database that has our tables and is not served; it is, once the block ends without an error.

    Raises Conflict if it is neither empty nor one that an earlier transfer from the same source began to fill.
    """
    if path := path_of(place):
        path.touch(mode=0o600)
    with _opened(place) as alias:
        indexes = _begin(alias, place, shown(source))
        yield alias
        with transaction.atomic(using=alias):
            transfer_mark.remove(alias)
            bulk.execute(alias, indexes)


def _begin(alias: str, place: str, source: str) -> Sequence[str]:
    """Mark a database as half filled, make its tables, and return the statements that make its indexes at the end."""
    connection = connections[alias]
    connection.ensure_connection()
    mark = transfer_mark.found(connection)
    if not mark and ownership.tables(connection):
        raise Conflict(f"{shown(place)} is not empty. Nothing was changed. Name an empty database, or a new file.")
    if mark and mark.source != source:
        raise Conflict(
            f"{shown(place)} is half filled from {mark.source}. Nothing was changed. Transfer from there again, or name"
            " an empty database."
        )
    with transaction.atomic(using=alias):
        transfer_mark.put(alias, mark or Mark(source))
    call_command("migrate", database=alias, verbosity=0)
    if mark and mark.indexes:
        return mark.indexes
    with transaction.atomic(using=alias):
        # They would slow the filling.
        indexes = bulk.dropped_indexes(alias, [model._meta.db_table for model in of_store()])
        transfer_mark.put(alias, Mark(source, indexes))
    return indexes
