"""Lenient columns: what the orchestrator stored is read as it is, and written back unchanged.

SQLite columns have no type that anybody enforces: a text column may hold invalid UTF-8 or a blob, an integer column may
hold text. Each such value is read as a `str` or `int` that remembers what it really was.

This is the only module of the project that migrations import, so it also has the defaults of columns.
"""

import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self

from django import forms
from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Exact, In, Lookup, StartsWith
from django.db.models.sql.compiler import SQLCompiler
from django.utils.text import capfirst

from statestore.db import archive, vendor
from statestore.errors import SerializationError

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_IDS_AT_ONCE: Final = 64
_SQLITE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def new_id() -> str:
    """Return a fresh random id, as the orchestrator makes them."""
    return str(uuid.uuid4())


def new_ids() -> Iterator[str]:
    """Yield fresh random ids without end, for a loop over many: what `new_id` takes is mostly a call of the system."""
    while True:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        for start in range(0, len(digits), 32):
            one = digits[start : start + 32]
            variant = "89ab"[int(one[16], 16) & 3]
            yield f"{one[:8]}-{one[8:12]}-4{one[13:16]}-{variant}{one[17:20]}-{one[20:]}"


def now() -> int:
    """Return the present in whole seconds, as the orchestrator counts time."""
    return int(time.time())


class StoredBlob(str):
    """A blob found in a text column: reads as text, is written back as the blob that it was."""

    __slots__ = ("raw",)
    raw: bytes

    def __new__(cls, raw: bytes) -> Self:
        self = super().__new__(cls, raw.decode("utf-8", "surrogateescape"))
        self.raw = raw
        return self


class NonInteger(int):
    """Something else than an integer found in an integer column: reads as a number, is written back as it was.

    `readable` is False if no number could be made of it; it then counts as 0.
    """

    raw: object
    readable: bool

    def __new__(cls, raw: object) -> Self:
        number = _seconds_of(raw)
        self = super().__new__(cls, number or 0)
        self.raw = raw
        self.readable = number is not None
        return self


# What an integer column holds: Django takes a larger number for one that no row has.
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1


def _seconds_of(raw: object) -> int | None:
    """Return the number that a wrongly typed value stands for, as near as 64 bits come to it.

    SQLite's CURRENT_TIMESTAMP text is UTC seconds.
    """
    try:
        if isinstance(raw, str) and _SQLITE_TIME.fullmatch(raw):
            return int(datetime.fromisoformat(raw).replace(tzinfo=UTC).timestamp())
        return min(max(int(float(raw)), _LEAST), _MOST) if isinstance(raw, str | float) else None
    except (ValueError, OverflowError):
        return None


class _TextBytes(bytes):
    """Bytes that are bound as text although they are not valid UTF-8."""


def text_bytes(text: str) -> bytes:
    """Return the bytes that the column holds for a text read from it."""
    return text.raw if isinstance(text, StoredBlob) else text.encode("utf-8", "surrogateescape")


_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def survives_form(text: object) -> bool:
    """Return whether a text comes back from a browser's form as it was sent."""
    return not isinstance(text, StoredBlob) and not (isinstance(text, str) and _CONTROL.search(text))


class LenientText(models.TextField):  # type: ignore[type-arg]
    """Text that may hold anything: valid text, invalid UTF-8 (kept by surrogate escapes), or a blob."""

    def from_db_value(self, value: object, expression: object, connection: BaseDatabaseWrapper) -> str | None:
        if value is None or isinstance(value, str):
            return value
        return StoredBlob(value) if isinstance(value, bytes) else str(value)

    def get_db_prep_value(self, value: object, connection: BaseDatabaseWrapper, prepared: bool = False) -> object:
        if type(value) is str and value.isascii() and "\0" not in value:
            return value  # As most are; a search binds 1,500 ids, and the way below took half of its time.
        raw = value
        value = super().get_db_prep_value(value, connection, prepared)
        if not isinstance(value, str):
            return value
        if not vendor.holds_any_bytes(connection):
            return self._checked(value)
        if isinstance(raw, StoredBlob):
            return raw.raw
        return _TextBytes(_encode(value)) if has_surrogate(value) else value

    def _checked(self, value: str) -> str:
        if "\0" in value or has_surrogate(value):
            raise SerializationError(
                f"PostgreSQL cannot hold NUL characters or invalid UTF-8 in {self.name}; remove them and save again.",
                field=self.name,
            )
        return str(value)

    def get_placeholder(self, value: object, compiler: object, connection: BaseDatabaseWrapper) -> str:
        return "CAST(%s AS TEXT)" if isinstance(value, _TextBytes) else "%s"


@LenientText.register_lookup
class _StartsWith(StartsWith):
    """A text begins with another one, in just these letters: SQLite's LIKE takes either case, and twice the time."""

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Sequence[object]]:
        if not isinstance(self.rhs, str):
            return self.as_sql(compiler, connection)
        column, parameters = self.process_lhs(compiler, connection)
        placeholder, text = placed(self.rhs, connection)
        return f"substr({column}, 1, length({placeholder})) = {placeholder}", [*parameters, text, text]


def placed(text: str, connection: BaseDatabaseWrapper) -> tuple[str, object]:
    """Return the placeholder and the parameter by which a text read from a column is written back as it was."""
    field = LenientText()
    value = field.get_db_prep_value(text, connection, prepared=False)
    return field.get_placeholder(value, None, connection), value


class StateText(LenientText):
    """The text of a state that may have been archived: what is read is always the state."""

    def from_db_value(self, value: object, expression: object, connection: BaseDatabaseWrapper) -> str | None:
        # A length that few states have: the rest is asked of those alone.
        if type(value) is str and len(value) == archive.MARKER_CHARACTERS:
            return _state(value, connection)
        return super().from_db_value(value, expression, connection)

    def deconstruct(self) -> tuple[str, str, Sequence[object], dict[str, object]]:
        # To the migrations it is a column of text.
        name, _, arguments, keywords = super().deconstruct()
        return name, f"{LenientText.__module__}.{LenientText.__qualname__}", arguments, keywords


def _state(value: str, connection: BaseDatabaseWrapper) -> str:
    """Return the state that a text stands for, or the text if it is none of our markers."""
    if not archive.is_marker(value, archive.token_of(connection)):
        return value
    stored = archive.read(connection, value)
    return StoredBlob(stored.raw) if stored.is_blob else vendor.decoded(stored.raw)


def has_surrogate(value: str) -> bool:
    """Return whether a text holds half of a surrogate pair, as invalid UTF-8 is read: it is not valid text."""
    # Python knows of each text whether it is ASCII; only what is not need be searched.
    return not value.isascii() and _SURROGATE.search(value) is not None


def readable(text: str) -> str:
    """Return a stored text as a sentence of ours quotes it: invalid UTF-8 and NUL become U+FFFD."""
    return _SURROGATE.sub("\ufffd", str(text)).replace("\0", "\ufffd")


def bindable(value: object) -> bool:
    """Return whether either database takes a value bound as it is: anything but a text with NUL or invalid UTF-8."""
    if type(value) is not str:
        return not isinstance(value, str)
    return "\0" not in value and (value.isascii() or _SURROGATE.search(value) is None)


def _encode(value: str) -> bytes:
    """Return the escaped bytes; a surrogate that stands for no byte (from a JSON escape) is kept as its three bytes."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def _cast(sql: str, parameter: object) -> str:
    return f"CAST({sql} AS TEXT)" if isinstance(parameter, _TextBytes) else sql


@LenientText.register_lookup
class _AnyTextExact(Exact):
    """Equality that finds invalid UTF-8 too, and finds nothing if the database could not hold the text."""

    def process_rhs(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> vendor.Sql:
        try:
            sql, parameters = super().process_rhs(compiler, connection)
        except SerializationError:
            raise EmptyResultSet from None
        return (_cast(sql, parameters[0]), parameters) if len(parameters) == 1 else (sql, parameters)


@LenientText.register_lookup
class _AnyTextIn(In):
    """Membership with the same care as equality."""

    def batch_process_rhs(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, rhs: Any = None) -> Any:
        values: Any = [value for value in (self.rhs if rhs is None else rhs) if self._can_be_held(value, connection)]
        if not values:
            raise EmptyResultSet
        sqls, parameters = super().batch_process_rhs(compiler, connection, values)
        return tuple(map(_cast, sqls, parameters)), parameters

    def _can_be_held(self, value: object, connection: BaseDatabaseWrapper) -> bool:
        try:
            self.lhs.output_field.get_db_prep_value(value, connection)
        except SerializationError:
            return False
        return True


@LenientText.register_lookup
class _Holds(Lookup):
    """Whether a text occurs in the column: as LIKE has it on SQLite, ASCII letters in either case, % and _ plain."""

    lookup_name = "holds"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> vendor.Sql:
        text = str(self.rhs)
        if not vendor.holds_any_bytes(connection) and ("\0" in text or has_surrogate(text)):
            raise EmptyResultSet
        sql, parameters = self.process_lhs(compiler, connection)
        sql, pattern = vendor.holds(connection, sql, text)
        if has_surrogate(pattern):
            return sql.replace("LIKE %s", "LIKE CAST(%s AS TEXT)"), [*parameters, _TextBytes(_encode(pattern))]
        return sql, [*parameters, pattern]


class LenientInteger(models.BigIntegerField):  # type: ignore[type-arg]
    """A 64-bit integer, or any other value stored in its column."""

    def from_db_value(self, value: object, expression: object, connection: BaseDatabaseWrapper) -> int | None:
        return value if value is None or isinstance(value, int) else NonInteger(value)

    def get_prep_value(self, value: object) -> object:
        return value if isinstance(value, NonInteger) else super().get_prep_value(value)

    def get_db_prep_value(self, value: object, connection: BaseDatabaseWrapper, prepared: bool = False) -> object:
        if isinstance(value, NonInteger):
            # A cursor of another store may bring one to PostgreSQL, whose columns hold numbers alone.
            return value.raw if vendor.holds_any_bytes(connection) else int(value)
        return super().get_db_prep_value(value, connection, prepared)


class UnixSecondsFormField(forms.SplitDateTimeField):
    """A date and a time of day in UTC, for a column of seconds."""

    def prepare_value(self, value: object) -> object:
        if not isinstance(value, int):
            return value
        try:
            return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)
        except (OverflowError, ValueError, OSError):
            return None

    def compress(self, data_list: Any) -> Any:
        moment = super().compress(data_list)
        return None if moment is None else int(moment.replace(tzinfo=UTC).timestamp())

    def has_changed(self, initial: object, data: object) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class UnixSeconds(LenientInteger):
    """A moment in whole seconds since 1970 UTC, as the orchestrator writes it."""

    def formfield(self, **kwargs: object) -> forms.Field:
        return UnixSecondsFormField(required=not self.blank, label=capfirst(self.verbose_name), help_text="UTC")


class InsertionOrder(models.BigIntegerField):  # type: ignore[type-arg]
    """The order of insertion: SQLite's implicit rowid, a sequence column on PostgreSQL. Never written."""

    generated = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("db_column", "rowid")
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)
