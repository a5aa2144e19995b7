"""What a database lacks of the tables and columns that it had when it was migrated: another program changed it."""

from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper

from statestore.db import vendor

_SQLITE: Final = (
    "SELECT master.name, info.name FROM sqlite_master AS master, pragma_table_info(master.name) AS info"
    " WHERE master.type = 'table'"
)
# Where the orchestrator's lease manager made the table, it lacks this column, which nothing reads.
_UNREAD: Final = ("migrations", "rollback_script")
_POSTGRESQL: Final = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ANY(current_schemas(false))"
)


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables and columns that are missing, such as “the table tasks”. One statement, on any size."""
    with connection.cursor() as cursor:
        cursor.execute(_SQLITE if vendor.is_sqlite(connection) else _POSTGRESQL)
        present: dict[str, set[str]] = {}
        for table, column in cursor.fetchall():
            present.setdefault(table, set()).add(column)
    return list(_missing(connection, present))


def _missing(connection: BaseDatabaseWrapper, present: dict[str, set[str]]) -> Iterator[str]:
    for table, columns in _expected(connection).items():
        if table not in present:
            yield f"the table {table}"
            continue
        for column in columns:
            if column not in present[table] and (table, column) != _UNREAD:
                yield f"the column {column} of {table}"


def _expected(connection: BaseDatabaseWrapper) -> dict[str, list[str]]:
    models = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed is not None and router.allow_migrate_model(connection.alias, model)
    ]
    # Every SQLite table has a rowid, which no schema names.
    unnamed = {"rowid"} if vendor.is_sqlite(connection) else set()
    return {
        model._meta.db_table: [
            str(field.column) for field in model._meta.concrete_fields if str(field.column) not in unnamed
        ]
        for model in models
    }
