"""Whose a database is: it is looked at before any migration of ours, so that no other program's gets our tables."""

from collections.abc import Collection, Sequence
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from descartes_site.locations import COMMAND
from statestore.adoption import long_steps, schema_detection, transfer_mark
from statestore.db import shell, vendor
from statestore.db.routers import is_store
from statestore.models.adoption import is_shared

_LISTED_TABLES: Final = 8
# It stays when all migrations are taken back.
_MIGRATIONS: Final = "django_migrations"
# Tables that an extension of PostgreSQL made are of no program.
_EXTENSION_TABLES: Final = """
SELECT class.relname FROM pg_depend AS dependency JOIN pg_class AS class ON class.oid = dependency.objid
WHERE dependency.classid = 'pg_class'::regclass AND dependency.deptype = 'e' AND pg_table_is_visible(class.oid)
"""


def refusal(connection: BaseDatabaseWrapper) -> str:
    """Return in sentences why a database gets no migration of ours, with what to do instead; "" if it may get them.

    It may if it is empty or has some of ours already, and keeps texts as UTF-8.
    """
    name = connection.settings_dict["NAME"]
    if encoding := wrong_encoding(connection):
        return (
            f"{name} keeps texts as {encoding}, which cannot hold every state. Nothing was changed. Use a database that"
            " keeps them as UTF-8."
        )
    present = tables(connection)
    if newer := newer_migrations(_applied(connection, present)):
        return f"{made_by_newer(name, newer)} Nothing was changed. Use that release, or a newer one."
    if present <= {_MIGRATIONS, transfer_mark.TABLE} or _is_ours(connection, present):
        return vendor.schema_fault(connection, is_store=is_store(connection.alias)) or _takes_long(connection, present)
    if vendor.is_sqlite(connection) and _is_orchestrators(connection):
        return (
            f"{name} is an orchestrator's store that the dashboard has not moved into. Nothing was changed. Run"
            f" `{COMMAND} adopt {shell.word(name)}`, which looks first and makes a backup."
        )
    more = f" and {len(present) - _LISTED_TABLES} more" if len(present) > _LISTED_TABLES else ""
    return (
        f"{name} belongs to another program: it has the tables {', '.join(sorted(present)[:_LISTED_TABLES])}{more}, and"
        " none of ours. Nothing was changed. Use an empty database, or a schema of its own."
    )


def _takes_long(connection: BaseDatabaseWrapper, present: set[str]) -> str:
    # Our own database has the migrations of a store, and none of its tables.
    if not vendor.is_sqlite(connection) or "dash_audit" not in present or not is_shared(connection.alias):
        return ""
    done = _applied(connection, present)
    unapplied = [name for name in schema_detection.our_migrations() if name not in done]
    with connection.cursor() as cursor:
        # Entries are numbered one after the other; counting them would read all.
        cursor.execute("SELECT coalesce(max(id), 0) FROM dash_audit")
        return long_steps.refusal(str(connection.settings_dict["NAME"]), cursor.fetchone()[0], unapplied)


def newer_migrations(applied: Collection[str]) -> list[str]:
    """Return those of the applied migrations of ours that this release does not have."""
    return sorted(set(applied) - set(schema_detection.our_migrations()))


def made_by_newer(name: object, newer: Sequence[str]) -> str:
    """Return the sentence that says which migrations this release does not know."""
    return f"{name} was written by a newer release of the dashboard: {', '.join(newer)}."


def wrong_encoding(connection: BaseDatabaseWrapper) -> str:
    """Return in what a database keeps texts, "" for UTF-8."""
    sql = "PRAGMA encoding" if vendor.is_sqlite(connection) else "SHOW server_encoding"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        encoding = str(cursor.fetchone()[0])
    return "" if encoding in {"UTF-8", "UTF8"} else encoding


def tables(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the tables of a database, without those that an extension made."""
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        if not vendor.is_sqlite(connection):
            cursor.execute(_EXTENSION_TABLES)
            present -= {name for (name,) in cursor.fetchall()}
    return present


def applied(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the migrations of ours that were applied to a database."""
    return _applied(connection, tables(connection))


def _is_ours(connection: BaseDatabaseWrapper, present: set[str]) -> bool:
    return bool(_applied(connection, present))


def _applied(connection: BaseDatabaseWrapper, present: set[str]) -> set[str]:
    if _MIGRATIONS not in present:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM django_migrations WHERE app = 'statestore'")
        return {name for (name,) in cursor.fetchall()}


def _is_orchestrators(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        found = schema_detection.recognise(cursor, schema_detection.read_objects(cursor))
    return not found.differences
