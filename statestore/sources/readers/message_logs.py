"""Message logs of JSON documents: one step for each turn, the state the messages until then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Step, Thread
from statestore.sources.readers.columns import first_words


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a log, and what was said in it. `key` is the message's own, or its place."""

    key: str
    at: float
    message: Json
    events: Sequence[Event]
    # What a user asked: a turn begins here.
    asked: str | None = None
    # The entry that this one answers, where the log says so.
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """The messages of one thread, in their order."""

    thread_id: str
    name: str
    entries: Sequence[Entry]
    metadata: Mapping[str, Json] = field(default_factory=dict)

    @property
    def position(self) -> str:
        """What differs once the log has grown."""
        return f"{len(self.entries)}:{self.entries[-1].key if self.entries else ''}"


class _Line:
    """The messages that lead to the last one, without those of branches that were left."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._places: dict[str, int] = {}

    def goes_back_to(self, entry: Entry) -> int | None:
        """Return the place of the earlier message that an entry answers; None if it goes on from the last one."""
        place = self._places.get(entry.parent) if entry.parent else None
        return place if place is not None and place < len(self._entries) - 1 else None

    def cut_after(self, place: int) -> None:
        """Leave out what came after a message."""
        for entry in self._entries[place + 1 :]:
            self._places.pop(entry.key, None)
        del self._entries[place + 1 :]

    def add(self, entry: Entry) -> None:
        """Go on with an entry."""
        self._places[entry.key] = len(self._entries)
        self._entries.append(entry)

    def state(self) -> Json:
        """Return the state that these messages are."""
        return {"messages": [entry.message for entry in self._entries]}


def history_of(log: Log, after: str) -> History:
    """Return the history of a log, with the turns after the one whose last message has the key `after`.

    A log may be read in the middle of a turn, which then is a step until there; what comes later is the next one.
    """
    line = _Line()
    for entry in log.entries:
        if (place := line.goes_back_to(entry)) is not None:
            line.cut_after(place)
        line.add(entry)
    times = [entry.at for entry in log.entries if entry.at]
    first, last = (min(times), max(times)) if times else (0.0, 0.0)
    metadata = {**log.metadata, "messages": len(log.entries)}
    thread = Thread(log.thread_id, log.name, "idle", line.state(), first, last, metadata)
    return History(thread, _steps(log.entries, after))


def _steps(entries: Sequence[Entry], after: str) -> Iterator[Step]:
    is_new = not any(entry.key == after for entry in entries)
    line = _Line()
    before, turn, number = line.state(), list[Entry](), 0
    for entry in entries:
        place = line.goes_back_to(entry)
        if turn and (entry.asked is not None or place is not None):
            number += 1
            if is_new:
                yield _step(turn, number, before, line.state())
            before, turn = line.state(), []
        if place is not None:
            line.cut_after(place)
            before = line.state()
        line.add(entry)
        turn.append(entry)
        if not is_new and entry.key == after:
            # What was read before ends here.
            number += 1
            before, turn, is_new = line.state(), [], True
    if turn and is_new:
        yield _step(turn, number + 1, before, line.state())


def _step(turn: Sequence[Entry], number: int, before: Json, after: Json) -> Step:
    asked = next((entry.asked for entry in turn if entry.asked), "")
    reason = f"turn {number}: {first_words(asked)}" if asked else f"turn {number}"
    events = [event for entry in turn for event in entry.events]
    at = max(entry.at for entry in turn)
    back = "back to an earlier message"
    return Step(turn[-1].key, at, before, after, reason, {"messages": len(turn)}, back, events=events)
