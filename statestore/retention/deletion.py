"""The deletion of what a policy lets go, in chunks that the orchestrator hardly waits for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db import connections

from statestore import models, partitions
from statestore.access import audit, audit_guards
from statestore.access.audit import Actor
from statestore.db import pagination, transactions
from statestore.models import PolicyTable, RetentionPolicy
from statestore.models.audit import Action
from statestore.partitions import Dropped, Month
from statestore.retention import limits, months
from statestore.retention.rows import Going, going
from statestore.retention.tiers import Row


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many rows went, and the bytes of their states."""

    rows: int = 0
    bytes: int = 0

    def __add__(self, other: "Deleted") -> "Deleted":
        return Deleted(self.rows + other.rows, self.bytes + other.bytes)


def carry_out(
    policy: RetentionPolicy, using: str, *, by: Actor, now: int, go_on: Callable[[], bool] = lambda: True
) -> Deleted:
    """Delete what the policy lets go, until `go_on` says no, and return what went.

    It finds rows as the simulator does. Each chunk is one transaction with its audit entry; interrupted, it goes on
    with the next run.
    """
    done = Deleted()
    for month in months.whole_months(policy, using, now=now):
        if go_on():
            done += _drop(policy, month, using, by)
    for of_agent in going(policy, using, now=now):
        for chunk in _chunks(of_agent.rows):
            if not go_on():
                return done
            done += _delete(policy, of_agent, chunk, using, by)
    return done


def _drop(policy: RetentionPolicy, month: Month, using: str, by: Actor) -> Deleted:
    """Drop a month of which nothing is kept, if it is so, and return what went."""
    gone = Deleted()

    def note(dropped: Dropped) -> None:
        nonlocal gone
        gone = Deleted(dropped.rows, months.bytes_of(policy, month, using))
        audit.record(
            Action.EXPIRE, policy.table, row_id="", by=by, using=using,
            detail={
                "policy": policy.pk, "rows": gone.rows, "bytes": gone.bytes, "from": dropped.first_at,
                "until": dropped.last_at, "month": str(month),
            },
        )  # fmt: skip

    table = months.table_of(policy)
    dropped = partitions.drop(using, table, month, may_go=lambda: months.may_go(policy, month, using), note=note)
    return Deleted() if dropped is None else gone


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    return pagination.portions(((row, row.bytes) for row in rows), limits.DELETED_BYTES, limits.DELETED_ROWS)


def _delete(policy: RetentionPolicy, of_agent: Going, chunk: list[Row], using: str, by: Actor) -> Deleted:
    with transactions.writing(using):
        if policy.table == PolicyTable.AUDIT:
            gone = _prune_audit(chunk, using, by)
        else:
            gone = _delete_rows(policy, of_agent.agent_id, chunk, using)
            if gone.rows:
                audit.record(
                    Action.EXPIRE, policy.table, row_id=of_agent.agent_id, by=by, using=using,
                    detail={
                        "policy": policy.pk, "rows": gone.rows, "bytes": gone.bytes,
                        "from": chunk[-1].at, "until": chunk[0].at,
                    },
                )  # fmt: skip
    return gone


_MODELS: dict[str, type[models.Snapshot | models.Transition | models.Event]] = {
    PolicyTable.SNAPSHOTS.value: models.Snapshot,
    PolicyTable.TRANSITIONS.value: models.Transition,
    PolicyTable.EVENTS.value: models.Event,
}


def _delete_rows(policy: RetentionPolicy, agent_id: str, chunk: list[Row], using: str) -> Deleted:
    pks = _still_free(policy, agent_id, chunk, using)
    if policy.table == PolicyTable.SNAPSHOTS:
        models.SnapshotExpiry.objects.using(using).filter(pk__in=pks).delete()
    count, _ = _MODELS[policy.table].objects.using(using).filter(pk__in=pks).delete()
    return Deleted(count, sum(row.bytes for row in chunk if row.pk in pks) if count else 0)


def _still_free(policy: RetentionPolicy, agent_id: str, chunk: list[Row], using: str) -> set[str]:
    """Return the keys of the rows that were not held meanwhile: the writer's lock is ours now."""
    holds = models.Hold.objects.using(using)
    if holds.on("agent", agent_id).exists():
        return set()
    pks = {row.pk for row in chunk}
    if policy.table == PolicyTable.SNAPSHOTS:
        snapshots = models.Snapshot.objects.using(using).filter(holds.keeps(), pk__in=pks)
        pks -= set(snapshots.values_list("pk", flat=True))
    return pks


def _prune_audit(chunk: list[Row], using: str, by: Actor) -> Deleted:
    """Delete the oldest entries, and leave an entry with the digest that the chain goes on from."""
    entries = models.AuditEntry.objects.using(using)
    last = entries.get(pk=int(chunk[-1].pk))
    first_left = entries.filter(pk__gt=last.pk).order_by("id").first()
    if first_left is None:
        return Deleted()  # The newest entry is the head of the chain.
    with audit_guards.lifted(connections[using]):
        count, _ = entries.filter(pk__lte=last.pk).delete()
    audit.record(
        Action.PRUNE, "audit log", row_id="", by=by, using=using,
        detail={"rows": count, "last": last.pk, "first_left": first_left.pk, "digest": last.digest or ""},
    )  # fmt: skip
    return Deleted(count)
