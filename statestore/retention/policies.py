"""Policies: made, switched on after a look at what they would delete, changed and deleted; and holds against them."""

from collections.abc import Mapping
from dataclasses import dataclass

from statestore import models
from statestore.access import audit, etags
from statestore.access.audit import Actor
from statestore.db import transactions
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.models import Hold, PolicyTable, RetentionPolicy
from statestore.models.audit import Action
from statestore.models.retention import OF_AGENTS
from statestore.retention import limits, tiers


@dataclass(frozen=True, slots=True)
class Limits:
    """What a policy keeps; None sets no limit."""

    keep_seconds: int | None = None
    keep_count: int | None = None
    keep_bytes: int | None = None
    is_tiered: bool = False

    def columns(self) -> dict[str, object]:
        """Return the limits by the names of their columns."""
        return {
            "keep_seconds": self.keep_seconds, "keep_count": self.keep_count, "keep_bytes": self.keep_bytes,
            "is_tiered": self.is_tiered,
        }  # fmt: skip


def create(using: str, table: str, namespace: str | None, keeps: Limits, *, by: Actor) -> RetentionPolicy:
    """Make a policy that is off, and return it. Raises ValidationError for limits that contradict each other."""
    _check(table, namespace, keeps)
    policy = RetentionPolicy(
        table=table, namespace=namespace, created_at=models.now(), actor=by.name, **keeps.columns()
    )
    with transactions.writing(using):
        if RetentionPolicy.objects.using(using).filter(table=table, namespace=namespace).exists():
            raise Conflict(f"There is a policy for the {policy} already. Change that one. Nothing was saved.")
        policy.save(using=using, force_insert=True)
        audit.record(Action.CREATE, policy, by=by, using=using, after=_columns(policy))
    return policy


def _check(table: str, namespace: str | None, keeps: Limits) -> None:
    if table not in PolicyTable.values:
        raise ValidationError(
            f"“{table[:40]}” has no policies. Use one of {', '.join(PolicyTable.values)}.", field="table"
        )
    if keeps == Limits():
        raise ValidationError("A policy needs a limit: an age, a number, a size or tiers.", field="keep_days")
    for name, value in (("age", keeps.keep_seconds), ("number", keeps.keep_count), ("size", keeps.keep_bytes)):
        if value is not None and value < 1:
            raise ValidationError(f"The {name} must be positive.", field="keep_days")
    if keeps.keep_seconds is not None and keeps.keep_seconds < limits.LEAST_SECONDS:
        raise ValidationError("A policy keeps at least the last hour.", field="keep_days")
    if table not in OF_AGENTS and keeps != Limits(keep_seconds=keeps.keep_seconds):
        raise ValidationError(f"The {table} can be limited by age alone.", field="keep_days")
    if table == PolicyTable.AUDIT and namespace is not None:
        raise ValidationError("The audit log is one chain: its policy has no namespace.", field="namespace")
    if keeps.is_tiered and keeps.keep_seconds is not None and keeps.keep_seconds <= tiers.DAY:
        raise ValidationError(
            "These limits contradict each other: tiers thin what is older than a day, and nothing so old is kept.",
            field="keep_days",
        )


def _columns(policy: RetentionPolicy) -> dict[str, object]:
    names = ("table", "namespace", "keep_seconds", "keep_count", "keep_bytes", "is_tiered", "is_on")
    return {name: getattr(policy, name) for name in names}


def find(using: str, policy_id: str) -> RetentionPolicy:
    """Return a policy. Raises NotFound."""
    policy = RetentionPolicy.objects.using(using).filter(pk=policy_id).first()
    if policy is None:
        raise NotFound("This policy does not exist. It may have been deleted.")
    return policy


def switch(
    using: str, policy_id: str, *, on: bool, by: Actor, would_delete: int | None = None, if_match: str | None = None
) -> RetentionPolicy:
    """Switch a policy on or off. `would_delete` is the number of rows that its simulation showed, for the audit log."""
    with transactions.writing(using):
        policy = find(using, policy_id)
        etags.expect(policy, if_match)
        before, policy.is_on = policy.is_on, on
        policy.save(using=using, update_fields=["is_on"])
        audit.record(
            Action.EDIT, policy, by=by, using=using, before={"is_on": before}, after={"is_on": on},
            detail=None if would_delete is None else {"would_delete": would_delete},
        )  # fmt: skip
    return policy


def change(
    using: str, policy_id: str, given: Mapping[str, object], *, by: Actor, if_match: str | None = None
) -> RetentionPolicy:
    """Change the limits that are given by name, and return the policy, switched off.

    Nothing goes that its simulation did not name. Limits that are not given stay as they are by then.
    """
    with transactions.writing(using):
        policy = find(using, policy_id)
        etags.expect(policy, if_match)
        before = _columns(policy)
        keeps = Limits(**{name: given.get(name, before[name]) for name in Limits().columns()})  # type: ignore[arg-type]
        _check(policy.table, policy.namespace, keeps)
        after = {**keeps.columns(), "is_on": False}
        changed = [name for name, value in after.items() if before[name] != value]
        if changed == ["is_on"] or not changed:
            return policy
        for name in changed:
            setattr(policy, name, after[name])
        policy.save(using=using, update_fields=changed)
        audit.record(
            Action.EDIT, policy, by=by, using=using, before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )  # fmt: skip
    return policy


def delete(using: str, policy_id: str, *, by: Actor, if_match: str | None = None) -> None:
    """Delete a policy; what it deleted stays deleted."""
    with transactions.writing(using):
        policy = find(using, policy_id)
        etags.expect(policy, if_match)
        audit.record(Action.DELETE, policy, by=by, using=using, before=_columns(policy))
        policy.delete(using=using)


def hold(using: str, noun: str, row_id: str, *, reason: str = "", by: Actor) -> Hold:
    """Keep an agent with its records, a snapshot or a restore from being deleted by anything; return the hold."""
    if noun not in Hold.NOUNS:
        raise ValidationError(f"A {noun[:40]} cannot be held. Use one of {', '.join(Hold.NOUNS)}.", field="noun")
    with transactions.writing(using):
        found = Hold.objects.using(using).on(noun, row_id).first()
        if found is not None:
            return found
        made = Hold(noun=noun, row_id=row_id, at=models.now(), actor=by.name, reason=reason)
        made.save(using=using, force_insert=True)
        audit.record(Action.HOLD, noun, row_id=row_id, by=by, using=using, detail={"reason": reason})
    return made


def held(using: str, noun: str, row_id: str) -> Hold | None:
    """Return the hold on a row; None if it is not held."""
    return Hold.objects.using(using).on(noun, row_id).first()


def release(using: str, noun: str, row_id: str, *, by: Actor) -> None:
    """Take a hold off; without one nothing happens."""
    with transactions.writing(using):
        if Hold.objects.using(using).on(noun, row_id).delete()[0]:
            audit.record(Action.RELEASE, noun, row_id=row_id, by=by, using=using)
