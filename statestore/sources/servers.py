"""Databases of other frameworks on PostgreSQL servers, read so that no program there waits for it.

Each query is a read-only transaction of its own: what it locks is free again when its rows are here, and no snapshot
keeps the server from cleaning up or from building an index meanwhile.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from statestore.errors import Busy, DatabaseError, TooSlow, Unavailable, ValidationError
from statestore.sources import secrets
from statestore.sources.contract import Reader, Rows, Shape, Value
from statestore.sources.dialects import PostgreSQLDialect, with_marks_of_psycopg
from statestore.sources.readers import known_readers

if TYPE_CHECKING:
    from psycopg import Connection, Error

SCHEMES: Final = ("postgresql://", "postgres://")
_SECRET: Final[tuple[str, ...]] = ("password", "sslpassword")
_IN_FRONT: Final = ("user", "host", "port", "dbname")
_CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 20
_LOCK_SECONDS: Final = 2
# How long a restore tries to have the tables for itself, and how long it waits between two tries.
_BUSY_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.05
_NAMED_TABLES: Final = 8
# What comes as a text: JSON with all its digits, and times as ISO says.
_AS_TEXT: Final = (
    "json", "jsonb", "timestamp", "timestamptz", "date", "time", "timetz", "interval", "numeric", "uuid",
)  # fmt: skip
# Two queries with the same snapshot see the same rows: that is what a snapshot is. Those of a standby leave out which
# transactions are under way, so what it has replayed stands beside them; after a restart it is another server's.
_STAMP: Final = (
    "SELECT pg_current_snapshot()::text, pg_postmaster_start_time()::text,"
    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END"
)
_SCHEMAS: Final = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
_ORCHESTRATORS: Final = {"agent_states", "state_transitions"}


class ServerRows(PostgreSQLDialect):
    """A database on a server, as readers take it: JSON and times come as texts."""

    def __init__(self, connection: "Connection[tuple[Any, ...]]") -> None:
        self._connection = connection

    def execute(self, sql: str, values: Iterable[Value] = (), /) -> Iterator[tuple[Value, ...]]:
        """Run a statement, and return its rows, all of which are here then.

        A text that PostgreSQL cannot hold finds nothing.
        """
        bound = list(values)
        if any(isinstance(value, str) and not _is_storable(value) for value in bound):
            return iter(())
        # The statements are the readers' own; what is named in them is quoted.
        cursor = self._connection.execute(with_marks_of_psycopg(sql), bound)
        return map(_plain, cursor.fetchall()) if cursor.description else iter(())


def is_address(location: str) -> bool:
    """Return whether a source is named by the URL of a database, and not by a file."""
    return location.startswith(SCHEMES)


def keep_secrets_of(url: str) -> str:
    """Return the address of a database, which is its URL without secrets; they are kept apart.

    Raises ValidationError, which names nothing of it, for a URL that cannot be read.
    """
    parameters = parameters_of(url)
    hidden = {name: parameters.pop(name) for name in _SECRET if name in parameters}
    address = _address(parameters)
    if hidden or "@" not in url:
        secrets.keep(address, hidden)
    return address


def short_name(address: str) -> str:
    """Return the name of the database of an address."""
    parts = urlsplit(address)
    return unquote(parts.path[1:]) or parse_qs(parts.query).get("service", ["postgresql"])[0]


@contextmanager
def opened(address: str) -> Iterator[ServerRows]:
    """Connect to a database for reading. Raises an error, in words, for what fails."""
    with _translated(address):
        connection = _connection(address)
        try:
            yield ServerRows(connection)
        finally:
            _leave(address, connection)


@contextmanager
def writing(address: str, tables: Sequence[str]) -> Iterator[ServerRows]:
    """Give a database in one transaction, in which nobody else writes to some tables: all is written, or nothing.

    They are locked all at once or not at all, so that no two programs wait for each other.
    """
    with _translated(address, "Nothing was changed.", "written"):
        connection = _connected(address)
        try:
            connection.execute("SET default_transaction_read_only = off")
            _begin(connection, tables)
            yield ServerRows(connection)
            connection.execute("COMMIT")
        finally:
            # What was not committed goes with the connection.
            connection.close()


def stamp(address: str) -> str:
    """Return what tells whether anything in the database may have changed; "" if that is not known."""
    try:
        with opened(address) as rows:
            return " ".join(str(value) for value in next(rows.execute(_STAMP)))
    except (DatabaseError, ValidationError, Busy, TooSlow):
        return ""


def readers_of(rows: Rows, address: str) -> Mapping[str, Reader]:
    """Return the readers that know the tables of a database, by their keys. Raises ValidationError if none does."""
    tables = rows.tables()
    found = _recognised(tables)
    if not found:
        raise ValidationError(f"The database {short_name(address)} {_what_it_is(rows, tables)} It was not changed.")
    return found


@contextmanager
def kept_connections() -> Iterator[None]:
    """Keep the connections that are made in the block, one for each database, until its end.

    A look at each second would otherwise cost a server a process and a sign-in each.
    """
    kept: dict[str, Connection[tuple[Any, ...]]] = {}
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)
        for connection in kept.values():
            connection.close()


_kept: ContextVar["dict[str, Connection[tuple[Any, ...]]] | None"] = ContextVar("kept", default=None)


# Addresses


def _check_driver() -> None:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ValidationError(
            "A database on PostgreSQL needs the driver psycopg. Install descartes-statestore[postgres]."
        ) from error


def parameters_of(url: str) -> dict[str, str]:
    """Return what a URL says of a connection. Raises ValidationError, which names nothing of it, if it says nothing."""
    _check_driver()
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except (ProgrammingError, UnicodeError):
        # The driver's words may quote a part of the password.
        raise ValidationError(
            "This URL of a PostgreSQL database cannot be read. Write"
            " postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded: %40 for @, %2F"
            " for /."
        ) from None


def _address(parameters: Mapping[str, str]) -> str:
    user, host, port, database = (parameters.get(name, "") for name in _IN_FRONT)
    rest = {name: value for name, value in sorted(parameters.items()) if name not in _IN_FRONT}
    several = "," in host + port
    if several:
        rest |= {"host": host, "port": port} if port else {"host": host}
    at = f"{quote(user, safe='')}@" if user else ""
    place = "" if several else _bracketed(host) + (f":{port}" if port else "")
    query = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    return f"postgresql://{at}{place}/{quote(database, safe='')}{query}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else quote(host, safe="")


# Connections


def _connection(address: str) -> "Connection[tuple[Any, ...]]":
    """Return a connection: a kept one if the server still answers on it."""
    kept = _kept.get()
    connection = kept.pop(address, None) if kept is not None else None
    if connection is not None and _answers(connection):
        return connection
    return _connected(address)


def _answers(connection: "Connection[tuple[Any, ...]]") -> bool:
    from psycopg import Error

    try:
        connection.execute("SELECT 1")
    except Error:
        connection.close()
        return False
    return True


def _leave(address: str, connection: "Connection[tuple[Any, ...]]") -> None:
    kept = _kept.get()
    if kept is None or connection.closed or address in kept:
        connection.close()
    else:
        kept[address] = connection


def _connected(address: str) -> "Connection[tuple[Any, ...]]":
    import psycopg
    from psycopg.types.string import TextLoader

    asked = {"connect_timeout": str(_CONNECT_SECONDS), "application_name": "descartes-statestore"}
    given = {**asked, **parameters_of(address), **secrets.of(address), "client_encoding": "UTF8"}
    # Statements are not prepared, so that a pooler of sessions may stand in between; of transactions, none may.
    connection = psycopg.connect(**cast("dict[str, Any]", given), autocommit=True, prepare_threshold=None)
    for name in _AS_TEXT:
        connection.adapters.register_loader(name, TextLoader)
    for setting, value in (
        ("default_transaction_read_only", "on"), ("statement_timeout", f"{STATEMENT_SECONDS}s"),
        ("lock_timeout", f"{_LOCK_SECONDS}s"), ("idle_in_transaction_session_timeout", "30s"), ("datestyle", "ISO"),
        ("timezone", "UTC"),
    ):  # fmt: skip
        connection.execute("SELECT set_config(%s, %s, false)", [setting, value])
    return connection


def _begin(connection: "Connection[tuple[Any, ...]]", tables: Sequence[str]) -> None:
    from psycopg import sql
    from psycopg.errors import LockNotAvailable

    names = sql.SQL(", ").join(map(sql.Identifier, tables))
    ends = time.monotonic() + _BUSY_SECONDS
    while True:
        connection.execute("BEGIN")
        try:
            connection.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE NOWAIT").format(names))
            return
        except LockNotAvailable:
            connection.execute("ROLLBACK")
            if time.monotonic() > ends:
                raise
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def _translated(address: str, then: str = "It was not changed.", verb: str = "read") -> Iterator[None]:
    """Turn the driver's errors inside the block into this project's, each with what to do."""
    _check_driver()
    import psycopg
    from psycopg import errors

    name = short_name(address)

    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise ValidationError(
            f"The database {name} cannot be {verb}: {_words(error)}. Let its user do that, by GRANT"
            f" {'SELECT' if verb == 'read' else 'SELECT, INSERT, UPDATE, DELETE'} ON the framework's tables. {then}"
        ) from error
    except errors.LockNotAvailable as error:
        raise Busy(f"Another program has the tables of the database {name} for itself. {then} Try again.") from error
    except errors.QueryCanceled as error:
        raise TooSlow(f"The database {name} did not answer within {STATEMENT_SECONDS} seconds. {then}") from error
    except psycopg.OperationalError as error:
        raise Unavailable(f"The server of the database {name} cannot be reached: {_words(error)}. {then}") from error
    except (psycopg.Error, UnicodeError) as error:
        raise ValidationError(f"The database {name} cannot be {verb}: {_words(error)}. {then}") from error


def _words(error: "Error | UnicodeError") -> str:
    """Return what a driver says, on one line."""
    said = str(error).partition("\nLINE ")[0]
    return " ".join(said.split()).rstrip(".") or type(error).__name__


# Values


def _plain(row: tuple[Any, ...]) -> tuple[Value, ...]:
    """Return a row of what readers know; columns of other types, which no framework has, as texts."""
    return tuple(
        value if value is None or isinstance(value, str | bytes | int | float) else str(value) for value in row
    )


def _is_storable(text: str) -> bool:
    with suppress(UnicodeEncodeError):
        text.encode()
        return "\0" not in text
    return False


# What a database is


def _recognised(tables: Mapping[str, Shape]) -> dict[str, Reader]:
    return {key: reader for key, reader in known_readers("PostgreSQL").items() if reader.recognises(tables)}


def _what_it_is(rows: Rows, tables: Mapping[str, Shape]) -> str:
    if "dash_audit" in tables or tables.keys() >= _ORCHESTRATORS:
        return "is a Descartes store: STORE_URL names it to the dashboard."
    schemas: dict[str, dict[str, dict[str, str]]] = {}
    for schema, table, column, kind in rows.execute(_SCHEMAS):
        schemas.setdefault(str(schema), {}).setdefault(str(table), {})[str(column)] = str(kind).upper()
    for schema, held in schemas.items():
        if found := _recognised(held):
            names = ", ".join(reader.name for reader in found.values())
            return f"has {names} in the schema “{schema}”: put ?options={_leading_to(schema)} at the end of its URL."
    if not tables:
        return "has no tables that its user and search path lead to."
    names = ", ".join(sorted(tables)[:_NAMED_TABLES])
    known = ", ".join(sorted({reader.name for reader in known_readers("PostgreSQL").values()}))
    return f"is of no format that is known here. Its tables: {names}. Known are: {known}."


def _leading_to(schema: str) -> str:
    """Return what stands in a URL so that the search path leads to a schema."""
    name = '"' + schema.replace('"', '""') + '"'
    if schema.isidentifier() and schema == schema.lower():
        name = schema
    # Blanks would end the option.
    return quote("-csearch_path=" + re.sub(r"([\\\s])", r"\\\1", name))
