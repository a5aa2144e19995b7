"""Putting a session of the OpenAI Agents SDK back: the items after the moment are removed.

A session is a log that the model is shown whole, so there is no other way in the same session. The items are kept with
the restore, and an undo puts them back with their ids. In a file with branches they are only taken out of theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from statestore.access.audit import Actor
from statestore.errors import Conflict
from statestore.history import KnownState
from statestore.jsondiff.parsing import Json
from statestore.models.sources import SourceThread
from statestore.restore.in_place import PutBack
from statestore.sources import locations
from statestore.sources.contract import Rows
from statestore.sources.readers import openai_agents
from statestore.sources.readers.columns import is_opaque, json_of, list_of, object_of, quoted, text_of, whole_of
from statestore.sources.readers.openai_agents import Row, Store
from statestore.sources.state_texts import state_text
from statestore.sources.writers import forks, removals, steps
from statestore.sources.writers.removals import START, Removed

_READER: Final = openai_agents.OpenAIAgentsReader()
_STRUCTURE: Final = "message_structure"
_MAIN: Final = "main"


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be done: the rows to go, by their ids, and those to come back; `key` is the last row then."""

    key: str
    going: Removed
    numbers: Sequence[int]
    coming: Removed | None
    branch: str
    is_encrypted: bool


class OpenAIAgentsWriter:
    """Writes one session of a SQLiteSession, an AdvancedSQLiteSession or a SQLAlchemySession."""

    def __init__(self, thread: SourceThread) -> None:
        self._thread = thread
        self._location = locations.of(thread.source.path)

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return what a restore does in the file, and what it leaves."""
        change = self._change(target, text)
        said = []
        if change.coming:
            said.append(f"{_items(len(change.coming.rows))} that a restore had removed come back.")
        elif change.numbers:
            number = len(change.numbers)
            how = (
                f"taken out of the branch “{change.branch}”" if change.branch else f"removed from {self._location.name}"
            )
            said.append(
                f"The last {_items(number)} {'is' if number == 1 else 'are'} {how}. An undo puts"
                f" {'it' if number == 1 else 'them'} back, while the session has not gone on."
            )
        if change.is_encrypted:
            said.append("Items are encrypted: whether each tool call has its output is not known here.")
        said.append("What tools did elsewhere, and what OpenAI's servers keep of a conversation, are not turned back.")
        return said

    def prepare(self, target: KnownState, text: str, by: Actor) -> PutBack:
        """Return the write that removes the later items, or puts removed ones back."""
        return _Write(self._thread, text, self._change(target, text))

    def fork_effects(self, target: KnownState) -> Sequence[str]:
        """Return what a fork does in the file, and what it leaves."""
        with self._location.opened() as rows:
            _, copied = self._copied(rows, target)
        return [
            f"The first {_items(len(copied))} {'is' if len(copied) == 1 else 'are'} copied to a new session in"
            f" {self._location.name}.",
            "This session stays as it is.",
        ]

    def fork_id(self, new_id: str) -> str:
        """Return the id in the mirror of a new session. Raises Conflict if the old one is gone."""
        return f"{self._store().prefix}{new_id}"

    def fork(self, target: KnownState, new_id: str, by: Actor) -> None:
        """Copy the items that a state has to a new session."""
        tables = [self._store().messages]
        with steps.writing(self._thread, *tables) as rows:
            store, copied = self._copied(rows, target)
            for table in (store.sessions, store.messages):
                forks.check_free(rows, table, {"session_id": new_id}, "session")
            rows.execute(
                f"INSERT INTO {quoted(store.sessions)} (session_id, created_at, updated_at)"  # noqa: S608  quoted names
                " VALUES (?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
                [new_id],
            )
            for row in copied:
                _copy_item(rows, store, row, new_id)
            steps.expect_written(_READER.read(rows, f"{store.prefix}{new_id}").thread.state, target.text)

    def _store(self) -> Store:
        with self._location.opened() as rows:
            store = openai_agents.store_of(rows, self._thread.thread_id)
        if store is None:
            raise removals.gone("session")
        return store

    def _copied(self, rows: Rows, target: KnownState) -> tuple[Store, Sequence[Row]]:
        """Return the rows that a state is made of. Raises Conflict if they are not there, or end in the wrong place."""
        store = openai_agents.store_of(rows, self._thread.thread_id)
        if store is None:
            raise removals.gone("session")
        wanted = object_of(json_of(target.text))
        branch, number = text_of(wanted.get("branch")), len(list_of(wanted.get("items")))
        if branch not in {"", _MAIN}:
            raise Conflict(
                "A program begins a session in its main branch, and this moment is of another one. Nothing was written."
                " Branch off from the turn in the program itself, or fork the agent here."
            )
        logged = openai_agents.rows_of(rows, store, self._thread.thread_id.removeprefix(store.prefix))
        written = [row for row in logged if row.branch == branch]
        items = [row.item for row in written[:number]]
        if state_text(openai_agents.state_of(store, branch, items)) != target.text:
            raise removals.gone("log")
        _check_calls([row.item for row in written], number)
        return store, written[:number]

    def _change(self, target: KnownState, text: str) -> _Change:
        with self._location.opened() as rows:
            store = openai_agents.store_of(rows, self._thread.thread_id)
            if store is None:
                raise removals.gone("session")
            logged = list(openai_agents.rows_of(rows, store, self._thread.thread_id.removeprefix(store.prefix)))
            return self._cut(rows, store, logged, text) or self._put_back(logged, target, text)

    def _cut(self, rows: Rows, store: Store, logged: Sequence[Row], text: str) -> _Change | None:
        """Return what to remove so that the session has a state again; None if it never had just this one."""
        wanted = object_of(json_of(text))
        branch, number = text_of(wanted.get("branch")), len(list_of(wanted.get("items")))
        written = [row for row in logged if row.branch == branch]
        items = [row.item for row in written[:number]]
        if state_text(openai_agents.state_of(store, branch, items)) != text:
            return None
        going = [row.key for row in written[number:]]
        staying = [row for row in logged if row.key not in set(going)]
        if going:
            _check_calls([row.item for row in written], number)
        _check_branch(staying, branch)
        table = _STRUCTURE if store.has_branches else store.messages
        _check_ids(rows, table, going)
        end = str(staying[-1].key) if staying else ""
        removed = removals.kept(rows, table, "id", going, anchor=end, last=self._thread.last_step)
        return _Change(end or START, removed, going, None, branch, any(map(is_opaque, items)))

    def _put_back(self, logged: Sequence[Row], target: KnownState, text: str) -> _Change:
        keys = [str(row.key) for row in logged]
        coming = removals.meant_by(self._thread, target, text, keys).removed if text == target.text else None
        if coming is None or not coming.rows:
            raise Conflict(
                "The session's log in the file has no moment with just this state: only whole moments can be put back"
                " here. Nothing was written. Choose a step of the timeline, or undo the restore that removed it."
            )
        end = keys[-1] if keys else ""
        removals.check_end(coming, end, "items")
        nothing = Removed(coming.table, (), (), end, self._thread.last_step)
        return _Change(coming.last, nothing, (), coming, "", is_encrypted=False)


@dataclass(frozen=True, slots=True)
class _Write:
    """The write: rows go, or come back, if the session is still as it was seen."""

    thread: SourceThread
    text: str
    change: _Change

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the transition says of it: the last item then, the former one, and what was removed."""
        return {"key": self.change.key, "parent": self.thread.last_step, **removals.noted(self.change.going)}

    def write(self) -> None:
        """Write, read back and commit; the mirror then has the step already."""
        with steps.writing(self.thread, self.change.going.table) as rows:
            steps.expect_as_seen(self.thread, _READER, rows)
            self._write(rows)
            steps.expect_written(_READER.read(rows, self.thread.thread_id).thread.state, self.text)
            position = steps.position_of(self.thread, _READER, rows)
        steps.note_written(self.thread, self.change.key, position)

    def _write(self, rows: Rows) -> None:
        removals.delete(rows, self.change.going.table, "id", self.change.numbers)
        if self.change.coming:
            self.change.coming.put_back(rows)


def _copy_item(rows: Rows, store: Store, row: Row, new_id: str) -> None:
    """Copy a message, and its place in the branch if the file has branches, to another session."""
    messages = quoted(store.messages)
    made = rows.execute(
        f"INSERT INTO {messages} (session_id, message_data, created_at)"  # noqa: S608  a quoted name
        f" SELECT ?, message_data, created_at FROM {messages} WHERE id = ? RETURNING id",
        [new_id, row.message_id],
    )
    (message_id,) = next(made)
    if store.has_branches:
        names = [name for name in rows.tables()[_STRUCTURE] if name not in {"id", "session_id", "message_id"}]
        columns = ", ".join(map(quoted, names))
        rows.execute(
            f"INSERT INTO {_STRUCTURE} (session_id, message_id, {columns})"  # noqa: S608  quoted names
            f" SELECT ?, ?, {columns} FROM {_STRUCTURE} WHERE id = ?",
            [new_id, message_id, row.key],
        )


def _check_calls(items: Sequence[Json], number: int) -> None:
    """Raise Conflict if one of the first items is a tool call whose output is not among them: no model takes that."""
    if not _open_calls(items[:number]):
        return
    good = [place for place in range(len(items) + 1) if not _open_calls(items[:place])]
    nearest = min(good, key=lambda place: abs(place - number))
    raise Conflict(
        f"After {_items(number)} a tool call has no output yet, which no model would take. Nothing was written. The"
        f" nearest good moment is after {_items(nearest)}."
    )


def _open_calls(items: Sequence[Json]) -> set[str]:
    calls: set[str] = set()
    outputs: set[str] = set()
    for item in map(object_of, items):
        if call := text_of(item.get("call_id")):
            (outputs if text_of(item.get("type")).endswith("_output") else calls).add(call)
    return calls - outputs


def _check_branch(staying: Sequence[Row], branch: str) -> None:
    """Raise Conflict if another branch was written after what stays: the file then says that it is the newest."""
    first: dict[int, Row] = {}
    for row in staying:
        first.setdefault(row.message_id, row)
    newest = next(reversed(first.values())).branch if first else branch
    if newest != branch:
        raise Conflict(
            f"The branch “{newest}” was written after this moment of “{branch}”. Which of them is in use only the"
            " program knows. Nothing was written. Branch off from the turn in the program itself, or fork the agent."
        )


def _check_ids(rows: Rows, table: str, going: Sequence[int]) -> None:
    """Raise Conflict if the ids of rows to go would be given to others: an undo could then not put them back."""
    if not going or not rows.gives_ids_again(table):
        return
    sql = f"SELECT max(id) FROM {quoted(table)}"  # noqa: S608  a quoted name
    newest = max(whole_of(number) for (number,) in rows.execute(sql))
    if newest in going:
        raise Conflict(
            "This table gives the ids of removed items to new ones, and the file's newest item would be among them: an"
            " undo could not put them back. Nothing was written. Fork the agent to go on from this moment."
        )


def _items(number: int) -> str:
    return "1 item" if number == 1 else f"{number} items"
