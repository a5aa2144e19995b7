"""Single rows of a backup: read from the copy itself, of either database, without putting it back."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from statestore.backups import postgresql
from statestore.backups.directory import Backup
from statestore.backups.manifest import BackupFile
from statestore.backups.verification import unpacked
from statestore.db import vendor
from statestore.db.fields import StoredBlob
from statestore.errors import DatabaseError

Row = dict[str, Any]
# PostgreSQL's text format of COPY.
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def rows_of(backup: Backup, table: str, key: str, wanted: Collection[str]) -> list[Row]:
    """Return the rows of a table of the store whose key is wanted, as {column: value}. Raises DatabaseError."""
    file = backup.manifest.file_of("store")
    if file is None:
        raise DatabaseError(f"{backup.path} has no copy of the store.")
    try:
        with unpacked(backup, file) as path:
            return list(
                _of_sqlite(path, table, key, wanted)
                if file.kind == "sqlite"
                else _of_dump(path, file, table, key, wanted)
            )
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"{file.name} cannot be read: {error}.") from error


def _of_sqlite(path: Path, table: str, key: str, wanted: Collection[str]) -> Iterator[Row]:
    name = quote(os.fsencode(path))
    with closing(sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)) as connection:
        connection.text_factory = vendor.decoded
        connection.row_factory = sqlite3.Row
        for value in wanted:
            for row in connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (value,)):  # noqa: S608
                yield {column: _as_read(row[column]) for column in row.keys()}  # noqa: SIM118


def _as_read(value: object) -> object:
    return StoredBlob(value) if isinstance(value, bytes) else value


def _of_dump(path: Path, file: BackupFile, table: str, key: str, wanted: Collection[str]) -> Iterator[Row]:
    found = file.contents.get(table)
    command = postgresql.command("pg_restore", "--data-only", f"--table={table}", "--file=-", os.fspath(path))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        assert process.stdout is not None
        columns: list[str] | None = None
        for raw in process.stdout:
            line = raw.decode("utf-8", "surrogateescape").rstrip("\n")
            if columns is None:
                match = re.fullmatch(r"COPY \S+ \((.*)\) FROM stdin;", line)
                columns = [name.strip('"') for name in match[1].split(", ")] if match else None
            elif line == "\\.":
                break
            elif (row := dict(zip(columns, map(_value, line.split("\t")), strict=True)))[key] in wanted:
                yield row
    if found is None:
        raise DatabaseError(f"The table {table} is not in the backup.")


def _value(text: str) -> str | None:
    return None if text == "\\N" else _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), text)
