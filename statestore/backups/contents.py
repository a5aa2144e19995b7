"""What tables hold, as numbers that can be compared: how many rows, and a sum of the rows' hashes in any order."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

_HASH_BYTES: Final = 16
_MODULUS: Final = 256**_HASH_BYTES


@dataclass(frozen=True, slots=True)
class TableContents:
    """The rows of a table, and the sum of their hashes: it differs if a row is missing, changed or there twice."""

    rows: int
    digest: str

    def __add__(self, other: "TableContents") -> "TableContents":
        total = int(self.digest, 16) + int(other.digest, 16)
        return TableContents(self.rows + other.rows, f"{total % _MODULUS:032x}")


Contents = dict[str, TableContents]


def summed(rows: Iterable[bytes]) -> TableContents:
    """Return the contents of a table whose rows are given as bytes, in any order."""
    count = total = 0
    for row in rows:
        total += int.from_bytes(blake2b(row, digest_size=_HASH_BYTES).digest())
        count += 1
    return TableContents(count, f"{total % _MODULUS:032x}")


def of_sqlite(connection: sqlite3.Connection) -> Contents:
    """Return {table: contents} of an SQLite file, SQLite's own and virtual tables left out.

    The connection reads texts as bytes afterwards.
    """
    connection.text_factory = bytes
    return {
        name.decode("utf-8", "surrogateescape"): summed(_rows(connection, name)) for name in _table_names(connection)
    }


def _table_names(connection: sqlite3.Connection) -> list[bytes]:
    rows = connection.execute(
        "SELECT CAST(name AS BLOB) FROM sqlite_master WHERE type = 'table'"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    return [name for (name,) in rows]


def _rows(connection: sqlite3.Connection, table: bytes) -> Iterator[bytes]:
    quoted = table.decode("utf-8", "surrogateescape").replace('"', '""')
    # In the order of the table: an index would have to be read beside it.
    for row in connection.execute(f'SELECT * FROM "{quoted}" NOT INDEXED'):  # noqa: S608
        yield repr(row).encode()


def differences(expected: Contents, found: Contents) -> list[str]:
    """Return in sentences how the contents of tables differ."""
    faults = [f"The table {name} is missing." for name in expected.keys() - found.keys()]
    faults += [f"The table {name} was not there." for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        before, now = expected[name], found[name]
        if before.rows != now.rows:
            faults.append(f"The table {name} has {now.rows:,} rows instead of {before.rows:,}.")
        elif before != now:
            faults.append(f"The table {name} has other values in its {now.rows:,} rows.")
    return sorted(faults)
