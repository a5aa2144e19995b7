"""Agno's SqliteDb and PostgresDb: sessions, and the runs in them.

Each run keeps the session's state at its end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Shape, Step, Thread
from statestore.sources.readers.columns import (
    first_words,
    id_of,
    is_opaque,
    json_of,
    list_of,
    object_of,
    seconds,
    text_of,
    whole_of,
)
from statestore.sources.readers.messages import as_text, said

_SESSIONS: Final = {"session_id", "session_type", "session_data", "agent_data", "created_at", "updated_at"}
_RUNS: Final = {
    "run_id", "session_id", "run_type", "parent_run_id", "status", "run_index", "run_data", "created_at", "updated_at",
}  # fmt: skip
_STATUSES: Final = {"RUNNING": "running", "PENDING": "running", "PAUSED": "paused", "ERROR": "failed"}
_UNFINISHED: Final = frozenset(("RUNNING", "PENDING", "PAUSED"))
_MARKS: Final = {"PAUSED": "paused", "ERROR": "failed", "CANCELLED": "cancelled"}
_OWNERS: Final = ("agent_id", "team_id", "workflow_id", "user_id")


@dataclass(frozen=True, slots=True)
class _Run:
    """A row of the table of runs. One with a parent was made by another run, and is no step of the session."""

    key: str
    parent: str
    status: str
    at: float
    data: dict[str, Json]
    # The run's data where they could not be read.
    unreadable: Json


class AgnoReader:
    """Reads the sessions and runs that Agno keeps in a file or a database; a thread is a session."""

    name: ClassVar[str] = "Agno sessions"
    databases: ClassVar[frozenset[str]] = frozenset(("SQLite", "PostgreSQL"))

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether there are Agno's tables of sessions and of runs; older versions have none of runs."""
        return tables.get("agno_sessions", {}).keys() >= _SESSIONS and tables.get("agno_runs", {}).keys() >= _RUNS

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return how many threads and runs there are."""
        for threads, runs in rows.execute(
            "SELECT (SELECT count(*) FROM agno_sessions), (SELECT count(*) FROM agno_runs)"
        ):
            return {"threads": whole_of(threads), "runs": whole_of(runs)}
        return {}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the thread that changed last first."""
        runs = {
            session: (seconds(newest) or 0.0, ":".join(map(text_of, (number, finished, newest, index, last))))
            for session, number, finished, newest, index, last in rows.execute(
                # Times are whole seconds: a run may begin and end in one.
                "SELECT session_id, count(*), count(CASE WHEN status IN ('RUNNING', 'PENDING') THEN NULL ELSE 1 END),"  # noqa: S608
                f" max(coalesce(updated_at, created_at)), max(run_index), {rows.newest} FROM agno_runs"
                " GROUP BY session_id"
            )
        }
        changed = []
        for found, updated, newest in rows.execute(
            f"SELECT session_id, max(coalesce(updated_at, created_at)), {rows.newest} FROM agno_sessions"  # noqa: S608
            " GROUP BY session_id"
        ):
            if (session := id_of(found)) is not None:
                at, position = runs.get(session, (0.0, ""))
                mark = f"{text_of(updated)} {text_of(newest)} {position}"
                changed.append((max(at, seconds(updated) or 0.0), session, mark))
        for _, session, position in sorted(changed, reverse=True):
            yield session, position

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a session with one step for each run. A last run that may still change is no step yet."""
        runs = list(_runs(rows, thread_id))
        new = next((place for place, run in enumerate(runs, 1) if run.key == after), 0)
        return History(
            _thread(rows, thread_id, runs),
            (step for place, step in _steps(runs) if place >= new),
            (event for run in runs[new:] for event in _events(run)),
            marks={run.key: _MARKS[run.status] for run in runs if run.status in _MARKS},
        )


def _runs(rows: Rows, session: str) -> Iterator[_Run]:
    for key, parent, status, created, updated, data in rows.execute(
        "SELECT run_id, parent_run_id, status, created_at, updated_at, run_data FROM agno_runs"  # noqa: S608
        f" WHERE session_id = ? ORDER BY run_index IS NULL, run_index, created_at, {rows.order}",
        (session,),
    ):
        parsed = json_of(data)
        is_read = isinstance(parsed, dict) and not is_opaque(parsed)
        yield _Run(
            key=text_of(key),
            parent=text_of(parent),
            status=text_of(status),
            at=seconds(updated) or seconds(created) or 0.0,
            data=object_of(parsed) if is_read else {},
            unreadable=None if is_read else parsed,
        )


def _thread(rows: Rows, session: str, runs: Sequence[_Run]) -> Thread:
    state: Json = {}
    created = updated = 0.0
    metadata: dict[str, Json] = {"session_id": session, "runs": len(runs)}
    name = session
    for session_type, stored, created_at, updated_at, *owners in rows.execute(
        "SELECT session_type, session_data, created_at, updated_at, agent_id, team_id, workflow_id, user_id"
        " FROM agno_sessions WHERE session_id = ?",
        (session,),
    ):
        data = json_of(stored)
        state = data if is_opaque(data) else object_of(data).get("session_state", {})
        name = text_of(object_of(data).get("session_name")) or session
        created = seconds(created_at) or 0.0
        updated = seconds(updated_at) or created
        metadata["type"] = text_of(session_type)
        metadata |= {kind: text_of(owner) for kind, owner in zip(_OWNERS, owners, strict=True) if owner is not None}
    status = _STATUSES.get(runs[-1].status, "idle") if runs else "idle"
    return Thread(session, name, status, state, created, max([updated, *(run.at for run in runs)]), metadata)


def _steps(runs: Sequence[_Run]) -> Iterator[tuple[int, Step]]:
    """Yield the steps, each with the place of its run."""
    state: Json = {}
    number = 0
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
            Step(run.key, run.at, before, state, _reason(run, number), metadata),
        )


def _reason(run: _Run, number: int) -> str:
    asked = object_of(run.data.get("input")).get("input_content")
    return f"run {number}: {first_words(as_text(asked))}" if asked is not None else f"run {number}"


def _events(run: _Run) -> Iterator[Event]:
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
