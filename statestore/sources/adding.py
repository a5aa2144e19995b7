"""Sources that come and go: a file that is mirrored from now on, an upload, and one that is mirrored no more."""

import re
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connections

from statestore import models
from statestore.access import audit
from statestore.access.audit import SYSTEM, Actor
from statestore.db import transactions
from statestore.db.orchestrator_schema import UNREAD_INDEXES
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.models.audit import Action
from statestore.models.sources import Source
from statestore.sources import following, intended_forks, locations, quarantine, secrets, servers

_NAME_CHARACTERS: Final = 60
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def add_source(path: Path | str, *, name: str = "", using: str, by: Actor = SYSTEM, upload_name: str = "") -> Source:
    """Return the source of a file, or of a database's URL, made if there is none.

    Raises ValidationError if it is of no known format. The password of a URL is kept apart, and stands in no table.
    A mirror is only made in a store of our own: an orchestrator's file holds what its orchestrator wrote.
    """
    refuse_foreign_store()
    address = _address_of(path)
    location = locations.of(address)
    with location.opened() as rows:
        readers = location.readers(rows)
    known = Source.objects.using(using).filter(path=address).first()
    if known is not None:
        return known
    with transactions.writing(using):
        source = Source(name=_free_name(name or location.title, using), path=address, upload_name=upload_name)
        source.formats = ", ".join(reader.name for reader in readers.values())
        source.save(using=using, force_insert=True)
        _drop_unread_indexes(using)
        told = {"name": source.name, "formats": source.formats}
        where = {"upload": upload_name} if upload_name else {"path": source.path}
        audit.record(Action.MIRROR, "source", row_id=str(source.pk), by=by, detail=told | where, using=using)
    following.note_sources()
    return source


def _drop_unread_indexes(using: str) -> None:
    """Drop the orchestrator's indexes that nothing of ours reads: a mirror has more to hold than they are worth."""
    with connections[using].cursor() as cursor:
        for name in UNREAD_INDEXES:
            cursor.execute(f"DROP INDEX IF EXISTS {name}")


def _address_of(path: Path | str) -> str:
    if isinstance(path, str) and servers.is_address(path):
        return servers.keep_secrets_of(path)
    if not str(path).strip():
        raise ValidationError("Name a file, a folder of JSON files or the URL of a PostgreSQL database.")
    if scheme := _SCHEME.match(str(path)):
        raise ValidationError(
            f"A source is a file, or a database named by postgresql://…; {scheme[0]} is not opened. Save what is there"
            " to a file, and open that."
        )
    # Once, here: later, no link is followed.
    return str(Path(path).expanduser().resolve())


def refuse_foreign_store() -> None:
    """Raise Conflict if the store is not our own."""
    if not settings.STORE_IS_EMBEDDED:
        raise Conflict(
            "STORE_URL names a store of its own, into which nothing is mirrored. Run this without STORE_URL."
        )


def remove_source(source_id: int, *, using: str, by: Actor) -> int:
    """Mirror a source no more, and return how many agents it leaves, which stay with all their history.

    Its file stays where it is; the copy of an upload is deleted. Raises NotFound if it is removed already.
    """
    with transactions.writing(using):
        source = Source.objects.using(using).filter(pk=source_id).first()
        if source is None:
            raise NotFound("This source was removed already.")
        agents: int = source.threads.count()
        told = {"name": source.name, "agents": agents}
        where = {"upload": source.upload_name} if source.upload_name else {"path": source.path}
        audit.record(Action.UNMIRROR, "source", row_id=str(source_id), by=by, detail=told | where, using=using)
        intended_forks.forget(source, using)
        source.delete(using=using)
    if source.upload_name:
        quarantine.discard(Path(source.path))
    if servers.is_address(source.path):
        secrets.keep(source.path, {})
    return agents


def _free_name(wanted: str, using: str) -> str:
    """Return a name for a namespace that is like the wanted one, and no other source's, nor that of any agents.

    A source that was removed has left its agents.
    """
    base = re.sub(r"[^\w.-]+", "-", wanted).strip("-.")[: _NAME_CHARACTERS - 5] or "source"
    name, number = base, 1
    while _is_taken(name, using):
        number += 1
        name = f"{base}-{number}"
    return name


def _is_taken(name: str, using: str) -> bool:
    agents = models.AgentState.objects.using(using).filter(key__startswith=f"{name}:")
    return Source.objects.using(using).filter(name=name).exists() or agents.exists()
