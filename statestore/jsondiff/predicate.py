"""Conditions on one path of a state, as people type them: `/mode = "stuck"`, `/budget/spent > 100`, `/plan exists`.

    condition  =  path ( "exists" | "missing" | operator value )
    path       =  a JSON Pointer (RFC 6901), in double quotes where it has spaces or operators; "" is the whole state
    operator   =  "=" | "!=" | "<" | "<=" | ">" | ">=" | "contains"
    value      =  JSON

Numbers compare by value, not by spelling, texts by their characters. A path that is not there fulfils
`missing` and nothing else, so that a condition never holds by accident before its subject exists.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from operator import eq, ge, gt, le, lt
from typing import Any, Final

from statestore.errors import ValidationError
from statestore.jsondiff import parsing, pointer
from statestore.jsondiff.parsing import Json, Number

EXAMPLES: Final = ('/mode = "stuck"', "/budget/spent > 100", "/plan/goal missing", "/tools/failures >= 3")

_HINT: Final = f"Examples: {EXAMPLES[0]}, {EXAMPLES[1]}, {EXAMPLES[2]}."
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_WITHOUT_VALUE: Final = ("exists", "missing")
_WITH_VALUE: Final = ("=", "!=", *_ORDERS, "contains")
_SHAPE: Final = re.compile(
    r"""\s*(?P<path>"(?:[^"\\]|\\.)*"|/[^\s=!<>]*|)\s*"""
    r"""(?P<operator>exists\b|missing\b|contains\b|==|!=|<=|>=|=|<|>|)\s*(?P<value>.*?)\s*""",
    re.DOTALL | re.IGNORECASE,
)
_PLAIN_PATH: Final = re.compile(r"/[^\s=!<>\"]*")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one path; `value` is used only if the operator takes one."""

    path: str
    operator: str
    value: Json = None

    def __str__(self) -> str:
        path = self.path if _PLAIN_PATH.fullmatch(self.path) else parsing.dump(self.path)
        words = [path, self.operator]
        return " ".join(words if self.operator in _WITHOUT_VALUE else [*words, parsing.dump(self.value, indent=None)])

    def holds(self, state: Json) -> bool:
        """Return whether a state fulfils the condition."""
        try:
            actual = pointer.resolve(state, self.path)
        except KeyError:
            return self.operator == "missing"
        if self.operator in _WITHOUT_VALUE:
            return self.operator == "exists"
        if self.operator == "contains":
            return _contains(actual, self.value)
        if self.operator in _ORDERS:
            return _in_order(_ORDERS[self.operator], actual, self.value)
        return _is_equal(actual, self.value) == (self.operator == "=")


def parse(text: str) -> Condition:
    """Parse a condition. Raises ValidationError, which says what is wrong with it."""
    shape = _SHAPE.fullmatch(text)
    assert shape, "the last part of the pattern takes anything"
    path, operator, value = _path(shape["path"], text), shape["operator"].lower(), shape["value"]
    operator = "=" if operator == "==" else operator
    if not operator:
        problem = f"“{value[:40]}” is not one" if value else "it is missing"
        known = ", ".join([*_WITH_VALUE, *_WITHOUT_VALUE])
        raise _refused(f"After the path, an operator is expected ({known}); {problem}. {_HINT}")
    if operator in _WITHOUT_VALUE:
        if value:
            raise _refused(f"“{operator}” takes no value, but “{value[:40]}” follows. {_HINT}")
        return Condition(path, operator)
    return Condition(path, operator, _value(value, operator))


def _refused(text: str) -> ValidationError:
    return ValidationError(text, field="condition")


def exists(path: str) -> str:
    """Return the condition, as text, that a path exists."""
    return str(Condition(path, "exists"))


def _path(typed: str, text: str) -> str:
    if not typed:
        raise _refused(f"A condition must start with a path such as /plan/goal, not with “{text.strip()[:40]}”.")
    try:
        path = str(parsing.parse(typed)) if typed.startswith('"') else typed
        pointer.split(path)
    except parsing.NotJson as error:
        raise _refused(f"The quoted path is not a JSON string: {error.reason}") from None
    except ValueError as error:
        raise _refused(f"“{typed[:80]}” is not a valid path. {error}") from None
    return path


def _value(typed: str, operator: str) -> Json:
    if not typed:
        raise _refused(f"“{operator}” needs a value. {_HINT}")
    try:
        value = parsing.parse(typed)
    except parsing.NotJson as error:
        hint = f' Put text in double quotes: "{typed[:40]}".' if re.fullmatch(r"[\w .:/-]+", typed) else ""
        raise _refused(f"The value after “{operator}” is not JSON. {error.reason}{hint}") from None
    if operator in _ORDERS and not (isinstance(value, str) or _number(value) is not None):
        raise _refused(f"“{operator}” compares numbers or strings, not {typed[:40]}. {_HINT}")
    return value


def _number(value: Json) -> Decimal | None:
    """Return the value of a JSON number, None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float | Number):
        return None
    try:
        return Decimal(value if isinstance(value, int) else parsing.dump(value))
    except DecimalException:
        # Its exponent has more digits than any number that means something.
        return None


def _is_equal(actual: Json, value: Json) -> bool:
    left, right = _number(actual), _number(value)
    return eq(left, right) if left is not None and right is not None else parsing.equal(actual, value)


def _in_order(order: Callable[[object, object], bool], actual: Json, value: Json) -> bool:
    if isinstance(actual, str) and isinstance(value, str):
        return order(actual, value)
    left, right = _number(actual), _number(value)
    return left is not None and right is not None and order(left, right)


def _contains(actual: Json, value: Json) -> bool:
    if isinstance(actual, list):
        return any(_is_equal(item, value) for item in actual)
    if isinstance(actual, str | dict):
        return isinstance(value, str) and value in actual
    return False
