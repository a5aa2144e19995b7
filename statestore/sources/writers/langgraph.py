"""Putting a LangGraph thread back: a copy of the old checkpoint becomes the newest one, and nothing is removed.

The copy is a sibling of the old checkpoint, as LangGraph's own forks are: with the newest one as its parent, channels
that hold only changes would count some of them twice. No pending writes are copied; their tasks belong to the old id.
"""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgpack

from statestore.access.audit import Actor
from statestore.errors import Conflict, DatabaseError, Moved
from statestore.history import KnownState
from statestore.models.sources import SourceThread
from statestore.restore.in_place import PutBack
from statestore.sources import files, mirror
from statestore.sources.contract import Rows
from statestore.sources.readers import langgraph
from statestore.sources.writers import steps
from statestore.sources.writers.steps import WritableRows

_OLDEST_VERSION: Final = 4
_CARRIED_OVER: Final = {"pickle", "msgpack+aes", "null+aes"}
_COLUMNS: Final = "checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"


class _Row(NamedTuple):
    """A checkpoint as it is stored."""

    id: str
    parent: str | None
    kind: str
    data: bytes
    metadata: bytes


@dataclass(frozen=True, slots=True)
class _Target:
    """The checkpoint that holds the wanted state, how it stands in the graph, and the thread's newest one."""

    row: _Row
    newest: str
    step: str
    next_nodes: tuple[str, ...]
    within: tuple[str, ...]


class LangGraphWriter:
    """Writes one thread of a SqliteSaver's file."""

    def __init__(self, thread: SourceThread) -> None:
        self._thread = thread
        self._path = Path(thread.source.path)
        self._using = str(thread._state.db)

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return what a restore does in the file, and what it leaves."""
        found = self._find(target, text)
        said = [
            f"A copy of step {found.step} becomes the newest checkpoint in {self._path.name}. No checkpoint is removed."
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
        return _Copy(self._thread, self._using, found, text, by.name, _id_after(found.newest))

    def _find(self, target: KnownState, text: str) -> _Target:
        with files.opened(self._path) as rows:
            thread_id, space = langgraph.place_of(rows, self._thread.thread_id)
            if space:
                raise Conflict("This graph lasts within a thread, and goes back with it. Restore the thread instead.")
            graph = langgraph.Graph(rows, thread_id, "")
            for checkpoint_id in steps.meant_by(self._thread, target, text):
                checkpoint = graph.find(checkpoint_id)
                if checkpoint is not None and mirror.state_text(checkpoint.state) == text:
                    return _target(rows, graph, checkpoint)
        raise Conflict(
            "No checkpoint in the file has just this state: only whole moments can be put back into LangGraph. Nothing"
            " was written. Choose a step of the timeline."
        )


@dataclass(frozen=True, slots=True)
class _Copy:
    """The write: a copy of a checkpoint under a new id, if the thread's newest is still the one that was seen."""

    thread: SourceThread
    using: str
    target: _Target
    text: str
    by: str
    new_id: str

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the transition says of it: the checkpoint that was made, and the one over which it was."""
        return {"key": self.new_id, "parent": self.target.newest, "restored_from": self.target.row.id}

    def write(self) -> None:
        """Write, read back and commit; the mirror then has the step already."""
        with steps.writing(self.thread) as rows:
            self._write(rows)
            self._prove(rows)
            position = steps.position_of(self.thread, langgraph.LangGraphReader(), rows)
        steps.note_written(self.thread, self.new_id, position)

    def _write(self, rows: WritableRows) -> None:
        thread_id = self.thread.thread_id
        sql = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ''"
        (newest,) = next(rows.execute(sql, [thread_id]))
        if newest != self.target.newest or newest != self.thread.last_step:
            raise Moved("The thread went on since your preview. Nothing was written. Review the new differences.")
        self._insert(rows, "", self.target.row, self.new_id)
        for space in self.target.within:
            sql = (
                f"SELECT {_COLUMNS} FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"  # noqa: S608
                " AND checkpoint_id <= ? ORDER BY checkpoint_id DESC LIMIT 1"
            )
            row = next(rows.execute(sql, [thread_id, space, self.target.row.id]), None)
            # Without one the thread would go on with what the graph within it did later.
            self._insert(rows, space, _stored(row) if row else _empty(), self.new_id)

    def _insert(self, rows: WritableRows, space: str, row: _Row, new_id: str) -> None:
        now = datetime.now(UTC).isoformat()
        noted = json.loads(row.metadata or b"{}")
        noted.update(
            source="fork", restored_from=self.target.row.id, restored_over=self.target.newest, restored_by=self.by
        )
        values = [
            self.thread.thread_id, space, new_id, row.parent, row.kind, _renamed(row, new_id, now),
            json.dumps(noted, ensure_ascii=False).encode("utf-8", "ignore"),
        ]  # fmt: skip
        rows.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,"
            " metadata) VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )

    def _prove(self, rows: WritableRows) -> None:
        graph = langgraph.Graph(rows, self.thread.thread_id, "")
        newest = graph.newest()
        if newest.id != self.new_id or mirror.state_text(newest.state) != self.text:
            raise DatabaseError("The state read back from the file differs from the one written. Nothing was changed.")


def _target(rows: Rows, graph: langgraph.Graph, checkpoint: langgraph.Checkpoint) -> _Target:
    sql = f"SELECT {_COLUMNS} FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"  # noqa: S608
    row = _stored(next(rows.execute(sql, [graph.thread, checkpoint.id])))
    if row.kind not in _CARRIED_OVER and (row.kind != "msgpack" or checkpoint.version < _OLDEST_VERSION):
        raise Conflict(
            "This checkpoint was written in a form of LangGraph's in which no restore was tried. Nothing was written."
            " Fork the agent to go on from this moment, or download its state."
        )
    later = rows.execute(
        "SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE thread_id = ? AND checkpoint_id > ?"
        " AND checkpoint_ns <> '' AND instr(checkpoint_ns, ':') = 0 ORDER BY 1",
        [graph.thread, checkpoint.id],
    )
    nodes = tuple("the input" if name == "__start__" else name for name in checkpoint.next_nodes)
    return _Target(row, graph.newest().id, checkpoint.step, nodes, tuple(str(space) for (space,) in later))


def _stored(row: Sequence[object]) -> _Row:
    checkpoint_id, parent, kind, data, metadata = row
    return _Row(
        str(checkpoint_id), None if parent is None else str(parent), str(kind),
        data if isinstance(data, bytes) else b"", metadata if isinstance(metadata, bytes) else str(metadata).encode(),
    )  # fmt: skip


def _empty() -> _Row:
    """Return what LangGraph itself begins a graph with."""
    values: dict[str, object] = {"v": _OLDEST_VERSION, "ts": "", "id": ""}
    values |= {"channel_values": {}, "channel_versions": {}, "versions_seen": {}, "updated_channels": None}
    return _Row("", None, "msgpack", msgpack.packb(values), b'{"source": "fork", "step": -2, "parents": {}}')


def _renamed(row: _Row, new_id: str, now: str) -> bytes:
    """Return a checkpoint with another id and time; every other byte is as it was, whatever types are in it.

    What is encrypted or pickled keeps its old id inside; LangGraph goes by the column.
    """
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
