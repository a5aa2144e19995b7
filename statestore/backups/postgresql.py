"""Dumps of a PostgreSQL database by pg_dump, and what they hold.

The tables are read in the snapshot that pg_dump reads, so that a dump can be compared with what was there.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from django.db import connections
from django.db.backends.utils import CursorWrapper

from statestore import partitions
from statestore.backups.contents import Contents, TableContents, summed
from statestore.db import vendor
from statestore.errors import DatabaseError

_DEBIAN: Final = Path("/usr/lib/postgresql")
_TLS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_COPY: Final = re.compile(rb'COPY (?:"(?:[^"]|"")*"|[^".]+)\.("(?:[^"]|"")*"|[^".]+?) \(.*\) FROM stdin;\n')
_TABLES: Final = """
    SELECT n.nspname, c.relname,
           (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute AS a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
"""


def dump(alias: str, target: Path) -> Contents:
    """Write a database into a file of pg_dump's own format, and return what its tables held in the same snapshot."""
    connection = connections[alias]
    connection.ensure_connection()
    schema = _schema(alias)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
            arguments = ["--format=custom", "--no-owner", "--no-acl", f"--snapshot={snapshot}", f"--file={target}"]
            _run(alias, "pg_dump", *arguments, *([] if schema is None else [f"--schema={schema}"]))
            return _contents(cursor, schema)
        finally:
            cursor.execute("ROLLBACK")


def _schema(alias: str) -> str | None:
    """Return the schema that the URL of a database names, None if it has the database for itself."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (schema,) = cursor.fetchone()
    return None if schema in {None, "public"} else str(schema)


def _contents(cursor: CursorWrapper, schema: str | None) -> Contents:
    # As pg_dump has it, so that values are the same texts.
    cursor.execute("SET LOCAL timezone TO 'UTC'; SET LOCAL datestyle TO 'ISO'; SET LOCAL intervalstyle TO 'postgres'")
    cursor.execute("SET LOCAL extra_float_digits TO 3; SET LOCAL bytea_output TO 'hex'")
    cursor.execute(_TABLES)
    tables = [row for row in cursor.fetchall() if schema is None or row[0] == schema]
    return _joined((name, _copied(cursor, space, name, columns)) for space, name, columns in tables)


def _joined(tables: Iterable[tuple[str, TableContents]]) -> Contents:
    """Return {table: contents}; the partitions of one are counted as one table, as it is where it has none."""
    found: Contents = {}
    for name, contents in tables:
        table = partitions.table_of(name) or name
        found[table] = found[table] + contents if table in found else contents
    return found


def _copied(cursor: CursorWrapper, schema: str, table: str, columns: str) -> TableContents:
    quoted = ".".join('"{}"'.format(name.replace('"', '""')) for name in (schema, table))
    with cursor.cursor.copy(f"COPY {quoted} ({columns}) TO STDOUT") as rows:
        return summed(bytes(row) for row in rows)


def contents_of(archive: Path, alias: str) -> Contents:
    """Return what the tables of a dump hold, read to its end. Raises DatabaseError if it is damaged."""
    with tempfile.TemporaryFile() as complaints:
        command = [_program("pg_restore"), "--file=-", os.fspath(archive)]
        with subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=complaints, env=_environment(alias)
        ) as process:
            assert process.stdout is not None
            found = _joined(_read_script(process.stdout))
            status = process.wait()
        if status:
            complaints.seek(0)
            raise DatabaseError(f"pg_restore cannot read it: {_last_line(complaints.read())}")
    return found


def _read_script(script: IO[bytes]) -> Iterator[tuple[str, TableContents]]:
    """Yield the tables of a script of pg_restore's, each with the rows that it copies."""
    for line in script:
        if match := _COPY.fullmatch(line):
            name = match[1].decode()
            plain = name[1:-1].replace('""', '"') if name.startswith('"') else name
            yield plain, summed(iter(lambda: _row(script), b"\\.\n"))


def _row(script: IO[bytes]) -> bytes:
    # The end of a damaged script ends the table too.
    return script.readline() or b"\\.\n"


def restore(archive: Path, alias: str) -> None:
    """Write a dump into the empty database of an alias, all of it or nothing. Raises DatabaseError."""
    settings = connections[alias].settings_dict
    _run(
        alias, "pg_restore", "--no-owner", "--no-acl", "--exit-on-error", "--single-transaction",
        f"--dbname={settings['NAME']}", os.fspath(archive),
    )  # fmt: skip


def contents_of_database(alias: str) -> Contents:
    """Return what the tables of a database hold."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return _contents(cursor, _schema(alias))
        finally:
            cursor.execute("ROLLBACK")


def command(name: str, *arguments: str) -> list[str]:
    """Return the words that run one of PostgreSQL's programs. Raises DatabaseError if it is not installed."""
    return [_program(name), *arguments]


def _run(alias: str, name: str, *arguments: str) -> None:
    if not vendor.keeps_sessions(connections[alias]):
        raise DatabaseError(
            f"{name} works through no pooler in transaction mode: it would leave its settings to other clients. Nothing"
            " was changed. Let the URL name the server itself for it, without pooler=transaction."
        )
    with _reported(name):
        subprocess.run(  # noqa: S603
            [_program(name), "--no-password", *arguments], env=_environment(alias), check=True, capture_output=True
        )


@contextmanager
def _reported(name: str) -> Iterator[None]:
    try:
        yield
    except subprocess.CalledProcessError as error:
        raise DatabaseError(f"{name} failed: {_last_line(error.stderr)}. Nothing was changed.") from error


def _last_line(complaints: bytes) -> str:
    lines = complaints.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it did not say why"


def _program(name: str) -> str:
    """Return the path of a program of PostgreSQL's. Raises DatabaseError if it is not installed."""
    versions = sorted(
        _DEBIAN.glob("*/bin"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.parts[-2])]
    )
    # The newest reads and writes the databases of all servers up to its own version.
    path = shutil.which(name, path=str(versions[-1])) if versions else None
    path = path or shutil.which(name)
    if path is None:
        raise DatabaseError(
            f"{name} is not installed. On Debian: apt-get install postgresql-client. Nothing was changed."
        )
    return path


def _environment(alias: str) -> dict[str, str]:
    """Return the variables by which PostgreSQL's programs find a database; no password stands in a command line."""
    settings = connections[alias].settings_dict
    options = settings.get("OPTIONS", {})
    named = {
        "PGHOST": settings["HOST"], "PGPORT": settings["PORT"], "PGUSER": settings["USER"],
        "PGPASSWORD": settings["PASSWORD"], "PGDATABASE": settings["NAME"], "PGTZ": "UTC",
        **{f"PG{key.upper()}": options[key] for key in _TLS if key in options},
    }  # fmt: skip
    return {**os.environ, **{key: str(value) for key, value in named.items() if value}}
