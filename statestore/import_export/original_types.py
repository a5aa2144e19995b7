"""Original values of wrongly typed numbers: kept beside the row on PostgreSQL, which cannot store them, for an export.

An orchestrator's SQLite file has a text in each column that CURRENT_TIMESTAMP fills in. On PostgreSQL the column holds
the seconds, and `stored_as` what they were; it counts as long as the number is still the same.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from django.db import connections

from statestore.db import orchestrator_schema as schema
from statestore.db import vendor
from statestore.db.errors import translated_errors
from statestore.db.fields import NonInteger
from statestore.import_export import codec
from statestore.import_export.tables import Table

COLUMN: Final = "stored_as"
TABLES: Final = frozenset(schema.TABLES) - {"migrations", "task_dependencies"}


def are_kept(table: Table, using: str) -> bool:
    """Return whether the originals of a table's numbers are kept beside them."""
    return table.name in TABLES and not vendor.keeps_odd_integers(using)


def dumped(odd: Mapping[str, NonInteger]) -> str | None:
    """Return the value of the column, None if all numbers were numbers."""
    return json.dumps({column: codec.to_json(value) for column, value in odd.items()}) if odd else None


def of(table: Table, using: str, keys: Sequence[object]) -> dict[object, dict[str, NonInteger]]:
    """Return {key: {column: original}} of the rows that have any."""
    if not are_kept(table, using) or not keys:
        return {}
    (key,) = table.key_columns
    sql = f"SELECT {key}, {COLUMN} FROM {table.name} WHERE {COLUMN} IS NOT NULL AND {key} = ANY(%s)"  # noqa: S608
    with translated_errors(), connections[using].cursor() as cursor:
        cursor.execute(sql, [list(keys)])
        return {key: loaded(text) for key, text in cursor.fetchall()}


def loaded(text: str) -> dict[str, NonInteger]:
    """Return {column: original} of a value of the column."""
    return {column: codec.from_json(value) for column, value in json.loads(text).items()}


def given_back(table: Table, values: Sequence[object], originals: Mapping[str, NonInteger]) -> list[object]:
    """Return a row's values, with originals for numbers that have not changed since."""
    return [
        original if (original := originals.get(column)) is not None and int(original) == value else value
        for column, value in zip(table.columns, values, strict=True)
    ]
