"""What the columns of each noun may hold: one definition for the Python API, the JSON API, the admin and the import.

The orchestrator stops at a value that it cannot read, often for all rows of a list: invalid UTF-8, a number beyond its
type, metadata that is not JSON. What is stored already may stay as it is, whatever it is.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

from django.db.models import Field, IntegerField, Model

from statestore.db.fields import LenientText, NonInteger, StoredBlob, UnixSeconds, has_surrogate
from statestore.errors import SerializationError, ValidationError
from statestore.models.rows import LAST_SECOND

# States are any text that an agent made; SQLite holds a NUL in them, and PostgreSQL's column refuses it.
_STATES: Final = frozenset({"state_data", "state_before", "state_after"})
_JSON: Final = frozenset({"metadata", "dependencies"})
# Numbers that the orchestrator reads as 32 bits, signed.
_SHORT_INTEGERS: Final = frozenset({"version"})


def check_columns(model: type[Model], columns: Mapping[str, object], *, kept: Model | None = None) -> None:
    """Raise ValidationError, with the field, for the first value that the orchestrator could not read.

    Values that `kept`, the stored row, has already are not checked: they stay as they are.
    """
    for name, value in columns.items():
        attribute, checked = _checked(model, name)
        if kept is not None and _is_same(getattr(kept, attribute), value):
            continue
        if reason := checked(value):
            kind = SerializationError if reason in _UNSTORABLE else ValidationError
            raise kind(f"The {name} {reason}. Nothing was changed.", field=name)


def fault(field: object, value: object) -> str:
    """Return what is wrong with a value for a column, as a predicate, or nothing."""
    return rule(field)(value)


@cache
def _checked(model: type[Model], name: str) -> tuple[str, Callable[[object], str]]:
    """Return the attribute of a column, and the rule for its values."""
    field = model._meta.get_field(name)
    assert isinstance(field, Field)
    return field.attname, rule(field)


def rule(field: Any) -> Callable[[object], str]:
    """Return the function that says what is wrong with a value for a column, for a loop over very many rows."""
    missing = "" if field.null else MISSING
    if isinstance(field, LenientText):
        may_hold_nul, is_json = field.name in _STATES, field.name in _JSON
        return partial(_fault_of_text, missing=missing, may_hold_nul=may_hold_nul, is_json=is_json)
    if isinstance(field, UnixSeconds):
        return partial(_fault_of_integer, missing=missing, least=0, most=LAST_SECOND, reason=NOT_SECONDS)
    bits = 31 if field.name in _SHORT_INTEGERS else 63
    reason = _OUT_OF_RANGE[bits]
    return partial(_fault_of_integer, missing=missing, least=-(2**bits), most=2**bits - 1, reason=reason)


def fault_of_stored(field: object, value: object) -> str:
    """Return what is wrong with a value that another store holds in the column, as a predicate, or nothing.

    Odd values are StoredBlob and NonInteger: they are copied as they are.
    """
    if value is None or isinstance(value, NonInteger):
        return "" if value is None or isinstance(field, IntegerField) else NOT_TEXT
    if isinstance(field, IntegerField):
        return "" if _is_integer(value, -(2**63), 2**63 - 1) else _OUT_OF_RANGE[63]
    return "" if isinstance(value, str) else NOT_TEXT


MISSING: Final = "is missing"
NOT_TEXT: Final = "is not text"
NOT_SECONDS: Final = "is not a whole number of seconds in the years 1970 to 9999"
LONE_SURROGATE: Final = "contains a lone surrogate, which is not valid text"
NUL: Final = "contains a NUL character, which PostgreSQL cannot store"
_OUT_OF_RANGE: Final = {31: "is not a whole number of 32 bits", 63: "is not a whole number of 64 bits"}
_UNSTORABLE: Final = frozenset({LONE_SURROGATE, NUL})


def _fault_of_text(value: object, *, missing: str, may_hold_nul: bool, is_json: bool) -> str:
    if value is None:
        return missing
    if not isinstance(value, str) or isinstance(value, StoredBlob):
        return NOT_TEXT
    if has_surrogate(value):
        return LONE_SURROGATE
    if not may_hold_nul and "\0" in value:
        return NUL
    return _fault_of_json(value) if is_json else ""


def _fault_of_integer(value: object, *, missing: str, least: int, most: int, reason: str) -> str:
    if value is None:
        return missing
    return "" if _is_integer(value, least, most) else reason


def _is_integer(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _fault_of_json(text: str) -> str:
    try:
        value = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        return f"is not JSON (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):
        return "is not JSON"
    return LONE_SURROGATE if "\\u" in text and _has_lone_surrogate(value) else ""


def _refuse(literal: str) -> float:
    raise ValueError(literal)


def _finite(literal: str) -> float:
    """Return a number; one that no float holds is out of range to the orchestrator too."""
    number = float(literal)
    return number if number - number == 0 else _refuse(literal)


_STRICT: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def _has_lone_surrogate(value: object) -> bool:
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, str) and has_surrogate(part):
            return True
        if isinstance(part, dict):
            parts += [*part, *part.values()]
        elif isinstance(part, list):
            parts += part
    return False


def _is_same(stored: object, value: object) -> bool:
    return stored == value and type(stored) is type(value)
