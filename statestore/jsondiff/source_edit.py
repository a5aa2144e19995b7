"""Changes made to the stored text of a state, byte for byte outside of the edited places.

Dumping a parsed state would change whitespace, number spellings and escapes outside the edit.
Here the text is cut and filled at positions, which count characters from 0. Raises NotJson for a text that can't be
parsed, DoesNotFit and Truncated as `apply` does.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from statestore.jsondiff.parsing import Json, dump, equal, parse
from statestore.jsondiff.patch import Change, Diff, DoesNotFit, Edit, Kind, Missing, apply, planned
from statestore.jsondiff.pointer import item_index, resolve, split

JSON_SPACE: Final = " \t\n\r"

_SPACE: Final = re.compile("[ \t\n\r]*")
_COLON: Final = re.compile("[ \t\n\r]*:[ \t\n\r]*")
_NEXT: Final = re.compile("[ \t\n\r]*([],}])[ \t\n\r]*")
# Jumps over values at the speed of C. Integers are read as floats, which take any number of digits.
_DECODER: Final = json.JSONDecoder(parse_int=float)

# The paths below a place that are looked for, part by part.
_Wanted: TypeAlias = dict[str, "_Wanted"]

# Its members are wanted even if none of them is: this stands for the place behind the last one, as in RFC 6901.
_BEHIND: Final = "-"

# From, to, and what is put in place of that.
_Splice: TypeAlias = tuple[int, int, str]


class Span(NamedTuple):
    """The span of a value in the text, from `start` up to `end`; of an object's member with its key, from `key`."""

    key: int
    start: int
    end: int


@dataclass(slots=True)
class _Place:
    """A value in the text. Only of containers above what is wanted are the members known."""

    span: Span
    spans: list[Span] = field(default_factory=list)
    # The place in `spans` of each key; of a list there are none.
    names: dict[str, int] = field(default_factory=dict)
    inside: dict[int, "_Place"] = field(default_factory=dict)

    def index(self, part: str) -> int:
        """Return the place in `spans` of a key, or of an index in text form. Raises KeyError if there is none."""
        if self.names:
            return self.names[part]
        place = item_index(part)
        if place is None or place >= len(self.spans):
            raise KeyError(part)
        return place

    def at(self, path: str) -> Span:
        """Return the span of a JSON Pointer, which must be among the wanted paths."""
        place: _Place | None = self
        span = self.span
        for part in split(path):
            if place is None:
                raise KeyError(path)
            index = place.index(part)
            span, place = place.spans[index], place.inside.get(index)
        return span


def rewrite(text: str, changes: Iterable[Change], source: str | None = None) -> str:
    """Return the state's text with changes applied: all of a diff, or some of them in any order.

    What is added or replaced is spelled as in `source`, the text of the state after; without it, on one line. What
    moves keeps its spelling. Raises DoesNotFit too where `source` is not the text that the changes lead to.
    """
    chosen = changes if isinstance(changes, Diff) else tuple(changes)
    # Refuses changes of another state: from here on each of them finds its place.
    apply(parse(text), chosen)
    edit = planned(chosen)
    place = _scan(text, _edited(edit))
    splices = _Editor(text, place, _spelled(chosen, source)).splices(place, edit, _Style())
    return _spliced(text, splices)


def replace_value(text: str, path: str, new_text: str) -> str:
    """Return the text with the value at a JSON Pointer replaced by another JSON text, without its outer spacing.

    Raises KeyError for a path that is not there; NotJson where either text, or the result, can't be parsed.
    """
    resolve(parse(text), path)
    parse(new_text)
    _, start, end = spans(text, [path])[path]
    replaced = text[:start] + new_text.strip(JSON_SPACE) + text[end:]
    # The two may be too large or too deep only together.
    parse(replaced)
    return replaced


def spans(text: str, paths: Iterable[str]) -> dict[str, Span]:
    """Return the spans of JSON Pointers in a text that `parse` accepts.

    Takes about as long as parsing, however many paths there are. Raises KeyError for a path that is not there.
    """
    looked_for = list(paths)
    place = _scan(text, _tree(split(path) for path in looked_for))
    return {path: place.at(path) for path in looked_for}


def _tree(paths: Iterable[tuple[str, ...]]) -> _Wanted:
    root: _Wanted = {}
    for parts in paths:
        wanted = root
        for part in parts:
            wanted = wanted.setdefault(part, {})
    return root


def _edited(edit: Edit) -> _Wanted:
    wanted = {part: _edited(inner) for part, inner in edit.members.items()}
    return {_BEHIND: {}} | wanted if edit.inserts else wanted


def _scan(text: str, wanted: _Wanted) -> _Place:
    start = _after(_SPACE, text, 0)
    return _located(text, start, start, wanted)


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    span = pattern.match(text, position)
    return span.end() if span else position


def _located(text: str, key: int, start: int, wanted: _Wanted) -> _Place:
    if not wanted or text[start] not in "[{":
        return _Place(Span(key, start, _DECODER.raw_decode(text, start)[1]))
    place = _Place(Span(key, start, start))
    named = text[start] == "{"
    position = _after(_SPACE, text, start + 1)
    end = position + 1
    more = text[position] not in "]}"
    while more:
        key = position
        part = str(len(place.spans))
        if named:
            part, position = _DECODER.raw_decode(text, position)
            place.names[part] = len(place.spans)
            position = _after(_COLON, text, position)
        inner = wanted.get(part)
        if inner:
            place.inside[len(place.spans)] = spans = _located(text, key, position, inner)
            place.spans.append(spans.span)
        else:
            place.spans.append(Span(key, position, _DECODER.raw_decode(text, position)[1]))
        mark = _NEXT.match(text, place.spans[-1].end)
        assert mark, "only a text that was parsed is scanned"
        position, end, more = mark.end(), mark.end(1), mark[1] == ","
    place.span = Span(place.span.key, start, end)
    return place


class _Spelling(NamedTuple):
    """A value as it will be typed, and its key as it was."""

    key: str
    value: str


def _spelled(changes: Iterable[Change], source: str | None) -> dict[str, _Spelling]:
    """Return how the source spells what is added or replaced, by the path in the state after."""
    taken = [change for change in changes if change.kind in (Kind.ADDED, Kind.REPLACED)]
    if source is None or not taken:
        return {}
    state = parse(source)
    try:
        fits = all(_is(resolve(state, change.after_path), change.after) for change in taken)
    except KeyError:
        fits = False
    if not fits:
        raise DoesNotFit("The text to copy from is not that of the state after.")
    found = spans(source, (change.after_path for change in taken))
    return {path: _Spelling(source[key:start], source[start:end]) for path, (key, start, end) in found.items()}


def _is(value: Json, wanted: Json | Missing) -> bool:
    return not isinstance(wanted, Missing) and equal(value, wanted)


@dataclass(frozen=True, slots=True)
class _Style:
    """How members are set apart: what stands ahead of the first and behind the last one of a container, and between."""

    lead: str = ""
    tail: str = ""
    comma: str = ", "
    colon: str = ": "

    @property
    def separator(self) -> str:
        """What stands between two members of a container that has fewer."""
        return f",{self.lead}" if "\n" in self.lead else self.comma


class _Editor:
    """Turns edits into splices of one text."""

    def __init__(self, text: str, top: _Place, spelled: dict[str, _Spelling]) -> None:
        self._text = text
        self._top = top
        self._spelled = spelled

    def splices(self, place: _Place, edit: Edit, around: _Style) -> Iterator[_Splice]:
        """Yield what becomes of one place, in no order. `around`: the style of an empty container in this place."""
        if edit.change is not None and not edit.takes_away:
            yield place.span.start, place.span.end, self._value(edit.change)
            return
        own, below = self._styles(place, around)
        removed: set[int] = set()
        for part, inner in edit.members.items():
            index = place.index(part)
            if inner.takes_away:
                removed.add(index)
            else:
                yield from self.splices(place.inside.get(index) or _Place(place.spans[index]), inner, below)
        inserts = self._inserts(place, edit, own)
        if removed or inserts:
            yield from self._reseated(place, removed, inserts, own)

    def _styles(self, place: _Place, around: _Style) -> tuple[_Style, _Style]:
        """Return the style of the place itself, and of an empty container directly below it."""
        if not place.spans:
            return around, around
        first, last = place.spans[0], place.spans[-1]
        lead, tail = self._text[place.span.start + 1 : first.key], self._text[last.end : place.span.end - 1]
        comma, colon = around.comma, around.colon
        if place.names:
            named = self._text[first.key : first.start]
            colon = named[named.rindex('"') + 1 :]
            comma = "," if "\n" in colon else f",{colon[colon.index(':') + 1 :]}"
        between = self._gap(place, 1) if len(place.spans) > 1 else "\n"
        comma = comma if "\n" in between else between
        own = _Style(lead, tail, comma, colon)
        step = lead.removeprefix(tail) if "\n" in lead and lead.startswith(tail) else ""
        return own, _Style(lead + step if step else "", lead if step else "", comma, colon)

    def _gap(self, place: _Place, index: int) -> str:
        """Return what stands ahead of a member and behind the one before it."""
        return self._text[place.spans[index - 1].end : place.spans[index].key]

    def _inserts(self, place: _Place, edit: Edit, style: _Style) -> list[tuple[int, str]]:
        """Return the new members and the indexes ahead of which they go, in the order in which they will stand."""
        if self._text[place.span.start] == "{":
            arriving = dict(edit.inserts)
            return [(len(place.spans), self._member(key, change, style)) for key, change in arriving.items()]
        order = sorted(edit.inserts, key=lambda entry: (int(entry[0]), int(split(entry[1].after_path)[-1])))
        return [(int(slot), self._value(change)) for slot, change in order]

    def _member(self, key: str, change: Change, style: _Style) -> str:
        spelling = self._spelled.get(change.after_path)
        typed = spelling.key[: spelling.key.rindex('"') + 1] if spelling else dump(key)
        return typed + style.colon + self._value(change)

    def _value(self, change: Change) -> str:
        if change.kind is Kind.MOVED:
            _, start, end = self._top.at(change.before_path)
            return self._text[start:end]
        if change.after_path in self._spelled:
            return self._spelled[change.after_path].value
        assert not isinstance(change.after, Missing)
        return dump(change.after, indent=None)

    def _reseated(
        self, place: _Place, removed: set[int], inserts: list[tuple[int, str]], style: _Style
    ) -> Iterator[_Splice]:
        """Yield the splices that take members out and put others in, each with one separator and its spacing."""
        spans, count = place.spans, len(place.spans)
        kept = next((index for index in range(count) if index not in removed), count)
        arriving = [typed for slot, typed in inserts if slot <= kept]
        if kept == count:
            yield self._refilled(place, arriving, style)
            return
        # Ahead of the first member that stays: new ones and their separators, in place of what goes.
        yield spans[0].key, spans[kept].key, "".join(typed + self._separator(place, 0, style) for typed in arriving)
        for index in removed:
            if index > kept:
                yield spans[index - 1].end, spans[index].end, ""
        for slot, typed in inserts:
            if slot > kept:
                # Splices of one point keep their order.
                yield spans[slot - 1].end, spans[slot - 1].end, self._separator(place, slot, style) + typed

    def _refilled(self, place: _Place, arriving: list[str], style: _Style) -> _Splice:
        """Return the splice for a container of whose own members none stays."""
        content = ""
        if arriving:
            content = style.lead + self._separator(place, 0, style).join(arriving) + style.tail
        return place.span.start + 1, place.span.end - 1, content

    def _separator(self, place: _Place, slot: int, style: _Style) -> str:
        """Return what sets a new member apart from its neighbour: what sets the neighbours apart, where there are."""
        count = len(place.spans)
        return self._gap(place, min(max(slot, 1), count - 1)) if count > 1 else style.separator


def _spliced(text: str, splices: Iterable[_Splice]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        pieces += text[position:start], new
        position = end
    return "".join([*pieces, text[position:]])
