"""Seals on captured changes: hashes of ranges, kept in the chain of the audit log.

A captured change is written by a trigger inside the orchestrator's own save, and belongs to no entry. So housekeeping
seals what was captured since the last time; a captured change that was changed, or is missing among others, is found
when the chain is verified. The oldest ones go by themselves: a range that has begun to go proves nothing any more.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Final

from statestore import models
from statestore.db.batching import batched
from statestore.models.audit import Action

NOUN: Final = "captured changes"
_RANGE_ROWS: Final = 100
_MOST_ROWS: Final = 10_000
# What is younger waits, so that one entry seals those of an hour. By then, no transaction of PostgreSQL's that began
# earlier brings a lower number.
_SETTLED_SECONDS: Final = 3600

# How many rows a range has, and the hash of theirs.
Seal = tuple[int, str]


def unsealed(using: str, *, now: int) -> dict[str, Seal]:
    """Return {"first-last": its seal} of ranges of captured changes that no entry seals yet, oldest first."""
    rows = models.CapturedChange.objects.using(using).filter(at__lte=now - _SETTLED_SECONDS, pk__gt=_last_sealed(using))
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:_MOST_ROWS])
    return {f"{some[0]}-{some[-1]}": _seal_of(some[0], some[-1], using) for some in batched(ids, _RANGE_ROWS)}


def _last_sealed(using: str) -> int:
    entries = models.AuditEntry.objects.using(using).filter(action=Action.SEAL, noun=NOUN).order_by("-id")
    return max((last for entry in entries[:1] for _, last, _ in _ranges(entry)), default=0)


def _ranges(entry: models.AuditEntry) -> Iterator[tuple[int, int, Seal]]:
    """Yield (first, last, seal) of what an entry seals; nothing of one that was changed, which its digest tells."""
    try:
        sealed = json.loads(entry.detail)["ranges"]
        for name, (rows, digest) in sealed.items():
            first, _, last = name.partition("-")
            yield int(first), int(last), (int(rows), str(digest))
    except (ValueError, KeyError, TypeError, AttributeError):
        return


def _seal_of(first: int, last: int, using: str) -> Seal:
    rows = models.CapturedChange.objects.using(using).filter(pk__gte=first, pk__lte=last).order_by("pk")
    hashes = [models.row_hash(row) for row in rows]
    return len(hashes), hashlib.sha256("".join(hashes).encode()).hexdigest()


def faults(entry: models.AuditEntry, using: str) -> Iterator[str]:
    """Yield in sentences which captured changes are not as an entry seals them."""
    if entry.action != Action.SEAL:
        return
    oldest = models.CapturedChange.objects.using(using).order_by("pk").values_list("pk", flat=True).first()
    for first, last, seal in _ranges(entry):
        if oldest is not None and oldest <= first and (found := _seal_of(first, last, using)) != seal:
            wrong = _difference(found, seal)
            yield f"{wrong} the captured changes {first} to {last}, which audit entry {entry.pk} seals."


def _difference(found: Seal, sealed: Seal) -> str:
    missing = sealed[0] - found[0]
    return f"{missing} {'is' if missing == 1 else 'are'} missing of" if missing > 0 else "One or more were changed of"
