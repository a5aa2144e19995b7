"""LangGraph's checkpoints, as its savers for PostgreSQL keep them.

A checkpoint names the version of each of its channels. Texts, numbers and the like stand in it; all other values lie
beside it, once for each version, whichever checkpoints have them.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import History, Rows, Shape, Step, Value
from statestore.sources.readers import langgraph
from statestore.sources.readers.columns import id_of, json_of, object_of, text_of, whole_of

_COLUMNS: Final = {
    "checkpoints": {"thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "checkpoint", "metadata"},
    "checkpoint_blobs": {"thread_id", "checkpoint_ns", "channel", "version", "type", "blob"},
    "checkpoint_writes": {"thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx", "channel", "type", "blob"},
}
# The values of a page of checkpoints, and of as many before it.
_KEPT_VALUES: Final = 2_000
_VALUES_AT_ONCE: Final = 500

# A channel and its version.
_Versioned = tuple[str, str]


class LangGraphPostgreSQLReader:
    """Reads the tables of PostgresSaver: a thread for each root graph, and for each graph that lasts within one."""

    name: ClassVar[str] = "LangGraph checkpoints"
    databases: ClassVar[frozenset[str]] = frozenset(("PostgreSQL",))

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether the tables have LangGraph's columns, and the types that can be read."""
        return (
            all(columns <= set(tables.get(table, ())) for table, columns in _COLUMNS.items())
            and tables["checkpoints"]["checkpoint"] in {"JSONB", "JSON"}
            and tables["checkpoint_blobs"]["blob"] == tables["checkpoint_writes"]["blob"] == "BYTEA"
        )

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return the numbers of threads and of checkpoints."""
        threads, checkpoints = next(rows.execute("SELECT count(DISTINCT thread_id), count(*) FROM checkpoints"))
        return {"threads": whole_of(threads), "checkpoints": whole_of(checkpoints)}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread, newest checkpoint with the numbers of checkpoints and writes), the newest thread first."""
        yield from _positions(rows, "", [])

    def position(self, rows: Rows, thread_id: str) -> str:
        """Return the position of one thread."""
        thread, _ = langgraph.place_of(rows, thread_id)
        return dict(_positions(rows, " WHERE thread_id = ?", [thread])).get(thread_id, "")

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a thread with its checkpoints after one, by id; the branch that each began is a step back."""
        return langgraph.history_of(VersionedGraph(rows, *langgraph.place_of(rows, thread_id)), thread_id, after)

    def late(
        self, rows: Rows, thread_id: str, after: str, position: str, is_known: Callable[[str], bool]
    ) -> Iterable[tuple[Json, Step]]:
        """Yield the checkpoints that were written late: transactions end in another order than their ids were made."""
        graph = VersionedGraph(rows, *langgraph.place_of(rows, thread_id))
        return graph.late(after, langgraph.number_in(position), is_known)


def _positions(rows: Rows, clause: str, values: Sequence[Value]) -> Iterator[tuple[str, str]]:
    writes = {
        (thread, space): f"{text_of(number)}:{text_of(newest)}"
        for thread, space, number, newest in rows.execute(
            f"SELECT thread_id, checkpoint_ns, count(*), {rows.newest} FROM checkpoint_writes{clause}"  # noqa: S608
            " GROUP BY thread_id, checkpoint_ns",
            values,
        )
    }
    for thread, space, newest, number in rows.execute(
        f"SELECT thread_id, checkpoint_ns, max(checkpoint_id), count(*) FROM checkpoints{clause}"  # noqa: S608
        " GROUP BY thread_id, checkpoint_ns ORDER BY max(checkpoint_id) DESC",
        values,
    ):
        # A namespace with a task's id is that of a graph that ran as a part of a step.
        if id_of(thread) is not None and ":" not in text_of(space):
            position = f"{text_of(newest)} {text_of(number)} {writes.get((thread, space), '0')}"
            yield langgraph.name_of(text_of(thread), text_of(space)), position


class VersionedGraph(langgraph.Graph):
    """One line of checkpoints whose values lie beside them."""

    writes_in: ClassVar[tuple[str, str]] = ("checkpoint_writes", "blob")
    written: ClassVar[str] = "xmin::text::bigint"

    def __init__(self, rows: Rows, thread: str, space: str) -> None:
        super().__init__(rows, thread, space)
        # None: there is no such value beside the checkpoints.
        self._values: OrderedDict[_Versioned, tuple[Json] | None] = OrderedDict()

    def _unpacked(self, held: Sequence[Value]) -> Json:
        found = json_of(held[0])
        if not isinstance(found, dict):
            return found
        values = {
            channel: value[0]
            for channel, version in _versions(found.get("channel_versions"))
            if (value := self._values.get((channel, version))) is not None
        }
        return {**found, "channel_values": {**object_of(found.get("channel_values")), **values}}

    def _rows(self, clause: str, values: Iterable[Value]) -> Iterable[tuple[Value, ...]]:
        found = list(
            self.rows.execute(
                "SELECT checkpoint_id, parent_checkpoint_id, checkpoint, checkpoint -> 'channel_versions', metadata"  # noqa: S608
                f" FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? {clause}",
                [self.thread, self.space, *values],
            )
        )
        if self._load({version: None for row in found for version in _versions(json_of(row[3]))}):
            self._check_there([row[0] for row in found])
        return found

    def _check_there(self, ids: Sequence[Value]) -> None:
        """Raise LookupError if checkpoints were deleted meanwhile: their values may have been, too."""
        sql = (
            "SELECT count(*) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"  # noqa: S608
            f" AND checkpoint_id IN ({', '.join('?' * len(ids))})"
        )
        if ids and next(self.rows.execute(sql, [self.thread, self.space, *ids])) != (len(ids),):
            raise LookupError(self.thread)

    def _load(self, wanted: Mapping[_Versioned, None]) -> bool:
        """Read those values that are not known yet, and return whether there were any."""
        while len(self._values) > _KEPT_VALUES:
            self._values.popitem(last=False)
        missing = [version for version in wanted if version not in self._values]
        for start in range(0, len(missing), _VALUES_AT_ONCE):
            part = missing[start : start + _VALUES_AT_ONCE]
            self._values.update(dict.fromkeys(part))
            for channel, version, kind, data in self.rows.execute(
                "SELECT channel, version, type, blob FROM checkpoint_blobs WHERE thread_id = ? AND checkpoint_ns = ?"  # noqa: S608
                f" AND (channel, version) IN ({', '.join(['(?, ?)'] * len(part))}) AND type <> 'empty'",
                [self.thread, self.space, *(text for pair in part for text in pair)],
            ):
                data = data if isinstance(data, bytes) else b""
                self._values[text_of(channel), text_of(version)] = (langgraph.value_of(text_of(kind), data),)
        return bool(missing)


def _versions(versions: Json) -> Iterator[_Versioned]:
    """Yield each channel of a checkpoint with its version: a text, or a number in those of JavaScript."""
    for channel, version in object_of(versions).items():
        yield channel, text_of(version)
