"""The stores that are served where there are several: those of STORES, and those that were added on a page.

What was added stands in a file of VAR_DIR, which every process looks at before each of its requests: an added store is
served by all of them at once, and nothing is started anew.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from descartes_site import database_urls, stores

log = logging.getLogger(__name__)
# Device and inode of a file: two names of one have the same.
Place = tuple[int, int] | str


@dataclass(frozen=True, slots=True)
class Added:
    """A store that was added: its file, by whom, when. `problem` says why it is not served, if it is not."""

    name: str
    path: str
    by: str
    at: int
    problem: str = ""

    @property
    def alias(self) -> str:
        """The alias under which Django knows the store: of another file under the same name, it is another one."""
        digest = sha256(self.path.encode("utf-8", "surrogateescape")).hexdigest()
        return f"added:{self.name}:{digest[:8]}"


@dataclass(frozen=True, slots=True)
class _Known:
    """What is served, as long as `mark` is what the settings and the file have."""

    mark: object = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    added: tuple[Added, ...] = ()


_known = _Known()
_lock: Final = threading.Lock()


def are_several() -> bool:
    """Return whether stores are served each below its name, be it that none was added yet."""
    return bool(settings.STORES or settings.STORE_DIRS)


def aliases() -> Mapping[str, str]:
    """Return the aliases of the stores by name: those of STORES, then those that were added."""
    if not settings.STORE_DIRS:
        stores_named: Mapping[str, str] = settings.STORES
        return stores_named
    if _known.mark is None:
        refresh()
    return _known.aliases


def added() -> tuple[Added, ...]:
    """Return the stores that were added, those too that cannot be served."""
    return _known.added if settings.STORE_DIRS else ()


def refresh() -> None:
    """See what was added and removed since. Without a change, this is one question to the file system."""
    global _known
    if not settings.STORE_DIRS:
        return
    mark = _mark()
    if _known.mark == mark:
        return
    with _lock:
        found = _checked(read())
        for each in found:
            if not each.problem and each.alias not in connections.databases:
                _connect(each)
        names = {each.name: each.alias for each in found if not each.problem}
        _known = _Known(mark, {**settings.STORES, **names}, found)


def registry() -> Path:
    """Return the file that says which stores were added."""
    return Path(settings.VAR_DIR) / "stores.json"


def read() -> list[Added]:
    """Return what the file says; a file that says nothing readable is logged, and no store of it served."""
    try:
        rows = json.loads(registry().read_text(encoding="utf-8"))["stores"]
        return [Added(str(row["name"]), str(row["path"]), str(row["by"]), int(row["at"])) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.error("%s cannot be read, and no store of it is served: %s", registry(), error)
        return []


def directories() -> list[Path]:
    """Return the directories of STORE_DIRS, as they really are; those that are not there are left out."""
    return [path.resolve() for path in map(Path, settings.STORE_DIRS) if path.is_dir()]


def is_allowed(path: Path) -> bool:
    """Return whether a path leads into one of the directories, and no part of it is a link."""
    real = Path(os.path.realpath(path))
    return real == path and any(path.is_relative_to(directory) and path != directory for directory in directories())


def places_of(path: str) -> set[Place]:
    """Return what two names of one file have in common."""
    try:
        stat = os.stat(path)
    except OSError:
        return {os.path.realpath(path)}
    return {os.path.realpath(path), (stat.st_dev, stat.st_ino)}


def taken_places(*, but: str = "") -> dict[Place, str]:
    """Return the files of all stores, but of one, and of our own database, each with the name that it has."""
    named = {name: alias for name, alias in aliases().items() if name != but}
    return _places({"the dashboard's own database": DEFAULT_DB_ALIAS, **named})


def _places(named: Mapping[str, str]) -> dict[Place, str]:
    found: dict[Place, str] = {}
    for name, alias in named.items():
        database = connections.databases[alias]
        if "sqlite" in database["ENGINE"]:
            found |= dict.fromkeys(places_of(str(database["NAME"])), name)
    return found


def _mark() -> object:
    """Return what changes whenever the file, or a setting, does."""
    path = registry()
    try:
        stat = os.stat(path)
    except OSError:
        return str(path), tuple(settings.STORE_DIRS), id(settings.STORES)
    return str(path), tuple(settings.STORE_DIRS), id(settings.STORES), stat.st_ino, stat.st_mtime_ns, stat.st_size


def _checked(rows: list[Added]) -> tuple[Added, ...]:
    """Return the rows, each with the reason why it is not served, if there is one: settings may have changed since."""
    names = set(settings.STORES)
    taken = _places({"the dashboard's own database": DEFAULT_DB_ALIAS, **settings.STORES})
    found = []
    for row in rows:
        places = places_of(row.path)
        problem = _problem(row, names, next((taken[place] for place in places if place in taken), ""))
        if not problem:
            names.add(row.name)
            taken |= dict.fromkeys(places, row.name)
        found.append(Added(row.name, row.path, row.by, row.at, problem))
    return tuple(found)


def _problem(row: Added, names: set[str], other: str) -> str:
    if not stores.NAME.fullmatch(row.name):
        return "Its name is not one that can stand in an address."
    if row.name in names:
        return "Another store has this name. Take one of the two out of STORES, or remove this one here."
    if not is_allowed(Path(row.path)):
        return f"{row.path} is in none of the directories that STORE_DIRS names, or a link is in its path."
    return f"It is the same file as {other}." if other else ""


def _connect(added_store: Added) -> None:
    """Let Django know the store's database. The mapping is replaced: other threads may walk through the present one."""
    database: dict[str, object] = database_urls.as_guest({"ENGINE": "sqlite", "NAME": added_store.path})
    database["FOLLOWS_NO_LINKS"] = True
    present = connections.databases
    connections.configure_settings({DEFAULT_DB_ALIAS: present[DEFAULT_DB_ALIAS], added_store.alias: database})
    connections.settings = {**present, added_store.alias: database}
