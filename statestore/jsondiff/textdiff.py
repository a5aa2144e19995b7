"""Two texts compared: line by line for states that are not JSON, word by word for long values inside of one."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import eq, itemgetter
from typing import Final, NamedTuple

from statestore.jsondiff import limits
from statestore.jsondiff.budget import Budget, budget_of
from statestore.jsondiff.lcs import Match, common_ends, common_subsequence

# A word takes the space behind it along: else the spaces between unlike words would match, and chop them up.
_WORD: Final = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


class Op(StrEnum):
    """The kind of a segment."""

    EQUAL = "equal"
    INSERT = "insert"
    DELETE = "delete"


class Segment(NamedTuple):
    """A piece of text. Equal and deleted segments make up the text before; equal and inserted ones the text after."""

    op: Op
    text: str


class Line(NamedTuple):
    """A line with its number on either side, from 1; `cut` if only its first MAX_LINE_CHARS are included."""

    op: Op
    text: str
    before_number: int | None
    after_number: int | None
    cut: bool


class Hunk(NamedTuple):
    """Neighbouring changed lines, with unchanged context."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class TextDiff:
    """The hunks from one text to another. `truncated`: more changed lines follow."""

    hunks: tuple[Hunk, ...]
    truncated: bool = False


class _Window(NamedTuple):
    """The lines of both texts around all that differs; `number` is that of the first, the same on either side."""

    number: int
    before: list[str]
    after: list[str]
    truncated: bool


def diff_lines(before: str, after: str, context: int = 3) -> TextDiff:
    """Return the changed lines as hunks with `context` equal lines; deletions come before insertions.

    At most MAX_SHOWN_LINES, found among the first MAX_COMPARED_LINES from the first difference on.
    """
    if before == after:
        return TextDiff(())
    window = _window(before, after, context)
    matches = common_subsequence(window.before, window.after, budget_of(limits.TEXT_DIFF_UNITS))
    if window.truncated and matches:
        # Behind the last match the one text may only lack what was cut off of it.
        window = window._replace(before=window.before[: matches[-1][0] + 1], after=window.after[: matches[-1][1] + 1])
    hunks: list[Hunk] = []
    room = limits.MAX_SHOWN_LINES
    for hunk in _hunks(list(_lines(window, matches)), context):
        if len(hunk.lines) > room:
            hunks += [Hunk(hunk.lines[:room])] if room else []
            return TextDiff(tuple(hunks), truncated=True)
        hunks.append(hunk)
        room -= len(hunk.lines)
    return TextDiff(tuple(hunks), window.truncated)


def _window(before: str, after: str, context: int) -> _Window:
    head, tail = common_ends(before, after, eq)
    start = _line_start(before, head, context)
    end = _line_end(before, len(before) - tail, context)
    left_lines = before[start:end].split("\n", limits.MAX_COMPARED_LINES)
    right_lines = after[start : end + len(after) - len(before)].split("\n", limits.MAX_COMPARED_LINES)
    return _Window(
        number=before.count("\n", 0, start) + 1,
        before=left_lines[: limits.MAX_COMPARED_LINES],
        after=right_lines[: limits.MAX_COMPARED_LINES],
        truncated=max(len(left_lines), len(right_lines)) > limits.MAX_COMPARED_LINES,
    )


def _line_start(text: str, place: int, lines_ahead: int) -> int:
    for _ in range(lines_ahead + 1):
        place = text.rfind("\n", 0, place)
        if place < 0:
            return 0
    return place + 1


def _line_end(text: str, place: int, lines_behind: int) -> int:
    for _ in range(lines_behind + 1):
        place = text.find("\n", place) + 1
        if place == 0:
            return len(text)
    return place - 1


def _lines(window: _Window, matches: list[Match]) -> Iterator[Line]:
    number, before, after, _ = window
    i = j = 0
    for match_i, match_j in (*matches, (len(before), len(after))):
        for place in range(i, match_i):
            yield _line(Op.DELETE, before[place], number + place, None)
        for place in range(j, match_j):
            yield _line(Op.INSERT, after[place], None, number + place)
        if match_i < len(before) and match_j < len(after):
            yield _line(Op.EQUAL, before[match_i], number + match_i, number + match_j)
        i, j = match_i + 1, match_j + 1


def _line(op: Op, text: str, before_number: int | None, after_number: int | None) -> Line:
    return Line(op, text[: limits.MAX_LINE_CHARS], before_number, after_number, cut=len(text) > limits.MAX_LINE_CHARS)


def _hunks(lines: list[Line], context: int) -> Iterator[Hunk]:
    start = end = 0
    for place, line in enumerate(lines):
        if line.op is Op.EQUAL:
            continue
        if end and place - context > end:
            yield Hunk(tuple(lines[start:end]))
            end = 0
        if not end:
            start = max(place - context, 0)
        end = place + context + 1
    if end:
        yield Hunk(tuple(lines[start:end]))


def diff_words(before: str, after: str, budget: Budget | None = None) -> list[Segment]:
    """Return the word diff of two texts as segments; deletions come before insertions.

    Where over MAX_COMPARED_CHARS lie between what both begin and end with, or more than the budget allows, those are
    one deletion and one insertion.
    """
    budget = budget or budget_of(limits.TEXT_DIFF_UNITS)
    head, tail = _common_words(before, after)
    left, right = before[head : len(before) - tail], after[head : len(after) - tail]
    pieces = [(Op.EQUAL, before[:head])]
    characters = len(left) + len(right)
    if characters > limits.MAX_COMPARED_CHARS or not budget.consume(limits.CHARACTER_UNITS * characters):
        pieces += [(Op.DELETE, left), (Op.INSERT, right)]
    else:
        pieces += _word_pieces(_WORD.findall(left), _WORD.findall(right), budget)
    return _joined([*pieces, (Op.EQUAL, before[len(before) - tail :])])


def _common_words(before: str, after: str) -> tuple[int, int]:
    """Return the lengths of the common prefix and suffix, without cutting a word."""
    head, tail = common_ends(before, after, eq)
    begun = re.search(r"\w*\Z", before[max(head - limits.MAX_WORD_CHARS, 0) : head])
    ended = re.match(r"\w*", before[len(before) - tail : len(before) - tail + limits.MAX_WORD_CHARS])
    return head - len(begun[0] if begun else ""), tail - len(ended[0] if ended else "")


def _word_pieces(left: list[str], right: list[str], budget: Budget) -> Iterator[tuple[Op, str]]:
    i = j = 0
    matches = common_subsequence(left, right, budget)
    for match_i, match_j in (*matches, (len(left), len(right))):
        yield Op.DELETE, "".join(left[i:match_i])
        yield Op.INSERT, "".join(right[j:match_j])
        yield Op.EQUAL, "".join(left[match_i : match_i + 1])
        i, j = match_i + 1, match_j + 1


def _joined(pieces: Iterable[tuple[Op, str]]) -> list[Segment]:
    """Return the pieces without the empty ones, neighbours of one kind as one."""
    told = ((op, text) for op, text in pieces if text)
    return [Segment(op, "".join(text for _, text in run)) for op, run in groupby(told, key=itemgetter(0))]
