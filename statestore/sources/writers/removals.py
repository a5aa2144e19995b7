"""Logs that a restore cuts short: the rows that it removes are kept in its transition, so that an undo has them.

They go back with all their columns, at the end of the log from which they were taken, while that is still its end.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.errors import Conflict
from statestore.history import KnownState
from statestore.history.moments import AtSnapshot, AtTransition
from statestore.jsondiff.parsing import Json
from statestore.models.sources import SourceThread
from statestore.sources.contract import Rows, Value
from statestore.sources.readers.columns import list_of, object_of, quoted, text_of
from statestore.sources.writers import steps

# The key of what was before the first step.
START: Final = "start"
_NOTED_AS: Final = "removed"
_KEPT_BYTES: Final = 5_000_000
_ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Removed:
    """Rows of a table that a restore takes out. `anchor` names the row after which they stood, "" for none.

    `last` is the step after which the thread stood with them, by its key. `listed` are items, as JSON, of a list in
    the thread's own row, each with its place in it; their writer puts them back.
    """

    table: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    anchor: str
    last: str
    listed: Sequence[tuple[int, str]] = ()

    def noted(self) -> dict[str, Json]:
        """Return them as they stand in a transition's metadata."""
        noted: dict[str, Json] = {
            "table": self.table,
            "columns": [*self.columns],
            "rows": [[_noted(value) for value in row] for row in self.rows],
            "anchor": self.anchor,
            "last": self.last,
        }
        if self.listed:
            noted["listed"] = [[place, item] for place, item in self.listed]
        return noted

    def put_back(self, rows: Rows) -> None:
        """Insert them again."""
        names, marks = ", ".join(map(quoted, self.columns)), ", ".join("?" * len(self.columns))
        for row in self.rows:
            rows.execute(f"INSERT INTO {quoted(self.table)} ({names}) VALUES ({marks})", row)  # noqa: S608


def kept(
    rows: Rows,
    table: str,
    by: str,
    keys: Sequence[Value],
    *,
    anchor: str,
    last: str,
    listed: Sequence[tuple[int, str]] = (),
) -> Removed:
    """Return the rows that have these keys in the column `by`, and the items of a list, for an undo.

    A `table` of "" has no rows. Raises Conflict if they are too large to be kept.
    """
    columns = [*rows.tables()[table]] if table else []
    sql = f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(table)} WHERE {quoted(by)} = ?"  # noqa: S608
    found: list[tuple[Value, ...]] = []
    size = sum(len(item) for _, item in listed)
    _check_size(size)
    for key in keys if table else ():
        for row in rows.execute(sql, [key]):
            found.append(row)
            size += sum(len(value) for value in row if isinstance(value, str | bytes))
        _check_size(size)
    return Removed(table, columns, found, anchor, last, listed)


def _check_size(size: int) -> None:
    if size > _KEPT_BYTES:
        raise Conflict(
            f"This restore would remove more than {_KEPT_BYTES // 1_000_000} MB, which an undo could not put back."
            " Nothing was written. Choose a later moment, or fork the agent to go on from this one."
        )


def delete(rows: Rows, table: str, by: str, keys: Sequence[Value]) -> None:
    """Delete the rows that have these keys in the column `by`."""
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        part = keys[start : start + _ROWS_AT_ONCE]
        rows.execute(f"DELETE FROM {quoted(table)} WHERE {quoted(by)} IN ({', '.join('?' * len(part))})", part)  # noqa: S608


@dataclass(frozen=True, slots=True)
class Meant:
    """After which step of its log a thread is to stand, START before the first, "" if the moment names none.

    `removed` are the rows that have to go back first. `before` is the step just before which that is, if it says so.
    """

    key: str
    removed: Removed | None = None
    before: str = ""


def meant_by(thread: SourceThread, target: KnownState, text: str, keys: Sequence[str]) -> Meant:
    """Return what a moment means in a thread whose log has steps with these keys."""
    moment = target.moment
    if isinstance(moment, AtSnapshot) and (undone := _restored_over(thread, moment)) is not None:
        noted = steps.noted_of(undone)
        former = text_of(noted.get("parent")) or START
        return Meant(former, _removed(noted.get(_NOTED_AS)), text_of(noted.get("key")))
    if isinstance(moment, AtTransition):
        key, former = _named(thread, moment, keys)
        wanted = former if moment.side == "before" else key
        if wanted:
            removed = None if wanted in (START, *keys) else _removed_with(thread, wanted)
            return Meant(wanted, removed, key if moment.side == "before" else "")
    return Meant(next((key for key in steps.meant_by(thread, target, text) if key in keys), ""))


def _restored_over(thread: SourceThread, moment: AtSnapshot) -> models.Transition | None:
    """Return the transition of the restore that kept a snapshot of what was before it."""
    using = str(thread._state.db)
    undone = models.Restore.objects.using(using).filter(safety_snapshot_id=moment.snapshot_id).first()
    found = models.Transition.objects.using(using).of_agent(thread.agent_id).without_states()
    return found.filter(pk=undone.transition_id).first() if undone else None


def _named(thread: SourceThread, moment: AtTransition, keys: Sequence[str]) -> tuple[str, str]:
    """Return the step that a transition is, and the one before it; "" for what neither it nor the log says."""
    found = models.Transition.objects.using(str(thread._state.db)).of_agent(thread.agent_id).without_states()
    transition = found.filter(pk=moment.transition_id).first()
    noted = steps.noted_of(transition) if transition else {}
    key, former = text_of(noted.get("key")), text_of(noted.get("parent"))
    return key, former or ([START, *keys][keys.index(key)] if key in keys else "")


def _removed_with(thread: SourceThread, last: str) -> Removed | None:
    """Return what a restore removed while the thread stood after a step, the newest such."""
    found = models.Transition.objects.using(str(thread._state.db)).of_agent(thread.agent_id).without_states()
    for transition in found.filter(metadata__contains=f'"{_NOTED_AS}":').newest_first().iterator(chunk_size=1):
        removed = _removed(steps.noted_of(transition).get(_NOTED_AS))
        if removed and removed.last == last:
            return removed
    return None


def noted(removed: Removed | None) -> Mapping[str, object]:
    """Return what a transition's metadata say of what its restore removed."""
    return {_NOTED_AS: removed.noted()} if removed and (removed.rows or removed.listed) else {}


def check_end(removed: Removed, anchor: str, what: str) -> None:
    """Raise Conflict if rows can't go back, since they stood after another row than the log's present last one."""
    if removed.anchor != anchor:
        raise Conflict(
            f"The session went on since its later {what} were removed, or was restored once more: they cannot be put"
            " back behind others. Nothing was written. Undo the latest restore first, or fork the agent to go on from"
            " this moment."
        )


def gone(what: str) -> Conflict:
    """Return what to raise for a step that is in the file no longer."""
    return Conflict(
        f"The {what} of this moment is no longer in the file. Nothing was written. Fork the agent to go on from this"
        " moment, or download its state."
    )


def _noted(value: Value) -> Json:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _removed(noted: Json) -> Removed | None:
    found = object_of(noted)
    if not found:
        return None
    columns = [text_of(name) for name in list_of(found.get("columns"))]
    rows = [[*_values(row)] for row in list_of(found.get("rows"))]
    listed = [_item(item) for item in list_of(found.get("listed"))]
    ends = text_of(found.get("anchor")), text_of(found.get("last"))
    return Removed(text_of(found.get("table")), columns, rows, *ends, listed)


def _item(noted: Json) -> tuple[int, str]:
    place, item = list_of(noted)
    return int(text_of(place)), text_of(item)


def _values(row: Json) -> Iterator[Value]:
    for value in list_of(row):
        if isinstance(value, dict):
            yield base64.b64decode(text_of(value.get("base64")))
        elif value is None or isinstance(value, str | int | float):
            yield value
