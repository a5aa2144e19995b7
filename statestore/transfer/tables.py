"""The tables of a store, and what their rows are on either database."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

from django.apps import apps
from django.db import connections, models

from statestore.db import vendor
from statestore.db.fields import InsertionOrder, NonInteger, has_surrogate
from statestore.db.routers import OWN_MODELS
from statestore.errors import DatabaseError
from statestore.import_export import original_types

# The values of a row as they are on both databases. Where PostgreSQL keeps what its numbers were on SQLite, that is the
# last one.
Row: TypeAlias = tuple[object, ...]
# How a file was adopted says nothing of a copy.
_LEFT_OUT: Final = OWN_MODELS | {"adoption"}


def of_store() -> list[type[models.Model]]:
    """Return the models of a store's tables, those first that others refer to."""
    found = apps.get_app_config("statestore").get_models()
    kept = [model for model in found if model._meta.model_name not in _LEFT_OUT]
    return sorted(kept, key=lambda model: any(field.remote_field for field in model._meta.local_concrete_fields))


def others(present: set[str]) -> set[str]:
    """Return those of some tables that are neither a store's nor made by Django or SQLite."""
    known = {model._meta.db_table for model in of_store()} | {"django_migrations"}
    return {name for name in present - known if not name.startswith(("dash_", "sqlite_"))}


class Table:
    """A table of a store in one database. `converted` counts blobs that were read as the texts that they stand for."""

    def __init__(self, model: type[models.Model], using: str) -> None:
        self.using = using
        self.name = model._meta.db_table
        self.converted = 0
        self._fields: tuple[models.Field[Any, Any], ...] = tuple(model._meta.local_concrete_fields)
        self._numbers = [place for place, field in enumerate(self._fields) if _is_number(field)]
        self._readers = [self._reader(field) for field in self._fields]
        self._is_sqlite = vendor.is_sqlite(connections[using])
        self._has_originals = self.name in original_types.TABLES

    @cached_property
    def columns(self) -> list[str]:
        """The names of its columns, in the order of a row's values."""
        names = [str(field.column) for field in self._fields]
        return [*names, original_types.COLUMN] if self._has_originals and not self._is_sqlite else names

    @cached_property
    def key(self) -> int:
        """The place of the primary key in a row."""
        return next(place for place, field in enumerate(self._fields) if field.primary_key)

    @property
    def key_column(self) -> str:
        """The name of the primary key."""
        return self.columns[self.key]

    @property
    def counted_columns(self) -> list[str]:
        """The columns that PostgreSQL counts up by itself."""
        return [str(field.column) for field in self._fields if isinstance(field, models.AutoField | InsertionOrder)]

    def select(self, condition: str = "") -> str:
        """Return the statement that reads its rows."""
        columns = ", ".join(f'"{column}"' for column in self.columns)
        return f'SELECT {columns} FROM "{self.name}"{condition}'  # noqa: S608

    def read(self, values: Sequence[object]) -> Row:
        """Return the row that values of the database stand for. Raises DatabaseError if PostgreSQL cannot hold it."""
        row = tuple([read(value) for read, value in zip(self._readers, values, strict=False)])
        if not self._has_originals:
            return row
        return (*row, original_types.dumped(self._odd(values) if self._is_sqlite else self._originals(row, values[-1])))

    def stored(self, row: Row) -> Row:
        """Return the values by which the database stores a row."""
        if not self._has_originals or not self._is_sqlite:
            return row
        if row[-1] is None:
            return row[:-1]
        originals = self._originals(row, row[-1])
        return tuple(
            originals[column].raw if column in originals else value
            for column, value in zip(self.columns, row, strict=False)
        )

    def _odd(self, values: Sequence[object]) -> dict[str, NonInteger]:
        found = ((place, values[place]) for place in self._numbers)
        return {
            self.columns[place]: NonInteger(value)
            for place, value in found
            if value is not None and type(value) is not int
        }

    def _originals(self, row: Row, text: object) -> dict[str, NonInteger]:
        """Return what numbers of the row were, of those that are still the same."""
        if text is None:
            return {}
        known = original_types.loaded(str(text))
        return {
            column: known[column]
            for column, value in zip(self.columns, row, strict=False)
            if column in known and int(known[column]) == value
        }

    def _reader(self, field: "models.Field[Any, Any]") -> Callable[[Any], object]:
        if isinstance(field, models.BinaryField):
            return lambda value: None if value is None else bytes(value)
        if isinstance(field, models.BooleanField):
            return lambda value: None if value is None else bool(value)
        return self._number if _is_number(field) else self._text

    def _number(self, value: object) -> object:
        if value is None or type(value) is int:
            return value
        if not self._has_originals:
            raise DatabaseError(f"{str(value)[:60]} is no whole number, which its column holds on PostgreSQL.")
        return int(NonInteger(value))

    def _text(self, value: object) -> object:
        if type(value) is str and value.isascii() and "\0" not in value:
            return value
        if value is None:
            return None
        self.converted += type(value) is not str
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
        if "\0" in text or has_surrogate(text):
            raise DatabaseError("A text has NUL characters or invalid UTF-8, which PostgreSQL cannot hold.")
        return text


def _is_number(field: "models.Field[Any, Any]") -> bool:
    return isinstance(getattr(field, "target_field", field), models.IntegerField)
