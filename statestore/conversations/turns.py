"""A stretch of a message list as turns: a call beside its result, runs of turns that are alike folded into one."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from statestore.conversations import alike, limits
from statestore.conversations.formats import message, summary
from statestore.conversations.messages import NO_USAGE, Call, Message, Part, Result, Role, Text, Thinking, Unknown
from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json

# The members of each kind of part that can be read. Of media there is nothing to read.
_TEXTS_OF: Final[dict[type, tuple[str, ...]]] = {
    Text: ("text",), Thinking: ("text",), Call: ("name", "arguments"), Result: ("value",), Unknown: ("value",),
}  # fmt: skip
_Part = TypeVar("_Part", bound=Part)


@dataclass(slots=True)
class Exchange:
    """A call and what it returned. A result may have lost its call."""

    call: Call | None
    result: Result | None = None


@dataclass(slots=True)
class Turn:
    """One message with the results of its calls. `alike` are the turns that it stands for, itself among them."""

    message: Message
    said: list[Part]
    exchanges: list[Exchange]
    alike: list["Turn"] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.message.position

    @property
    def last(self) -> int:
        """The position of the last message that the turn shows."""
        return (self.alike[-1] if self.alike else self).message.position


@dataclass(frozen=True, slots=True)
class Stretch:
    """A page of a message list, oldest first. `earlier` and `later` are where the neighbours end, None without one.

    Roles and costs are of the whole list, or of its last messages if it `is_long`.
    """

    turns: list[Turn]
    total: int
    earlier: int | None
    later: int | None
    roles: Counter[Role]
    tokens: int | None
    cost: float | None
    is_long: bool


def stretch(items: list[Json], *, end: int | None = None, size: int = limits.PAGE_MESSAGES) -> Stretch:
    """Return the messages before position `end`, the newest of the list if it is None."""
    total = len(items)
    end = total if end is None else max(1, min(end, total))
    start = _start(items, max(0, end - size))
    counted = [summary(item) for item in items[-limits.COUNTED_MESSAGES :]]
    usages = [usage for _, usage in counted if usage is not NO_USAGE]
    tokens = [usage.tokens for usage in usages if usage.tokens is not None]
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return Stretch(
        folded(paired(message(items[at], at) for at in range(start, end)), is_end=end == total),
        total,
        start or None,
        min(end + size, total) if end < total else None,
        Counter(role for role, _ in counted),
        sum(tokens) if tokens else None,
        sum(costs) if costs else None,
        total > limits.COUNTED_MESSAGES,
    )


def found(items: list[Json], text: str, *, size: int = limits.PAGE_MESSAGES) -> list[Turn]:
    """Return the newest messages that hold a text, ignoring case, oldest first, each as a turn of its own."""
    wanted, turns = text.lower(), []
    lowest = max(0, len(items) - limits.COUNTED_MESSAGES)
    for at in range(len(items) - 1, lowest - 1, -1):
        one = message(items[at], at)
        if any(wanted in part_text.lower() for part in one.parts for part_text in texts(part)):
            turns += paired([one])
            if len(turns) >= size:
                break
    return turns[::-1]


def texts(part: Part) -> Iterator[str]:
    """Yield what can be read in a part."""
    for name in _TEXTS_OF.get(type(part), ()):
        yield _as_text(getattr(part, name))


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else parsing.dump(value)


def _start(items: list[Json], start: int) -> int:
    """Return where a page begins: not with the result of a call that would be on the page before."""
    lowest = max(0, start - limits.RESULTS_BEFORE)
    at = start
    while at > lowest and summary(items[at])[0] is Role.TOOL:
        at -= 1
    return at if at == 0 or summary(items[at])[0] is not Role.TOOL else start


# Calls and results


def paired(messages: Iterable[Message]) -> list[Turn]:
    """Return messages as turns. A result stands beside its call: the one of its id, or else the first that waits."""
    turns: list[Turn] = []
    waiting: list[Exchange] = []
    for one in messages:
        said: list[Part] = []
        exchanges: list[Exchange] = []
        for part in one.parts:
            if isinstance(part, Call):
                exchanges.append(Exchange(part))
            elif isinstance(part, Result):
                call = _call_of(part, waiting)
                if call is None:
                    exchanges.append(Exchange(None, part))
                else:
                    call.result = part
                    waiting.remove(call)
            else:
                said.append(part)
        waiting += [exchange for exchange in exchanges if exchange.result is None]
        del waiting[: -limits.PARTS]
        if said or exchanges or not one.parts:
            turns.append(Turn(one, said, exchanges))
    return turns


def _call_of(result: Result, waiting: list[Exchange]) -> Exchange | None:
    def answers(exchange: Exchange) -> bool:
        call = exchange.call
        assert call is not None
        if result.call_id and call.call_id:
            return result.call_id == call.call_id
        return not result.name or result.name == call.name

    return next((exchange for exchange in waiting if answers(exchange)), None)


# Turns that are alike

_COMPARED_CHARACTERS: Final = 2_000


def folded(turns: list[Turn], *, is_end: bool) -> list[Turn]:
    """Fold runs of turns that differ in their numbers alone. The last one of the list stays as it is."""
    shown: list[Turn] = []
    run: list[Turn] = []
    forms = [_form(turn) for turn in turns]
    last = len(turns) - 1 if is_end else len(turns)
    for position, turn in enumerate(turns):
        if run and (forms[position] is None or forms[position] != forms[position - 1] or position == last):
            shown += _fold(run)
            run = []
        run.append(turn)
    return shown + _fold(run)


def _fold(run: list[Turn]) -> list[Turn]:
    if len(run) < limits.ALIKE_TURNS:
        return run
    merged = iter([alike.ranges(list(same)) for same in zip(*map(turn_texts, run), strict=True)])
    said = [_with_texts(part, merged) for part in run[0].said]
    exchanges = [
        Exchange(
            None if one.call is None else _with_texts(one.call, merged),
            None if one.result is None else _with_texts(one.result, merged),
        )
        for one in run[0].exchanges
    ]
    return [Turn(run[0].message, said, exchanges, alike=run)]


def _with_texts(part: _Part, merged: Iterator[str]) -> _Part:
    """Return a part with the next texts in place of its own; values that do not vary stay values."""
    changes: dict[str, Json] = {}
    for name, text in zip(_TEXTS_OF.get(type(part), ()), merged, strict=False):
        if text != _as_text(getattr(part, name)):
            changes[name] = text
    return replace(part, **changes)  # type: ignore[arg-type]


def _form(turn: Turn) -> tuple[object, ...] | None:
    """Return what a turn looks like without its numbers, None if it is too long to be compared."""
    words = list(turn_texts(turn))
    if sum(map(len, words)) > _COMPARED_CHARACTERS:
        return None
    errors = tuple(exchange.result is not None and exchange.result.is_error for exchange in turn.exchanges)
    return (turn.message.role, errors, *(alike.form(text) for text in words))


def turn_texts(turn: Turn) -> Iterator[str]:
    """Yield the texts of a turn, in the order in which they are shown."""
    for part in turn.said:
        yield from texts(part)
    for exchange in turn.exchanges:
        yield from texts(exchange.call) if exchange.call else ()
        yield from texts(exchange.result) if exchange.result else ()
