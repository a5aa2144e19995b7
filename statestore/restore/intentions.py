"""Restores in a framework's store, noted before they are written there.

Its commit and ours are two. A process that is killed between them leaves a restore that is done and not recorded: the
next look at the source finds what was intended, and records it with its undo, or drops it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from statestore import models
from statestore.access.audit import Actor
from statestore.errors import Conflict
from statestore.history import KnownState, moments
from statestore.jsondiff.parsing import Json
from statestore.models import IntendedRestore
from statestore.restore.plans import RestorePlan


def note(restored: models.Restore, planned: RestorePlan, noted: Mapping[str, object], by: Actor) -> None:
    """Note a restore that is about to be written into a framework's store, until our transaction ends well."""
    thread = models.mirrored_thread(planned.agent, planned.using)
    assert thread is not None
    about = {
        "moment": str(planned.target.moment), "target_label": planned.target.label, "target_at": planned.target.at,
        "label": planned.label, "kind": planned.kind, "status": planned.status, "text": planned.text,
        "before": models.sha256(planned.agent.state_data), "reason": restored.reason, "undoes": restored.undoes_id,
        "by": [by.name, by.ip_address, by.means], "noted": {**noted},
    }  # fmt: skip
    IntendedRestore.objects.using("default").create(
        id=restored.pk, store=planned.using, agent_id=planned.agent.agent_id, at=restored.at, position=thread.position,
        last_step=thread.last_step, plan=json.dumps(about),
    )  # fmt: skip
    transaction.on_commit(lambda: drop(restored.pk), using=planned.using)


def drop(restore_id: str) -> None:
    """Forget what was intended: it is recorded, or was not written."""
    IntendedRestore.objects.using("default").filter(pk=restore_id).delete()


def check_none_is_open(agent_id: str, using: str) -> None:
    """Raise Conflict if it is not known yet whether an earlier restore of an agent was written."""
    intended = IntendedRestore.objects.using("default").of_agents(using, [agent_id])
    ids = set(intended.values_list("pk", flat=True))
    if ids - set(models.Restore.objects.using(using).filter(pk__in=ids).values_list("pk", flat=True)):
        raise Conflict(
            "A restore of this agent was interrupted, and it is not known yet whether it was written. Nothing was"
            " written. Try again once the source was read: a server does so each second, `mirror` at once."
        )


@dataclass(frozen=True, slots=True)
class Intention:
    """What was intended: the plan, by whom and why, and what the write noted of itself, such as the key of its step."""

    plan: RestorePlan
    by: Actor
    reason: str
    undoes: models.Restore | None
    noted: Mapping[str, Json]


def intention_of(intended: IntendedRestore, agent: models.AgentState) -> Intention | None:
    """Return what was intended for an agent; None if it is not as it was then, so that nothing can be recorded."""
    about, using = json.loads(intended.plan), intended.store
    if models.sha256(agent.state_data) != about["before"]:
        return None
    target = KnownState(
        moments.parse(about["moment"]), agent.agent_id, about["text"], about["target_at"], about["target_label"]
    )
    planned = RestorePlan(
        agent, target, agent.etag(), (), using, about["text"], about["kind"], about["label"],
        restore_id=str(intended.pk), status=about["status"],
    )  # fmt: skip
    undoes = models.Restore.objects.using(using).filter(pk=about["undoes"]).first() if about["undoes"] else None
    return Intention(planned, Actor(*about["by"]), about["reason"], undoes, about["noted"])
