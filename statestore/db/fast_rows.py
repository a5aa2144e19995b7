"""Single rows by statements that are compiled once, for the verbs that must be fast.

The ORM compiles the SQL of each statement again, which takes longer than running it: a save took 1.8 ms, of which
SQLite used 0.5. Values are read through the same fields. What is not a plain text or number of its column's type, what
a field would have to prepare, and what one of the databases cannot bind as it is, goes through the ORM.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import CharField, IntegerField, Model, QuerySet, TextField
from django.db.utils import DatabaseError

from statestore.db import archive, bulk, vendor
from statestore.db.fields import bindable
from statestore.db.vendor import SqlRow

Row = TypeVar("Row", bound=Model)
Read = TypeVar("Read")


# Read


def find(model: type[Row], using: str, *, lock: bool = False, **values: object) -> Row | None:
    """Return the row with some values by column, None without one; with `lock` it is locked against other writers."""
    if not _are_plain(model, values) or _is_archived(model, using):
        rows = _rows(model, using)
        return (rows.select_for_update() if lock else rows).filter(**values).first()
    fields, sql = _select(model, using, _conditions(values), lock)
    connection = connections[using]
    found = _run(connection, sql, _bound(values), _first)
    return _row(model, connection, fields, found) if found else None


def find_with(model: type[Row], using: str, related: str, column: str, value: str) -> Row | None:
    """Return the row with a plain text in a column, and with it what its foreign key names; None without one."""
    fields, related_model, other_fields, sql = _join(model, using, related, column)
    connection = connections[using]
    values = _run(connection, sql, [value], _first)
    if not values:
        return None
    row = _row(model, connection, fields, values[: len(fields.names)])
    setattr(row, related, _row(related_model, connection, other_fields, values[len(fields.names) :]))
    return row


def exists(model: type[Model], using: str, **values: object) -> bool:
    """Return whether there is a row with some values by column; None stands for NULL."""
    if not _are_plain(model, values) or _is_archived(model, using):
        return _rows(model, using).filter(**values).exists()
    return _run(connections[using], _exists(model, using, _conditions(values)), _bound(values), _first) is not None


# Write


def insert(row: Model, using: str) -> None:
    """Insert a row; one whose key the database makes has it afterwards."""
    model, auto = type(row), row._meta.auto_field
    is_keyed = auto is None or getattr(row, auto.attname) is not None
    values = {name: getattr(row, name) for name in _stored_names(model, is_keyed)}
    if not _are_plain(model, values):
        row.save(using=using, force_insert=True)
        return
    connection = connections[using]
    made_key = _run(
        connection,
        _insert(model, using, is_keyed),
        list(values.values()),
        _returned_key if _returns_keys(connection) else attrgetter("lastrowid"),
    )
    if auto is not None and not is_keyed:
        setattr(row, auto.attname, made_key)
    row._state.adding, row._state.db = False, using


def insert_new(rows: Sequence[Model], using: str) -> None:
    """Insert rows of one model that have their keys; one that is there already stays as it is."""
    if not rows:
        return
    model = type(rows[0])
    names = _stored_names(model, True)
    values = [[getattr(row, name) for name in names] for row in rows]
    if not all(_are_plain(model, dict(zip(names, row, strict=True))) for row in values):
        model._default_manager.using(using).bulk_create(rows, ignore_conflicts=True)
        return
    columns = _column_of(model)
    key = str(model._meta.pk.column)
    bulk.insert_missing(using, model._meta.db_table, [columns[name] for name in names], values, key=key)


def update(row: Model, using: str, names: Iterable[str]) -> None:
    """Write some columns of a row that is there. Raises the driver's DatabaseError if it is not."""
    if row.pk is None:
        raise DatabaseError("A row without a key cannot be updated")
    written = tuple(sorted(names))
    values = {name: getattr(row, name) for name in written}
    if not _are_plain(type(row), {**values, str(row._meta.pk.attname): row.pk}):
        row.save(using=using, force_update=True, update_fields=written)
        return
    sql = _update(type(row), using, written)
    if _run(connections[using], sql, [*values.values(), row.pk], attrgetter("rowcount")) != 1:
        raise DatabaseError("An update did not affect any row")


def delete(model: type[Model], using: str, **values: object) -> None:
    """Delete the rows with some values by column; nothing may refer to them."""
    if not _are_plain(model, values) or _is_archived(model, using):
        _rows(model, using).filter(**values).delete()
        return
    _run(connections[using], _delete(model, using, _conditions(values)), _bound(values), attrgetter("rowcount"))


# Run


def _run(connection: BaseDatabaseWrapper, sql: str, values: list[Any], read: Callable[[Any], Read]) -> Read:
    """Run a statement, and return what `read` takes from its cursor.

    With the same checks as Django's cursor, but on the driver's: to make and call Django's takes longer than most
    statements. What observes statements, such as a test that counts them, gets Django's.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    if connection.execute_wrappers or connection.queries_logged:
        with connection.cursor() as observed:
            observed.execute(sql, values)
            return read(observed)
    connection.validate_thread_sharing()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors, closing(connection.create_cursor()) as cursor:
        cursor.execute(sql, values)
        return read(cursor)


def _first(cursor: CursorWrapper) -> SqlRow | None:
    row: SqlRow | None = cursor.fetchone()
    return row


def _returned_key(cursor: CursorWrapper) -> object:
    return cursor.fetchone()[0] if cursor.description else None  # Without a RETURNING clause there is no row.


# Which values need no field to prepare them


@cache
def _plain_types(model: type[Model]) -> dict[str, type | None]:
    """Return {attribute: the type of its plain values}; None where a field of another kind prepares all of them."""
    return {field.attname: _plain_type(field) for field in model._meta.concrete_fields}


def _plain_type(field: object) -> type | None:
    field = getattr(field, "target_field", field)
    if isinstance(field, IntegerField):
        return int
    return str if isinstance(field, TextField | CharField) else None


def _are_plain(model: type[Model], values: Mapping[str, object]) -> bool:
    types = _plain_types(model)
    for name, value in values.items():
        if value is not None and (type(value) is not types[name] or not bindable(value)):
            return False
    return True


# Statements, each compiled once


class _Fields(NamedTuple):
    """The columns that are read: the names of their attributes, and for each what makes its value.

    Of what the database gave, a value of the column's plain type stays as it is; a function converts all others.
    """

    names: list[str]
    converters: list[tuple[type | None, Callable[[object, object, BaseDatabaseWrapper], object] | None]]


# The attributes that a statement compares, and whether with NULL.
_Conditions = tuple[tuple[str, bool], ...]


def _conditions(values: dict[str, object]) -> _Conditions:
    return tuple((name, value is None) for name, value in values.items())


def _bound(values: Mapping[str, object]) -> list[object]:
    return [value for value in values.values() if value is not None]


def _row(model: type[Row], connection: BaseDatabaseWrapper, fields: _Fields, found: Sequence[object]) -> Row:
    values = [
        raw if convert is None or type(raw) is plain else convert(raw, None, connection)
        for (plain, convert), raw in zip(fields.converters, found, strict=True)
    ]
    return model.from_db(connection.alias, fields.names, values)


@cache
def _select(model: type[Model], using: str, conditions: _Conditions, lock: bool) -> tuple[_Fields, str]:
    fields, columns = _columns(model, using)
    locked = vendor.row_lock(using) if lock else ""
    return fields, f"SELECT {columns} FROM {_from(model, using, conditions)}{locked}"  # noqa: S608


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


@cache
def _exists(model: type[Model], using: str, conditions: _Conditions) -> str:
    return f"SELECT 1 FROM {_from(model, using, conditions)} LIMIT 1"  # noqa: S608


@cache
def _delete(model: type[Model], using: str, conditions: _Conditions) -> str:
    return f"DELETE FROM {_from(model, using, conditions)}"  # noqa: S608


def _from(model: type[Model], using: str, conditions: _Conditions) -> str:
    quote, columns = connections[using].ops.quote_name, _column_of(model)
    compared = [f"{quote(columns[name])} {'IS NULL' if is_null else '= %s'}" for name, is_null in conditions]
    return f"{quote(model._meta.db_table)} WHERE {' AND '.join(compared)}"


def _columns(model: type[Model], using: str) -> tuple[_Fields, str]:
    fields, quote = model._meta.concrete_fields, connections[using].ops.quote_name
    table = quote(model._meta.db_table)
    columns = ", ".join(f"{table}.{quote(str(field.column))}" for field in fields)
    converters = [(_plain_type(field), getattr(field, "from_db_value", None)) for field in fields]
    return _Fields([field.attname for field in fields], converters), columns


@cache
def _insert(model: type[Model], using: str, is_keyed: bool) -> str:
    connection, names, columns = connections[using], _stored_names(model, is_keyed), _column_of(model)
    quote = connection.ops.quote_name
    places = ", ".join(["%s"] * len(names))
    listed = ", ".join(quote(columns[name]) for name in names)
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({listed}) VALUES ({places})"  # noqa: S608
    if is_keyed or not _returns_keys(connection):
        return sql
    return f"{sql} RETURNING {quote(str(model._meta.pk.column))}"


def _returns_keys(connection: BaseDatabaseWrapper) -> bool:
    """Return whether an INSERT can return the key that it made; SQLite before 3.35 tells it of the last row only."""
    return bool(connection.features.can_return_columns_from_insert)


@cache
def _update(model: type[Model], using: str, names: tuple[str, ...]) -> str:
    quote, columns = connections[using].ops.quote_name, _column_of(model)
    written = ", ".join(f"{quote(columns[name])} = %s" for name in names)
    key = quote(str(model._meta.pk.column))
    return f"UPDATE {quote(model._meta.db_table)} SET {written} WHERE {key} = %s"  # noqa: S608


def _column_of(model: type[Model]) -> dict[str, str]:
    return {field.attname: str(field.column) for field in model._meta.concrete_fields}


@cache
def _stored_names(model: type[Model], is_keyed: bool) -> tuple[str, ...]:
    """Return the attributes of the columns that an INSERT writes; without its key, the database makes that."""
    fields = [field for field in model._meta.concrete_fields if not getattr(field, "generated", False)]
    return tuple(field.attname for field in fields if is_keyed or field is not model._meta.auto_field)


def _is_archived(model: type[Model], using: str) -> bool:
    """Return whether rows of a model may have been archived."""
    return model._meta.db_table in archive.TWINS and archive.token_of(connections[using]) is not None


def _rows(model: type[Row], using: str) -> QuerySet[Row]:
    return model._default_manager.using(using)
