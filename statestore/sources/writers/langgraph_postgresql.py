"""Putting a LangGraph thread back that a saver keeps in PostgreSQL: the same as in SQLite, with one statement.

The values of the channels lie beside the checkpoints, by their versions: the copy has those of the old one.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from statestore.errors import Conflict
from statestore.sources.contract import Rows
from statestore.sources.readers import langgraph
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

    def _check_in_place(self, found: Target) -> None:
        if found.is_counted:
            raise Conflict(
                "LangGraph's JavaScript package numbers the values of a thread one after the other. A graph that went"
                " on from a copy would use numbers that are taken, and PostgresSaver would keep the old values."
                " Nothing was written. Fork the agent in its own store to go on from this moment."
            )


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
