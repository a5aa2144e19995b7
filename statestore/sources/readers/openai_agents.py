"""The sessions of the OpenAI Agents SDK: SQLiteSession, AdvancedSQLiteSession and SQLAlchemySession.

A session is a log of items. A user's turn is one step: item by item, the states of a long session would be too many.
The names of the tables are the program's own choice, so they are known by their columns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Shape, Step, Thread, Value, opaque
from statestore.sources.readers.columns import (
    first_words,
    id_of,
    is_opaque,
    json_of,
    number_of_key,
    object_of,
    part_of_id,
    quoted,
    raw,
    seconds,
    text_of,
    whole_of,
)
from statestore.sources.readers.messages import is_from_user, said

_SESSIONS: Final = {"session_id", "created_at", "updated_at"}
_MESSAGES: Final = {"id", "session_id", "message_data", "created_at"}
_STRUCTURE: Final = {"id", "session_id", "message_id", "branch_id"}
_USAGE: Final = {
    "session_id", "branch_id", "user_turn_number", "requests", "input_tokens", "output_tokens", "total_tokens",
}  # fmt: skip
_TEXT_TYPES: Final = ("TEXT", "CHAR", "JSON", "CLOB")
_MAIN: Final = "main"
_ENCRYPTED: Final = "encrypted item"


@dataclass(frozen=True, slots=True)
class Store:
    """Tables that belong together. `has_branches`: the file says which messages stand in which branch."""

    messages: str
    sessions: str
    has_branches: bool
    has_usage: bool
    # Stands before the ids of its sessions where a file has several such pairs: they may use one id twice.
    prefix: str


@dataclass(frozen=True, slots=True)
class Row:
    """An item in its place. `key` orders the rows: a message's own id, or that of its place in a branch."""

    key: int
    message_id: int
    branch: str
    item: Json
    at: float


@dataclass(slots=True)
class _Turn:
    """Rows that follow each other in one branch, from the user's item on: its items `start` to `end`."""

    branch: str
    number: int
    asked: Json
    start: int
    end: int
    key: int
    at: float
    # The state before it: the branch that it was written in, with so many turns.
    base: str
    base_number: int
    back: str = ""

    def end_with(self, row: Row, branch: "_Branch") -> None:
        self.end, self.key, self.at = len(branch.items), row.key, row.at
        self.number, self.asked = branch.turns, branch.asked


@dataclass(slots=True)
class _Branch:
    """The items of a branch so far; `base` is the branch that the newest of them was written in."""

    base: str
    items: list[Json] = field(default_factory=list)
    turns: int = 0
    asked: Json = None

    def add(self, item: Json, base: str) -> None:
        self.items.append(item)
        self.base = base
        if _begins_turn(item):
            self.asked = item
            self.turns += is_from_user(item)


class OpenAIAgentsReader:
    """Reads the sessions of the OpenAI Agents SDK in an SQLite file.

    A thread's id is the session's, with the table's name before it if the file has several tables of messages. What
    stands in no branch of a file with branches is not read: nor does the framework read it.
    """

    name: ClassVar[str] = "OpenAI Agents sessions"
    databases: ClassVar[frozenset[str]] = frozenset(("SQLite", "PostgreSQL"))

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether there is a table of messages and one of sessions, whatever they are called."""
        return any(map(_holds_messages, tables.values())) and any(map(_holds_sessions, tables.values()))

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return how many threads and items there are."""
        stores = _stores(rows)
        counted = [number for store in stores for (number,) in rows.execute(_counting(store))]
        return {
            "threads": sum(len(_positions(rows, store)) for store in stores),
            "items": sum(map(whole_of, counted)),
        }

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the thread that changed last first."""
        found = [
            (changed, store.prefix + session_id, position)
            for store in _stores(rows)
            for session_id, (changed, position) in _positions(rows, store).items()
        ]
        for _, thread_id, position in sorted(found, reverse=True):
            yield thread_id, position

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a session. A step is keyed by its last row, so that a turn that went on since `after` is not missed.

        Steps are in the order in which they were written: a new turn of an older branch comes last, as a step back.
        """
        if store := store_of(rows, thread_id):
            return _history(rows, store, thread_id, number_of_key(after))
        return History(Thread(thread_id, thread_id, "idle", {"items": []}, 0.0, 0.0), ())

    def late_events(
        self, rows: Rows, thread_id: str, after: str, position: str, is_known: Callable[[str], bool]
    ) -> Iterator[Event]:
        """Yield the items that a transaction wrote that ended late, after others with larger ids were read."""
        store, last = store_of(rows, thread_id), number_of_key(after)
        if store is None or last is None or store.has_branches:
            return
        known = whole_of(number_of_key(position.rpartition(":")[2]))
        earlier = [row for row in rows_of(rows, store, thread_id.removeprefix(store.prefix)) if row.key <= last]
        late = [row for row in reversed(earlier) if not is_known(str(row.key))] if len(earlier) > known else []
        yield from map(_event, late[: len(earlier) - known])


# The tables


def _holds_messages(shape: Shape) -> bool:
    kind = shape.get("message_data", "")
    return shape.keys() >= _MESSAGES and "INT" in shape["id"] and any(text in kind for text in _TEXT_TYPES)


def _holds_sessions(shape: Shape) -> bool:
    # Exactly these: other frameworks' tables of sessions have them too, among others.
    return shape.keys() == _SESSIONS


def _stores(rows: Rows) -> list[Store]:
    tables = rows.tables()
    messages = [name for name, shape in tables.items() if _holds_messages(shape)]
    sessions = [name for name, shape in tables.items() if _holds_sessions(shape)]
    has_structure = tables.get("message_structure", {}).keys() >= _STRUCTURE
    structured = rows.references("message_structure") if has_structure else []
    return [
        Store(
            messages=name,
            sessions=next((other for other in rows.references(name) if other in sessions), sessions[0]),
            has_branches=name in structured,
            has_usage=name in structured and tables.get("turn_usage", {}).keys() >= _USAGE,
            prefix=f"{part_of_id(name)}/" if len(messages) > 1 else "",
        )
        for name in messages
        if sessions
    ]


def store_of(rows: Rows, thread_id: str) -> Store | None:
    """Return the tables that hold a thread."""
    return next((store for store in _stores(rows) if thread_id.startswith(store.prefix)), None)


def _counting(store: Store) -> str:
    return f"SELECT count(*) FROM {quoted(store.messages)}"  # noqa: S608  a quoted name


def _positions(rows: Rows, store: Store) -> dict[str, tuple[tuple[float, int], str]]:
    """Return when each session last changed, as something to sort by, and its position."""
    changed: dict[str, tuple[float, int]] = {}
    marks: dict[str, list[str]] = {}
    for found, updated_at in rows.execute(f"SELECT session_id, updated_at FROM {quoted(store.sessions)}"):  # noqa: S608
        if (session_id := id_of(found)) is not None:
            changed[session_id] = (seconds(updated_at) or 0.0, 0)
            marks[session_id] = [text_of(updated_at) or "-"]
    for table in (store.messages, "message_structure")[: 1 + store.has_branches]:
        for found, newest, number in rows.execute(
            f"SELECT session_id, max(id), count(*) FROM {quoted(table)} GROUP BY session_id"  # noqa: S608
        ):
            if (session_id := id_of(found)) is not None:
                at, _ = changed.get(session_id, (0.0, 0))
                changed[session_id] = (at, whole_of(newest))
                marks.setdefault(session_id, []).append(f"{text_of(newest)}:{text_of(number)}")
    return {session_id: (changed[session_id], " ".join(marks[session_id])) for session_id in marks}


# A session


def _history(rows: Rows, store: Store, thread_id: str, since: int | None) -> History:
    session_id = thread_id.removeprefix(store.prefix)
    logged = list(rows_of(rows, store, session_id))
    branches: dict[str, _Branch] = {}
    turns = list(_turns(logged, branches, since))
    _mark_removal(turns, logged, since)
    usage = _usage(rows, store, session_id) if store.has_usage else {}
    state = state_of(store, turns[-1].branch, branches[turns[-1].branch].items) if turns else state_of(store, _MAIN, [])
    return History(
        _thread(rows, store, thread_id, logged, state),
        (_step(store, turn, branches, usage) for turn in turns if since is None or turn.key > since),
        (_event(row) for row in _once(logged) if since is None or row.key > since),
    )


def rows_of(rows: Rows, store: Store, session_id: str) -> Iterator[Row]:
    """Yield a session's items in the order in which they were written, in each branch that has them."""
    items: dict[Value, Json] = {}
    at = 0.0
    for key, message_id, branch, data, created_at in rows.execute(_reading(store), (session_id,)):
        # Branches share their messages: each is read once.
        if message_id not in items:
            items[message_id] = _item(data)
        at = seconds(created_at) or at
        yield Row(whole_of(key), whole_of(message_id), text_of(branch), items[message_id], at)


def _reading(store: Store) -> str:
    messages = quoted(store.messages)
    if store.has_branches:
        return (
            "SELECT s.id, m.id, s.branch_id, m.message_data, m.created_at"  # noqa: S608  a quoted name
            f" FROM message_structure AS s JOIN {messages} AS m ON m.id = s.message_id"
            " WHERE s.session_id = ? ORDER BY s.id"
        )
    return f"SELECT id, id, '', message_data, created_at FROM {messages} WHERE session_id = ? ORDER BY id"  # noqa: S608


def _item(data: Value) -> Json:
    item = json_of(data)
    if isinstance(item, dict) and "__enc__" in item:
        return opaque(_ENCRYPTED, data if isinstance(data, bytes) else raw(text_of(data)))
    return item


def _is_encrypted(item: Json) -> bool:
    return object_of(item).get("$opaque") == _ENCRYPTED


def _begins_turn(item: Json) -> bool:
    # Who says an encrypted item is not known: each stands for itself.
    return is_from_user(item) or _is_encrypted(item)


def _turns(logged: Sequence[Row], branches: dict[str, _Branch], since: int | None) -> Iterator[_Turn]:
    """Yield the turns in the order in which they were written, and fill the branches.

    A fork begins with rows that repeat another branch's messages: they are where it came from, and no turn.
    """
    writers: dict[int, str] = {}
    turn: _Turn | None = None
    for row in logged:
        branch = branches.setdefault(row.branch, _Branch(base=logged[0].branch))
        if row.message_id in writers:
            branch.add(row.item, writers[row.message_id])
            continue
        writers[row.message_id] = row.branch
        if turn is None or _is_new_turn(turn, row, since):
            if turn:
                yield turn
            turn = _begun(row, branch, turn)
        branch.add(row.item, row.branch)
        turn.end_with(row, branch)
    if turn:
        yield turn


def _is_new_turn(turn: _Turn, row: Row, since: int | None) -> bool:
    is_beyond = since is not None and turn.key <= since < row.key
    return is_beyond or turn.branch != row.branch or _begins_turn(row.item)


def _begun(row: Row, branch: _Branch, previous: _Turn | None) -> _Turn:
    start = len(branch.items)
    came_from = (previous.branch, previous.end) if previous else (branch.base, 0)
    back = "" if came_from == (branch.base, start) else _place(branch.turns)
    return _Turn(row.branch, 0, None, start, start, row.key, row.at, branch.base, branch.turns, back)


def _mark_removal(turns: Sequence[_Turn], logged: Sequence[Row], since: int | None) -> None:
    """Say of the first turn after `since` that it is a step back, if what was read then is no longer there."""
    if since is not None and all(row.key != since for row in logged):
        for turn in turns:
            if turn.key > since:
                turn.back = turn.back or _place(turn.base_number)
                return


def _place(turns: int) -> str:
    return f"back to turn {turns}" if turns else "back to the start"


def state_of(store: Store, branch: str, items: list[Json]) -> Json:
    """Return the state that a branch with these items is."""
    return {"items": items, "branch": branch} if store.has_branches else {"items": items}


def _step(
    store: Store, turn: _Turn, branches: Mapping[str, _Branch], usage: Mapping[tuple[str, int], dict[str, Json]]
) -> Step:
    items = branches[turn.branch].items
    metadata: dict[str, Json] = {"items": turn.end - turn.start}
    if turn.number:
        metadata["turn"] = turn.number
    if store.has_branches:
        metadata["branch"] = turn.branch
    return Step(
        key=str(turn.key),
        at=turn.at,
        before=state_of(store, turn.base, items[: turn.start]),
        after=state_of(store, turn.branch, items[: turn.end]),
        reason=_reason(turn),
        metadata=metadata | usage.get((turn.branch, turn.number), {}),
        back=turn.back,
    )


def _reason(turn: _Turn) -> str:
    if _is_encrypted(turn.asked):
        return f"item {turn.end}: encrypted"
    if not turn.number:
        return "before turn 1"
    return f"turn {turn.number}: {first_words(said(turn.asked).content)}"


def _usage(rows: Rows, store: Store, session_id: str) -> dict[tuple[str, int], dict[str, Json]]:
    """Return the tokens that each turn of a branch took."""
    return {
        (text_of(branch), whole_of(turn)): {
            "requests": whole_of(requests),
            "input_tokens": whole_of(read),
            "output_tokens": whole_of(written),
            "total_tokens": whole_of(total),
        }
        for branch, turn, requests, read, written, total in rows.execute(
            "SELECT branch_id, user_turn_number, requests, input_tokens, output_tokens, total_tokens"
            " FROM turn_usage WHERE session_id = ?",
            (session_id,),
        )
    }


def _once(logged: Sequence[Row]) -> Iterator[Row]:
    known: set[int] = set()
    for row in logged:
        if row.message_id not in known:
            known.add(row.message_id)
            yield row


def _event(row: Row) -> Event:
    spoken = said(row.item)
    branch: dict[str, Json] = {"branch": row.branch} if row.branch else {}
    return Event(
        str(row.message_id), row.at, spoken.actor, spoken.kind, spoken.content, metadata=spoken.metadata | branch
    )


def _thread(rows: Rows, store: Store, thread_id: str, logged: Sequence[Row], state: Json) -> Thread:
    session_id = thread_id.removeprefix(store.prefix)
    created_at = updated_at = None
    for created, updated in rows.execute(
        f"SELECT created_at, updated_at FROM {quoted(store.sessions)} WHERE session_id = ?",  # noqa: S608
        (session_id,),
    ):
        created_at, updated_at = seconds(created), seconds(updated)
    messages = list(_once(logged))
    metadata: dict[str, Json] = {"session_id": session_id, "items": len(messages)}
    if unreadable := sum(is_opaque(row.item) for row in messages):
        metadata["unreadable_items"] = unreadable
    if store.has_branches:
        metadata["branches"] = list(dict.fromkeys(row.branch for row in logged))
        metadata |= _left_out(rows, store, session_id)
    first, last = (logged[0].at, logged[-1].at) if logged else (0.0, 0.0)
    return Thread(
        id=thread_id,
        name=session_id,
        status="idle",
        state=state,
        created_at=first if created_at is None else created_at,
        updated_at=max(last, updated_at or 0.0),
        metadata=metadata,
    )


def _left_out(rows: Rows, store: Store, session_id: str) -> dict[str, Json]:
    """Return how many items stand in no branch, if any: left there by a program that knows nothing of branches."""
    sql = (
        f"SELECT count(*) FROM {quoted(store.messages)} WHERE session_id = ?"  # noqa: S608  a quoted name
        " AND id NOT IN (SELECT message_id FROM message_structure WHERE session_id = ?)"
    )
    number = sum(whole_of(found) for (found,) in rows.execute(sql, (session_id, session_id)))
    return {"items_in_no_branch": number} if number else {}
