"""The chain of the audit log: each entry's digest covers the entry and the digest of the one before it.

A changed, missing, inserted or reordered entry is found by walking it. Other rows that never change, such as restores,
are proved by the entries that vouch for them. The newest entry is noted in our own database from time to time, so that
an end that was cut off, or a chain that was made anew, is found too.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

from django.db import connections
from django.db.models import Model

from statestore import models
from statestore.access import captured_seals
from statestore.db import fast_rows, vendor
from statestore.db.fields import readable
from statestore.db.routers import store_alias
from statestore.models.audit import Action
from statestore.models.querysets import marked_frames
from statestore.models.rows import LAST_SECOND, hash_of_columns

_NOT_COVERED: Final = frozenset({"id", "digest"})
_READ_ROWS: Final = 1_000
# Any two numbers that no other program's advisory lock has.
_LOCK: Final = (1_684_104_037, 1)
_VOUCHED: Final[dict[str, type[Model]]] = {"restore": models.Restore, "archive frame": models.ArchiveFrame}


def append(entry: models.AuditEntry, using: str) -> None:
    """Insert an entry as the newest one of the chain. Call it inside a write transaction, which orders the writers."""
    with connections[using].cursor() as cursor:
        # On SQLite the transaction has the write lock already.
        if not vendor.is_sqlite(connections[using]):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", _LOCK)
        cursor.execute("SELECT digest FROM dash_audit ORDER BY id DESC LIMIT 1")
        row = cursor.fetchone()
    entry.digest = digest_of(entry, row[0] or "" if row else "")
    fast_rows.insert(entry, using)


def digest_of(entry: models.AuditEntry, previous: str) -> str:
    """Return the digest of an entry that follows the one with the digest `previous`."""
    columns = hash_of_columns(entry, _covered())
    return hashlib.sha256(f"{previous}:{columns}".encode()).hexdigest()


@cache
def _covered() -> tuple[str, ...]:
    names = (field.attname for field in models.AuditEntry._meta.concrete_fields)
    return tuple(name for name in names if name not in _NOT_COVERED)


def vouched(rows: Sequence[Model]) -> str | None:
    """Return the hashes of rows as an entry keeps them, None without any."""
    if not rows:
        return None
    hashes: dict[str, dict[str, str]] = {}
    for row in rows:
        hashes.setdefault(str(row._meta.verbose_name), {})[str(row.pk)] = models.row_hash(row)
    return json.dumps(hashes, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that the chain proves to be wrong: with which entry, or with which row it vouches for."""

    entry_id: int | None
    text: str


@dataclass(slots=True)
class Verification:
    """What a walk along the chain found. `older` entries were made before there was a chain.

    One that is not `is_complete` was stopped before the newest entry.
    """

    entries: int = 0
    older: int = 0
    vouched: int = 0
    faults: list[Fault] | None = None
    head: tuple[int, str] | None = None
    is_complete: bool = True

    @property
    def is_good(self) -> bool:
        return not self.faults


def verify(
    using: str | None = None,
    *,
    heads: Sequence[tuple[int, str]] | None = None,
    go_on: Callable[[], bool] = lambda: True,
) -> Verification:
    """Walk the whole chain, and return what is wrong with it, oldest first; the head is noted if nothing is.

    `heads` are (entry id, digest) pairs that must be part of it: by default those that our own database has noted.
    `go_on` is asked at each thousand entries; the walk ends once it says no.
    """
    using = using or store_alias()
    found = Verification(faults=[])
    known = dict(noted_heads(using) if heads is None else heads)
    for fault in _walk(using, found, known, go_on):
        found.faults = [*(found.faults or []), fault]
    if not found.is_complete:
        return found
    missing = [
        Fault(entry_id, f"Audit entry {entry_id}, which was noted before, is missing: the newest entries were deleted,"
              " or an older copy was put in the store's place.")
        for entry_id in sorted(known)
    ]  # fmt: skip
    found.faults = [*(found.faults or []), *missing]
    if found.is_good and found.head is not None:
        note_head(using, *found.head)
    return found


def _walk(using: str, found: Verification, known: dict[int, str], go_on: Callable[[], bool]) -> Iterator[Fault]:
    previous, last_id, is_chained = "", 0, False
    pruned = _pruned(using)
    for entry in _entries(using, found, go_on):
        if entry.digest is None and not is_chained:
            found.older, last_id = found.older + 1, entry.pk
            continue
        if not is_chained and not found.older and entry.pk in pruned:
            previous = pruned[entry.pk]
        is_chained = True
        found.entries += 1
        if entry.digest != digest_of(entry, previous):
            yield _broken(entry, last_id)
        if entry.pk in known and known.pop(entry.pk) != entry.digest:
            yield Fault(entry.pk, f"{_named(entry)} is not the one that was noted before: the chain was made anew.")
        yield from _unproved(entry, using, found)
        yield from (Fault(entry.pk, text) for text in captured_seals.faults(entry, using))
        previous, last_id = entry.digest or "", entry.pk
        found.head = (entry.pk, previous)
    for entry_id in [entry_id for entry_id in known if entry_id in _ids_before(pruned)]:
        del known[entry_id]


def _entries(using: str, found: Verification, go_on: Callable[[], bool]) -> Iterator[models.AuditEntry]:
    last = 0
    rows = models.AuditEntry.objects.using(using).order_by("id")
    while page := list(rows.filter(pk__gt=last)[:_READ_ROWS]):
        if not go_on():
            found.is_complete = False
            return
        yield from page
        last = page[-1].pk


def _pruned(using: str) -> dict[int, str]:
    """Return {the first entry that a pruning left: the digest of the one before it}, as its own entry says."""
    rows = models.AuditEntry.objects.using(using).filter(action=Action.PRUNE, noun="audit log")
    details = [json.loads(row.detail) for row in rows]
    return {int(detail["first_left"]): str(detail["digest"]) for detail in details}


def _ids_before(pruned: dict[int, str]) -> range:
    return range(max(pruned, default=0))


def _broken(entry: models.AuditEntry, last_id: int) -> Fault:
    gap = f", or entries between {last_id} and {entry.pk} are missing" if entry.pk != last_id + 1 else ""
    return Fault(entry.pk, f"{_named(entry)} was changed, inserted or moved{gap}.")


def _named(entry: models.AuditEntry) -> str:
    when = datetime.fromtimestamp(min(max(int(entry.at), 0), LAST_SECOND), UTC)
    words = f"{entry.actor} {entry.action} {entry.noun} {entry.row_id[:80]}"
    return f"Audit entry {entry.pk} ({readable(words)}, {when:%Y-%m-%d %H:%M:%S})"


def _unproved(entry: models.AuditEntry, using: str, found: Verification) -> Iterator[Fault]:
    """Yield the rows that an entry vouches for and that are no longer as they were."""
    try:
        kinds = json.loads(entry.vouched) if entry.vouched else {}
        pairs = [(kind, str(pk), str(digest)) for kind, rows in kinds.items() for pk, digest in rows.items()]
    except (ValueError, AttributeError):
        return  # The entry was changed, which its digest tells.
    for kind, pk, digest in pairs:
        found.vouched += 1
        model = _VOUCHED.get(kind)
        row = None if model is None else model._default_manager.using(using).filter(pk=pk).first()
        if row is None:
            if kind == "archive frame" and not _is_needed(int(pk), str(entry.row_id), using):
                continue  # It went with the last record whose states lay in it.
            yield Fault(entry.pk, f"The {kind} {pk} is missing, which audit entry {entry.pk} tells of.")
        elif models.row_hash(row) != digest:
            yield Fault(entry.pk, f"The {kind} {pk} was changed since audit entry {entry.pk}.")


def _is_needed(frame_id: int, agent_id: str, using: str) -> bool:
    """Return whether records of an agent have states in a frame, or in one whose base it is."""
    if models.ArchiveFrame.objects.using(using).filter(agent_id=agent_id, base_id=frame_id).exists():
        return True
    return frame_id in marked_frames(using, agent_id)


def store_name(using: str) -> str:
    """Return what tells one store from another in our own database."""
    settings = connections[using].settings_dict
    if vendor.is_sqlite(connections[using]):
        return str(settings["NAME"])
    return f"{settings['HOST'] or 'localhost'}:{settings['PORT'] or 5432}/{settings['NAME']}"


def noted_heads(using: str) -> list[tuple[int, str]]:
    """Return the (entry id, digest) pairs of a store's chain that our own database has noted."""
    rows = models.ChainHead.objects.using("default").filter(store=store_name(using))
    return list(rows.values_list("entry_id", "digest"))


def note_head(using: str, entry_id: int, digest: str) -> None:
    """Note the newest entry of the chain in our own database, unless it is noted already."""
    rows = models.ChainHead.objects.using("default")
    name = store_name(using)
    if not rows.filter(store=name, entry_id=entry_id, digest=digest).exists():
        rows.create(at=models.now(), store=name, entry_id=entry_id, digest=digest)


def forget_later_heads(using: str) -> None:
    """Forget what our own database noted of entries that a store no longer has: it was replaced by an older copy."""
    newest = head_of(using)
    rows = models.ChainHead.objects.using("default").filter(store=store_name(using))
    rows.filter(entry_id__gt=newest[0] if newest else 0).delete()


def head_of(using: str | None = None) -> tuple[int, str] | None:
    """Return the id and digest of the newest entry, None if there is no chain yet."""
    rows = models.AuditEntry.objects.using(using or store_alias()).order_by("-id").values_list("pk", "digest")
    newest = rows.first()
    return (newest[0], newest[1]) if newest is not None and newest[1] else None


def exported_head(entry_id: int, digest: str, *, store: str, key: bytes | None) -> str:
    """Return a head as JSON to be kept elsewhere; with a key it is signed by HMAC-SHA256."""
    body: dict[str, object] = {"store": store, "at": models.now(), "entry": entry_id, "digest": digest}
    if key is not None:
        body["signature"] = _signature(body, key)
    return json.dumps(body, indent=2)


def read_head(text: str, *, key: bytes | None) -> tuple[int, str]:
    """Return the (entry id, digest) of an exported head. Raises ValueError if it is none, or not signed so."""
    try:
        body = json.loads(text)
        signature = body.pop("signature", None)
        head = int(body["entry"]), str(body["digest"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("This is not an exported head.") from None
    if key is not None and not hmac.compare_digest(str(signature), _signature(body, key)):
        raise ValueError("The head is not signed by this key.")
    return head


def _signature(body: dict[str, object], key: bytes) -> str:
    return hmac.new(key, json.dumps(body, sort_keys=True).encode(), hashlib.sha256).hexdigest()
