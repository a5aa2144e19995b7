"""Where Agno keeps a session's runs: in rows of their own or, before its version 3, in a list in the session's row.

A database that version 3 took over has both. Agno then reads the list first, takes a run's row where there is one, and
adds the runs that the list lacks; so do we. The tables' names are the program's own choice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Rows, Shape, Value
from statestore.sources.readers.columns import (
    is_opaque,
    json_of,
    list_of,
    object_of,
    part_of_id,
    quoted,
    seconds,
    text_of,
)

_SESSIONS: Final = {"session_id", "session_type", "session_data", "agent_data", "created_at", "updated_at"}
_RUNS: Final = {
    "run_id", "session_id", "run_type", "parent_run_id", "status", "run_index", "run_data", "created_at", "updated_at",
}  # fmt: skip
_LIST: Final = "runs"
# Each run in a list repeats what was said before it.
_MAX_LIST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Store:
    """A table of sessions, and where their runs are: `runs` is a table, "" for none; `has_lists` in the sessions, too.

    `prefix` stands before the ids of its sessions where a file has several such tables: they may use one id twice.
    """

    sessions: str
    runs: str
    has_lists: bool
    prefix: str

    @property
    def tables(self) -> list[str]:
        """The tables by name."""
        return [name for name in (self.sessions, self.runs) if name]


@dataclass(frozen=True, slots=True)
class Run:
    """What an agent, a team or a workflow did once. One with a parent was made by another run."""

    key: str
    parent: str
    status: str
    began_at: float
    # When the row was written last, which may be long after.
    at: float
    data: dict[str, Json]
    # The run's data where they could not be read.
    unreadable: Json


def holds_sessions(tables: Mapping[str, Shape]) -> bool:
    """Return whether there is a table of sessions, and runs of either kind."""
    sessions = [shape for shape in tables.values() if shape.keys() >= _SESSIONS]
    has_rows = any(shape.keys() >= _RUNS for shape in tables.values())
    return bool(sessions) and (has_rows or any(_LIST in shape for shape in sessions))


def stores(rows: Rows) -> list[Store]:
    """Return the tables that belong together; one of sessions without runs is none."""
    tables = rows.tables()
    sessions = {name: _runs_of(rows, name, tables) for name, shape in tables.items() if shape.keys() >= _SESSIONS}
    return [
        Store(name, runs, _LIST in tables[name], f"{part_of_id(name)}/" if len(sessions) > 1 else "")
        for name, runs in sessions.items()
        if runs or _LIST in tables[name]
    ]


def _runs_of(rows: Rows, sessions: str, tables: Mapping[str, Shape]) -> str:
    """Return the table of runs that refers to a table of sessions, "" if there is none."""
    found = (name for name, shape in tables.items() if shape.keys() >= _RUNS and sessions in rows.references(name))
    return next(found, "")


def store_of(rows: Rows, thread_id: str) -> Store | None:
    """Return the tables that hold a thread."""
    return next((store for store in stores(rows) if thread_id.startswith(store.prefix)), None)


def runs_of(rows: Rows, store: Store, session_id: str) -> list[Run]:
    """Return a session's runs, oldest first."""
    in_rows = {run.key: run for run in _in_rows(rows, store, session_id)} if store.runs else {}
    listed = [_listed(key, item) for key, item in listed_in(rows, store, session_id)]
    known = {run.key for run in listed}
    return [*(in_rows.get(run.key, run) for run in listed), *(run for key, run in in_rows.items() if key not in known)]


def listed_in(rows: Rows, store: Store, session_id: str) -> list[tuple[str, Json]]:
    """Return the list in a session's row as (key, run); a list that cannot be read is its one item."""
    found = unwrapped(list_of_runs(rows, store, session_id))
    items = [found] if is_opaque(found) else list_of(found)
    return [(text_of(object_of(item).get("run_id")) or f"list:{place}", item) for place, item in enumerate(items)]


def list_of_runs(rows: Rows, store: Store, session_id: str) -> Value:
    """Return what a session's row holds as its list of runs, None where there is none."""
    if not store.has_lists:
        return None
    sql = f"SELECT {_LIST} FROM {quoted(store.sessions)} WHERE session_id = ?"  # noqa: S608  a quoted name
    return next((value for (value,) in rows.execute(sql, [session_id])), None)


def unwrapped(value: Value) -> Json:
    """Return the JSON that a column holds; version 2 writes to SQLite a text of JSON that is a text of JSON."""
    found = json_of(value, max_bytes=_MAX_LIST_BYTES)
    return json_of(found, max_bytes=_MAX_LIST_BYTES) if isinstance(found, str) else found


def _in_rows(rows: Rows, store: Store, session_id: str) -> Iterator[Run]:
    for key, parent, status, created, updated, data in rows.execute(
        "SELECT run_id, parent_run_id, status, created_at, updated_at, run_data"  # noqa: S608
        f" FROM {quoted(store.runs)} WHERE session_id = ?"
        f" ORDER BY run_index IS NULL, run_index, created_at, {rows.order}",
        (session_id,),
    ):
        parsed = unwrapped(data)
        is_read = isinstance(parsed, dict) and not is_opaque(parsed)
        yield Run(
            key=text_of(key),
            parent=text_of(parent),
            status=text_of(status),
            began_at=seconds(created) or 0.0,
            at=seconds(updated) or seconds(created) or 0.0,
            data=object_of(parsed) if is_read else {},
            unreadable=None if is_read else parsed,
        )


def _listed(key: str, item: Json) -> Run:
    is_read = isinstance(item, dict) and not is_opaque(item)
    data = object_of(item) if is_read else {}
    at = seconds(data.get("created_at")) or 0.0
    return Run(
        key=key,
        parent=text_of(data.get("parent_run_id")),
        status=text_of(data.get("status")),
        began_at=at,
        at=at,
        data=data,
        unreadable=None if is_read else item,
    )
