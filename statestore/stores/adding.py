"""Adding a store that every process serves from then on, and removing it again; its file stays as it is."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from django.conf import settings

from descartes_site import stores
from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.adoption.status import store_status
from statestore.db import served, transactions
from statestore.db.errors import translated_errors
from statestore.db.private_files import OWNER_ONLY
from statestore.db.routers import chosen
from statestore.db.served import Added
from statestore.errors import Conflict, NotFound, StateStoreError, Unavailable, ValidationError
from statestore.models.audit import Action
from statestore.stores import allowed

log = logging.getLogger(__name__)


def add(name: str, path: str, *, by: Actor) -> Added:
    """Serve a file of one of the allowed directories under a name, and return what is known of it.

    Raises ValidationError, Conflict for a name that is taken, Forbidden for a file elsewhere.
    """
    _require_directories()
    if not stores.NAME.fullmatch(name):
        raise ValidationError(
            "Use lower-case letters, digits and dashes, at most 40, since the name stands in addresses. Nothing was"
            " changed.",
            field="name",
        )
    with _turn():
        served.refresh()
        rows = served.read()
        if name in settings.STORES or name in {row.name for row in rows}:
            raise Conflict(f"There is a store “{name}” already. Choose another name. Nothing was changed.")
        store = Added(name, str(allowed.checked(path)), by.name, models.now())
        _write([*rows, store])
        served.refresh()
    _tell(Action.ADD, store, by)
    return store


def remove(name: str, *, by: Actor) -> Added:
    """Serve an added store no more, and return what was known of it. No file is touched.

    Raises NotFound, and Conflict for a store that a variable names.
    """
    with _turn():
        rows = served.read()
        store = next((row for row in rows if row.name == name), None)
        if store is None and name in settings.STORES:
            raise Conflict(
                f"STORES names {name}. Nothing was changed. Take it out there, and start the dashboard anew."
            )
        if store is None:
            raise NotFound("This store was removed already.")
        _tell(Action.REMOVE, store, by)
        _write([row for row in rows if row is not store])
        served.refresh()
    return store


def _require_directories() -> None:
    if not settings.STORE_DIRS:
        raise Conflict(
            "No directory is named from which stores can be added: STORE_DIRS=/srv/agents. Nothing was done."
        )


@contextmanager
def _turn() -> Iterator[None]:
    """Let one process at a time read and write the file."""
    lock = served.registry().with_suffix(".lock")
    with ExitStack() as stack:
        with _explained(lock):
            lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(lock.open("w")), fcntl.LOCK_EX)
        yield


def _write(rows: Sequence[Added]) -> None:
    """Put a new file in the place of the present one: who reads it finds one of the two, whole."""
    path = served.registry()
    known = [{name: value for name, value in asdict(row).items() if name != "problem"} for row in rows]
    made = path.with_name(f"{path.name}.{os.getpid()}")
    with _explained(path):
        made.unlink(missing_ok=True)
        with os.fdopen(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY), "w", encoding="utf-8") as file:
            json.dump({"stores": known}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}. Nothing was changed.") from error


def _tell(action: Action, store: Added, by: Actor) -> None:
    """Record it in the log, and in the audit log of the store, if it has one yet."""
    log.info("%s store %s (%s): user %r from %s", action, store.name, store.path, by.name, by.ip_address)
    try:
        with chosen(store.alias), translated_errors():
            if store.alias in served.aliases().values() and store_status().is_ready:
                with transactions.writing(store.alias):
                    audit.record(action, "store", row_id=store.name, by=by, detail={"path": store.path})
    except StateStoreError as error:
        log.warning("Could not write to the audit log of the store %s: %s", store.name, error)
