"""What a verb costs without us: the same statements, by bare sqlite3, on the same file.

The statements of one call are recorded, with its commits, and run again with fresh ids. So both sides of a ratio do the
same work in the database, also after the verb has changed.
"""

import re
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.db import connections

_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COMMIT = "COMMIT"
TURN = 20
Statement = tuple[str, tuple[Any, ...]]


@dataclass(slots=True)
class Recording:
    """The statements of a call, in order."""

    statements: list[Statement] = field(default_factory=list)

    def note(self, execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: Any) -> Any:
        """Note a statement; several rows of one are several statements."""
        for row in parameters if many else [parameters]:
            self.statements.append((sql.replace("%s", "?").replace("%%", "%"), tuple(row or ())))
        return execute(sql, parameters, many, context)

    def made_ids(self) -> set[str]:
        """Return the ids that the call made: those that were inserted and not looked up before."""
        looked_up, made = set[str](), set[str]()
        for sql, parameters in self.statements:
            ids = {value for value in parameters if isinstance(value, str) and _UUID.fullmatch(value)}
            if sql.startswith("INSERT"):
                made |= ids - looked_up
            else:
                looked_up |= ids
        return made

    def again(self) -> list[Statement]:
        """Return the statements for another call, with other ids."""
        fresh: dict[object, object] = {row_id: str(uuid.uuid4()) for row_id in self.made_ids()}
        return [(sql, tuple(fresh.get(value, value) for value in parameters)) for sql, parameters in self.statements]


def record(work: Callable[[], object]) -> Recording:
    """Run a work once, and return its statements on the store."""
    recording, connection = Recording(), connections["store"]
    commit = connection._commit

    def committing() -> None:
        recording.statements.append((_COMMIT, ()))
        commit()

    with connection.execute_wrapper(recording.note), patch.object(connection, "_commit", committing):
        work()
    return recording


def connect(home: Path) -> sqlite3.Connection:
    """Return a connection of bare sqlite3 to the store, as safe as ours."""
    connection = sqlite3.connect(home / "store.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def run(connection: sqlite3.Connection, recording: Recording) -> float:
    """Run the statements once more, and return for how many milliseconds."""
    statements = recording.again()
    start = time.perf_counter()
    for sql, parameters in statements:
        connection.execute(sql, parameters).fetchall()
    return (time.perf_counter() - start) * 1000


def beside(home: Path, work: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of a work, and those of its statements by bare sqlite3, each in order.

    In turns, since a machine is not equally fast from one second to the next; but several rounds at a time, since
    each connection reads anew what the other one wrote.
    """
    connection, recording = connect(home), record(work)
    ours, bare = list[float](), list[float]()
    for _ in range(rounds // TURN):
        for _ in range(TURN):
            start = time.perf_counter()
            work()
            ours.append((time.perf_counter() - start) * 1000)
        bare += [run(connection, recording) for _ in range(TURN)]
    connection.close()
    return sorted(ours), sorted(bare)
