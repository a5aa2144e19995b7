"""Batches: many agents restored to one time, previewed agent by agent, applied and undone as one.

Each agent's restore is atomic and recorded with its result in one transaction, so that a batch that was interrupted
goes on where it stopped. Several agents share a transaction, to sync the disk less often, for a twentieth of a second.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from statestore import history, models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.db import fast_rows, transactions
from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias, store_of
from statestore.errors import Busy, Conflict, NotFound, StateStoreError, ValidationError
from statestore.history import moments
from statestore.jsondiff import diff, parsing
from statestore.models.agents import AgentQuerySet
from statestore.models.audit import Action
from statestore.restore import in_place, limits, rules
from statestore.restore.apply import apply
from statestore.restore.plans import RestorePlan, agent_now
from statestore.text.natural_order import natural

# What a batch would do to an agent, what matters most first.
KINDS: Final = ("change", "running", "unchanged", "refused", "unknown")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a restore would change: the number of changes of each kind, and the member that has the most of them."""

    counts: dict[diff.Kind, int]
    largest: str


@dataclass(frozen=True, slots=True)
class BatchPreview:
    """What a batch would do to one agent: change, unchanged, unknown, refused (its framework's store cannot be written)
    or running (it would change while it works).

    `extent` is None where nothing would change, and where the states were not compared: too large, or out of time.
    """

    agent: models.AgentState
    kind: str
    note: str
    etag: str
    extent: "Extent | None" = None

    @property
    def is_choosable(self) -> bool:
        """Whether there is something to restore."""
        return self.kind in ("change", "running")


def preview(agents: AgentQuerySet, seconds: int) -> list[BatchPreview]:
    """Return what restoring each agent of a queryset to a time would do, in the order of KINDS and of their ids.

    Raises ValidationError for more than MAX_AGENTS agents.
    """
    chosen = list(agents[: limits.MAX_AGENTS + 1])
    if len(chosen) > limits.MAX_AGENTS:
        raise ValidationError(f"More than {limits.MAX_AGENTS:,} agents match. Nothing was changed. Narrow the filter.")
    using, ends_at = agents.db, time.monotonic() + limits.COMPARED_SECONDS
    verdicts = [
        verdict
        for group in batched(chosen, limits.AGENTS_AT_ONCE)
        for verdict in _verdicts(group, seconds, using, ends_at)
    ]
    return sorted(verdicts, key=lambda verdict: (KINDS.index(verdict.kind), natural(verdict.agent.agent_id)))


def _verdicts(listed: Sequence[models.AgentState], seconds: int, using: str, ends_at: float) -> Iterator[BatchPreview]:
    with translated_errors():
        states = models.AgentState.objects.using(using).in_bulk([agent.pk for agent in listed])
        agents = [states[agent.pk] for agent in listed if agent.pk in states]
        known = history.states_at(agents, seconds, using=using)
        refusals = in_place.refusals([agent.agent_id for agent in agents], using)
    for agent in agents:
        yield _verdict(agent, known.get(agent.agent_id), refusals.get(agent.agent_id, ""), ends_at)


def _verdict(agent: models.AgentState, known: history.KnownState | None, refusal: str, ends_at: float) -> BatchPreview:
    etag = agent.etag()
    if known is None:
        return BatchPreview(agent, "unknown", "nothing is known of it at that time", etag)
    if models.same_text(known.text, agent.state_data):
        return BatchPreview(agent, "unchanged", "", etag)
    if refusal:
        return BatchPreview(agent, "refused", refusal, etag)
    note = "" if known.is_exact else "last known state; it changed unrecorded since"
    extent = _extent(agent.state_data, known.text) if time.monotonic() < ends_at else None
    return BatchPreview(agent, "running" if agent.is_active else "change", note, etag, extent)


def _extent(before: str, after: str) -> Extent | None:
    if max(len(before), len(after)) > limits.COMPARED_CHARACTERS:
        return None
    try:
        changes = diff.diff(parsing.parse(before), parsing.parse(after)).changes
    except (parsing.NotJson, diff.TooDeep):
        return None
    members = Counter(change.path.split("/", 2)[1] for change in changes if change.path)
    return Extent(dict(Counter(change.kind for change in changes)), members.most_common(1)[0][0] if members else "")


def prepare(
    chosen: Iterable[tuple[str, str]],
    seconds: int,
    *,
    by: Actor,
    reason: str = "",
    scope: str = "",
    using: str | None = None,
) -> models.Batch:
    """Save a batch of (agent id, ETag) pairs for a day, to be reviewed, approved and applied; return it."""
    using, pairs = using or store_alias(), list(dict(chosen).items())
    if not pairs or len(pairs) > limits.MAX_AGENTS:
        raise ValidationError(f"Select 1 to {limits.MAX_AGENTS:,} agents. Nothing was changed.")
    moment = str(moments.AtTime(seconds))
    batch = models.Batch(created_at=models.now(), actor=by.name, reason=reason, moment=moment, scope=scope)
    items = [
        models.BatchItem(batch=batch, agent_id=agent_id, expected_etag=etag, moment=moment) for agent_id, etag in pairs
    ]
    return _kept(batch, items, by, using)


def prepare_undo(batch: models.Batch, *, by: Actor, reason: str = "", using: str | None = None) -> models.Batch:
    """Save a batch that undoes another one, where that is still in force. Raises Conflict."""
    using = using or store_of(batch)
    undone = models.Batch.objects.using(using).filter(undoes_id=batch.pk).exists()
    done = {item.restore_id: item for item in batch.items.using(using).done()}
    if undone or not done:
        raise Conflict("Nothing to undo: this batch restored no agents, or it has already been undone.")
    undo = models.Batch(
        created_at=models.now(), actor=by.name, reason=reason, moment=batch.moment, scope=batch.scope,
        undoes_id=batch.pk,
    )  # fmt: skip
    items = [_undo_item(undo, restored, using) for restored in _restores(done, using)]
    return _kept(undo, items, by, using)


def undo_batch(
    batch: models.Batch, *, by: Actor, reason: str = "", using: str | None = None
) -> tuple[models.Batch, dict[str, int]]:
    """Undo a batch where it is still in force, within one request's time budget; return the new batch.

    With it comes the number of agents by result, as from `apply_batch`. Raises Conflict if nothing can be undone.
    """
    undo = prepare_undo(batch, by=by, reason=reason, using=using)
    return undo, apply_batch(undo, by=by, budget_seconds=limits.REQUEST_SECONDS, using=using)


def _restores(done: Iterable[object], using: str) -> Iterator[models.Restore]:
    for ids in batched([restore_id for restore_id in done if restore_id], limits.AGENTS_AT_ONCE):
        yield from models.Restore.objects.using(using).filter(pk__in=ids)


def _undo_item(undo: models.Batch, restored: models.Restore, using: str) -> models.BatchItem:
    moment = str(moments.AtSnapshot(restored.safety_snapshot_id))
    item = models.BatchItem(batch=undo, agent_id=restored.agent_id, moment=moment, restore_id=restored.pk)
    try:
        agent = agent_now(restored.agent_id, using)
    except NotFound as error:
        item.result, item.note = "failed", str(error)
        return item
    if agent.state_hash() != restored.hash_after:
        item.result, item.note = "moved", "Changed after the restore; left as it is."
    item.expected_etag = agent.etag()
    return item


def _kept(batch: models.Batch, items: list[models.BatchItem], by: Actor, using: str) -> models.Batch:
    with transactions.writing(using):
        batch.save(using=using, force_insert=True)
        audit.record(
            Action.PLAN, batch, by=by, row_id=batch.pk, using=using,
            detail={"agents": len(items), "moment": batch.moment},
        )  # fmt: skip
    for rows in batched(items, 500):
        with transactions.writing(using):
            models.BatchItem.objects.using(using).bulk_create(rows)
    return batch


def apply_batch(
    batch: models.Batch, *, by: Actor, budget_seconds: float | None = None, using: str | None = None
) -> dict[str, int]:
    """Apply a batch's waiting items within the time budget, and return the number of agents by result.

    `""` counts those that still wait: call again. Raises NeedsApproval if a second person must approve and has not,
    Conflict for a batch of which nothing was applied within a day.
    """
    using = using or store_of(batch)
    is_undo = batch.undoes_id is not None
    rules.check_approved(batch.approved_by, is_undo=is_undo, how="Send them the link to this batch.")
    _check_not_expired(batch, using)
    ends_at = time.monotonic() + (float("inf") if budget_seconds is None else budget_seconds)
    # Each call gets on with at least one group, however short its budget.
    while items := list(batch.items.using(using).waiting()[: limits.AGENTS_AT_ONCE]):
        plans = _plans(batch, items, using)
        while items:
            with transactions.writing(using):
                _apply_some(items, plans, by, batch.reason, using)
        if time.monotonic() > ends_at:
            break
    return models.BatchItem.objects.using(using).filter(batch=batch).counts_by_result()


def _check_not_expired(batch: models.Batch, using: str) -> None:
    """Raise Conflict for a batch of which nothing was applied within a day."""
    if not batch.items.using(using).exclude(result="").exists():
        rules.check_not_expired(int(batch.created_at) + limits.PLAN_SECONDS, "batch")


def _plans(batch: models.Batch, items: list[models.BatchItem], using: str) -> dict[int, RestorePlan]:
    """Return {item key: plan}, read without the lock; deleted agents have none."""
    with translated_errors():
        ids = [item.agent_id for item in items]
        agents = {one.agent_id: one for one in models.AgentState.objects.using(using).filter(agent_id__in=ids)}
        moment = moments.parse(batch.moment)
        if batch.undoes_id is None and isinstance(moment, moments.AtTime):
            known = history.states_at(list(agents.values()), moment.seconds, using=using)
        else:
            known = _outgoing(items, using)
    return {
        item.pk: RestorePlan(
            agents[item.agent_id], target, item.expected_etag, (), using, target.text, label=target.label,
            approved_by=batch.approved_by,
        )
        for item in items
        if item.agent_id in agents and (target := known.get(item.agent_id))
    }  # fmt: skip


def _outgoing(items: list[models.BatchItem], using: str) -> dict[str, history.KnownState]:
    """Return {agent id: state} of the items' safety snapshots."""
    moment_of = {item.agent_id: moments.parse(item.moment) for item in items}
    ids = [moment.snapshot_id for moment in moment_of.values() if isinstance(moment, moments.AtSnapshot)]
    snapshots = models.Snapshot.objects.using(using).filter(pk__in=ids)
    return {
        one.agent_id: history.KnownState(
            moment_of[one.agent_id], one.agent_id, one.state_data, one.created_at, "before"
        )
        for one in snapshots
        if one.agent_id in moment_of
    }


def _apply_some(
    items: list[models.BatchItem], plans: dict[int, RestorePlan], by: Actor, reason: str, using: str
) -> None:  # fmt: skip
    """Apply the first items within one transaction, for a twentieth of a second, and take them from the list."""
    began = time.monotonic()
    # Another process may apply the same batch: the lock is ours now, so what is still waiting stays so.
    waiting = models.BatchItem.objects.using(using).filter(pk__in=[item.pk for item in items]).waiting()
    still = set(waiting.values_list("pk", flat=True))
    while items and time.monotonic() - began < limits.HOLD_SECONDS:
        item = items.pop(0)
        if item.pk in still:
            _apply_one(item, plans.get(item.pk), by, reason, using)
            fast_rows.update(item, using, ["result", "note", "restore_id"])


def _apply_one(item: models.BatchItem, planned: RestorePlan | None, by: Actor, reason: str, using: str) -> None:
    """Apply one item, or record why not."""
    undone = fast_rows.find(models.Restore, using, id=item.restore_id) if item.restore_id else None
    item.restore_id = None
    if planned is None:
        item.result, item.note = "failed", "The agent or the state to restore was deleted."
        return
    if planned.changes_nothing:
        item.result = "unchanged"
        return
    try:
        item.restore_id = apply(planned, by=by, reason=reason, undoes=undone).pk
        item.result = "done"
    except Busy:
        raise
    except Conflict as error:
        item.result, item.note = "moved", str(error)
    except StateStoreError as error:
        item.result, item.note = "failed", str(error)


def batch_needs_approval(batch: models.Batch) -> bool:
    """Return whether a second person has to approve a batch before it can be applied."""
    return rules.needs_approval(batch.approved_by, is_undo=batch.undoes_id is not None)


def approve_batch(batch: models.Batch, *, by: Actor, using: str | None = None) -> models.Batch:
    """Approve another user's batch and return it. Raises Conflict for your own, an applied or an expired batch."""
    using = using or store_of(batch)
    with transactions.writing(using):
        row: models.Batch | None = models.Batch.objects.using(using).select_for_update().filter(pk=batch.pk).first()
        if row is None:
            raise NotFound("Batch not found.")
        rules.check_approver(by, row.actor, "batch")
        if not row.items.using(using).waiting().exists():
            raise Conflict("This batch has already been applied. Nothing was changed.")
        _check_not_expired(row, using)
        row.approved_by = by.name
        row.save(using=using, update_fields=["approved_by"])
        audit.record(Action.APPROVE, row, by=by, row_id=row.pk, using=using, detail=rules.approval(by))
    return row
