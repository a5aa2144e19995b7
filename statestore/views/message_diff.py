"""Two versions of a message list as pages show them: as a conversation, with what became of each message."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

from statestore import conversations
from statestore.conversations import Call, Message, MessageChange, Op, Turn
from statestore.jsondiff import limits, pointer, textdiff
from statestore.jsondiff.budget import budget_of
from statestore.jsondiff.parsing import Json
from statestore.views.conversation import ShownTurn, shown

SIGNS: Final = {Op.ADDED: "+", Op.REMOVED: "−", Op.EDITED: "~", Op.MOVED: "⇅"}
# A longer run of added or removed turns shows its first ones, and the others when it is unfolded.
WHOLE_TURNS: Final = 5
FIRST_TURNS: Final = 3
# A page shows so many rows, and so many turns in a fold.
SHOWN_ROWS: Final = 200
FOLDED_TURNS: Final = 100
# Of one run, so many messages are read; it may have more.
READ_MESSAGES: Final = 1_000
# Of longer texts, the beginnings are compared word by word.
COMPARED_CHARACTERS: Final = 10_000

Words = tuple[textdiff.Segment, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A message with what became of it; or, with a `note`, a run of messages: `folded` are shown when it is opened."""

    op: str
    sign: str = ""
    at: str = ""
    turn: ShownTurn | None = None
    words: tuple[Words, ...] = ()
    note: str = ""
    folded: tuple["Row", ...] = ()


class MessageDiffView:
    """What became of the messages of one list."""

    def __init__(self, path: str, before: list[Json], after: list[Json]) -> None:
        self.path, self.before, self.after = path, before, after
        self._budget = budget_of(limits.DIFF_UNITS)

    @cached_property
    def _changes(self) -> list[MessageChange]:
        return conversations.changes(self.before, self.after, self._budget)

    @property
    def counts(self) -> list[tuple[str, str, int]]:
        """How many messages there are of each kind of change: kind, sign, number."""
        numbers: Counter[Op] = Counter(change.op for change in self._changes)
        return [(op.value, sign, numbers[op]) for op, sign in SIGNS.items() if op in numbers]

    @cached_property
    def _all_rows(self) -> list[Row]:
        runs = groupby(self._changes, key=lambda change: change.op)
        return [row for op, run in runs for row in self._rows(op, list(run))]

    @property
    def rows(self) -> list[Row]:
        """The first rows, in the order of the list after; removed messages stand where they were."""
        return self._all_rows[:SHOWN_ROWS]

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than are shown."""
        return len(self._all_rows) > SHOWN_ROWS

    def _rows(self, op: Op, run: list[MessageChange]) -> Iterator[Row]:
        if op is Op.KEPT:
            count = sum(change.count for change in run)
            yield Row(op, note=f"{count:,} unchanged message{'' if count == 1 else 's'}")
        elif op is Op.EDITED:
            yield from map(self._edited, run)
        elif op is Op.MOVED:
            yield from map(self._moved, run)
        else:
            yield from self._whole(op, run)

    def _whole(self, op: Op, run: list[MessageChange]) -> Iterator[Row]:
        """Yield the turns of a run of added or removed messages; of a long one the first, and the others folded."""
        places = [place for change in run for place in (change.before, change.after) if place is not None]
        items = self.after if op is Op.ADDED else self.before
        messages = [conversations.message(items[place], place) for place in places[:READ_MESSAGES]]
        turns = conversations.folded(conversations.paired(messages), is_end=False)
        rows = [_row(op, turn) for turn in turns[: FIRST_TURNS + FOLDED_TURNS]]
        if len(turns) <= WHOLE_TURNS:
            yield from rows
        else:
            yield from rows[:FIRST_TURNS]
            others = [one for one in messages if one.position >= turns[FIRST_TURNS].first]
            note = (
                f"{len(others):,} more messages {op.value}, {others[0].position}–{others[-1].position}{_called(others)}"
            )
            if len(turns) > FIRST_TURNS + FOLDED_TURNS:
                note += f"; the first {FOLDED_TURNS} turns of them"
            yield Row(op, SIGNS[op], note=note, folded=tuple(rows[FIRST_TURNS:]))
        if len(places) > len(messages):
            yield Row(op, note=f"{len(places) - len(messages):,} more messages {op.value}. The raw states have them.")

    def _moved(self, change: MessageChange) -> Row:
        assert change.after is not None
        (turn,) = conversations.paired([conversations.message(self.after[change.after], change.after)])
        return Row(Op.MOVED, SIGNS[Op.MOVED], f"{change.before} → {change.after}", shown(turn, is_brief=True))

    def _edited(self, change: MessageChange) -> Row:
        assert change.before is not None
        assert change.after is not None
        old = conversations.message(self.before[change.before], change.before)
        new = conversations.message(self.after[change.after], change.after)
        pairs = zip(_texts(old), _texts(new), strict=True)
        words = tuple(
            tuple(textdiff.diff_words(one[:COMPARED_CHARACTERS], other[:COMPARED_CHARACTERS], self._budget))
            for one, other in pairs
            if one != other
        )
        at = str(change.after) if change.before == change.after else f"{change.before} → {change.after}"
        return Row(Op.EDITED, SIGNS[Op.EDITED], at, shown(Turn(new, [], [])), words)


def _row(op: Op, turn: Turn) -> Row:
    one = shown(turn, is_brief=True)
    return Row(op, SIGNS[op], one.at, one)


def _texts(message: Message) -> list[str]:
    return [text for part in message.parts for text in conversations.texts(part)]


def _called(messages: list[Message]) -> str:
    """Return which tools messages call, and how often."""
    names = Counter(part.name for one in messages for part in one.parts if isinstance(part, Call))
    if not names:
        return ""
    counted = ", ".join(f"{number} × {name[:40]}" for name, number in names.most_common(4))
    return f": {names.total()} call{'' if names.total() == 1 else 's'} ({counted}{', …' if len(names) > 4 else ''})"


def message_diffs(before: Json, after: Json) -> dict[str, MessageDiffView]:
    """Return a comparison for each message list that two states have at one path, by path.

    On one side the list may be empty.
    """
    found = {one.path for state in (before, after) for one in conversations.message_lists(state)}
    diffs: dict[str, MessageDiffView] = {}
    for path in found:
        lists = [_list_at(state, path) for state in (before, after)]
        if lists[0] is not None and lists[1] is not None:
            diffs[path] = MessageDiffView(path, lists[0], lists[1])
    return diffs


def _list_at(state: Json, path: str) -> list[Json] | None:
    try:
        value = pointer.resolve(state, path)
    except (KeyError, ValueError):
        return None
    return value if isinstance(value, list) else None
