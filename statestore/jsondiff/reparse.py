"""Texts parsed one after the other, of which each has most in common with the one before, as the states of a past have.

Members of the top object that stand in the new text as they stood in the one before are not parsed again; of a list
that changed, neither are the items before the first change. What is shared are the same objects: do not change them.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from statestore.jsondiff import limits, parsing
from statestore.jsondiff.parsing import Json, NotJson

# What may follow a member's value: after a number, anything else would go on with it.
_AFTER_VALUE = frozenset(" \t\n\r,}")


@dataclass(slots=True)
class _Member:
    """A member's value, its source text, and, once they are asked for, where the items of a list end in that text."""

    text: str
    value: Json
    _ends: list[int] = field(default_factory=list)

    @property
    def ends(self) -> list[int]:
        if not self._ends and isinstance(self.value, list):
            self._ends = _item_ends(self.text)
        return self._ends


class NeighbourParser:
    """Parses texts as `parsing.parse` does, with the same errors; quickly if each resembles the one before."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}

    def parse(self, text: str) -> Json:
        """Return the value of a text. Raises NotJson."""
        try:
            return self._parse_like_last(text)
        except _NotAlikeError:
            pass
        value = parsing.parse(text)
        self._members = _members_of(text, value) if isinstance(value, dict) and value else {}
        return value

    def _parse_like_last(self, text: str) -> Json:
        if not self._members or text[:1] != "{" or len(text) > limits.MAX_PARSED_BYTES // 4:
            raise _NotAlikeError
        state: dict[str, Json] = {}
        members: dict[str, _Member] = {}
        try:
            if parsing.NEGATIVE_ZERO.search(text):
                raise _NotAlikeError
            position, is_over = 0, False
            while not is_over:
                key, position = _key(text, _skip(text, position + 1))
                member, position = self._member(text, position, self._members.get(key))
                if key in state:
                    raise _NotAlikeError
                members[key], state[key] = member, member.value
                position = _skip(text, position)
                is_over = _is_end(text, position, ",}")
        except (ValueError, StopIteration, IndexError, RecursionError):
            # Not JSON, or not such as is read here: the whole is parsed, which says what is wrong.
            raise _NotAlikeError from None
        if _skip(text, position + 1) != len(text):
            raise _NotAlikeError
        self._members = members
        return state

    def _member(self, text: str, start: int, known: _Member | None) -> tuple[_Member, int]:
        """Return the member whose value begins at a position, and where the value ends."""
        if known is not None:
            end = start + len(known.text)
            if text.startswith(known.text, start) and text[end] in _AFTER_VALUE:
                return known, end
            if isinstance(known.value, list) and text[start] == "[":
                return _list_like(text, start, known)
        value, end = _value(text, start)
        return _Member(text[start:end], value), end


class _NotAlikeError(Exception):
    """A text does not resemble the one before, or cannot be read member by member."""


def _list_like(text: str, start: int, known: _Member) -> tuple[_Member, int]:
    """Return the member of a list that begins as another one did."""
    length = _common_length(known.text, text, start)
    same = bisect_right(known.ends, length)
    if same and known.ends[same - 1] == length and known.text[length - 1].isdigit():
        same -= 1  # A number may go on.
    ends = known.ends[:same]
    assert isinstance(known.value, list)
    items = known.value[:same]
    position = start + (ends[-1] if ends else 0)
    is_over = False
    if ends:
        position = _skip(text, position)
        is_over = _is_end(text, position, ",]")
    elif text[_skip(text, start + 1)] == "]":
        position, is_over = _skip(text, start + 1), True
    while not is_over:
        value, position = _value(text, _skip(text, position + 1))
        items.append(value)
        ends.append(position - start)
        position = _skip(text, position)
        is_over = _is_end(text, position, ",]")
    return _Member(text[start : position + 1], items, ends), position + 1


def _common_length(old: str, text: str, start: int) -> int:
    """Return how many characters two texts have in common, the second from a position on."""
    low, high = 0, min(len(old), len(text) - start)
    while low < high:
        middle = (low + high + 1) // 2
        if text.startswith(old[low:middle], start + low):
            low = middle
        else:
            high = middle - 1
    return low


def _value(text: str, start: int) -> tuple[Json, int]:
    """Return a value inside of the top object, and where it ends. Raises StopIteration, ValueError."""
    value, end = parsing.usual_scan(text, start)
    piece = text[start:end]
    if piece.count("[") + piece.count("{") >= limits.MAX_DEPTH and parsing.depth_exceeds(value, limits.MAX_DEPTH - 2):
        raise NotJson("It may nest too deep.")
    return value, end


def _members_of(text: str, value: dict[str, Json]) -> dict[str, _Member]:
    """Return the members of a text that is a JSON object, read a second time to see where they stand."""
    parser = NeighbourParser()
    parser._members = {"": _Member("", None)}
    try:
        parser._parse_like_last(text.strip(" \t\n\r"))
    except _NotAlikeError:
        return {}
    return {key: _Member(member.text, value[key]) for key, member in parser._members.items()}


def _item_ends(text: str) -> list[int]:
    ends: list[int] = []
    position = _skip(text, 1)
    while text[position] != "]":
        _, position = parsing.usual_scan(text, position)
        ends.append(position)
        position = _skip(text, position)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return ends


def _key(text: str, position: int) -> tuple[str, int]:
    """Return the key at a position, and where its value begins."""
    if text[position] != '"':
        raise _NotAlikeError
    key: Any
    key, position = scanstring(text, position + 1)
    position = _skip(text, position)
    if text[position] != ":":
        raise _NotAlikeError
    return str(key), _skip(text, position + 1)


def _is_end(text: str, position: int, marks: str) -> bool:
    """Return whether a container ends at a position, or goes on. Raises _NotAlikeError for anything else."""
    place = marks.find(text[position])
    if place < 0:
        raise _NotAlikeError
    return place == 1


def _skip(text: str, position: int) -> int:
    match = parsing.SPACE.match(text, position)
    return match.end() if match else position
