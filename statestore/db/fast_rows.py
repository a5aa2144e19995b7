"""Single rows by statements that are compiled once, for the writes that must be fast.

The ORM compiles the SQL of each statement again, which takes longer than running it: a save took 1.8 ms, of which
SQLite used 0.5. Values are read through the same fields; values that a field has to prepare go through the ORM.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import connections
from django.db.models import Model

from statestore.db import vendor
from statestore.db.fields import NonInteger, bindable

Row = TypeVar("Row", bound=Model)


def find(model: type[Row], using: str, column: str, value: Any, *, lock: bool = False) -> Row | None:
    """Return the row with a value in a column, None without one; with `lock` it is locked against other writers."""
    if not bindable(value):
        rows = model._default_manager.using(using)
        return (rows.select_for_update() if lock else rows).filter(**{column: value}).first()
    fields, sql = _select(model, using, column)
    with connections[using].cursor() as cursor:
        cursor.execute(sql + (vendor.row_lock(using) if lock else ""), [value])
        values = cursor.fetchone()
    return _row(model, using, fields, values) if values else None


def find_with(model: type[Row], using: str, related: str, column: str, value: str) -> Row | None:
    """Return the row with a plain text in a column, and with it what its foreign key names; None without one."""
    fields, related_model, other_fields, sql = _join(model, using, related, column)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [value])
        values = cursor.fetchone()
    if not values:
        return None
    row = _row(model, using, fields, values[: len(fields)])
    setattr(row, related, _row(related_model, using, other_fields, values[len(fields) :]))
    return row


# The name of each column's attribute, and what makes its value of what the database gave.
_Fields = list[tuple[str, Any]]


def _row(model: type[Row], using: str, fields: _Fields, found: Sequence[object]) -> Row:
    connection = connections[using]
    values = [
        convert(raw, None, connection) if convert else raw for (_, convert), raw in zip(fields, found, strict=True)
    ]
    return model.from_db(using, [name for name, _ in fields], values)


@cache
def _select(model: type[Model], using: str, column: str) -> tuple[_Fields, str]:
    quote = connections[using].ops.quote_name
    fields, columns = _columns(model, using)
    table = quote(model._meta.db_table)
    return fields, f"SELECT {columns} FROM {table} WHERE {quote(column)} = %s"  # noqa: S608


@cache
def _join(model: type[Model], using: str, related: str, column: str) -> tuple[_Fields, type[Model], _Fields, str]:
    quote = connections[using].ops.quote_name
    key: Any = model._meta.get_field(related)
    related_model = key.related_model
    fields, columns = _columns(model, using)
    other_fields, other_columns = _columns(related_model, using)
    table, other_table = quote(model._meta.db_table), quote(related_model._meta.db_table)
    sql = (
        f"SELECT {columns}, {other_columns} FROM {table}"  # noqa: S608
        f" JOIN {other_table} ON {other_table}.{quote(related_model._meta.pk.column)} = {table}.{quote(key.column)}"
        f" WHERE {table}.{quote(column)} = %s"
    )
    return fields, related_model, other_fields, sql


def _columns(model: type[Model], using: str) -> tuple[_Fields, str]:
    fields, quote = model._meta.concrete_fields, connections[using].ops.quote_name
    table = quote(model._meta.db_table)
    columns = ", ".join(f"{table}.{quote(str(field.column))}" for field in fields)
    return [(field.attname, getattr(field, "from_db_value", None)) for field in fields], columns


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
    return bindable(value) and not isinstance(value, NonInteger)
