"""Putting a LangGraph thread back that a saver keeps in PostgreSQL: the same as in SQLite, with one statement.

The values of the channels lie beside the checkpoints, by their versions: the copy has those of the old one.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json, dump
from statestore.sources.contract import Rows, Value
from statestore.sources.readers import langgraph
from statestore.sources.readers.columns import json_of, text_of, whole_of
from statestore.sources.readers.langgraph_postgresql import LangGraphPostgreSQLReader, VersionedGraph
from statestore.sources.writers.langgraph import (
    EMPTY,
    EMPTY_METADATA,
    OLDEST_VERSION,
    Copy,
    LangGraphWriter,
    Target,
    not_tried,
)

# The highest version of any channel in a thread. An empty channel has a version, too, but no stored value.
_HIGHEST: Final = """
SELECT greatest(
    (SELECT max(CAST(version AS bigint)) FROM checkpoint_blobs WHERE thread_id = ? AND checkpoint_ns = ?),
    (SELECT max(CAST(v.value AS bigint)) FROM checkpoints AS c, jsonb_each_text(c.checkpoint -> 'channel_versions') AS v
     WHERE c.thread_id = ? AND c.checkpoint_ns = ?))
"""


class LangGraphPostgreSQLWriter(LangGraphWriter):
    """Writes one thread of a PostgresSaver's tables."""

    _graph: ClassVar[type[langgraph.Graph]] = VersionedGraph
    _tables: ClassVar[Sequence[str]] = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")

    def _copy_line(self, rows: Rows, space: str, until: str, new_id: str) -> None:
        super()._copy_line(rows, space, until, new_id)
        rows.execute(
            "INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)"
            " SELECT ?, b.checkpoint_ns, b.channel, b.version, b.type, b.blob FROM checkpoint_blobs AS b"
            " WHERE b.thread_id = ? AND b.checkpoint_ns = ? AND EXISTS (SELECT 1 FROM checkpoints AS c"
            " WHERE c.thread_id = ? AND c.checkpoint_ns = b.checkpoint_ns"
            " AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version)",
            [new_id, self._thread.thread_id, space, new_id],
        )

    def _note_fork(self, rows: Rows, new_id: str, checkpoint_id: str, by: str) -> None:
        rows.execute(
            "UPDATE checkpoints SET metadata = metadata || CAST(? AS jsonb)"
            " WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?",
            [json.dumps(self._noted(by)), new_id, checkpoint_id],
        )

    def _copy(self, found: Target, text: str, by: str, new_id: str) -> Copy:
        return _CopyBesideValues(self._thread, found, text, by, new_id)

    def _check_form(self, rows: Rows, checkpoint: langgraph.Checkpoint) -> None:
        if checkpoint.version < OLDEST_VERSION:
            raise not_tried()


class _CopyBesideValues(Copy):
    """The write in PostgreSQL."""

    tables: ClassVar[Sequence[str]] = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
    graph: ClassVar[type[langgraph.Graph]] = VersionedGraph

    def position(self, rows: Rows) -> str:
        """Return the position of the thread as it is now."""
        return LangGraphPostgreSQLReader().position(rows, self.thread.thread_id)

    def insert(self, rows: Rows, space: str, old: str) -> None:
        """Insert a copy of a checkpoint, or an empty one."""
        renamed = json.dumps({"id": self.new_id, "ts": datetime.now(UTC).isoformat()})
        noted = json.dumps(self.noted)
        if not old and self.target.is_counted:
            raise not_tried()
        if not old:
            rows.execute(
                "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)"
                " VALUES (?, ?, ?, CAST(? AS jsonb) || CAST(? AS jsonb), CAST(? AS jsonb) || CAST(? AS jsonb))",
                [
                    self.thread.thread_id, space, self.new_id, json.dumps(EMPTY), renamed, json.dumps(EMPTY_METADATA),
                    noted,
                ],
            )  # fmt: skip
            return
        rows.execute(
            "INSERT INTO checkpoints"
            " (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)"
            " SELECT thread_id, checkpoint_ns, ?, parent_checkpoint_id, type, checkpoint || CAST(? AS jsonb),"
            " metadata || CAST(? AS jsonb) FROM checkpoints"
            " WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
            [self.new_id, renamed, noted, self.thread.thread_id, space, old],
        )
        if self.target.is_counted:
            self._renumber(rows, space)

    def _renumber(self, rows: Rows, space: str) -> None:
        """Give the channels of the copy versions above all others of the thread.

        The JavaScript package numbers versions 1, 2, 3, and PostgresSaver inserts a value only if its version is not
        there yet: a graph that went on from the copy would get values of the branch that it left.
        """
        place = [self.thread.thread_id, space]
        ((highest,),) = rows.execute(_HIGHEST, place * 2)
        ((versions, seen),) = rows.execute(
            "SELECT checkpoint -> 'channel_versions', checkpoint -> 'versions_seen' FROM checkpoints"
            " WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
            [*place, self.new_id],
        )
        rows.execute(
            "INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)"
            " SELECT b.thread_id, b.checkpoint_ns, b.channel, CAST(CAST(b.version AS bigint) + ? AS text), b.type,"
            " b.blob"
            " FROM checkpoint_blobs AS b JOIN jsonb_each_text(CAST(? AS jsonb)) AS v"
            " ON v.key = b.channel AND v.value = b.version WHERE b.thread_id = ? AND b.checkpoint_ns = ?",
            [highest, text_of(versions), *place],
        )
        raised = {"channel_versions": _raised(versions, highest), "versions_seen": _raised(seen, highest)}
        rows.execute(
            "UPDATE checkpoints SET checkpoint = checkpoint || CAST(? AS jsonb)"
            " WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
            [dump(raised, indent=None), *place, self.new_id],
        )


def _raised(stored: Value, by: Value) -> Json:
    """Return nested version numbers, each raised by the same number."""

    def raised(value: Json) -> Json:
        if isinstance(value, dict):
            return {name: raised(member) for name, member in value.items()}
        return value + whole_of(by) if isinstance(value, int) else value

    return raised(json_of(stored))
