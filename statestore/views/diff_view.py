"""The difference of two states as pages show it: changes in reading order, with signs and word diffs, bounded."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

from statestore import restore
from statestore.db.fields import text_bytes
from statestore.jsondiff import diff, limits, textdiff
from statestore.jsondiff.budget import Budget, budget_of
from statestore.jsondiff.diff import MISSING, Change, Kind
from statestore.views.formatting import line, shown_json
from statestore.views.message_diff import MessageDiffView, message_diffs

SIGNS: Final = {Kind.ADDED: "+", Kind.REMOVED: "−", Kind.REPLACED: "~", Kind.MOVED: "⇅"}
# A page shows so many changes; a diff may have more, and its counts say so.
SHOWN_CHANGES: Final = 500
# Shorter values are read faster whole, one after the other, than word by word.
WORDS_CHARACTERS: Final = 60
# Below this share of common text, two values are two texts and not one text edited.
COMMON_SHARE: Final = 0.4
# A group of more changes than this is closed at first: its heading says what is in it.
OPEN_CHANGES: Final = 12


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change as a row: sign, path, value before and after."""

    kind: str
    sign: str
    pointer: str
    choice: str
    path: str
    before: str
    after: str
    has_before: bool
    has_after: bool
    words: tuple[textdiff.Segment, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Group:
    """The changes below one member of the state, in reading order; of a message list also as a conversation."""

    name: str
    changes: tuple[ChangeView, ...]
    counts: tuple[tuple[str, str, int], ...]
    messages: MessageDiffView | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is short enough to be open at first. A conversation folds itself."""
        return self.messages is not None or len(self.changes) <= OPEN_CHANGES


class ComparisonView:
    """The difference between two stored texts: by path where both are JSON, else by line."""

    def __init__(self, before: str, after: str, *, ignored: Sequence[str] = ()) -> None:
        self.is_same = text_bytes(before) == text_bytes(after)
        self.compared = diff.compare(before, after)
        self.ignored = ignored

    @property
    def is_structured(self) -> bool:
        """Whether both texts were compared as JSON."""
        return isinstance(self.compared, diff.JsonComparison)

    @property
    def why_text(self) -> str:
        """Why the texts were not compared as JSON."""
        return self.compared.reason if isinstance(self.compared, diff.TextComparison) else ""

    @cached_property
    def changes(self) -> list[ChangeView]:
        """The first changes, in reading order."""
        budget = budget_of(limits.TEXT_DIFF_UNITS)
        return [_view(change, budget) for change in self._kept[:SHOWN_CHANGES]]

    @cached_property
    def _kept(self) -> list[Change]:
        """All changes except those at and below ignored paths."""
        if not isinstance(self.compared, diff.JsonComparison):
            return []
        return [change for change in self.compared.diff.changes if not self._is_ignored(change)]

    def _is_ignored(self, change: Change) -> bool:
        paths = (change.before_path, change.after_path)
        return any(path == out or path.startswith(f"{out}/") for out in self.ignored for path in paths)

    @property
    def left_out(self) -> int:
        """How many changes are at and below ignored paths."""
        return len(self.compared.diff) - len(self._kept) if isinstance(self.compared, diff.JsonComparison) else 0

    @property
    def groups(self) -> list[Group]:
        """The first changes by the state's message lists and, of the others, by its top-level members."""
        lists = self._message_diffs
        return [
            _group(line(path.lstrip("/"), 400) or "(whole state)", tuple(changes), lists.get(path))
            for path, changes in groupby(self.changes, key=lambda change: _place(change.pointer, lists))
        ]

    @cached_property
    def _message_diffs(self) -> dict[str, MessageDiffView]:
        compared = self.compared
        return message_diffs(compared.before, compared.after) if isinstance(compared, diff.JsonComparison) else {}

    @property
    def largest(self) -> str:
        """The member of the state with the most changes, "" if there are none."""
        members = Counter(change.path.split("/", 2)[1] for change in self._kept if change.path)
        return line(members.most_common(1)[0][0], 60) if members else ""

    @property
    def hunks(self) -> tuple[textdiff.Hunk, ...]:
        """The lines that differ, for texts that are not JSON."""
        return self.compared.lines.hunks if isinstance(self.compared, diff.TextComparison) else ()

    @property
    def is_cut(self) -> bool:
        """Whether there are more changes than are shown."""
        return self.compared.bounded or self.total > len(self.changes)

    @property
    def is_coarse(self) -> bool:
        """Whether some parts differ in too much to be compared by value."""
        compared = self.compared
        return compared.diff.coarse if isinstance(compared, diff.JsonComparison) else compared.coarse

    @property
    def can_pick(self) -> bool:
        """Whether all changes are shown, so that some of them can be selected."""
        return bool(self.changes) and not self.is_cut and not self.ignored

    @cached_property
    def _counts(self) -> dict[Kind, int]:
        return Counter(change.kind for change in self._kept)

    @property
    def added(self) -> int:
        return self._counts.get(Kind.ADDED, 0)

    @property
    def removed(self) -> int:
        return self._counts.get(Kind.REMOVED, 0)

    @property
    def replaced(self) -> int:
        return self._counts.get(Kind.REPLACED, 0)

    @property
    def moved(self) -> int:
        return self._counts.get(Kind.MOVED, 0)

    @property
    def total(self) -> int:
        """How many changes there are, including those not shown."""
        return sum(self._counts.values())


def _place(path: str, lists: Container[str]) -> str:
    """Return the message list that a path is in, else the top-level member."""
    parts = path.split("/")
    above = ("/".join(parts[:length]) for length in range(1, len(parts)))
    return next((one for one in above if one in lists), "/".join(parts[:2]))


def _group(name: str, changes: tuple[ChangeView, ...], messages: MessageDiffView | None) -> Group:
    if messages is not None:
        return Group(name, changes, tuple(messages.counts), messages)
    numbers = Counter((change.kind, change.sign) for change in changes)
    return Group(name, changes, tuple((kind, sign, number) for (kind, sign), number in numbers.items()))


def _view(change: Change, budget: Budget) -> ChangeView:
    return ChangeView(
        kind=change.kind.value,
        sign=SIGNS[change.kind],
        pointer=change.path,
        choice=restore.sign_of(change),
        path=line(change.path.lstrip("/") or "(whole state)", 400),
        before=shown_json(change.before),
        after=shown_json(change.after),
        has_before=change.before is not MISSING and change.kind is not Kind.MOVED,
        has_after=change.after is not MISSING,
        words=_words(change, budget),
        note=_note(change),
    )


def _words(change: Change, budget: Budget) -> tuple[textdiff.Segment, ...]:
    """Return a word diff of a long text, or nothing if it would not help."""
    before, after = change.before, change.after
    if change.kind is not Kind.REPLACED or not isinstance(before, str) or not isinstance(after, str):
        return ()
    if max(len(before), len(after)) < WORDS_CHARACTERS:
        return ()
    segments = tuple(textdiff.diff_words(before, after, budget))
    common = sum(len(segment.text) for segment in segments if segment.op is textdiff.Op.EQUAL)
    return segments if common >= COMMON_SHARE * max(len(before), len(after)) else ()


def _note(change: Change) -> str:
    """Return a note: the difference of two numbers, or the old position of a moved item."""
    before, after = change.before, change.after
    if change.kind is Kind.MOVED:
        return f"moved from {line(change.before_path.lstrip('/'), 200)}"
    if _is_number(before) and _is_number(after):
        return f"({after - before:+.10g})".replace("-", "−")  # type: ignore[operator]
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
