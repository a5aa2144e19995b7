"""CrewAI's checkpoints as JSON files, `<branch>/<id>_p-<parent>.json`, or one of them alone.

They are what the table of its SQLite provider holds, and are read as such.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import PurePath
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json, dump
from statestore.sources.contract import Document, History, Value
from statestore.sources.dialects import SQLiteDialect
from statestore.sources.readers.columns import object_of, text_of
from statestore.sources.readers.crewai import CrewAICheckpointsReader

_MEMBERS: Final = {"crewai_version", "entities", "event_record"}
_NAME: Final = re.compile(r"(?P<id>.+?)_p-(?P<parent>.*)", re.DOTALL)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


class CrewAIFilesReader:
    """Reads checkpoints in JSON files; a thread is a crew."""

    name: ClassVar[str] = "CrewAI checkpoint files"
    _reader: Final = CrewAICheckpointsReader()

    def recognises(self, document: Document) -> bool:
        """Return whether one of the files has the members of a checkpoint."""
        return any(object_of(page.value).keys() >= _MEMBERS for page in document.pages)

    def count(self, document: Document) -> Mapping[str, int]:
        """Return how many threads and checkpoints there are."""
        with _table(document) as rows:
            return self._reader.count(rows)

    def positions(self, document: Document) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the crew that changed last first."""
        with _table(document) as rows:
            yield from self._reader.positions(rows)

    def read(self, document: Document, thread_id: str, after: str = "") -> History:
        """Return a crew with one step for each checkpoint."""
        with _table(document) as rows:
            history = self._reader.read(rows, thread_id, after)
            # The steps are read from the table, which goes.
            return History(
                history.thread, list(history.steps), list(history.events), list(history.tasks), history.marks
            )


class _Rows(SQLiteDialect):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Iterable[Value] = (), /) -> Iterator[tuple[Value, ...]]:
        return self._connection.execute(sql, tuple(values))


@contextmanager
def _table(document: Document) -> Iterator[_Rows]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE TABLE checkpoints (id TEXT, created_at TEXT, parent_id TEXT, branch TEXT, data TEXT)"
        )
        connection.executemany("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?)", sorted(_checkpoints(document)))
        yield _Rows(connection)


def _checkpoints(document: Document) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield the rows; the ids begin with their times."""
    for page in document.pages:
        data = object_of(page.value)
        if data.keys() >= _MEMBERS:
            path = PurePath(page.name or document.name)
            named = _NAME.fullmatch(path.stem)
            own_id = named["id"] if named else path.stem
            parent = text_of(data.get("parent_id")) or (named["parent"] if named else "")
            branch = text_of(data.get("branch")) or path.parent.name
            row = (own_id, own_id.partition("_")[0], "" if parent == "none" else parent, branch, _text(page.value))
            yield tuple(_SURROGATES.sub("\ufffd", value) for value in row)  # type: ignore[misc]


def _text(value: Json) -> str:
    return dump(value, indent=None)
