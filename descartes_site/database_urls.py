"""URLs of databases, read by what they can mean alone: `$`, `#` and `+` are characters like others in them.

Percent-encodings are decoded. What would have two meanings is refused: ValueError says what to write.
"""

import os
import re
from typing import Any, Final
from urllib.parse import quote, unquote

FORMS: Final = "use sqlite:////absolute/path or postgres://user:password@host/name"
_SQLITE: Final = "sqlite://"
_SCHEME: Final = re.compile(r"(sqlite|postgres|postgresql)://", re.IGNORECASE)
_PLACE: Final = r"(?P<servers>[^@/?#]*)/(?P<name>[^@/?#]*)(?:\?(?P<query>.*))?"
# As it should be written; and with a password in which characters are not encoded, up to the last @ that fits.
_POSTGRES: Final = (
    re.compile(rf"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^:@/?#]*))?@)?{_PLACE}", re.DOTALL),
    re.compile(rf"(?P<user>[^:@/?#]*):(?P<password>.*)@{_PLACE}", re.DOTALL),
)
_SERVER: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,9}))?")
_SEARCH_PATH: Final = re.compile(r"(?:-c\s*|--)search_path\s*=\s*(?P<path>(?:\\.|[^\s\\])*)")
USUAL_PORT: Final = "5432"
# How many connections a process holds to one database at most: by default, and as a URL may say.
USUAL_CONNECTIONS: Final = 10
MOST_CONNECTIONS: Final = 1_000


def parsed(url: str) -> dict[str, Any]:
    """Return ENGINE (sqlite or postgres), NAME and what else a URL says, by Django's names. Raises ValueError."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ValueError(FORMS)
    rest = url[scheme.end() :]
    if "\0" in unquote(url):
        raise ValueError("a path or name has no NUL character")
    return _sqlite(rest) if scheme[1].lower() == "sqlite" else _postgres(rest)


def sqlite_url(path: str) -> str:
    """Return the URL of an SQLite file, of characters that mean the same to every reader."""
    return f"{_SQLITE}/{quote(os.fsencode(path))}"


def as_guest(database: dict[str, Any]) -> dict[str, Any]:
    """Return Django's settings for an SQLite file, which is opened as a careful guest.

    IMMEDIATE: a transaction that first reads and then writes would otherwise fail at once when the orchestrator wrote
    in between, without waiting. synchronous stays FULL: no acknowledged write is lost.
    """
    options = {"transaction_mode": "IMMEDIATE", "timeout": 5}
    return {**database, "ENGINE": "statestore.db.sqlite", "OPTIONS": options, "CONN_MAX_AGE": None}


def without_credentials(url: str) -> str:
    """Return a URL that can be shown: what stands behind the last @, or nothing of what looks like a password."""
    return re.sub(r"//[^/]*:[^/]*", "//…", url.rpartition("@")[2])


def is_one_place(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two URLs name the same file, or the same schemas of the same PostgreSQL database."""
    if one["ENGINE"] != other["ENGINE"]:
        return False
    if one["ENGINE"] == "sqlite":
        names = [str(each["NAME"]) for each in (one, other)]
        return os.path.realpath(names[0]) == os.path.realpath(names[1]) or _is_same_file(*names)
    return _is_one_database(one, other) and search_path(one) == search_path(other)


def shared_schemas(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Return the schemas that two URLs of one PostgreSQL database both look for tables in."""
    if not one["ENGINE"] == other["ENGINE"] == "postgres" or not _is_one_database(one, other):
        return set()
    return _schemas(one) & _schemas(other)


def _is_same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _is_one_database(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(
        (one[part] or usual).lower() == (other[part] or usual).lower()
        for part, usual in (("HOST", ""), ("PORT", USUAL_PORT))
    ) and bool(one["NAME"] == other["NAME"])


def first_schema(database: dict[str, Any]) -> str:
    """Return the schema that holds a PostgreSQL store's tables, as its URL says it."""
    first = (search_path(database) or "public").split(",")[0].strip('"')
    return str(database["USER"]) if first == "$user" else first


def _schemas(database: dict[str, Any]) -> set[str]:
    path = search_path(database) or '"$user",public'
    return {str(database["USER"]) if schema.strip('"') == "$user" else schema.strip('"') for schema in path.split(",")}


def search_path(database: dict[str, Any]) -> str:
    """Return the schemas that a PostgreSQL database is used by, in order, or "" for its user's own."""
    found = database.get("SEARCH_PATH") or ""
    for match in _SEARCH_PATH.finditer(str(database.get("OPTIONS", {}).get("options", ""))):
        found = re.sub(r"\\(.)", r"\1", match["path"])
    return ",".join(part.strip() for part in str(found).split(",") if part.strip())


def _sqlite(rest: str) -> dict[str, Any]:
    if not rest.startswith("//"):
        raise ValueError("use an absolute path: sqlite:////absolute/path (four slashes)")
    if "?" in rest:
        raise ValueError("write %3F for a ? in a path; an SQLite file has no options")
    path = unquote(rest[1:], errors="surrogateescape")
    # Other programs take two slashes for one too.
    path = "/" + path.lstrip("/")
    if path.endswith("/") or os.path.isdir(path):
        raise ValueError("name the file, not its directory: sqlite:////absolute/path/to/descartes.db")
    return {"ENGINE": "sqlite", "NAME": path}


def _postgres(rest: str) -> dict[str, Any]:
    found = next(filter(None, (pattern.fullmatch(rest) for pattern in _POSTGRES)), None)
    if found is None:
        raise ValueError(
            "use postgres://user:password@host/name, and write %23 for a #, %2F for a /, %3F for a ? and %40 for an @"
            " in a name or password"
        )
    name = unquote(found["name"])
    if not name:
        raise ValueError("name the database behind the host: postgres://user:password@host/name")
    hosts, ports = _servers(found["servers"])
    options = _options(found["query"] or "")
    schemas = options.pop("search_path", "")
    pool = _pool(options)
    replica = options.pop("replica", "")
    is_pooled = _is_pooled(options, schemas)
    return {
        "ENGINE": "postgres",
        "NAME": name,
        "USER": unquote(found["user"] or ""),
        "PASSWORD": unquote(found["password"] or ""),
        "HOST": hosts,
        "PORT": ports,
        "SEARCH_PATH": schemas,
        "POOL": pool,
        "REPLICA": _replica(replica) if replica else None,
        "IS_POOLED": is_pooled,
        "DISABLE_SERVER_SIDE_CURSORS": is_pooled,  # Outside of a transaction they are kept by a session.
        "OPTIONS": options,
    }


def _pool(options: dict[str, Any]) -> dict[str, int]:
    """Take the sizes of the pool out of a URL's options, and return them by psycopg's names."""
    sizes = {}
    for name, size in {"pool_min": "min_size", "pool_max": "max_size"}.items():
        text = options.pop(name, None)
        if text is None:
            continue
        least = 0 if name == "pool_min" else 1
        if not (text.isascii() and text.isdecimal() and least <= int(text[:9]) <= MOST_CONNECTIONS):
            raise ValueError(f"{name} is a number of connections from {least} to {MOST_CONNECTIONS}: ?{name}=4")
        sizes[size] = int(text)
    if sizes.get("min_size", 0) > sizes.get("max_size", USUAL_CONNECTIONS):
        raise ValueError("pool_min is more than pool_max; write the smaller number as pool_min")
    return sizes


def _is_pooled(options: dict[str, Any], schemas: str) -> bool:
    """Take out of a URL's options whether a pooler gives each transaction another session, and return it."""
    pooler = options.pop("pooler", None)
    if pooler not in {None, "transaction"}:
        raise ValueError("pooler is for PgBouncer in transaction mode: ?pooler=transaction; other modes need nothing")
    if pooler and (schemas or _SEARCH_PATH.search(str(options.get("options", "")))):
        raise ValueError(
            "behind ?pooler=transaction a search path would be another client's; leave it out, and let the pooler set"
            " it: connect_query='SET search_path TO agents'"
        )
    return pooler is not None


def replica_of(database: dict[str, Any]) -> dict[str, Any] | None:
    """Return the place of a database's read replica, None without one: another server, and all else the same."""
    if not database.get("REPLICA"):
        return None
    host, port = database["REPLICA"]
    return {**database, "HOST": host, "PORT": port, "IS_REPLICA": True}


def _replica(server: str) -> tuple[str, str]:
    """Return host and port of a replica. It has the users and databases of its primary, so that they say all of it."""
    try:
        return _servers(server)
    except ValueError:
        raise ValueError(
            "replica is the host of a replica, with its port unless that is 5432: ?replica=host:5433"
        ) from None


def _servers(text: str) -> tuple[str, str]:
    """Return hosts and ports, each separated by commas where there are several, as libpq takes them."""
    found = [_SERVER.fullmatch(server) for server in text.split(",")]
    ports = [match["port"] or "" for match in found if match]
    if None in found or not all(0 < int(port or USUAL_PORT) < 65_536 for port in ports):
        raise ValueError(f"the port is a number from 1 to 65535, an IPv6 address has brackets; {FORMS}")
    # A directory, percent-encoded, is where a Unix socket lies.
    hosts = [unquote(match["host"]).removeprefix("[").removesuffix("]") for match in found if match]
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _options(query: str) -> dict[str, Any]:
    options = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise ValueError("write options as ?name=value&name=value")
        options[unquote(name)] = unquote(value)
    return options
