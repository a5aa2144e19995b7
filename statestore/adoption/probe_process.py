"""Inspection of an untrusted file, run as `python -m statestore.adoption.probe_process FILE`.

It has a process of its own: closing a file that was read with open() drops the locks of every SQLite connection that
the process has to it, and a hostile schema may run for ever. It prints its findings as JSON and writes nothing.
"""

import descartes_site  # noqa: F401, I001  chooses the SQLite library, so it comes first

import json
import os
import sqlite3
import stat
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from statestore.db import orchestrator_schema as schema
from statestore.adoption import long_steps, schema_detection

# As in a copy of it, a read of a file in rollback-journal mode keeps the orchestrator's save waiting.
LOOK_SECONDS = 0.2
STRUCTURE_SECONDS = 5.0
UNHURRIED_SECONDS = 900.0

MAGIC = b"SQLite format 3\0"


class Refused(Exception):
    """The file cannot be adopted; the message says why."""


def inspect(path: Path, *, stopped: bool) -> dict[str, Any]:
    """Return what the file is, or the reason why it is refused, as `probe.Look` takes it."""
    findings: dict[str, Any] = {"path": str(path), "refusal": "", "layout": "not a database"}
    try:
        in_wal = _sniff(path)
        findings["journal_mode"] = "wal" if in_wal else "delete"
        connection = _open(path, in_wal=in_wal)
        try:
            seconds = UNHURRIED_SECONDS if in_wal or stopped else LOOK_SECONDS
            _refuse_encoding(connection)
            _read(connection, findings)
            if findings["adopted"] and not stopped:
                _refuse_long_steps(connection, path, findings["unapplied"])
            findings["rows"] = _rows(connection, findings["objects"], seconds)
            _check_integrity(connection, seconds, may_skip=seconds == LOOK_SECONDS)
        finally:
            connection.close()
    except Refused as refusal:
        findings["refusal"] = str(refusal)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        findings["refusal"] = _explained(path, error)
    return findings


_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _sniff(path: Path) -> bool:
    """Return whether the header says WAL; refuse anything but a readable, regular SQLite file."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise Refused(f"The file cannot be read: {error.strerror}.") from None
    if stat.S_ISLNK(mode):
        raise Refused("It is a symbolic link. Name the file that it points to.")
    for is_kind, kind in _KINDS:
        if is_kind(mode):
            raise Refused(f"It is {kind}, not a file.")
    header = _header(path)
    if not header:
        raise Refused("It is empty: zero bytes. Let the orchestrator create its tables first.")
    if not header.startswith(MAGIC):
        raise Refused("It is not an SQLite database.")
    return header[18:20] == b"\x02\x02"


def _header(path: Path) -> bytes:
    # NONBLOCK and the second look: what was a file a moment ago may be a pipe now.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Refused(f"It cannot be read: {error.strerror}.") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused("It is not a regular file.")
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def _open(path: Path, *, in_wal: bool) -> sqlite3.Connection:
    wal = path.with_name(path.name + "-wal")
    # Without a -wal file no program has it open; opening it as immutable leaves no -wal and -shm behind.
    options = "mode=ro&immutable=1" if in_wal and not wal.exists() else "mode=ro"
    name = quote(os.fsencode(path))
    connection = sqlite3.connect(f"file:{name}?{options}", uri=True, timeout=5, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    return connection


def _limit(connection: sqlite3.Connection, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 1_000)


def _read(connection: sqlite3.Connection, findings: dict[str, object]) -> None:
    _limit(connection, STRUCTURE_SECONDS)
    objects = schema_detection.read_objects(connection)
    applied = schema_detection.applied_migrations(connection, objects)
    recognised = schema_detection.recognise(connection, objects)
    findings.update(layout=recognised.layout, adopted=bool(applied), objects=objects)
    findings["unapplied"] = [name for name in schema_detection.our_migrations() if name not in applied]
    _refuse_strangers(recognised, objects, adopted=bool(applied))
    # What adoption adds is not reported.
    findings["quirks"] = _quirks(objects) if recognised.layout == schema_detection.VERSION_5 else []


def _refuse_encoding(connection: sqlite3.Connection) -> None:
    encoding = connection.execute("PRAGMA encoding").fetchone()[0]
    if encoding != "UTF-8":
        raise Refused(
            f"Its texts are stored as {encoding}; the orchestrator and we use UTF-8. Load a dump of it into a"
            " new file: sqlite3 OLD .dump | sqlite3 NEW."
        )


def _refuse_strangers(
    recognised: schema_detection.Recognised, objects: list[schema_detection.SchemaObject], *, adopted: bool
) -> None:
    if recognised.layout == schema_detection.NOTHING:
        raise Refused("It is a database without tables. Let the orchestrator create its tables first.")
    if recognised.differences:
        raise Refused(f"It is {recognised.layout}: {'; '.join(recognised.differences)}.")
    if triggers := schema_detection.foreign_triggers(objects, adopted=adopted):
        raise Refused(
            f"It carries triggers on the orchestrator's tables: {', '.join(triggers[:8])}. They would run with every "
            "write of ours. Drop them if you do not know them."
        )
    if not adopted and (strange := [item.name for item in objects if schema_detection.is_ours(item.name)]):
        raise Refused(
            f"It is {schema_detection.UNKNOWN}: it has {', '.join(strange[:8])}, names that only this dashboard uses."
        )


def _refuse_long_steps(connection: sqlite3.Connection, path: Path, unapplied: list[str]) -> None:
    # Entries are numbered one after the other; counting them would read all.
    (entries,) = connection.execute("SELECT coalesce(max(id), 0) FROM dash_audit").fetchone()
    if reason := long_steps.refusal(path, entries, unapplied):
        raise Refused(reason)


def _rows(
    connection: sqlite3.Connection, objects: list[schema_detection.SchemaObject], seconds: float
) -> dict[str, int | None]:
    """Return the rows per table of the orchestrator's; None if counting them would make its saves wait."""
    tables = [found.name for found in objects if found.type == "table" and found.name in schema.TABLES]
    rows: dict[str, int | None] = {}
    for table in tables:
        _limit(connection, seconds / len(tables))
        try:
            # count(*) alone cannot be interrupted: it is one step of SQLite's machine.
            rows[table] = connection.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT -1)").fetchone()[0]  # noqa: S608
        except sqlite3.OperationalError:
            rows[table] = None
    return rows


def _quirks(objects: list[schema_detection.SchemaObject]) -> list[str]:
    names = {item.name for item in objects}
    expected = {name for name, (table, _) in schema.INDEXES.items() if table in names}
    missing = sorted(expected - names)
    return [f"indexes are missing, so that some pages will be slow: {', '.join(missing)}"] if missing else []


def _check_integrity(connection: sqlite3.Connection, seconds: float, *, may_skip: bool) -> None:
    """Refuse a damaged file. Where it `may_skip` a check that takes too long, the backup's copy is checked instead."""
    _limit(connection, seconds)
    try:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error) and may_skip:
            return
        raise
    if problems != ["ok"]:
        raise Refused(f"It is damaged: {problems[0]}. Restore it from a backup.")


def _explained(path: Path, error: Exception) -> str:
    journal = path.with_name(path.name + "-journal")
    text = str(error)
    if "interrupted" in text:
        return "Reading its schema took too long; it is not a file that an orchestrator made."
    if "locked" in text:
        return "Another program held its lock for 5 seconds. Try again."
    if ("unable to open" in text or "readonly" in text or "disk I/O" in text) and journal.exists():
        return f"A writer crashed and left {journal.name}. Start the orchestrator once: it recovers the file."
    if "not a database" in text:
        return "It is not an SQLite database, or an encrypted one."
    return f"It is damaged or unreadable: {text}."


def main() -> None:
    """Print the findings about the file named on the command line."""
    print(json.dumps(inspect(Path(sys.argv[1]), stopped="--stopped" in sys.argv[2:])))  # noqa: T201


if __name__ == "__main__":
    main()
