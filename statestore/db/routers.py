"""Which database a model lives in: a store, or our own; and of several stores, which one is worked on.

Where several stores are served, a request, a command or a thread chooses one, and all else asks `store_alias()`.
Without a choice that raises: a store that stood in for it would show, or change, another one's rows.

A request that only reads may choose the store's read replica: then all of it reads that one server.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models import Model

from statestore.db import served

# The models of this app that are ours alone and live beside the users.
OWN_MODELS: frozenset[str] = frozenset(
    {
        "apitoken",
        "browsersession",
        "chainhead",
        "groupaccess",
        "intendedfork",
        "intendedrestore",
        "lastwrite",
        "savedsearch",
        "useraccess",
    }
)

_chosen: ContextVar[str | None] = ContextVar("chosen", default=None)
_reads_replica: ContextVar[bool] = ContextVar("reads_replica", default=False)


class NoStoreChosen(ImproperlyConfigured):
    """Several stores are served, and none was chosen."""


@contextmanager
def chosen(alias: str) -> Iterator[None]:
    """Let the store with an alias be the one that a block works on, in this thread."""
    before = _chosen.set(alias)
    try:
        yield
    finally:
        _chosen.reset(before)


@contextmanager
def reading_primary() -> Iterator[None]:
    """Let a block read the primary until it chooses the replica; afterwards all is as before."""
    before = _reads_replica.set(False)
    try:
        yield
    finally:
        _reads_replica.reset(before)


def read_replica() -> None:
    """Let what follows read the replica of the chosen store, which has one."""
    _reads_replica.set(True)


def store_alias() -> str:
    """Return the alias of the store, or of its replica; `default` if one PostgreSQL database holds both.

    Raises NoStoreChosen.
    """
    alias = primary_alias()
    return str(settings.REPLICAS[alias]) if _reads_replica.get() else alias


def primary_alias() -> str:
    """Return the alias under which the store is written. Raises NoStoreChosen."""
    alias = _chosen.get()
    if alias is not None:
        return alias
    if served.are_several():
        raise NoStoreChosen(f"There are several stores; name one with --store: {', '.join(served.aliases())}.")
    return str(settings.STORE_ALIAS)


def has_replica() -> bool:
    """Return whether a store was chosen that has a read replica."""
    return bool(settings.REPLICAS) and is_chosen() and primary_alias() in settings.REPLICAS


def primary_of(alias: str) -> str:
    """Return the alias under which the store of an alias is written: of a replica, its primary's."""
    return next((primary for primary, replica in settings.REPLICAS.items() if replica == alias), alias)


def store_of(row: Model) -> str:
    """Return the alias of the store that a row is in; of a row that is in none yet, of the chosen one."""
    return row._state.db or store_alias()


def store_aliases() -> list[str]:
    """Return the aliases of all stores that are served."""
    return list(served.aliases().values()) if served.are_several() else [str(settings.STORE_ALIAS)]


def is_store(alias: str) -> bool:
    """Return whether an alias is that of a store: of the one that was chosen, else of any that is served."""
    chosen_alias = _chosen.get()
    return alias in store_aliases() if chosen_alias is None else alias == chosen_alias


def chosen_name() -> str:
    """Return the name of the store that was chosen of several, "" where there is one, or none was chosen."""
    alias = _chosen.get()
    return next((name for name, each in served.aliases().items() if each == alias), "")


def is_chosen() -> bool:
    """Return whether `store_alias()` has an answer."""
    return _chosen.get() is not None or not served.are_several()


def search_index() -> Path:
    """Return where the search index of the store lies, a file beside our own database."""
    if not chosen_name():
        return Path(settings.SEARCH_INDEX)
    place = str(connections[store_alias()].settings_dict["NAME"]).encode("utf-8", "surrogateescape")
    return settings.VAR_DIR / f"search-{sha256(place).hexdigest()[:8]}.db"


def backup_directory() -> Path:
    """Return where backups of the store lie."""
    return settings.BACKUP_DIR / chosen_name()


def cache_key(key: str, prefix: str, version: int) -> str:
    """Return a key of Django's cache, of the chosen store alone."""
    return f"{_chosen.get() or ''}:{prefix}:{version}:{key}"


def may_be_shared(alias: str) -> bool:
    """Return whether another program may write to a database at the same time: an orchestrator, to its own store."""
    return alias != "default" and not settings.STORE_IS_EMBEDDED


class StoreRouter:
    """Sends the store's models to the store and everything else to `default`; nothing joins across."""

    def db_for_read(self, model: Model | type[Model], **hints: object) -> str:
        if not self._in_store(model._meta.app_label, model._meta.model_name):
            return "default"
        # What belongs to a row is where the row is, whichever store was chosen.
        known = getattr(hints.get("instance"), "_state", None)
        return known.db if known is not None and known.db in served.aliases().values() else store_alias()

    def db_for_write(self, model: Model | type[Model], **hints: object) -> str:
        alias = self.db_for_read(model, **hints)
        return primary_alias() if alias in settings.REPLICAS.values() else alias

    def allow_relation(self, obj1: Model, obj2: Model, **hints: object) -> bool:
        return self.db_for_read(obj1, instance=obj1) == self.db_for_read(obj2, instance=obj2)

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: object) -> bool:
        in_store = hints["place"] == "store" if "place" in hints else self._in_store(app_label, model_name)
        return is_store(db) if in_store else db == "default"

    def _in_store(self, app_label: str, model_name: str | None) -> bool:
        return app_label == "statestore" and model_name not in OWN_MODELS
