"""The sessions of Google's Agent Development Kit: SqliteSessionService and DatabaseSessionService.

A session's state is kept as it is now; its events carry what they changed. Folded, they are its history.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Shape, Step, Thread, Value, opaque
from statestore.sources.readers.columns import (
    first_words,
    id_of,
    is_opaque,
    json_of,
    list_of,
    object_of,
    part_of_id,
    raw,
    seconds,
    text_of,
    whole_of,
)
from statestore.sources.readers.messages import AGENT, SYSTEM, TOOL, USER, as_text, said

_SESSIONS: Final = {"app_name", "user_id", "id", "state", "create_time", "update_time"}
_EVENTS: Final = {"id", "app_name", "user_id", "session_id", "invocation_id", "timestamp"}
# The state of the app and of the user is kept apart; what is temporary is kept nowhere.
NOT_THE_SESSIONS: Final = ("app:", "user:", "temp:")
# Where an event of ours says which keys it took away.
REMOVED: Final = "statestore_removed"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table of events. `body` is the event; older versions keep its `actions` as a pickle."""

    key: str
    at: float
    author: str
    invocation: str
    body: Json
    content: Json
    # What it changed in the session's state.
    delta: dict[str, Json]
    # The invocation before which it rewinds the session.
    rewinds: str
    # The keys that a restore of ours took away: ADK itself has only null for that, which is a value.
    removed: Sequence[str] = ()
    pickled: Json = None


class GoogleADKReader:
    """Reads the sessions of Google ADK in a file or a database.

    A thread's id is app/user/session, app/user for a user's own state and app for an app's, each part with its "/" and
    "%" encoded. Those of users and apps have no steps: their earlier states are kept nowhere.
    """

    name: ClassVar[str] = "Google ADK sessions"
    databases: ClassVar[frozenset[str]] = frozenset(("SQLite", "PostgreSQL"))

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether sessions and events are ADK's, of the versions with JSON or with pickled actions."""
        events = tables.get("events", {}).keys()
        return (
            tables.get("sessions", {}).keys() >= _SESSIONS
            and events >= _EVENTS
            and bool({"event_data", "actions"} & events)
            and {"app_states", "user_states"} <= tables.keys()
        )

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return how many sessions, events, and states of users and apps there are."""
        sql = {
            "threads": "SELECT count(*) FROM sessions",
            "events": "SELECT count(*) FROM events",
            "user states": "SELECT count(*) FROM user_states",
            "app states": "SELECT count(*) FROM app_states",
        }
        return {what: sum(whole_of(number) for (number,) in rows.execute(counting)) for what, counting in sql.items()}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the thread that changed last first."""
        found = sorted([*_session_positions(rows), *_shared_positions(rows)], reverse=True)
        for _, thread_id, position in found:
            yield thread_id, position

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a session with its steps, or the state of a user or of an app, without any."""
        match parts_of(thread_id):
            case [app, user, session]:
                return _session(rows, thread_id, (app, user, session), after)
            case [app, user]:
                sql = "SELECT state, update_time FROM user_states WHERE app_name = ? AND user_id = ?"
                return History(_shared(rows.execute(sql, (app, user)), thread_id, {"app": app, "user": user}), ())
            case parts:
                app = "/".join(parts)
                sql = "SELECT state, update_time FROM app_states WHERE app_name = ?"
                return History(_shared(rows.execute(sql, (app,)), thread_id, {"app": app}), ())


# Ids and positions


def thread_id_of(*names: str) -> str:
    """Return the id of the thread that some names make."""
    return "/".join(map(part_of_id, names))


def _thread_id(*names: Value) -> str | None:
    known = [name for name in map(id_of, names) if name is not None]
    return "/".join(map(part_of_id, known)) if len(known) == len(names) else None


def parts_of(thread_id: str) -> list[str]:
    """Return the names that a thread's id is made of."""
    return [_decoded(part) for part in thread_id.split("/")]


def _decoded(part: str) -> str:
    return part.replace("%2F", "/").replace("%25", "%")


def _session_positions(rows: Rows) -> Iterator[tuple[float, str, str]]:
    events = {
        (app, user, session): f"{text_of(number)}:{text_of(newest)}"
        for app, user, session, number, newest in rows.execute(
            f"SELECT app_name, user_id, session_id, count(*), {rows.newest} FROM events"  # noqa: S608
            " GROUP BY app_name, user_id, session_id"
        )
    }
    for app, user, session, updated in rows.execute("SELECT app_name, user_id, id, update_time FROM sessions"):
        if (thread_id := _thread_id(app, user, session)) is not None:
            yield seconds(updated) or 0.0, thread_id, f"{text_of(updated)} {events.get((app, user, session), '')}"


def _shared_positions(rows: Rows) -> Iterator[tuple[float, str, str]]:
    # One of the two services keeps their times in whole seconds: only the state itself says whether it changed.
    for app, updated, state in rows.execute("SELECT app_name, update_time, state FROM app_states"):
        if (thread_id := _thread_id(app)) is not None:
            yield seconds(updated) or 0.0, thread_id, _hash(updated, state)
    for app, user, updated, state in rows.execute("SELECT app_name, user_id, update_time, state FROM user_states"):
        if (thread_id := _thread_id(app, user)) is not None:
            yield seconds(updated) or 0.0, thread_id, _hash(updated, state)


def _hash(updated: Value, state: Value) -> str:
    data = state if isinstance(state, bytes) else raw(text_of(state))
    return f"{text_of(updated)} {sha256(data).hexdigest()}"


# The state of a user or of an app


def _shared(found: Iterable[tuple[Value, ...]], thread_id: str, names: dict[str, Json]) -> Thread:
    state: Json = {}
    at = 0.0
    for stored, updated in found:
        state, at = json_of(stored), seconds(updated) or 0.0
    # When it was made is not kept.
    return Thread(thread_id, "/".join(map(text_of, names.values())), "idle", state, at, at, names)


# A session


def _session(rows: Rows, thread_id: str, parts: tuple[str, str, str], after: str) -> History:
    state: Json = {}
    created = updated = 0.0
    for stored, created_at, updated_at in rows.execute(
        "SELECT state, create_time, update_time FROM sessions WHERE app_name = ? AND user_id = ? AND id = ?", parts
    ):
        state, created, updated = by_name(json_of(stored)), seconds(created_at) or 0.0, seconds(updated_at) or 0.0
    entries = list(entries_of(rows, parts, created))
    new = _newer_than(after, entries)
    names: dict[str, Json] = dict(zip(("app", "user", "session"), parts, strict=True))
    return History(
        Thread(thread_id, "/".join(parts), "idle", state, created, updated, names | {"events": len(entries)}),
        (step for place, step in _steps(entries, state) if place >= new),
        _events(entries, new),
    )


def by_name(state: Json) -> Json:
    """Return a state with its keys in order: ADK itself writes them now in this one and now in that."""
    return dict(sorted(state.items())) if isinstance(state, dict) else state


def _newer_than(after: str, entries: Sequence[Entry]) -> int:
    """Return the place of the first entry after the one with a key; 0 if there is none."""
    return next((place for place, entry in enumerate(entries, 1) if entry.key == after), 0)


def entries_of(rows: Rows, parts: Sequence[str], created: float) -> Iterator[Entry]:
    """Yield the events of a session, oldest first."""
    at = created
    columns = rows.tables().get("events", {})
    for row in rows.execute(_reading(columns, rows.order), parts):
        entry = _entry(row, at) if "event_data" in columns else _pickled_entry(row, at)
        at = entry.at
        yield entry


def _reading(columns: Mapping[str, str], order: str) -> str:
    kept = "event_data" if "event_data" in columns else "author, content, actions"
    return (
        f"SELECT id, invocation_id, timestamp, {kept} FROM events"  # noqa: S608  one of two lists
        # Two events may be of one time.
        f" WHERE app_name = ? AND user_id = ? AND session_id = ? ORDER BY timestamp, {order}"
    )


def _entry(row: Sequence[Value], earlier: float) -> Entry:
    key, invocation, timestamp, data = row
    parsed = json_of(data)
    body = {} if is_opaque(parsed) else object_of(parsed)
    actions = object_of(body.get("actions"))
    # The event's own time is exact and in UTC; the column's may be neither.
    at = next((at for at in (seconds(body.get("timestamp")), seconds(timestamp)) if at is not None), earlier)
    delta = object_of(actions.get("state_delta"))
    return Entry(
        key=text_of(key),
        at=at,
        author=text_of(body.get("author")),
        invocation=text_of(invocation),
        body=parsed,
        content=body.get("content"),
        delta={name: value for name, value in delta.items() if not name.startswith(NOT_THE_SESSIONS)},
        rewinds=text_of(actions.get("rewind_before_invocation_id")),
        removed=[text_of(name) for name in list_of(object_of(body.get("custom_metadata")).get(REMOVED))],
    )


def _pickled_entry(row: Sequence[Value], earlier: float) -> Entry:
    key, invocation, timestamp, author, content, actions = row
    data = actions if isinstance(actions, bytes) else raw(text_of(actions))
    at = seconds(timestamp)
    parsed = json_of(content)
    return Entry(
        key=text_of(key),
        at=earlier if at is None else at,
        author=text_of(author),
        invocation=text_of(invocation),
        body=parsed,
        content=parsed,
        delta={},
        rewinds="",
        pickled=opaque("pickled Python object", data),
    )


def _steps(entries: Sequence[Entry], now: Json) -> Iterator[tuple[int, Step]]:
    """Yield the steps, each with its entry's place. They begin with today's values that no event touched.

    What the session was made with stands in no event: a first value that was overwritten is lost.
    """
    touched = {name for entry in entries for name in entry.delta}
    start = {} if is_opaque(now) else object_of(now)
    state: dict[str, Json] = {name: start[name] for name in sorted(start) if name not in touched}
    asked = _asked(entries)
    for place, entry in enumerate(entries):
        if not entry.delta and not entry.rewinds:
            continue
        changed = {**state, **entry.delta}
        before, state = state, {name: changed[name] for name in sorted(changed) if name not in entry.removed}
        metadata: dict[str, Json] = {"invocation": entry.invocation, "author": entry.author, "keys": [*entry.delta]}
        if entry.rewinds:
            metadata["rewound_before"] = entry.rewinds
        yield place, Step(entry.key, entry.at, before, state, _reason(entry, asked), metadata)


def _reason(entry: Entry, asked: Mapping[str, str]) -> str:
    if entry.rewinds:
        return _rewinding(entry, asked)
    return first_words(f"{entry.author or 'event'}: {', '.join(entry.delta)}")


def _rewinding(entry: Entry, asked: Mapping[str, str]) -> str:
    words = asked.get(entry.rewinds)
    return f"back to before “{words}”" if words else f"back to before {entry.rewinds}"


def _asked(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the first words of each invocation."""
    words: dict[str, str] = {}
    for entry in entries:
        if entry.content is not None and entry.invocation not in words:
            words[entry.invocation] = first_words(said(entry.content).content)
    return words


def _events(entries: Sequence[Entry], new: int) -> Iterator[Event]:
    annulled = _annulled(entries)
    asked = _asked(entries)
    for place, entry in enumerate(entries):
        if place < new:
            continue
        metadata: dict[str, Json] = {"author": entry.author, "invocation": entry.invocation}
        if place in annulled:
            metadata["rewound_by"] = annulled[place]
        if entry.pickled is not None:
            metadata["actions"] = entry.pickled
        yield _event(entry, metadata, asked)


def _annulled(entries: Sequence[Entry]) -> dict[int, str]:
    """Return the places of the events that a rewind took back, with the key of the rewind."""
    annulled: dict[int, str] = {}
    begins: dict[str, int] = {}
    for place, entry in enumerate(entries):
        begins.setdefault(entry.invocation, place)
        if entry.rewinds:
            for earlier in range(begins.get(entry.rewinds, place), place):
                annulled.setdefault(earlier, entry.key)
    return annulled


def _event(entry: Entry, metadata: dict[str, Json], asked: Mapping[str, str]) -> Event:
    if is_opaque(entry.body):
        spoken = said(entry.body)
        return Event(entry.key, entry.at, spoken.actor, spoken.kind, spoken.content, metadata)
    if entry.rewinds:
        return Event(entry.key, entry.at, SYSTEM, "rewind", _rewinding(entry, asked), metadata)
    if entry.content is None:
        content = as_text(dict(entry.delta)) if entry.delta else ""
        return Event(entry.key, entry.at, _actor(entry, "state"), "state", content, metadata)
    spoken = said(entry.content)
    kind = _kind(entry.content)
    return Event(entry.key, entry.at, _actor(entry, kind), kind, spoken.content, metadata | spoken.metadata)


def _actor(entry: Entry, kind: str) -> str:
    if kind == "function_response":
        return TOOL
    return USER if entry.author == "user" else AGENT


def _kind(content: Json) -> str:
    """Return what the first part of a content is that is no text."""
    for part in list_of(object_of(content).get("parts")):
        for kind in ("function_call", "function_response"):
            if kind in object_of(part):
                return kind
    return "message"
