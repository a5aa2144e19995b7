"""Agno's SqliteDb and PostgresDb: sessions, and the runs in them.

Each run keeps the session's state at its end.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Shape, Step, Thread
from statestore.sources.readers.agno_runs import Run, Store, holds_sessions, runs_of, store_of, stores, unwrapped
from statestore.sources.readers.columns import (
    first_words,
    id_of,
    is_opaque,
    list_of,
    object_of,
    quoted,
    seconds,
    text_of,
    whole_of,
)
from statestore.sources.readers.messages import as_text, said

_STATUSES: Final = {"RUNNING": "running", "PENDING": "running", "PAUSED": "paused", "ERROR": "failed"}
_UNFINISHED: Final = frozenset(("RUNNING", "PENDING", "PAUSED"))
_MARKS: Final = {"PAUSED": "paused", "ERROR": "failed", "CANCELLED": "cancelled"}
# In the position of a thread: number, finished, newest time, index and last row of its runs.
_PARTS_OF_RUNS: Final = 5
# Times are whole seconds: a run may be written again in the second in which it was read.
_JUST_SECONDS: Final = 60
_OWNERS: Final = ("agent_id", "team_id", "workflow_id", "user_id")


class AgnoReader:
    """Reads the sessions and runs that Agno keeps in a file or a database; a thread is a session."""

    name: ClassVar[str] = "Agno sessions"
    databases: ClassVar[frozenset[str]] = frozenset(("SQLite", "PostgreSQL"))

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether there are a table of sessions and their runs, whatever the tables are called."""
        return holds_sessions(tables)

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return how many threads there are, and runs where each is a row: lists of them would have to be read."""
        found = stores(rows)
        counts = {"threads": sum(_count(rows, store.sessions) for store in found)}
        if not any(store.has_lists for store in found):
            counts["runs"] = sum(_count(rows, store.runs) for store in found)
        return counts

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the thread that changed last first."""
        found = [
            (at, store.prefix + session_id, position)
            for store in stores(rows)
            for at, session_id, position in _positions(rows, store)
        ]
        for _, thread_id, position in sorted(found, reverse=True):
            yield thread_id, position

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a session with one step for each run. A last run that may still change is no step yet."""
        store = store_of(rows, thread_id)
        if store is None:
            raise LookupError(thread_id)
        runs = runs_of(rows, store, thread_id.removeprefix(store.prefix))
        new = next((place for place, run in enumerate(runs, 1) if run.key == after), 0)
        return History(
            _thread(rows, store, thread_id, runs),
            (step for place, step in _steps(runs) if place >= new),
            (event for run in runs[new:] for event in _events(run)),
            marks={run.key: _MARKS[run.status] for run in runs if run.status in _MARKS},
        )

    def late_events(
        self, rows: Rows, thread_id: str, after: str, position: str, is_known: Callable[[str], bool]
    ) -> Iterator[Event]:
        """Yield what was said in earlier runs since: two runs may go on at once, and the first to begin ends last.

        A run that was not written since is left out: what it lacks here was deleted here. Runs in a list do not say
        when they were written.
        """
        store, newest = store_of(rows, thread_id), _newest_of(position)
        if store is None or newest is None:
            return
        runs = runs_of(rows, store, thread_id.removeprefix(store.prefix))
        earlier = next((place for place, run in enumerate(runs, 1) if run.key == after), 0)
        for run in runs[:earlier]:
            if _was_written_since(run, newest):
                yield from (event for event in _events(run) if not is_known(event.key))


def _count(rows: Rows, table: str) -> int:
    ((number,),) = rows.execute(f"SELECT count(*) FROM {quoted(table)}")  # noqa: S608  a quoted name
    return whole_of(number)


def _positions(rows: Rows, store: Store) -> Iterator[tuple[float, str, str]]:
    """Yield (when it changed last, session id, position)."""
    runs = _positions_of_runs(rows, store.runs) if store.runs else {}
    # Times are whole seconds, and a row that is changed keeps its number.
    sizes = ", ".join(f"max({rows.size(column)})" for column in ("session_data", *["runs"] * store.has_lists))
    for found, updated, newest, *marks in rows.execute(
        f"SELECT session_id, max(coalesce(updated_at, created_at)), {rows.newest}, {sizes}"  # noqa: S608
        f" FROM {quoted(store.sessions)} GROUP BY session_id"
    ):
        if (session_id := id_of(found)) is not None:
            at, position = runs.get(session_id, (0.0, ""))
            mark = " ".join([text_of(updated), text_of(newest), ":".join(map(text_of, marks)), position])
            yield max(at, seconds(updated) or 0.0), session_id, mark


def _positions_of_runs(rows: Rows, table: str) -> dict[str, tuple[float, str]]:
    return {
        text_of(session): (seconds(newest) or 0.0, ":".join(map(text_of, (number, finished, newest, index, last))))
        for session, number, finished, newest, index, last in rows.execute(
            # A run may begin and end in one second.
            "SELECT session_id, count(*), count(CASE WHEN status IN ('RUNNING', 'PENDING') THEN NULL ELSE 1 END),"  # noqa: S608
            f" max(coalesce(updated_at, created_at)), max(run_index), {rows.newest} FROM {quoted(table)}"
            " GROUP BY session_id"
        )
    }


def _newest_of(position: str) -> float | None:
    """Return when a run had been written last at a position; None if no run is a row there."""
    parts = position.rpartition(" ")[2].split(":")
    return seconds(int(parts[2])) if len(parts) == _PARTS_OF_RUNS and parts[2].isdecimal() else None


def _was_written_since(run: Run, newest: float) -> bool:
    """Return whether a run was written after a time; in its very second, only if that has just passed."""
    return run.at > newest or (run.at == newest and time.time() - run.at < _JUST_SECONDS)


def _thread(rows: Rows, store: Store, thread_id: str, runs: Sequence[Run]) -> Thread:
    session = thread_id.removeprefix(store.prefix)
    state: Json = {}
    created = updated = 0.0
    metadata: dict[str, Json] = {"session_id": session, "runs": len(runs)}
    name = session
    for session_type, stored, created_at, updated_at, *owners in rows.execute(
        f"SELECT session_type, session_data, created_at, updated_at, {', '.join(_OWNERS)}"  # noqa: S608
        f" FROM {quoted(store.sessions)} WHERE session_id = ?",
        (session,),
    ):
        data = unwrapped(stored)
        state = data if is_opaque(data) else object_of(data).get("session_state", {})
        name = text_of(object_of(data).get("session_name")) or session
        created = seconds(created_at) or 0.0
        updated = seconds(updated_at) or created
        metadata["type"] = text_of(session_type)
        metadata |= {kind: text_of(owner) for kind, owner in zip(_OWNERS, owners, strict=True) if owner is not None}
    status = _STATUSES.get(runs[-1].status, "idle") if runs else "idle"
    return Thread(thread_id, name, status, state, created, max([updated, *(run.at for run in runs)]), metadata)


def _steps(runs: Sequence[Run]) -> Iterator[tuple[int, Step]]:
    """Yield the steps, each with the place of its run."""
    state: Json = {}
    number = 0
    asked = [run for run in runs if not run.parent]
    following = dict(zip((run.key for run in asked), asked[1:], strict=False))
    for place, run in enumerate(runs):
        # It is read again when it has ended; one that others came after has crashed.
        may_change = run.status in _UNFINISHED and place == len(runs) - 1
        if run.parent or may_change:
            continue
        number += 1
        # A run that says nothing of the state has left it as it was.
        unreadable = run.unreadable
        before, state = state, run.data.get("session_state", state) if unreadable is None else unreadable
        metadata: dict[str, Json] = {"status": run.status}
        metadata |= {name: run.data[name] for name in ("model", "agent_name", "metrics") if name in run.data}
        yield (
            place,
            Step(run.key, _ended_at(run, following.get(run.key)), before, state, _reason(run, number), metadata),
        )


def _ended_at(run: Run, following: Run | None) -> float:
    """Return when a run ended; Agno's migration wrote its row again, long after the next run began."""
    return run.began_at if following and following.began_at < run.at else run.at


def _reason(run: Run, number: int) -> str:
    asked = object_of(run.data.get("input")).get("input_content")
    return f"run {number}: {first_words(as_text(asked))}" if asked is not None else f"run {number}"


def _events(run: Run) -> Iterator[Event]:
    if run.unreadable is not None:
        spoken = said(run.unreadable)
        yield Event(run.key, run.at, spoken.actor, spoken.kind, spoken.content, {"run": run.key})
    for place, item in enumerate(list_of(run.data.get("messages"))):
        message = object_of(item)
        if message.get("from_history") is True:
            # It was said in an earlier run.
            continue
        spoken = said(item)
        at = seconds(message.get("created_at"))
        yield Event(
            key=text_of(message.get("id")) or f"{run.key}:{place}",
            at=run.at if at is None else at,
            actor=spoken.actor,
            kind=spoken.kind,
            content=spoken.content,
            metadata=spoken.metadata | {"run": run.key},
        )
