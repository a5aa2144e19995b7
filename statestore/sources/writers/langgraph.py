"""Putting a LangGraph thread back: a copy of the old checkpoint becomes the newest one, and nothing is removed.

The copy is a sibling of the old checkpoint, as LangGraph's own forks are: with the newest one as its parent, channels
that hold only changes would count some of them twice. No pending writes are copied; their tasks belong to the old id.
"""

import json
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final, NamedTuple

import msgpack

from statestore.access.audit import Actor
from statestore.errors import Conflict, DatabaseError, Moved
from statestore.history import KnownState
from statestore.jsondiff import source_edit
from statestore.models.sources import SourceThread
from statestore.restore.in_place import PutBack
from statestore.sources import locations
from statestore.sources.contract import Rows
from statestore.sources.readers import langgraph
from statestore.sources.state_texts import state_text
from statestore.sources.writers import forks, removals, steps

OLDEST_VERSION: Final = 4
# "json" is what the JavaScript package writes.
_REWRITTEN: Final = {"msgpack", "json"}
_CARRIED_OVER: Final = {"pickle", "msgpack+aes", "null+aes"}
EMPTY: Final[Mapping[str, object]] = {
    "v": OLDEST_VERSION, "ts": "", "id": "", "channel_values": {}, "channel_versions": {}, "versions_seen": {},
    "updated_channels": None,
}  # fmt: skip
EMPTY_METADATA: Final[Mapping[str, object]] = {"source": "fork", "step": -2, "parents": {}}
_COLUMNS: Final = "checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"


class _Row(NamedTuple):
    """A checkpoint as it is stored."""

    id: str
    parent: str | None
    kind: str
    data: bytes
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """The checkpoint that holds the wanted state, how it stands in the graph, and the thread's newest one."""

    id: str
    newest: str
    step: str
    next_nodes: tuple[str, ...]
    within: tuple[str, ...]
    is_counted: bool


class LangGraphWriter:
    """Writes one thread of a SqliteSaver's file."""

    _graph: ClassVar[type[langgraph.Graph]] = langgraph.Graph
    _tables: ClassVar[Sequence[str]] = ("checkpoints", "writes")

    def __init__(self, thread: SourceThread) -> None:
        self._thread = thread
        self._location = locations.of(thread.source.path)

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return what a restore does in the file, and what it leaves."""
        found = self._find(target, text)
        said = [
            f"A copy of step {found.step} becomes the newest checkpoint in {self._location.name}. No checkpoint is"
            " removed."
        ]
        if found.next_nodes:
            nodes = ", ".join(found.next_nodes)
            said.append(f"What comes next runs again once the graph is invoked: {nodes}.")
        if found.within:
            said.append(f"Graphs that last within the thread go back with it: {', '.join(found.within)}.")
        said.append("What nodes did outside of the graph, and memories in a store, are not turned back.")
        return said

    def prepare(self, target: KnownState, text: str, by: Actor) -> PutBack:
        """Return the write of a copy of the checkpoint that holds the wanted state."""
        found = self._find(target, text)
        return self._copy(found, text, by.name, _id_after(found.newest))

    def fork_effects(self, target: KnownState) -> Sequence[str]:
        """Return what a fork does in the file, and what it leaves."""
        found = self._find(target, target.text)
        nodes = f" It goes on with {', '.join(found.next_nodes)}." if found.next_nodes else ""
        return [
            f"The checkpoints up to step {found.step} are copied to a new thread in {self._location.name}.{nodes}",
            "This thread stays as it is. Memories in a store are not copied.",
        ]

    def fork_id(self, new_id: str) -> str:
        """Return the id in the mirror of a new thread."""
        return langgraph.name_of(new_id, "")

    def fork(self, target: KnownState, new_id: str, by: Actor) -> None:
        """Copy the checkpoints that led to a state to a new thread."""
        found = self._find(target, target.text)
        with steps.writing(self._thread, *self._tables) as rows:
            forks.check_free(rows, "checkpoints", {"thread_id": new_id}, "thread")
            for space in ("", *_lasting(rows, self._thread.thread_id)):
                self._copy_line(rows, space, found.id, new_id)
            self._note_fork(rows, new_id, found.id, by.name.replace("\0", ""))
            newest = self._graph(rows, new_id, "").newest()
            if newest.id != found.id or state_text(newest.state) != target.text:
                raise DatabaseError("The state read back differs from the one written. Nothing was changed.")

    def _copy_line(self, rows: Rows, space: str, until: str, new_id: str) -> None:
        """Copy the checkpoints that led to the newest one of a namespace, and what their tasks wrote.

        What the tasks after that one wrote is left out: they run again.
        """
        line = _line(rows, self._thread.thread_id, space, until)
        where, changed = {"thread_id": self._thread.thread_id, "checkpoint_ns": space}, {"thread_id": new_id}
        forks.copy_rows(rows, "checkpoints", where, "checkpoint_id", line, changed)
        forks.copy_rows(rows, self._graph.writes_in[0], where, "checkpoint_id", line[1:], changed)

    def _note_fork(self, rows: Rows, new_id: str, checkpoint_id: str, by: str) -> None:
        key = [new_id, checkpoint_id]
        sql = "SELECT metadata FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"
        (metadata,) = next(rows.execute(sql, key))
        stored = metadata.encode() if isinstance(metadata, str) else metadata
        noted = {**json.loads(stored if isinstance(stored, bytes) else b"{}"), **self._noted(by)}
        rows.execute(
            "UPDATE checkpoints SET metadata = ? WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?",
            [json.dumps(noted, ensure_ascii=False).encode("utf-8", "ignore"), *key],
        )

    def _noted(self, by: str) -> dict[str, object]:
        return {"source": "fork", "forked_from": self._thread.thread_id, "forked_by": by}

    def _copy(self, found: Target, text: str, by: str, new_id: str) -> "Copy":
        return Copy(self._thread, found, text, by, new_id)

    def _find(self, target: KnownState, text: str) -> Target:
        with self._location.opened() as rows:
            thread_id, space = langgraph.place_of(rows, self._thread.thread_id)
            if space:
                raise Conflict("This graph lasts within a thread, and goes back with it. Restore the thread instead.")
            graph = self._graph(rows, thread_id, "")
            for checkpoint_id in steps.meant_by(self._thread, target, text):
                checkpoint = graph.find(checkpoint_id)
                if checkpoint is not None and state_text(checkpoint.state) == text:
                    self._check_form(rows, checkpoint)
                    return _target(rows, graph, checkpoint)
        raise Conflict(
            "No checkpoint has just this state: only whole moments can be put back into LangGraph. Nothing"
            " was written. Choose a step of the timeline."
        )

    def _check_form(self, rows: Rows, checkpoint: langgraph.Checkpoint) -> None:
        """Raise Conflict if a checkpoint is in a form in which no restore was tried."""
        sql = "SELECT type FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"
        (kind,) = next(rows.execute(sql, [self._thread.thread_id, checkpoint.id]))
        if kind not in _CARRIED_OVER and (kind not in _REWRITTEN or checkpoint.version < OLDEST_VERSION):
            raise not_tried()


@dataclass(frozen=True)
class Copy:
    """The write: a copy of a checkpoint under a new id, if the thread's newest is still the one that was seen."""

    # The tables that are written, and who reads them.
    tables: ClassVar[Sequence[str]] = ("checkpoints", "writes")
    graph: ClassVar[type[langgraph.Graph]] = langgraph.Graph

    thread: SourceThread
    target: Target
    text: str
    by: str
    new_id: str

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the transition says of it: the checkpoint that was made, and the one over which it was."""
        return {"key": self.new_id, "parent": self.target.newest, "restored_from": self.target.id}

    def write(self) -> None:
        """Write, read back and commit; the mirror then has the step already."""
        with steps.writing(self.thread, *self.tables) as rows:
            self._write(rows)
            self._prove(rows)
            position = self.position(rows)
        steps.note_written(self.thread, self.new_id, position)

    def _write(self, rows: Rows) -> None:
        thread_id = self.thread.thread_id
        sql = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
        (newest,) = next(rows.execute(sql, [thread_id]))
        if newest != self.target.newest or newest != self.thread.last_step:
            raise Moved("The thread went on since your preview. Nothing was written. Review the new differences.")
        for space in ("", *self.target.within):
            sql = (
                "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"
                " AND checkpoint_id <= ?"
            )
            (old,) = next(rows.execute(sql, [thread_id, space, self.target.id]))
            if space == "" and old != self.target.id:
                raise removals.gone("checkpoint")
            self.insert(rows, space, "" if old is None else str(old))

    @property
    def noted(self) -> dict[str, object]:
        """What the copy's metadata say of where it comes from."""
        return {
            "source": "fork", "restored_from": self.target.id, "restored_over": self.target.newest,
            "restored_by": self.by.replace("\0", ""),
        }  # fmt: skip

    def position(self, rows: Rows) -> str:
        """Return the position of the thread as it is now."""
        return steps.position_of(self.thread, langgraph.LangGraphReader(), rows)

    def insert(self, rows: Rows, space: str, old: str) -> None:
        """Insert a copy of a checkpoint.

        For "" an empty one: without one the thread would go on with what the graph within it did later.
        """
        sql = f"SELECT {_COLUMNS} FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"  # noqa: S608
        row = _stored(next(rows.execute(sql, [self.thread.thread_id, space, old]))) if old else _empty()
        noted = json.loads(row.metadata or b"{}") | self.noted
        values = [
            self.thread.thread_id, space, self.new_id, row.parent, row.kind,
            _renamed(row, self.new_id, datetime.now(UTC).isoformat()),
            json.dumps(noted, ensure_ascii=False).encode("utf-8", "ignore"),
        ]  # fmt: skip
        rows.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,"
            " metadata) VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )

    def _prove(self, rows: Rows) -> None:
        newest = self.graph(rows, self.thread.thread_id, "").newest()
        if newest.id != self.new_id or state_text(newest.state) != self.text:
            raise DatabaseError("The state read back differs from the one written. Nothing was changed.")


def _line(rows: Rows, thread: str, space: str, until: str) -> list[str]:
    """Return the ids of the checkpoints that led to the newest one until another, that one first."""
    sql = "SELECT checkpoint_id, parent_checkpoint_id FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"
    parents = {str(key): None if parent is None else str(parent) for key, parent in rows.execute(sql, [thread, space])}
    found: list[str] = []
    key = max((known for known in parents if known <= until), default=None)
    while key in parents and key not in found:
        found.append(str(key))
        key = parents[str(key)]
    return found


def _lasting(rows: Rows, thread: str) -> list[str]:
    """Return the namespaces of the graphs that last within a thread."""
    sql = (
        "SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE thread_id = ?"
        " AND checkpoint_ns <> '' AND checkpoint_ns NOT LIKE '%:%'"
    )
    return [str(space) for (space,) in rows.execute(sql, [thread])]


def not_tried() -> Conflict:
    """Return what to raise for a checkpoint in another form than those that were tried."""
    return Conflict(
        "This checkpoint was written in a form of LangGraph's in which no restore was tried. Nothing was written."
        " Fork the agent to go on from this moment, or download its state."
    )


def _target(rows: Rows, graph: langgraph.Graph, checkpoint: langgraph.Checkpoint) -> Target:
    later = rows.execute(
        "SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE thread_id = ? AND checkpoint_id > ?"
        " AND checkpoint_ns <> '' AND checkpoint_ns NOT LIKE '%:%' ORDER BY 1",
        [graph.thread, checkpoint.id],
    )
    nodes = tuple(_said(name, times) for name, times in Counter(checkpoint.next_nodes).items())
    within = tuple(str(space) for (space,) in later)
    return Target(checkpoint.id, graph.newest().id, checkpoint.step, nodes, within, checkpoint.is_counted)


def _said(node: str, times: int) -> str:
    name = "the input" if node == "__start__" else node
    return f"{name} ({times} times)" if times > 1 else name


def _stored(row: Sequence[object]) -> _Row:
    checkpoint_id, parent, kind, data, metadata = row
    return _Row(str(checkpoint_id), None if parent is None else str(parent), str(kind), _bytes(data), _bytes(metadata))


def _bytes(stored: object) -> bytes:
    """Return what a column holds as bytes: some writers store JSON as text."""
    return stored if isinstance(stored, bytes) else str("" if stored is None else stored).encode()


def _empty() -> _Row:
    """Return what LangGraph itself begins a graph with."""
    return _Row("", None, "msgpack", msgpack.packb(EMPTY), json.dumps(EMPTY_METADATA).encode())


def _renamed(row: _Row, new_id: str, now: str) -> bytes:
    """Return a checkpoint with another id and time; every other byte is as it was, whatever types are in it.

    What is encrypted or pickled keeps its old id inside; LangGraph goes by the column.
    """
    if row.kind == "json":
        return _renamed_text(row.data.decode(), new_id, now).encode()
    if row.kind != "msgpack":
        return row.data
    unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=0)
    unpacker.feed(row.data)
    renamed, done = bytearray(), 0
    for _ in range(unpacker.read_map_header()):
        key = unpacker.unpack()
        start = unpacker.tell()
        unpacker.skip()
        if key in {"id", "ts"}:
            renamed += row.data[done:start] + msgpack.packb(new_id if key == "id" else now)
            done = unpacker.tell()
    return bytes(renamed + row.data[done:])


def _renamed_text(data: str, new_id: str, now: str) -> str:
    renamed = source_edit.replace_value(data, "/id", json.dumps(new_id))
    return source_edit.replace_value(renamed, "/ts", json.dumps(now))


def _id_after(newest: str) -> str:
    """Return a UUID of version 6 of now that sorts after the newest id, also where the clocks disagree.

    Raises Conflict if the ids of the thread are of another kind.
    """
    ticks = max(time.time_ns() // 100 + langgraph.GREGORIAN, langgraph.ticks_of(newest) + 1)
    digits = f"{ticks:015x}"
    tail = f"{0x8000 | secrets.randbits(14):04x}-{secrets.randbits(48):012x}"
    made = f"{digits[:8]}-{digits[8:12]}-6{digits[12:]}-{tail}"
    if not langgraph.ticks_of(newest) or made <= newest:
        raise Conflict("The checkpoints of this thread have ids that do not sort by time. Nothing was written.")
    return made
