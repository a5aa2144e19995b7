"""STORES: the stores of a dashboard that serves several, by name."""

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from descartes_site import database_urls

Refuse = Callable[[str], None]
Database = dict[str, Any]

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
# A comma or space ends a URL where the next pair begins; hosts of one URL are separated by commas too.
_BETWEEN: Final = re.compile(r"[,\s]+(?=[^=,\s/]*=(?:sqlite|postgres|postgresql)://)", re.IGNORECASE)
_PAIR: Final = re.compile(r"[^=\s/]*=(?:sqlite|postgres|postgresql)://", re.IGNORECASE)
FORMS: Final = (
    "use name=url pairs, separated by commas, or the path of a TOML file with a table [stores]:"
    " STORES=alpha=sqlite:////srv/alpha.db,beta=postgres://user:password@host/beta"
)


def alias_of(name: str) -> str:
    """Return the alias under which Django knows a store."""
    return f"store-{name}"


def parsed(text: str, base: Path, refuse: Refuse) -> dict[str, Database]:
    """Return the databases of the stores by name, in order; what is wrong is refused, each in a line."""
    pairs = _pairs(text, base, refuse)
    found: dict[str, Database] = {}
    for name, url in pairs:
        if not NAME.fullmatch(name):
            refuse(
                f"STORES names a store “{name[:80]}”; use lower-case letters, digits and dashes, at most 40, since it"
                " stands in addresses."
            )
        elif name in found:
            refuse(f"STORES names two stores “{name}”; give each a name of its own.")
        else:
            found |= _one(name, url, refuse)
    _refuse_doubles(found, refuse)
    return found


def _pairs(text: str, base: Path, refuse: Refuse) -> list[tuple[str, str]]:
    if _PAIR.match(text):
        return [(name.strip(), url) for name, _, url in (pair.partition("=") for pair in _BETWEEN.split(text))]
    path = base / Path(text).expanduser()
    try:
        table = tomllib.loads(path.read_text()).get("stores")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        shown = database_urls.without_credentials(text) if "://" in text else text
        refuse(f"STORES is “{shown[:80]}”, and that file cannot be read: {reason}; {FORMS}.")
        return []
    if not isinstance(table, dict) or not table or not all(isinstance(url, str) for url in table.values()):
        refuse(f'STORES: {path} needs a table [stores] with a line for each store: alpha = "sqlite:////srv/alpha.db".')
        return []
    return list(table.items())


def _one(name: str, url: str, refuse: Refuse) -> dict[str, Database]:
    try:
        database = database_urls.parsed(url.strip())
    except ValueError as error:
        refuse(f"STORES has for {name} “{database_urls.without_credentials(url)[:80]}”; {error}.")
        return {}
    schemas = database_urls.search_path(database).split(",") if database["ENGINE"] == "postgres" else []
    if len(schemas) > 1 and "public" in schemas:
        # Tables that the first schema lacks would be found in public: another store's.
        refuse(
            f"STORES: {name} looks for tables in public as well; name its own schema, and one for extensions:"
            " ?search_path=agents,extensions."
        )
        return {}
    return {name: database}


def _refuse_doubles(found: dict[str, Database], refuse: Refuse) -> None:
    """Refuse two names of one store: what is limited to one of them would be open under the other."""
    named: dict[tuple[object, ...], str] = {}
    for name, database in found.items():
        for place in _places(database):
            other = named.setdefault(place, name)
            if other != name:
                refuse(f"STORES: {other} and {name} are the same store, or share a schema; name each once.")
                break


def _places(database: Database) -> set[tuple[object, ...]]:
    if database["ENGINE"] == "sqlite":
        path = str(database["NAME"])
        places: set[tuple[object, ...]] = {("path", os.path.realpath(path))}
        try:
            stat = os.stat(path)
        except OSError:
            return places
        return places | {("file", stat.st_dev, stat.st_ino)}
    server = (str(database["HOST"]).lower(), database["PORT"] or database_urls.USUAL_PORT, database["NAME"])
    # The first one holds the tables; what comes after it holds extensions, which stores may share.
    return {("schema", *server, database_urls.first_schema(database))}
