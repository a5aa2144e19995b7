"""Texts parsed one after the other, of which each has most in common with the one before, as the states of a past have.

Members of the top object that stand in the new text as they stood in the one before are not parsed again, and those of
a common beginning and end are not looked at one by one; of a list that changed, neither are the items before the first
change. What is shared are the same objects: do not change them.
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]

from statestore.jsondiff import limits, parsing
from statestore.jsondiff.parsing import Json, NotJson

# What may follow a member's value: after a number, anything else would go on with it.
_AFTER_VALUE = frozenset(" \t\n\r,}")
_PLAIN_KEY = re.compile(r'[{,][ \t\n\r]*"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
# So few members are looked at one by one sooner than the common beginning and end of two texts are found.
_FEW = 8


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


@dataclass(slots=True)
class _Object:
    """A text that was read as an object: its members in order, where the brace or comma ahead of each stands, and where
    its value ends.
    """

    text: str = ""
    keys: list[str] = field(default_factory=list)
    members: list[_Member] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def shared_with(self, text: str) -> tuple[int, int]:
        """Return how many members another text begins with, and from which one on it ends with the rest."""
        own, places = self.text, range(len(self.keys))
        if len(places) < _FEW:
            return 0, len(places)
        # Of what follows a value, one character tells that it ends there.
        head = bisect_left(places, True, key=lambda n: not text.startswith(own[: self.ends[n] + 1]))
        return head, bisect_left(places, True, key=lambda n: text.endswith(own[self.starts[n] :]))

    def add(self, key: str, member: _Member, start: int, end: int) -> None:
        """Add the next member."""
        self.keys.append(key)
        self.members.append(member)
        self.starts.append(start)
        self.ends.append(end)

    def extend(self, known: "_Object", which: slice, offset: int) -> None:
        """Add members that stand in another text as they do in this one, `offset` characters further back."""
        self.keys += known.keys[which]
        self.members += known.members[which]
        self.starts += [start + offset for start in known.starts[which]]
        self.ends += [end + offset for end in known.ends[which]]


class NeighbourParser:
    """Parses texts as `parsing.parse` does, with the same errors; quickly if each resembles the one before."""

    def __init__(self) -> None:
        self._last = _Object()

    def parse(self, text: str) -> Json:
        """Return the value of a text. Raises NotJson."""
        try:
            found = self._read(text)
        except (_NotAlikeError, ValueError, StopIteration, IndexError, RecursionError):
            # Not JSON, or not such as is read here: the whole is parsed, which says what is wrong.
            return parsing.parse(text)
        self._last = found
        return {key: member.value for key, member in zip(found.keys, found.members, strict=True)}

    def _read(self, text: str) -> _Object:
        """Return a text's members. Those of its beginning and end that it shares with the last text are not read."""
        begin, last = _skip(text, 0), self._last
        if text[begin] != "{" or len(text) > limits.MAX_PARSED_BYTES // 4 or parsing.NEGATIVE_ZERO.search(text):
            raise _NotAlikeError
        found, offset = _Object(text), len(text) - len(last.text)
        head, tail = last.shared_with(text)
        found.extend(last, slice(head), 0)
        known = dict(zip(last.keys, last.members, strict=True))
        # Where the next member's separator stands: the brace for the first one, the comma for the others.
        place = _separator(text, found.ends[-1], ",}") if found.ends else begin
        while text[place] != "}":
            same = bisect_left(last.starts, place - offset, lo=tail)
            if last.starts[same : same + 1] == [place - offset]:
                found.extend(last, slice(same, None), offset)
            else:
                key, start = _key(text, place)
                member, end = self._member(text, start, known.get(key))
                found.add(key, member, place, end)
            place = _separator(text, found.ends[-1], ",}")
        if _skip(text, place + 1) != len(text) or len(set(found.keys)) != len(found.keys):
            raise _NotAlikeError
        return found

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
    place = start
    if ends:
        place = _separator(text, start + ends[-1], ",]")
    elif text[_skip(text, start + 1)] == "]":
        place = _skip(text, start + 1)
    while text[place] != "]":
        value, end = _value(text, _skip(text, place + 1))
        items.append(value)
        ends.append(end - start)
        place = _separator(text, end, ",]")
    return _Member(text[start : place + 1], items, ends), place + 1


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


def _key(text: str, place: int) -> tuple[str, int]:
    """Return the key behind the separator at a place, and where its value begins."""
    if plain := _PLAIN_KEY.match(text, place):
        return plain[1], plain.end()
    position = _skip(text, place + 1)
    if text[position] != '"':
        raise _NotAlikeError
    key: object
    key, position = scanstring(text, position + 1)
    position = _skip(text, position)
    if text[position] != ":":
        raise _NotAlikeError
    return str(key), _skip(text, position + 1)


def _separator(text: str, end: int, marks: str) -> int:
    """Return where the mark stands that follows a value. Raises _NotAlikeError if anything else does."""
    place = end if text[end] in marks else _skip(text, end)
    if text[place] not in marks:
        raise _NotAlikeError
    return place


def _skip(text: str, position: int) -> int:
    match = parsing.SPACE.match(text, position)
    return match.end() if match else position
