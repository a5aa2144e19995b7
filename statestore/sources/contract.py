"""What a reader of a framework's store gives: threads with their steps and events, in the framework's own order.

A reader never imports its framework, unpickles nothing and makes no object of a class that the data names: such values
become plain data that says what they were (opaque, typed).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from statestore.jsondiff.parsing import Json

# A table's columns and their declared types, in capitals.
Shape = Mapping[str, str]
# A value that a driver binds or gives.
Value = str | bytes | int | float | None


class Rows(Protocol):
    """A database that is read: `execute` gives rows as tuples; `?` stands for a value, outside of quotes."""

    # SQL that orders the rows of one time as they were inserted.
    @property
    def order(self) -> str: ...

    # SQL of what differs once a row was added to a group of rows.
    @property
    def newest(self) -> str: ...

    def size(self, column: str) -> str:
        """Return SQL of a value's size, told without reading the value."""
        ...

    def execute(self, sql: str, values: Iterable[Value] = (), /) -> Iterator[tuple[Value, ...]]:
        """Run a SELECT, and return its rows. JSON and times come as texts, whichever the database."""
        ...

    def tables(self) -> Mapping[str, Shape]:
        """Return the columns of each table."""
        ...

    def references(self, table: str) -> list[str]:
        """Return the tables that a table's foreign keys name."""
        ...

    def gives_ids_again(self, table: str) -> bool:
        """Return whether a new row of a table may have the number of one that was deleted."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was said or done in a thread. `actor` is User, Agent, Tool or System.

    `session` is the key of one of the thread's sessions; "" is that of the thread itself. Without an `actor_id` it was
    the user, or the agent of the thread.
    """

    key: str
    at: float
    actor: str
    kind: str
    content: str
    metadata: Mapping[str, Json] = field(default_factory=dict)
    session: str = ""
    actor_id: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state that the framework itself keeps, besides its steps."""

    key: str
    at: float
    state: Json
    description: str


@dataclass(frozen=True, slots=True)
class Session:
    """A stretch of a thread's work, where the framework tells them apart."""

    key: str
    status: str
    started_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a thread's state. `before` is the state that it came from, not always that of the step before it.

    Where it is another one, the thread went back first, and `back` says so: "back to step 3".
    """

    key: str
    at: float
    before: Json
    after: Json
    reason: str
    metadata: Mapping[str, Json] = field(default_factory=dict)
    back: str = ""
    # The step after which the state was `before`, by its key, where the framework says which.
    parent: str = ""
    # What was said or done in the step; what belongs to no step is among the events of the history.
    events: Iterable[Event] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work that the framework keeps with a thread."""

    key: str
    title: str
    description: str
    # One of the orchestrator's words: Todo, InProgress, Done, Blocked.
    status: str

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.status == "Done"


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread as it is now: what the dashboard shows as an agent. `status` is one of the orchestrator's words."""

    id: str
    name: str
    status: str
    state: Json
    created_at: float
    updated_at: float
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """A thread with what happened in it, oldest first."""

    thread: Thread
    steps: Iterable[Step]
    events: Iterable[Event] = ()
    tasks: Iterable[Task] = ()
    # The steps that are worth coming back to, by key, and why: {"3": "interrupted"}. Known steps may be among them.
    marks: Mapping[str, str] = field(default_factory=dict)
    snapshots: Iterable[Snapshot] = ()
    sessions: Iterable[Session] = ()


class Reader(Protocol):
    """How one framework's store is read. A reader has no state."""

    # What the store is called on pages, for example "LangGraph checkpoints". A reader of PostgreSQL also says which
    # `databases` it reads, by name; one that says nothing reads SQLite.
    name: ClassVar[str]

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether the tables are this framework's, judged by their columns: a name alone proves nothing."""
        ...

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return how many there are of what the store holds, for example {"threads": 3, "checkpoints": 20}."""
        ...

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the thread that changed last first; a position differs once a thread does."""
        ...

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a thread, with the steps and events after the one whose key is `after`; "" for all of them.

        The events of earlier steps may be among them: their keys say that they are known. Raises LookupError if the
        thread is there no more.
        """
        ...


@runtime_checkable
class FindsLate(Protocol):
    """A reader of a store in which a step may be written late, below the newest one that was read."""

    def late(
        self, rows: Rows, thread_id: str, after: str, position: str, is_known: Callable[[str], bool]
    ) -> Iterable[tuple[Json, Step]]:
        """Yield (the state before it in order, step) for each that is not known, is not after the one whose key is
        `after`, and was written since the thread had a position.
        """
        ...


@runtime_checkable
class FindsLateEvents(Protocol):
    """A reader of logs, in which an event may be written late, below the newest one that was read."""

    def late_events(
        self, rows: Rows, thread_id: str, after: str, position: str, is_known: Callable[[str], bool]
    ) -> Iterable[Event]:
        """Yield the events that are not known and stand before the step whose key is `after`.

        Only as many as were written since the thread had a position: others were deleted here.
        """
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """One value of a document: a line of JSONL, or a JSON file; `name` is its path within a folder."""

    value: Json
    name: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON file, a file of JSON lines, or a folder of JSON files: its values, in order; damaged ones are opaque."""

    name: str
    pages: Sequence[Page]
    # When it was written last, for values without a time.
    at: float


class DocumentReader(Protocol):
    """How one kind of JSON document is read: as a Reader reads tables. What it returns is judged the same."""

    name: ClassVar[str]

    def recognises(self, document: Document) -> bool:
        """Return whether the values are of this kind, judged by their members."""
        ...

    def count(self, document: Document) -> Mapping[str, int]:
        """Return how many there are of what the document holds."""
        ...

    def positions(self, document: Document) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the thread that changed last first."""
        ...

    def read(self, document: Document, thread_id: str, after: str = "") -> History:
        """Return a thread, with the steps after the one whose key is `after`. Raises LookupError if it is gone."""
        ...


def opaque(kind: str, data: bytes) -> Json:
    """Return what is shown of data that cannot be read, or must not be: its kind, size and hash."""
    return {"$opaque": kind, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
