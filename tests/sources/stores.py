"""The stores of other frameworks, as their real packages wrote them: opened, copied, and damaged."""

import descartes_site  # noqa: F401, I001  chooses the SQLite library, so it comes first

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from statestore.jsondiff.parsing import dump
from statestore.sources.contract import History, Reader, Rows, Value
from statestore.sources.dialects import SQLiteDialect

FILES = Path(__file__).with_name("files")
DEEP = "[" * 100_000
# Whatever its type, no column must be trusted to hold it.
STRANGE: tuple[Value, ...] = (
    None, 0, -1, 2**63 - 1, 1.5, math.inf, "", " ", "null", "0", "NaN", "{", "[]", '"\\ud800"', "1e400", "9" * 5_000,
    DEEP, '{"a": NaN}', '{"a": 1, "a": 2}', '{"content": 7, "actions": [], "parts": {}, "role": 1}', '[{"type": []}]',
    b"", b"{}", b"\xff\x00", "2026-13-45", "0001-01-01T00:00:00+14:00",
)  # fmt: skip


class Database(SQLiteDialect):
    """An SQLite file as a reader sees it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def execute(self, sql: str, values: Iterable[Value] = (), /) -> Iterator[tuple[Value, ...]]:
        return self.connection.execute(sql, tuple(values))


@contextmanager
def opened(name: str) -> Iterator[Database]:
    with closing(sqlite3.connect(f"file:{FILES / name}?mode=ro&immutable=1", uri=True)) as connection:
        yield Database(connection)


@contextmanager
def empty() -> Iterator[Database]:
    """Give a database in memory, which may be written."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield Database(connection)


@contextmanager
def copied(name: str) -> Iterator[Database]:
    """Give a copy of a file, which may be written."""
    with opened(name) as source, empty() as copy:
        source.connection.backup(copy.connection)
        yield copy


def everything(reader: Reader, rows: Rows) -> list[History]:
    """Read all there is, and check that each part of it is what the contract says."""
    reader.count(rows)
    histories = []
    for thread_id, position in reader.positions(rows):
        assert position
        histories.append(whole(reader.read(rows, thread_id)))
    return histories


def whole(history: History) -> History:
    """Return a history whose parts are lists, each of its values checked."""
    one = History(history.thread, list(history.steps), list(history.events), list(history.tasks), history.marks)
    dump([one.thread.state, dict(one.thread.metadata)])
    assert all(map(math.isfinite, (one.thread.created_at, one.thread.updated_at)))
    for step in one.steps:
        dump([step.before, step.after, dict(step.metadata)])
        assert math.isfinite(step.at)
        assert isinstance(step.key, str)
        assert isinstance(step.reason, str)
    for event in one.events:
        dump(dict(event.metadata))
        assert math.isfinite(event.at)
        assert event.actor in ("User", "Agent", "Tool", "System")
        assert isinstance(event.content, str)
    return one


def steps_after(reader: Reader, rows: Rows, thread_id: str) -> bool:
    """Return whether reading after each step gives exactly the later ones, with nothing but later events missing."""
    all_of_it = whole(reader.read(rows, thread_id))
    steps, events = list(all_of_it.steps), list(all_of_it.events)
    for place, step in enumerate(steps, 1):
        later = whole(reader.read(rows, thread_id, step.key))
        known = len(events) - len(list(later.events))
        if later.steps != steps[place:] or later.events != events[known:] or later.thread != all_of_it.thread:
            return False
    return bool(steps)


def survives(reader: Reader, name: str, *, damages: int = 200) -> bool:
    """Damage a value of a file at a time, and read it all: there is a history, or an error of SQLite's."""
    random = Random(name)
    with copied(name) as rows:
        places = _places(rows)
        for _ in range(damages):
            rows.execute("BEGIN")
            for table, column in random.sample(places, random.randint(1, 3)):
                _damage(rows, table, column, random)
            _read_or_refuse(reader, rows)
            rows.execute("ROLLBACK")
    return True


def _read_or_refuse(reader: Reader, rows: Rows) -> None:
    try:
        everything(reader, rows)
    except sqlite3.Error:
        return


def _places(rows: Rows) -> list[tuple[str, str]]:
    return [
        (table, column)
        for table, columns in rows.tables().items()
        for column in columns
        if not table.startswith("sqlite_")
    ]


def _damage(rows: Rows, table: str, column: str, random: Random) -> None:
    found = list(rows.execute(f"SELECT rowid, {column} FROM {table} ORDER BY rowid"))
    if not found:
        return
    row, value = random.choice(found)
    ways: list[Callable[[Value, Random], Value]] = [_strange, _flipped, _cut]
    try:
        rows.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (random.choice(ways)(value, random), row))
    except sqlite3.IntegrityError:
        # The table refuses it, as it would refuse it from its own program.
        return


def _strange(_: Value, random: Random) -> Value:
    return random.choice(STRANGE)


def _flipped(value: Value, random: Random) -> Value:
    """Return a value with one of its characters, or of its bytes, another one."""
    if not isinstance(value, str | bytes) or not value:
        return random.randint(-(2**40), 2**40)
    place = random.randrange(len(value))
    if isinstance(value, bytes):
        return value[:place] + bytes([random.randrange(256)]) + value[place + 1 :]
    return value[:place] + random.choice('{}[]",:0\x00é ') + value[place + 1 :]


def _cut(value: Value, random: Random) -> Value:
    return value[: random.randrange(len(value) + 1)] if isinstance(value, str | bytes) else None
