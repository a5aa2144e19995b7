"""LangGraph's checkpoints, as its savers for SQLite keep them.

Each checkpoint holds a thread's whole state, and names the one that it came from.

Order is that of checkpoint ids, which are UUIDs of version 6 that begin with their time.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Final, NamedTuple

from statestore.conversations import unwrapped
from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Shape, Step, Thread, Value, opaque
from statestore.sources.readers import msgpack_values
from statestore.sources.readers.columns import id_of, json_of, object_of
from statestore.sources.readers.langgraph_channels import next_nodes, state_of
from statestore.sources.readers.messages import as_text

_COLUMNS: Final = {
    "checkpoints": {
        "thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "type", "checkpoint", "metadata"
    },
    "writes": {"thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx", "channel", "type", "value"},
}  # fmt: skip
# Of the writes, those of the newest checkpoint alone: others are followed by a checkpoint, and are as many as all rows.
_POSITIONS: Final = """
SELECT c.thread_id, c.checkpoint_ns, c.newest, c.number,
    (SELECT max(w.rowid) FROM writes AS w
     WHERE w.thread_id = c.thread_id AND w.checkpoint_ns = c.checkpoint_ns AND w.checkpoint_id = c.newest)
FROM (SELECT thread_id, checkpoint_ns, max(checkpoint_id) AS newest, count(*) AS number
      FROM checkpoints GROUP BY thread_id, checkpoint_ns) AS c
ORDER BY c.newest DESC
"""
# Between the id of a thread and the namespace of a graph that lasts within it.
_WITHIN: Final = " ▸ "
_NOTED: Final = {"__interrupt__": "interrupted", "__resume__": "resumed", "__error__": "failed"}
_KEPT_CHECKPOINTS: Final = 256
# Fewer than are kept, so that the parents of a page are still there.
_PAGE: Final = 100
_LONGEST_DELTA: Final = 1_000
_ACTORS: Final = {"human": "User", "user": "User", "ai": "Agent", "assistant": "Agent", "tool": "Tool"}
_ROLES: Final = frozenset((*_ACTORS, "system", "function", "developer"))
_MADE_BY_LANGGRAPH: Final = {"parents", "step", "source", "writes", "counters_since_delta_snapshot"}
# From the first day of the Gregorian calendar, from which such UUIDs count, to that of Unix, in units of 100 ns.
GREGORIAN: Final = 0x01B21DD213814000
_UUID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read: its state for people, and what the graph notes beside it."""

    id: str
    parent: str
    at: float
    state: Json
    step: str
    source: str
    metadata: Mapping[str, Json]
    seen: Mapping[str, Json]
    next_nodes: tuple[str, ...]
    deltas: frozenset[str]
    # Of the form of the checkpoint; 0 if that cannot be read.
    version: int
    # Whether channel versions are plain integers, as in the JavaScript package: those of each thread begin with 1.
    is_counted: bool


class _Write(NamedTuple):
    checkpoint: str
    task: str
    idx: int
    channel: str
    value: Json


class LangGraphReader:
    """Reads the tables of SqliteSaver: a thread for each root graph, and for each graph that lasts within one."""

    name: ClassVar[str] = "LangGraph checkpoints"

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether both tables have LangGraph's columns."""
        return all(columns <= set(tables.get(table, ())) for table, columns in _COLUMNS.items())

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return the numbers of threads and of checkpoints."""
        sql = "SELECT count(DISTINCT thread_id), count(*) FROM checkpoints"
        threads, checkpoints = next(rows.execute(sql))
        return {"threads": _number(threads), "checkpoints": _number(checkpoints)}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread, newest checkpoint with the number of all and its last write), the newest thread first."""
        for thread, space, newest, number, written in rows.execute(_POSITIONS):
            # A namespace with a task's id is that of a graph that ran as a part of a step.
            if ":" not in _text(space) and id_of(thread) is not None and id_of(space) is not None:
                yield name_of(_text(thread), _text(space)), f"{_text(newest)} {_number(number)} {_number(written)}"

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a thread with its checkpoints after one, by id; the branch that each began is a step back."""
        return history_of(Graph(rows, *place_of(rows, thread_id)), thread_id, after)

    def late(
        self, rows: Rows, thread_id: str, after: str, position: str, is_known: Callable[[str], bool]
    ) -> Iterable[tuple[Json, Step]]:
        """Yield the checkpoints that were written late: by another process, whose clock is behind or that took long."""
        return Graph(rows, *place_of(rows, thread_id)).late(after, number_in(position), is_known)


def number_in(position: str) -> int:
    """Return how many checkpoints a position tells of."""
    parts = position.rsplit(" ", 2)
    return int(parts[1]) if len(parts) == len(("newest", "number", "written")) and parts[1].isdecimal() else 0


def history_of(graph: "Graph", thread_id: str, after: str) -> History:
    """Return a thread with its checkpoints after one."""
    newest = graph.newest()
    noted = [write for write in graph.writes(_NOTED) if write.checkpoint >= after]
    latest = {write.channel for write in noted if write.checkpoint == newest.id}
    status = "paused" if "__interrupt__" in latest else "failed" if "__error__" in latest else "idle"
    if status == "idle" and newest.next_nodes:
        status = "running"
    thread = Thread(
        thread_id, thread_id, status, newest.state, graph.began_at(), newest.at,
        {"thread_id": graph.thread, **({"checkpoint_ns": graph.space} if graph.space else {}), **newest.metadata},
    )  # fmt: skip
    marks = {write.checkpoint: _NOTED[write.channel] for write in noted if write.channel != "__resume__"}
    return History(thread, graph.steps(after), graph.events(noted), marks=marks)


class Graph:
    """One line of checkpoints: those of a thread within one namespace."""

    # Where the writes of tasks are, and which column holds their values.
    writes_in: ClassVar[tuple[str, str]] = ("writes", "value")
    # What grows with each row that is written.
    written: ClassVar[str] = "rowid"

    def __init__(self, rows: Rows, thread: str, space: str) -> None:
        self.rows, self.thread, self.space = rows, thread, space
        self._read: OrderedDict[str, Checkpoint] = OrderedDict()
        # The checkpoint that was asked for its messages last, and their keys: it is the next one's parent.
        self._spoken: tuple[Checkpoint | None, set[str]] = (None, set())

    def newest(self) -> Checkpoint:
        """Return the checkpoint from which the thread goes on."""
        return self._first("ORDER BY checkpoint_id DESC LIMIT 1")

    def began_at(self) -> float:
        """Return when the first checkpoint was made."""
        return self._first("ORDER BY checkpoint_id LIMIT 1").at

    def steps(self, after: str) -> Iterator[Step]:
        """Yield a step for each checkpoint after one."""
        for previous, checkpoint in self._pairs(after):
            yield self._step(previous, checkpoint)

    def late(self, after: str, number: int, is_known: Callable[[str], bool]) -> Iterator[tuple[Json, Step]]:
        """Yield (the state before it in order, step) for each checkpoint up to one that is more than there were.

        Of those that are not known, the ones that were written last are late: the others may be deleted here.
        """
        found = [
            _text(row[0])
            for row in self.rows.execute(
                "SELECT checkpoint_id FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id <= ?"  # noqa: S608
                f" ORDER BY {self.written} DESC",
                [self.thread, self.space, after],
            )
        ]
        more = len(found) - number if number else 0
        late = [checkpoint_id for checkpoint_id in found if not is_known(checkpoint_id)] if more > 0 else []
        for checkpoint_id in sorted(late[:more]):
            checkpoint = self.find(checkpoint_id)
            previous = next(
                self._checkpoints("AND checkpoint_id < ? ORDER BY checkpoint_id DESC LIMIT 1", [checkpoint_id]), None
            )
            if checkpoint is not None:
                yield previous.state if previous else {}, self._step(previous, checkpoint)

    def _step(self, previous: Checkpoint | None, checkpoint: Checkpoint) -> Step:
        """Return the step that led to a checkpoint, from the one that it names or else from the one before it."""
        parent = self.find(checkpoint.parent) or previous
        nodes = ", ".join(_nodes_between(parent, checkpoint))
        is_back = previous is not None and parent is not None and parent.id != previous.id
        return Step(
            checkpoint.id, checkpoint.at, parent.state if parent else {}, checkpoint.state,
            f"step {checkpoint.step} {checkpoint.source}" + (f": {nodes}" if nodes else ""),
            {
                **checkpoint.metadata, "checkpoint_id": checkpoint.id, "step": checkpoint.step,
                "source": checkpoint.source,
            },
            back=f"back to step {parent.step}" if is_back and parent else "",
            parent=checkpoint.parent,
            events=[*self._said(parent, checkpoint)],
        )  # fmt: skip

    def _said(self, parent: Checkpoint | None, checkpoint: Checkpoint) -> Iterator[Event]:
        """Yield the messages that came with a checkpoint."""
        before, known = self._spoken
        if before is not parent:
            known = {key for key, _ in _messages(parent.state)} if parent else set()
        found = dict(_messages(checkpoint.state))
        self._spoken = checkpoint, set(found)
        for key, message in found.items():
            if key not in known:
                yield _event(key, message, checkpoint)

    def events(self, noted: Iterable[_Write]) -> Iterator[Event]:
        """Yield what was noted of the runs."""
        for write in noted:
            found = self.find(write.checkpoint)
            yield Event(
                f"{write.checkpoint}:{write.task}:{write.idx}", found.at if found else _time_of(write.checkpoint),
                "System", _NOTED[write.channel], as_text(write.value),
                {"checkpoint_id": write.checkpoint, "task_id": write.task},
            )  # fmt: skip

    def writes(self, channels: Iterable[str], checkpoint: str = "") -> Iterator[_Write]:
        """Yield what tasks wrote to some channels, of one checkpoint or of all, in their order."""
        names = list(channels)
        table, column = self.writes_in
        of_one = " AND checkpoint_id = ?" if checkpoint else ""
        for checkpoint_id, task, idx, channel, kind, value in self.rows.execute(
            f"SELECT checkpoint_id, task_id, idx, channel, type, {column} FROM {table} WHERE thread_id = ?"  # noqa: S608
            f" AND checkpoint_ns = ? AND channel IN ({', '.join('?' * len(names))}){of_one}"
            " ORDER BY checkpoint_id, task_id, idx",
            [self.thread, self.space, *names, *([checkpoint] if checkpoint else [])],
        ):
            yield _Write(
                _text(checkpoint_id), _text(task), _number(idx), _text(channel), value_of(_text(kind), _bytes(value))
            )

    def _pairs(self, after: str) -> Iterator[tuple[Checkpoint | None, Checkpoint]]:
        """Yield each checkpoint after one, with the one before it in order."""
        previous = self.find(after)
        while True:
            # A page at a time, so that a long thread is in memory nowhere.
            page = list(self._checkpoints(f"AND checkpoint_id > ? ORDER BY checkpoint_id LIMIT {_PAGE}", [after]))
            for checkpoint in page:
                yield previous, checkpoint
                previous = checkpoint
            # Damaged ids may sort in no order.
            if len(page) < _PAGE or page[-1].id <= after:
                return
            after = page[-1].id

    def find(self, checkpoint_id: str) -> Checkpoint | None:
        """Return a checkpoint by its id."""
        found = self._stored(checkpoint_id)
        return None if found is None else self._completed(found)

    def _first(self, clause: str) -> Checkpoint:
        found = next(self._checkpoints(clause), None)
        if found is None:
            raise LookupError(self.thread)
        return found

    def _checkpoints(self, clause: str, values: Iterable[Value] = ()) -> Iterator[Checkpoint]:
        for row in self._rows(clause, values):
            yield self._completed(self._read.get(_text(row[0])) or self._remembered(row))

    def _remembered(self, row: tuple[Value, ...]) -> Checkpoint:
        checkpoint_id, parent, *held, metadata = row
        checkpoint = _checkpoint(
            _text(checkpoint_id), _text(parent), self._unpacked(held), object_of(json_of(_bytes(metadata)))
        )
        self._read[checkpoint.id] = checkpoint
        if len(self._read) > _KEPT_CHECKPOINTS:
            self._read.popitem(last=False)
        return checkpoint

    def _completed(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a checkpoint with the channels of which it holds only changes: since when, and what was written."""
        if not isinstance(checkpoint.state, dict):
            return checkpoint
        missing = sorted(checkpoint.deltas - set(checkpoint.state))
        changes: dict[str, Json] = {channel: self._changes(checkpoint, channel) for channel in missing}
        return replace(checkpoint, state={**checkpoint.state, **changes}) if missing else checkpoint

    def _changes(self, checkpoint: Checkpoint, channel: str) -> Json:
        """Return what was written to a channel since the last ancestor that holds it whole."""
        written: list[list[Json]] = []
        since: Json = None
        # Damaged checkpoints may be their own ancestors.
        for _ in range(_LONGEST_DELTA):
            parent = self._stored(checkpoint.parent)
            if parent is None:
                break
            written.append([write.value for write in self.writes([channel], parent.id)])
            if isinstance(parent.state, dict) and channel in parent.state:
                since = parent.state[channel]
                break
            checkpoint = parent
        return {"$delta": {"since": since, "writes": [value for part in reversed(written) for value in part]}}

    def _stored(self, checkpoint_id: str) -> Checkpoint | None:
        """Return a checkpoint as it is stored, without what its ancestors hold."""
        known = self._read.get(checkpoint_id)
        if known is not None or not checkpoint_id:
            return known
        row = next(iter(self._rows("AND checkpoint_id = ?", [checkpoint_id])), None)
        return None if row is None else self._remembered(row)

    def _unpacked(self, held: Sequence[Value]) -> Json:
        """Return a checkpoint from what its row holds."""
        kind, data = held
        return value_of(_text(kind), _bytes(data))

    def _rows(self, clause: str, values: Iterable[Value]) -> Iterable[tuple[Value, ...]]:
        return self.rows.execute(
            "SELECT checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints"  # noqa: S608
            f" WHERE thread_id = ? AND checkpoint_ns = ? {clause}",
            [self.thread, self.space, *values],
        )


def _checkpoint(checkpoint_id: str, parent: str, found: Json, noted: Mapping[str, Json]) -> Checkpoint:
    values = found.get("channel_values") if isinstance(found, dict) else None
    held = found if isinstance(found, dict) and isinstance(values, dict) else {}
    channels = values if isinstance(values, dict) else {}
    seen, delta = held.get("versions_seen"), noted.get("counters_since_delta_snapshot")
    version = held.get("v")
    return Checkpoint(
        id=checkpoint_id,
        parent=parent,
        at=_instant(held.get("ts")) or _time_of(checkpoint_id),
        state=state_of(channels, _keys(seen)) if held else found,
        step=str(noted.get("step", "?")),
        source=str(noted.get("source", "unknown")),
        metadata={name: value for name, value in noted.items() if name not in _MADE_BY_LANGGRAPH},
        seen=seen if isinstance(seen, dict) else {},
        next_nodes=next_nodes(channels, held.get("channel_versions"), seen),
        deltas=frozenset(delta) & frozenset(_keys(held.get("channel_versions")))
        if isinstance(delta, dict)
        else frozenset(),
        version=version if isinstance(version, int) else 0,
        is_counted=any(isinstance(number, int) for number in object_of(held.get("channel_versions")).values()),
    )


def _keys(value: Json) -> Iterable[str]:
    return value if isinstance(value, dict) else ()


def _nodes_between(parent: Checkpoint | None, checkpoint: Checkpoint) -> list[str]:
    """Return the nodes that ran: those that have seen other versions of their channels than before."""
    before = parent.seen if parent else {}
    return [name for name, seen in checkpoint.seen.items() if not name.startswith("__") and seen != before.get(name)]


# Messages


def _messages(state: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield (key, message) of the lists of messages in a state."""
    for channel, values in (state if isinstance(state, dict) else {"": state}).items():
        for number, value in enumerate(values) if isinstance(values, list) else ():
            # The JavaScript package writes messages as LangChain's own dumps do.
            found = unwrapped(value) if isinstance(value, dict) and "lc" in value else value
            if isinstance(found, dict) and "content" in found and _role(found):
                yield _text_of(found.get("id")) or f"{channel}[{number}]", found


def _role(message: Mapping[str, Json]) -> str:
    role = message.get("type") or message.get("role")
    return role if isinstance(role, str) and role in _ROLES else ""


def _event(key: str, message: Mapping[str, Json], checkpoint: Checkpoint) -> Event:
    content, calls = message.get("content"), message.get("tool_calls")
    text = as_text(content)
    if calls and not text:
        text = as_text(calls)
    return Event(
        key, checkpoint.at, _ACTORS.get(_role(message), "System"), "tool_call" if calls else "message", text,
        {"checkpoint_id": checkpoint.id, "role": _role(message)},
    )  # fmt: skip


def _text_of(value: Json) -> str:
    return value if isinstance(value, str) else ""


# Values


def value_of(kind: str, data: bytes) -> Json:
    """Return a stored value as JSON; what must not or cannot be read as its kind, size and hash."""
    if kind in {"null", "empty"} or (not kind and not data):
        return None
    with suppress(msgpack_values.Damaged):
        if kind == "msgpack":
            return msgpack_values.unpack(data)
        if kind == "json":
            return json_of(data)
        if kind in {"bytes", "bytearray"}:
            return opaque(kind, data)
        return opaque(kind or "unknown", data)
    return opaque(f"damaged {kind}", data)


def _instant(value: Json) -> float:
    with suppress(ValueError, TypeError, OverflowError):
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else 0.0
    return 0.0


def _time_of(checkpoint_id: str) -> float:
    ticks = ticks_of(checkpoint_id)
    return (ticks - GREGORIAN) / 10_000_000 if ticks else 0.0


def ticks_of(checkpoint_id: str) -> int:
    """Return the time with which a UUID of version 6 begins, in 100 ns since the year 1582; 0 for another id."""
    digits = checkpoint_id.replace("-", "")
    with suppress(ValueError):
        return int(digits[:12] + digits[13:16], 16) if len(digits) == _UUID_DIGITS and digits[12] == "6" else 0
    return 0


def place_of(rows: Rows, thread_id: str) -> tuple[str, str]:
    """Return (thread, namespace) of the id of a thread."""
    is_root = next(rows.execute("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", [thread_id]), None)
    thread, mark, space = thread_id.rpartition(_WITHIN)
    return (thread, space) if mark and not is_root else (thread_id, "")


def name_of(thread: str, space: str) -> str:
    """Return the id of a thread, or of a graph that lasts within one."""
    return f"{thread}{_WITHIN}{space}" if space else thread


def _text(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else _text(value).encode("utf-8", "surrogateescape")


def _number(value: Value) -> int:
    return value if isinstance(value, int) else 0
