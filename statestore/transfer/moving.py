"""Copying a store into an empty database, table by table and in chunks, and comparing both.

Each chunk is one transaction. A transfer that was stopped is begun again: it passes over the rows that are there as
they should be, changes those that the source has changed meanwhile, and deletes those that it no longer has.
"""

# ruff: noqa: S608  (names that are put into SQL here are those of our own tables and columns)

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connections, transaction
from django.db.utils import DatabaseError as DjangoDatabaseError

from statestore.adoption import ownership
from statestore.backups.contents import Contents, TableContents, differences, summed
from statestore.db import bulk
from statestore.db.batching import batched
from statestore.errors import DatabaseError
from statestore.transfer import places
from statestore.transfer.tables import Row, Table, of_store, others

_CHUNK_ROWS: Final = 5_000
_CHUNK_BYTES: Final = 8_000_000
# Of states of megabytes, no more are held at once.
_READ_ROWS: Final = 20
# A statement of SQLite's takes so many parameters at least.
_KEYS_AT_ONCE: Final = 900

# Called with the name of a table and how many of its rows were read so far.
Progress = Callable[[str, int], object]


@dataclass(slots=True)
class Transfer:
    """What was copied, by table, and how many blobs are texts now, which PostgreSQL keeps in their columns alone.

    `left_out` names tables that are not of a store, such as those that an orchestrator keeps for itself.
    """

    contents: Contents = field(default_factory=dict)
    converted: int = 0
    left_out: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were copied."""
        return sum(table.rows for table in self.contents.values())


def transfer(
    source: str, target: str, *, is_stopped: bool = False, progress: Progress = lambda table, rows: None
) -> Transfer:
    """Copy the store at one place to another, compare both, and return what was copied.

    A place is a URL, or the name of one of several stores. The source may be in use; it is read as it is at one moment.
    The target is empty, or one that an earlier transfer from the same source did not end. Raises Conflict if it is
    neither, and DatabaseError; what was copied by then stays, and the next transfer goes on from it. `is_stopped`: no
    other program saves into the source, so it may be read for longer than a save would wait.
    """
    done = Transfer()
    places.check(source, target)
    with places.read(source, is_stopped=is_stopped) as origin, places.filled(target, source) as copy:
        pairs = [(Table(model, origin), Table(model, copy)) for model in of_store()]
        for there, here in pairs:
            done.contents[there.name] = _copied(there, here, progress)
            done.converted += there.converted
        bulk.count_on(copy, [(here.name, column) for _, here in pairs for column in here.counted_columns])
        written = {here.name: summed(map(_packed, _rows(here))) for _, here in pairs}
        if faults := differences(done.contents, written):
            raise DatabaseError(f"The copy differs: {' '.join(faults)} Start the transfer again; it compares all rows.")
        done.left_out = sorted(others(ownership.tables(connections[origin])))
    return done


def _copied(there: Table, here: Table, progress: Progress) -> TableContents:
    """Copy a table, and return its contents."""
    count = 0

    def kept() -> Iterator[bytes]:
        nonlocal count
        for chunk in _chunks(_rows(there)):
            _write(here, chunk)
            count += len(chunk)
            progress(here.name, count)
            yield from map(_packed, chunk)

    contents = summed(kept())
    if contents.rows != _count(here):
        _delete_others(there, here)
    return contents


def _packed(row: Row) -> bytes:
    return repr(row).encode()


def _rows(table: Table) -> Iterator[Row]:
    """Yield the rows of a table. Raises DatabaseError that names a row which PostgreSQL cannot hold."""
    with transaction.atomic(using=table.using), connections[table.using].chunked_cursor() as cursor:
        cursor.execute(table.select())
        while rows := cursor.fetchmany(_READ_ROWS):
            for row in rows:
                try:
                    yield table.read(row)
                except DatabaseError as error:
                    raise DatabaseError(f"{table.name}, row {row[table.key]}: {error}") from None


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    chunk, size = list[Row](), 0
    for row in rows:
        chunk.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(chunk) >= _CHUNK_ROWS or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _write(table: Table, chunk: Sequence[Row]) -> None:
    """Bring the rows of a chunk into a table, as one transaction."""
    try:
        with transaction.atomic(using=table.using):
            present = {row[table.key]: row for row in _present(table, [row[table.key] for row in chunk])}
            new = [table.stored(row) for row in chunk if row[table.key] not in present]
            changed = [table.stored(row) for row in chunk if present.get(row[table.key], row) != row]
            bulk.insert(table.using, table.name, table.columns, new)
            bulk.upsert(table.using, table.name, table.columns, changed, key=table.key_column)
    except DjangoDatabaseError as error:
        raise DatabaseError(f"{table.name}: {str(error).splitlines()[0]}") from error


def _present(table: Table, keys: Sequence[Any]) -> Iterator[Row]:
    for some in batched(keys, _KEYS_AT_ONCE):
        with connections[table.using].cursor() as cursor:
            cursor.execute(table.select(f" WHERE {_among(table, some)}"), some)
            yield from map(table.read, cursor.fetchall())


def _among(table: Table, keys: Sequence[object]) -> str:
    return f'"{table.key_column}" IN ({", ".join(["%s"] * len(keys))})'


def _count(table: Table) -> int:
    with connections[table.using].cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{table.name}"')
        return int(cursor.fetchone()[0])


def _delete_others(there: Table, here: Table) -> None:
    """Delete the rows of the copy that the source does not have: it lost them while the transfer was stopped."""
    keys = f'SELECT "{here.key_column}" FROM "{here.name}"'
    with connections[there.using].cursor() as source, connections[here.using].cursor() as copy:
        copy.execute(keys)
        for some in batched([key for (key,) in copy.fetchall()], _KEYS_AT_ONCE):
            source.execute(f"{keys} WHERE {_among(there, some)}", some)
            gone = list(set(some) - {key for (key,) in source.fetchall()})
            if gone:
                copy.execute(f'DELETE FROM "{here.name}" WHERE {_among(here, gone)}', gone)
