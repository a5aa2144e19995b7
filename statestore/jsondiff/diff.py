"""Two states compared: the changes from one to the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from statestore.jsondiff import limits
from statestore.jsondiff.alignment import align
from statestore.jsondiff.budget import Budget, budget_of, remembered
from statestore.jsondiff.parsing import Json, NotJson, depth_exceeds, equal, equal_fast, fingerprint, parse
from statestore.jsondiff.patch import MISSING, Change, Diff, DoesNotFit, Kind, Missing, Truncated, apply, invert
from statestore.jsondiff.pointer import escape
from statestore.jsondiff.textdiff import TextDiff, diff_lines, diff_words

# Callers need only this module.
__all__ = [
    "MISSING",
    "Change",
    "Comparison",
    "Diff",
    "DoesNotFit",
    "JsonComparison",
    "Kind",
    "Missing",
    "TextComparison",
    "TooDeep",
    "Truncated",
    "apply",
    "compare",
    "diff",
    "diff_lines",
    "diff_words",
    "equal",
    "invert",
]  # fmt: skip


TOO_DIFFERENT: Final = "They differ in too many values to be compared one by one."


class TooDeep(ValueError):
    """A change is nested deeper than MAX_DEPTH levels."""


class _Place(NamedTuple):
    """Two containers of one type at the same place, which differ somewhere inside."""

    before_path: str
    after_path: str
    before: Json
    after: Json


_Step: TypeAlias = Change | _Place


def diff(before: Json, after: Json, budget: Budget | None = None) -> Diff:
    """Return the changes that turn `before` into `after`.

    The order of keys is not a change; values of unlike type always are one. List items are matched by content, so
    that one insertion is one change. Raises TooDeep for a change below MAX_DEPTH levels.
    """
    try:
        return _walk(before, after, budget or budget_of(limits.DIFF_UNITS))
    except RecursionError:
        raise TooDeep(f"The states nest deeper than {limits.MAX_DEPTH} levels.") from None


def _walk(before: Json, after: Json, budget: Budget) -> Diff:
    changes: list[Change] = []
    coarse = False
    # Places that turn out to be equal give no change that would count; they too are looked at for a limited time.
    grace = Budget(limits.DIFF_UNITS // 10)
    # A stack of our own: the depth of the states is not limited by the caller's recursion.
    levels: list[Iterator[_Step]] = [iter(_steps_at("", "", before, after))]
    while levels:
        step = next(levels[-1], None)
        if step is None:
            levels.pop()
        elif isinstance(step, Change):
            if len(changes) == limits.MAX_CHANGES:
                return Diff(tuple(changes), truncated=True, coarse=coarse)
            _refuse_deep(len(levels) - 1, step.before, step.after)
            changes.append(step)
        else:
            _refuse_deep(len(levels) - 1, [])
            if len(levels) > limits.LEVELS_UNCHARGED:
                budget.consume(len(fingerprint(step.before)) // 8)
            steps = _steps_inside(step, budget) if budget.consume(limits.PLACE_UNITS) else None
            if steps is not None:
                levels.append(iter(steps))
                continue
            if budget.is_spent and not grace.consume(limits.PLACE_UNITS):
                return Diff(tuple(changes), truncated=True, coarse=True)
            if not equal(step.before, step.after):
                coarse = True
                levels[-1] = chain([_replaced(step)], levels[-1])
    return Diff(tuple(changes), coarse=coarse)


def _refuse_deep(level: int, *values: Json | Missing) -> None:
    for value in values:
        if isinstance(value, dict | list) and (
            level >= limits.MAX_DEPTH or depth_exceeds(value, limits.MAX_DEPTH - level)
        ):
            raise TooDeep(f"A change is nested deeper than {limits.MAX_DEPTH} levels.")


def _steps_at(before_path: str, after_path: str, before: Json, after: Json) -> list[_Step]:
    """Return the changes at one place of both states; none if they are equal."""
    if equal_fast(before, after):
        return []
    place = _Place(before_path, after_path, before, after)
    inside = type(before) is type(after) and isinstance(before, dict | list)
    return [place if inside else _replaced(place)]


def _replaced(place: _Place) -> Change:
    return Change(Kind.REPLACED, *place)


def _steps_inside(place: _Place, budget: Budget) -> list[_Step] | None:
    """Return the changes inside two containers, or None if they are better replaced as a whole."""
    _, _, before, after = place
    steps: list[_Step] | None = None
    size = 0
    if isinstance(before, dict) and isinstance(after, dict):
        steps, size = _object_steps(place, before, after, budget), max(len(before), len(after))
    elif isinstance(before, list) and isinstance(after, list):
        steps, size = _list_steps(place, before, after, budget), max(len(before), len(after))
    changes = sum(isinstance(step, Change) for step in steps or ())
    if changes > limits.MAX_CHANGES or (changes > limits.MAX_CHANGES_IN_UNLIKE and 2 * changes > size):
        return None
    return steps


def _object_steps(place: _Place, before: dict[str, Json], after: dict[str, Json], budget: Budget) -> list[_Step] | None:
    """Return the steps inside two objects; None as soon as they are too many, or the effort is spent."""
    if not budget.consume(limits.MEMBER_UNITS * (len(before) + len(after))):
        return None
    removed_behind: dict[str | None, list[str]] = {}
    neighbour: str | None = None
    for key in before:
        if key in after:
            neighbour = key
        else:
            removed_behind.setdefault(neighbour, []).append(key)
    steps: list[_Step] = []
    room = limits.MAX_CHANGES
    for reader in (None, *after):
        if reader is not None and not (reader in before and equal_fast(before[reader], after[reader])):
            steps += _member_steps(place, reader, before.get(reader, MISSING), after[reader])
        for key in removed_behind.get(reader, ()):
            steps += _member_steps(place, key, before[key], MISSING)
        if len(steps) >= room:
            room = len(steps) + limits.MAX_CHANGES
            changes = sum(isinstance(step, Change) for step in steps)
            if changes > limits.MAX_CHANGES or not budget.consume(limits.PLACE_UNITS * limits.MAX_CHANGES):
                return None
    return steps


def _member_steps(place: _Place, key: str, before: Json | Missing, after: Json | Missing) -> list[_Step]:
    part = escape(key)
    paths = f"{place.before_path}/{part}", f"{place.after_path}/{part}"
    if before is MISSING:
        return [Change(Kind.ADDED, *paths, before, after)]
    if after is MISSING:
        return [Change(Kind.REMOVED, *paths, before, after)]
    return _steps_at(*paths, before, after)


def _list_steps(place: _Place, before: list[Json], after: list[Json], budget: Budget) -> list[_Step] | None:
    alignment = align(before, after, budget)
    if alignment is None:
        return None
    changes = len(alignment.removed) + len(alignment.added) + len(alignment.moved)
    edits = max(0, len(alignment.edited) - limits.EDITS_UNCHARGED)
    if changes > limits.MAX_CHANGES or (edits and not budget.consume(limits.PLACE_UNITS * edits)):
        return None
    old, new = place.before_path, place.after_path
    # Read at their place in the list after: first what is missing there, in its old order, then what is there.
    steps: list[tuple[tuple[int, int, int], list[_Step]]] = []
    for i, j in alignment.edited:
        steps.append(((j, 1, 0), _steps_at(f"{old}/{i}", f"{new}/{j}", before[i], after[j])))
    for i, j in alignment.removed:
        steps.append(((j, 0, i), [Change(Kind.REMOVED, f"{old}/{i}", f"{new}/{j}", before[i], MISSING)]))
    for i, j in alignment.added:
        steps.append(((j, 1, 0), [Change(Kind.ADDED, f"{old}/{i}", f"{new}/{j}", MISSING, after[j])]))
    for i, j, slot, point in alignment.moved:
        ends = f"{old}/{i}", f"{new}/{j}", before[i], after[j]
        steps.append(((j, 1, 0), [Change(Kind.MOVED, *ends, f"{old}/{slot}", f"{new}/{point}")]))
    return [step for _, found_steps in sorted(steps, key=lambda entry: entry[0]) for step in found_steps]


@dataclass(frozen=True, slots=True)
class JsonComparison:
    """The comparison of two JSON states. `same_text`: spacing and key order are equal too."""

    diff: Diff
    before: Json
    after: Json
    same_text: bool

    @property
    def bounded(self) -> bool:
        """Whether the list is cut, so that the page should offer the texts themselves."""
        return self.diff.truncated or self.diff.coarse


@dataclass(frozen=True, slots=True)
class TextComparison:
    """The comparison of two states by line; `reason` says why they are not compared as JSON.

    `coarse`: they are JSON, but too different.
    """

    lines: TextDiff
    reason: str
    same_text: bool
    coarse: bool = False

    @property
    def bounded(self) -> bool:
        """Whether the list is cut, so that the page should offer the texts themselves."""
        return self.lines.truncated


Comparison: TypeAlias = JsonComparison | TextComparison


def compare(before_text: str, after_text: str) -> Comparison:
    """Return how two stored states differ: as JSON where both are, by line where not. Never raises, for any text.

    Comparing takes limited effort. What is too different to be compared by then is replaced as a whole; where that is
    the whole state, its lines are compared instead if it has any.
    """
    return remembered(("compare", before_text, after_text), lambda: _compare(before_text, after_text))


def _compare(before_text: str, after_text: str) -> Comparison:
    same_text = before_text == after_text
    before, before_reason = _parsed(before_text)
    after, after_reason = (before, before_reason) if same_text else _parsed(after_text)
    if before_reason or after_reason:
        sides = {"Before": before_reason, "After": "" if same_text else after_reason}
        reason = " ".join(f"{side}: {said}" for side, said in sides.items() if said)
        return TextComparison(diff_lines(before_text, after_text), before_reason if same_text else reason, same_text)
    try:
        return _compared(before_text, after_text, before, after)
    except TooDeep as error:
        return TextComparison(diff_lines(before_text, after_text), str(error), same_text)


def _compared(before_text: str, after_text: str, before: Json, after: Json) -> Comparison:
    budget = budget_of(limits.DIFF_UNITS)
    found = diff(before, after, budget)
    is_whole = [change.before_path for change in found.changes] == [""]
    if budget.is_spent and is_whole and "\n" in before_text.strip() and "\n" in after_text.strip():
        return TextComparison(diff_lines(before_text, after_text), TOO_DIFFERENT, same_text=False, coarse=True)
    return JsonComparison(found, before, after, before_text == after_text)


def _parsed(text: str) -> tuple[Json, str]:
    try:
        return remembered(("parse", text), lambda: parse(text)), ""
    except NotJson as error:
        return None, error.reason
