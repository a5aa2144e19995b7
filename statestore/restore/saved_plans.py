"""Saved plans: bound to the ETag of the agent's row, shared, approved, applied once."""

from dataclasses import replace

from statestore import history, models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.db import transactions
from statestore.db.fields import readable
from statestore.db.routers import store_alias, store_of
from statestore.errors import Conflict, NotFound
from statestore.history import moments
from statestore.models.audit import Action
from statestore.restore import limits, rules
from statestore.restore.apply import apply
from statestore.restore.plans import RestorePlan, agent_or_gone, expecting, made, plan


def save(planned: RestorePlan, *, by: Actor, reason: str = "") -> models.SavedPlan:
    """Save a plan for a day, and return it. Its state is saved too, unless it is that of the moment itself."""
    now = models.now()
    if planned.clashes:
        raise Conflict("Both sides changed the same paths. No plan was saved. Resolve the conflicts first.")
    row = models.SavedPlan(
        agent_id=planned.agent.agent_id,
        created_at=now,
        expires_at=now + limits.PLAN_SECONDS,
        actor=by.name,
        reason=reason,
        kind=planned.kind,
        moment=str(planned.target.moment),
        label=planned.label,
        state_data=None if planned.kind == "whole" else planned.text,
        expected_etag=planned.expected_etag,
        hash_before=planned.agent.state_hash(),
        hash_after=models.sha256(planned.text),
        status=planned.status,
    )
    with transactions.writing(planned.using):
        row.save(using=planned.using, force_insert=True)
        audit.record(
            Action.PLAN, planned.agent, by=by, using=planned.using,
            detail={
                "plan": row.pk, "moment": row.moment, "label": readable(planned.target.label), "kind": row.kind,
            },
        )  # fmt: skip
    return row


def reopen(row: models.SavedPlan, *, using: str | None = None) -> RestorePlan:
    """Return the plan of a row, bound to its ETag; it can be viewed even if it was applied or has expired.

    Raises NotFound if the moment is gone, and Conflict where it holds another state than was planned.
    """
    using = using or store_alias()
    if row.state_data is None:
        planned = plan(row.agent_id, row.moment, using=using)
    else:
        target = history.KnownState(moments.parse(row.moment), row.agent_id, row.state_data, None, row.label)
        agent = agent_or_gone(row.agent_id, using)
        planned = made(agent, target, using, text=row.state_data, label=row.label, kind=row.kind)
    if models.sha256(planned.text) != row.hash_after:
        raise Conflict("The state this plan restores has changed since the plan was made. Create a new plan.")
    planned = replace(
        planned, kind=row.kind, label=row.label, restore_id=row.pk, approved_by=row.approved_by, status=row.status
    )
    return expecting(planned, row.expected_etag)


def check_applicable(row: models.SavedPlan, *, using: str | None = None) -> None:
    """Raise Conflict if a plan was applied already or has expired."""
    rules.check_not_applied(row.pk, using or store_of(row))
    rules.check_not_expired(int(row.expires_at), "plan")


def apply_saved(row: models.SavedPlan, *, by: Actor, using: str | None = None) -> models.Restore:
    """Apply a plan and return the restore, which has its id. Raises Conflict if it was applied, expired or moved."""
    check_applicable(row, using=using)
    planned = reopen(row, using=using)
    return apply(planned, by=by, reason=row.reason)


def approve(row: models.SavedPlan, *, by: Actor, using: str | None = None) -> models.SavedPlan:
    """Approve another user's plan and return it. Raises Conflict for your own, an applied or an expired plan."""
    using = using or store_of(row)
    with transactions.writing(using):
        row = find(row.pk, using=using)
        check_applicable(row, using=using)
        rules.check_approver(by, row.actor, "plan")
        row.approved_by, row.approved_at = by.name, models.now()
        row.save(using=using, update_fields=["approved_by", "approved_at"])
        detail = rules.approval(by, plan=row.pk)
        audit.record(Action.APPROVE, agent_or_gone(row.agent_id, using), by=by, using=using, detail=detail)
    return row


def find(plan_id: str, *, using: str | None = None) -> models.SavedPlan:
    """Return a plan. Raises NotFound."""
    row: models.SavedPlan | None = models.SavedPlan.objects.using(using or store_alias()).filter(pk=plan_id).first()
    if row is None:
        raise NotFound("Plan not found.")
    return row
