"""Pages by key: as fast on the thousandth page as on the first, and stable while rows arrive."""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import IntegerField, Model, Q, QuerySet
from django.db.models.sql.where import WhereNode

from statestore.db.fields import NonInteger, StoredBlob
from statestore.errors import ValidationError

Row = TypeVar("Row", bound=Model)
Key = TypeVar("Key")

PAGE_SIZES = (25, 50, 100)
USUAL_SIZE = 50


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, with the cursors of the pages on either side (None if there is none)."""

    rows: list[Row]
    newer: str | None
    older: str | None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def page(rows: QuerySet[Row], order: Sequence[str], *, cursor: str = "", size: int = USUAL_SIZE) -> Page[Row]:
    """Return one page of `rows` in `order`; `cursor` is a neighbour page's `newer` or `older`.

    `order` names columns, all ascending or all descending, that together are unique: ("-timestamp", "-rowid").
    Raises ValidationError for a cursor that was not made here.
    """
    names = [name.lstrip("-") for name in order]
    backwards, key = decode_cursor(cursor, len(names)) if cursor else (False, None)
    if key is not None:
        _check_kinds(rows.model, names, key)
        rows = rows.filter(_beyond(names, key, descending=order[0].startswith("-") != backwards))
    # With the columns of the order: without them, SQLite sorts all archived rows instead of walking their index.
    keys = rows.order_by(*(_reversed(order) if backwards else order)).values_list("pk", *names)
    pks = [pk for pk, *_ in keys[: size + 1]]
    more = len(pks) > size
    found = _fetch(rows, pks[:size])
    if backwards:
        found.reverse()
    has_newer = more if backwards else key is not None
    has_older = bool(found) if backwards else more
    return Page(
        rows=found,
        newer=_encode(found[0], names, backwards=True) if has_newer and found else None,
        older=_encode(found[-1], names, backwards=False) if has_older and found else None,
    )


def _check_kinds(model: type[Model], names: list[str], key: list[object]) -> None:
    """Raise ValidationError for a key of another list, which has texts where this one has numbers, or the reverse."""
    for name, value in zip(names, key, strict=True):
        if isinstance(value, int) is not isinstance(model._meta.get_field(name), IntegerField):
            raise _invalid()


def _fetch(rows: QuerySet[Row], pks: list[object]) -> list[Row]:
    """Return the rows of some keys, in the order of the keys.

    Keys come first and columns second: a sort would otherwise carry every row's columns and subqueries along.
    """
    rows = rows.order_by()
    # The keys say it all: beside them, SQLite would rather walk an index of another condition, through 100,000 rows.
    rows.query.where = WhereNode()
    by_key = {_identity(row.pk): row for row in rows.filter(pk__in=pks)} if pks else {}
    return [by_key[_identity(pk)] for pk in pks if _identity(pk) in by_key]


def _identity(pk: object) -> tuple[bool, object]:
    """Return a key by which a text and a blob of the same bytes are two."""
    return isinstance(pk, StoredBlob), pk


def _reversed(order: Sequence[str]) -> list[str]:
    return [name[1:] if name.startswith("-") else f"-{name}" for name in order]


def _beyond(names: list[str], key: list[object], *, descending: bool) -> Q:
    """Return the condition for rows after `key`; its first clause alone bounds the index range."""
    strict, loose = ("lt", "lte") if descending else ("gt", "gte")
    head, *rest = names
    value, *others = key
    if not rest:
        return Q(**{f"{head}__{strict}": value})
    return Q(**{f"{head}__{loose}": value}) & (
        Q(**{f"{head}__{strict}": value}) | _beyond(rest, others, descending=descending)
    )


def _encode(row: Model, names: list[str], *, backwards: bool) -> str:
    return encode_cursor([getattr(row, name) for name in names], backwards=backwards)


def encode_cursor(values: Sequence[object], *, backwards: bool) -> str:
    """Return the cursor of the page that begins beyond some values, in either direction."""
    key = [_plain(value) for value in values]
    text = json.dumps([int(backwards), *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> tuple[bool, list[object]]:
    """Return a cursor's direction and values. Raises ValidationError for one that was not made here."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        backwards, *key = json.loads(text)
        if len(key) != length or backwards not in (0, 1):
            raise ValueError(cursor)
        return bool(backwards), [_stored(part) for part in key]
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise _invalid() from None


def _invalid() -> ValidationError:
    return ValidationError("The page's cursor is invalid. Start again from the first page.", field="cursor")


def _plain(value: object) -> object:
    if isinstance(value, NonInteger):
        return {"odd": _plain(value.raw)}
    raw = value.raw if isinstance(value, StoredBlob) else value
    return {"blob": base64.b64encode(raw).decode()} if isinstance(raw, bytes) else raw


def _stored(part: object) -> object:
    """Return a value of a row from its part of a cursor. Raises ValueError for what no row holds."""
    if isinstance(part, dict) and "odd" in part:
        return NonInteger(part["odd"] if _is_real(part["odd"]) else _raw(_stored(part["odd"])))
    if isinstance(part, dict):
        return StoredBlob(base64.b64decode(part["blob"]))
    if isinstance(part, str) or (type(part) is int and -(2**63) <= part < 2**63):
        return part
    raise ValueError(part)


def _is_real(part: object) -> bool:
    # Of floats, NaN alone is not itself; SQLite stores NULL for it.
    return isinstance(part, float) and part == part


def _raw(value: object) -> object:
    return value.raw if isinstance(value, StoredBlob) else value


def portions(sized: Iterable[tuple[Key, int]], most_bytes: int, most: int | None = None) -> Iterator[list[Key]]:
    """Yield keys so many at a time as have rows of so many bytes together, always one, and at most `most`.

    Each comes with its row's size.
    """
    part: list[Key] = []
    total = 0
    for key, size in sized:
        if part and (total + size > most_bytes or len(part) == most):
            yield part
            part, total = [], 0
        part.append(key)
        total += size
    if part:
        yield part
