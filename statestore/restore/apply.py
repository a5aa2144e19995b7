"""Applying a plan, proving it, and undoing it.

One IMMEDIATE transaction checks the hash, keeps the outgoing state as a safety snapshot, writes the state, the
transition, the restore and the audit entry; then the state is read back and compared.

An agent that its orchestrator deleted is created again. There is no outgoing state then: the transition starts from an
empty text, as that of any new agent does, and there is no safety snapshot. The undo removes the row again, if its state
is still the one that was written; it is undone in turn from its safety snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from descartes_site.locations import COMMAND
from statestore import history, models
from statestore.access import audit, etags
from statestore.access.audit import Actor
from statestore.db import fast_rows, transactions
from statestore.db.fields import readable
from statestore.db.json_columns import as_text
from statestore.db.routers import store_of
from statestore.errors import Conflict, DatabaseError
from statestore.history import moments
from statestore.models import validation
from statestore.models.audit import Action
from statestore.models.snapshots import SAFETY_DESCRIPTION
from statestore.restore import in_place, intentions, rules
from statestore.restore.plans import RestorePlan, agent_now, expecting, plan, setting

MOVED: Final = "The agent has changed since your preview. Nothing was written. Review the new differences."
_VERBS: Final = {"part": "restored", "revert": "reverted:"}
_NOUNS: Final = {"part": "restore of", "revert": "revert to"}


def apply_at_once(
    planned: RestorePlan, etag: str, *, by: Actor, confirmed: bool, reason: str = ""
) -> models.Restore | None:
    """Apply a plan to the row that was previewed, or return None and write nothing if a preview is needed first.

    A preview is needed if the plan has warnings that were not confirmed. Raises Conflict as `apply` does.
    """
    has_moved = etag != planned.expected_etag
    if planned.warnings and not confirmed and not has_moved:
        return None
    return apply(expecting(planned, etag), by=by, reason=reason)


def apply(planned: RestorePlan, *, by: Actor, reason: str = "", undoes: models.Restore | None = None) -> models.Restore:
    """Write the planned state and return the restore, verified by reading it back.

    Raises Moved, and writes nothing, if the agent's row is not the one that was planned for; Conflict
    if conflicting paths are unresolved; NeedsApproval if a second person must approve first.
    """
    using = planned.using
    if planned.clashes:
        raise Conflict("Both sides changed the same paths. Nothing was written. Resolve the conflicts first.")
    _check(reason, planned.approved_by, is_undo=undoes is not None)
    with transactions.writing(using):
        rules.check_not_applied(planned.restore_id, using)
        agent, etag = _agent_as_planned(planned)
        return _applied(agent, etag, planned, by=by, reason=reason, undoes=undoes)


def _check(reason: str, approved_by: str = "", *, is_undo: bool = False) -> None:
    validation.check_columns(models.Restore, {"reason": reason})
    rules.check_approved(approved_by, is_undo=is_undo, how="Save a plan and send them the link.")


def _applied(
    agent: models.AgentState,
    etag: str,
    planned: RestorePlan,
    *,
    by: Actor,
    reason: str,
    undoes: models.Restore | None = None,
) -> models.Restore:
    """Write a plan over the agent's locked row, which has this ETag, and prove it.

    An agent that mirrors another framework's thread is put back there last: if that fails, nothing was written here.
    """
    writer = in_place.writer_of(agent, planned.using)
    if writer:
        intentions.check_none_is_open(agent.agent_id, planned.using)
    put_back = writer.prepare(planned.target, planned.text, by) if writer else None
    source = put_back.metadata if put_back else {}
    restored = _write(agent, planned, etag, by=by, reason=reason, undoes=undoes, source=source)
    _prove(restored, planned)
    if put_back:
        intentions.note(restored, planned, source, by)
        _write_there(put_back, restored)
    return restored


def _write_there(put_back: in_place.PutBack, restored: models.Restore) -> None:
    try:
        put_back.write()
    except Conflict:
        # Refused before anything was written. What else fails may have been written: the next look will tell.
        intentions.drop(str(restored.pk))
        raise


def record(intended: models.IntendedRestore, agent: models.AgentState) -> models.Restore | None:
    """Record a restore that a process wrote into a framework's store before it was killed, over the agent's locked row.

    Returns None, and records nothing, if the agent is not as it was then.
    """
    meant = intentions.intention_of(intended, agent)
    if meant is None:
        return None
    return _write(
        agent, meant.plan, meant.plan.expected_etag, by=meant.by, reason=meant.reason, undoes=meant.undoes,
        source=meant.noted, at=intended.at,
    )  # fmt: skip


def _agent_as_planned(planned: RestorePlan) -> tuple[models.AgentState, str]:
    """Return the agent's row, locked, and its ETag, or what stands for it, and "", if the plan is to create it.

    Raises Moved, and NotFound.
    """
    using, agent_id = planned.using, planned.agent.agent_id
    if planned.expected_etag == models.GONE_ETAG and not fast_rows.exists(models.AgentState, using, agent_id=agent_id):
        if fast_rows.exists(models.AgentState, using, key=agent_id):
            raise Conflict("Another agent has this agent's id as its key. Nothing was written. Fork to another id.")
        return models.AgentState.gone(agent_id), ""
    agent = agent_now(agent_id, using, lock=True)
    etag = agent.etag()
    etags.expect_etag(etag, planned.expected_etag, MOVED)
    return agent, etag


def _write(
    agent: models.AgentState,
    planned: RestorePlan,
    etag_before: str,
    *,
    by: Actor,
    reason: str,
    undoes: models.Restore | None,
    source: Mapping[str, object] | None = None,
    at: int | None = None,
) -> models.Restore:
    now = models.now() if at is None else at
    words, using = _words(planned, reason, undoes), planned.using
    outgoing, status_before, status_after = agent.state_data, agent.status, _new_status(agent, planned)
    safety = models.Snapshot(
        agent_id=agent.agent_id, state_data=outgoing, description=_safety_words(planned, reason, undoes), created_at=now
    )
    metadata = {**models.status_change(status_before, status_after), "by": by.name} if status_after else {}
    metadata |= {models.MIRROR_MARK: source} if source else {}
    transition = models.Transition(
        agent_id=agent.agent_id, state_before=outgoing, state_after=planned.text, reason=words, timestamp=now,
        metadata=as_text(metadata) if metadata else None,
    )  # fmt: skip
    restored = models.Restore(
        id=planned.restore_id or models.new_id(),
        agent_id=agent.agent_id,
        at=now,
        actor=by.name,
        reason=reason,
        moment=str(planned.target.moment),
        kind=planned.kind,
        hash_before="" if agent.is_gone else models.sha256(outgoing),
        hash_after="" if planned.kind == "remove" else models.sha256(planned.text),
        safety_snapshot_id="" if agent.is_gone else safety.pk,
        transition_id=transition.pk,
        undoes_id=undoes.pk if undoes else None,
        status_before=status_before if status_after else None,
        status_after=status_after or None,
    )
    for row in (transition, restored) if agent.is_gone else (safety, transition, restored):
        fast_rows.insert(row, using)
    etag_after = _write_agent(agent, planned, status_after, now)
    audit.record(
        Action.UNDO if undoes else Action.RESTORE, agent, by=by, using=using,
        hash_before=etag_before, hash_after=etag_after, vouches_for=[restored],
        detail={
            "restore": restored.pk, "moment": restored.moment, "label": readable(planned.target.label),
            "kind": planned.kind, "reason": reason,
        },
    )  # fmt: skip
    if status_after:
        audit.record(
            Action.STATUS, agent, by=by, using=using, hash_before=etag_before, hash_after=etag_after,
            before={"status": status_before}, after={"status": status_after}, detail={"restore": restored.pk},
        )  # fmt: skip
    return restored


def _new_status(agent: models.AgentState, planned: RestorePlan) -> str:
    """Return the status to set, or an empty text if the agent has it already or is to keep its own."""
    return planned.status if planned.status != agent.status and planned.kind != "remove" else ""


def _write_agent(agent: models.AgentState, planned: RestorePlan, new_status: str, now: int) -> str:
    """Write, create or remove the agent's row, and return its ETag; empty if it was removed."""
    if planned.kind == "remove":
        agent.delete(using=planned.using)
        return ""
    status = {"status": new_status} if new_status else {}
    if agent.is_gone:
        created = models.AgentState(
            key=agent.agent_id, agent_id=agent.agent_id, name=agent.agent_id, state_data=planned.text, created_at=now,
            updated_at=now, **status,
        )  # fmt: skip
        created.save(using=planned.using, force_insert=True)
        return created.etag()
    columns = {"state_data": planned.text, "updated_at": now, **status}
    for name, value in columns.items():
        setattr(agent, name, value)
    fast_rows.update(agent, planned.using, columns)
    return agent.etag()


def _words(planned: RestorePlan, reason: str, undoes: models.Restore | None) -> str:
    what = _undone(undoes) if undoes else f"{_VERBS.get(planned.kind, 'restored to')} {readable(planned.label)}"
    return f"{what} — {reason}" if reason else what


def _safety_words(planned: RestorePlan, reason: str, undoes: models.Restore | None) -> str:
    what = _undone(undoes) if undoes else f"{_NOUNS.get(planned.kind, 'restore to')} {readable(planned.label)}"
    return f"{SAFETY_DESCRIPTION} {what}" + (f" — {reason}" if reason else "")


def _undone(restored: models.Restore) -> str:
    """Return the words for an undo: what its restore did, as the transition of that one says."""
    using = restored._state.db
    done = models.Transition.objects.using(using).filter(pk=restored.transition_id).values_list("reason", flat=True)
    reason = str(done.first() or "")
    return f"undo: {readable(reason[:200])}" if reason else "undo of a restore"


def _prove(restored: models.Restore, planned: RestorePlan) -> None:
    """Read the agent back before the commit, and refuse the restore if it differs."""
    agent = fast_rows.find(models.AgentState, planned.using, agent_id=restored.agent_id)
    is_as_planned = (
        agent is None if planned.kind == "remove" else agent and models.same_text(agent.state_data, planned.text)
    )
    if not is_as_planned:
        raise DatabaseError(
            f"The state read back differs from the state written. Nothing was changed. Run `{COMMAND} doctor`."
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether what a restore wrote is still the agent's state."""

    in_force: bool
    agent_gone: bool = False
    overwritten_at: int | None = None
    overwritten_by: models.Transition | None = None


def verify(restored: models.Restore, *, using: str | None = None) -> Verification:
    """Return whether a restore is still in force, and if not, when and by which transition it was overwritten."""
    using = using or store_of(restored)
    agent = models.AgentState.objects.using(using).filter(agent_id=restored.agent_id).first()
    if agent is None:
        return Verification(in_force=restored.has_removed, agent_gone=True)
    if agent.state_hash() == restored.hash_after:
        return Verification(in_force=True)
    transition = models.Transition.objects.using(using).filter(pk=restored.transition_id).first()
    later = models.Transition.objects.using(using).of_agent(restored.agent_id).without_states()
    first = later.after(transition).oldest_first().first() if transition else None
    return Verification(
        in_force=False, overwritten_at=first.timestamp if first else agent.updated_at, overwritten_by=first
    )


def plan_undo(restored: models.Restore, *, using: str | None = None) -> RestorePlan:
    """Return the plan that undoes a restore.

    Raises NotFound if the agent was deleted since, and Conflict if it was created by the restore and saved since: then
    undoing would remove what its orchestrator works with.
    """
    using = using or store_of(restored)
    if not restored.has_removed:
        agent = agent_now(restored.agent_id, using)
        if restored.has_created:
            return _plan_removal(agent, restored, using)
    planned = plan(restored.agent_id, moments.AtSnapshot(restored.safety_snapshot_id), using=using)
    # A status that was changed again since is left as it is.
    is_still_set = restored.status_after is not None and planned.agent.status == restored.status_after
    return replace(planned, status=restored.status_before or "") if is_still_set else planned


def _plan_removal(agent: models.AgentState, restored: models.Restore, using: str) -> RestorePlan:
    if agent.state_hash() != restored.hash_after:
        raise Conflict(
            "This restore created the agent, which has been saved since. Undoing would remove it. Nothing was written."
            " Move the agent to the trash instead."
        )
    before = history.state_at(agent.agent_id, moments.AtTransition(restored.transition_id, "before"), using=using)
    label = "the time before it was created"
    return RestorePlan(agent, before, agent.etag(), (), using, before.text, "remove", label)


def undo(restored: models.Restore, *, by: Actor, expected_etag: str | None = None, reason: str = "") -> models.Restore:
    """Undo a restore, and return the new restore. Raises Conflict if the agent has changed since."""
    planned = plan_undo(restored)
    if expected_etag is not None:
        planned = expecting(planned, expected_etag)
    return apply(planned, by=by, reason=reason, undoes=restored)


def restore_now(
    snapshot: models.Snapshot,
    *,
    by: Actor,
    if_match: str | None = None,
    reason: str = "",
    status: str = "",
    using: str | None = None,
) -> models.Restore:
    """One-call restore of a snapshot; honours If-Match. Returns the restore, or raises Moved with the present ETag.

    With a `status` the agent's status is set too.

    There is no preview whose warnings matter: plan and restore are one transaction, and the agent is read once. If the
    agent's row was deleted, it is created again.
    """
    using = using or store_of(snapshot)
    _check(reason)
    with transactions.writing(using):
        agent = fast_rows.find(models.AgentState, using, agent_id=snapshot.agent_id, lock=True)
        if agent is None:
            planned = setting(plan(snapshot.agent_id, moments.AtSnapshot(snapshot.pk), using=using), status)
            return apply(planned if if_match is None else expecting(planned, if_match), by=by, reason=reason)
        etag = agent.etag()
        etags.expect_etag(etag, if_match, MOVED)
        target = history.state_in(snapshot)
        planned = setting(RestorePlan(agent, target, etag, (), using, target.text, label=target.label), status)
        return _applied(agent, etag, planned, by=by, reason=reason)


def undo_now(restored: models.Restore, *, by: Actor, if_match: str | None = None, reason: str = "") -> models.Restore:
    """One-call undo of a restore; honours If-Match. Returns the new restore.

    Without If-Match the agent must still have the state that the restore wrote; otherwise it raises Conflict, since
    undoing would overwrite a change that the caller has not seen.
    """
    if if_match is None and not verify(restored).in_force:
        raise Conflict(
            "The agent has changed since this restore, and undoing it would overwrite that change."
            " Nothing was written. Review the agent, then send its ETag as If-Match."
        )
    return undo(restored, by=by, expected_etag=if_match, reason=reason)
