"""Single rows by statements that are compiled once, for the writes that must be fast.

The ORM makes the SQL of each statement anew, which takes longer than the database needs for it: a save took 1.8 ms, of
which SQLite used 0.5. Values are read through the same fields; what a field has to prepare goes through the ORM.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

from django.db import connections
from django.db.models import Model

from statestore import dialect
from statestore.fields import OddInt, plain_text

Row = TypeVar("Row", bound=Model)


def find(model: type[Row], using: str, column: str, value: Any, *, lock: bool = False) -> Row | None:
    """Return the row with a value in a column, None without one; with `lock` nobody else changes it meanwhile."""
    if not plain_text(value):
        rows = model._default_manager.using(using)
        return (rows.select_for_update() if lock else rows).filter(**{column: value}).first()
    connection = connections[using]
    names, converters, sql = _select(model, using, column)
    with connection.cursor() as cursor:
        cursor.execute(sql + (dialect.row_lock(using) if lock else ""), [value])
        found = cursor.fetchone()
    if found is None:
        return None
    values = [
        convert(raw, None, connection) if convert else raw for convert, raw in zip(converters, found, strict=True)
    ]
    return model.from_db(using, names, values)


@cache
def _select(model: type[Model], using: str, column: str) -> tuple[list[str], list[Any], str]:
    fields = model._meta.concrete_fields
    quote = connections[using].ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    sql = f"SELECT {columns} FROM {quote(model._meta.db_table)} WHERE {quote(column)} = %s"  # noqa: S608
    return [field.attname for field in fields], [getattr(field, "from_db_value", None) for field in fields], sql


def insert(row: Model, using: str) -> None:
    """Insert a row."""
    fields = [field for field in row._meta.concrete_fields if not getattr(field, "generated", False)]
    values = [getattr(row, field.attname) for field in fields]
    if not all(map(_is_plain, values)):
        row.save(using=using, force_insert=True)
        return
    with connections[using].cursor() as cursor:
        cursor.execute(_insert(type(row), using), values)
    row._state.adding, row._state.db = False, using


@cache
def _insert(model: type[Model], using: str) -> str:
    columns = [str(field.column) for field in model._meta.concrete_fields if not getattr(field, "generated", False)]
    quote = connections[using].ops.quote_name
    places = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(map(quote, columns))}) VALUES ({places})"  # noqa: S608


def update(row: Model, using: str, names: Iterable[str]) -> None:
    """Write some columns of a row that is there."""
    written = tuple(sorted(names))
    values = [*(getattr(row, name) for name in written), row.pk]
    if not all(map(_is_plain, values)):
        row.save(using=using, update_fields=written)
        return
    with connections[using].cursor() as cursor:
        cursor.execute(_update(type(row), using, written), values)


@cache
def _update(model: type[Model], using: str, names: tuple[str, ...]) -> str:
    quote = connections[using].ops.quote_name
    columns = {field.attname: str(field.column) for field in model._meta.concrete_fields}
    written = ", ".join(f"{quote(columns[name])} = %s" for name in names)
    key = str(model._meta.pk.column)
    return f"UPDATE {quote(model._meta.db_table)} SET {written} WHERE {quote(key)} = %s"  # noqa: S608


def _is_plain(value: Any) -> bool:
    return plain_text(value) and not isinstance(value, OddInt)
