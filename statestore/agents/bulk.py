"""Actions on many agents, each in a transaction of its own, with a reason for each refusal."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from statestore import models
from statestore.access.audit import Actor
from statestore.agents import limits
from statestore.agents.service import change_status
from statestore.agents.snapshots import take_snapshot
from statestore.errors import StateStoreError, ValidationError
from statestore.models.agents import AgentQuerySet
from statestore.models.audit import Action, AuditQuerySet


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one agent: the snapshot or transition made, if any, or the reason of the refusal."""

    agent_id: str
    made: models.Snapshot | models.Transition | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One agent's part of an action on several: its status before and after."""

    agent_id: str
    before: str
    after: str


Verb = Callable[[str], models.Snapshot | models.Transition | None]


def selected(agent_ids: Sequence[str]) -> list[str]:
    """Return the agents that were selected one by one, each once. Raises ValidationError for none or too many."""
    distinct = list(dict.fromkeys(agent_ids))
    if not 1 <= len(distinct) <= limits.BULK_AGENTS:
        raise ValidationError(f"Select 1 to {limits.BULK_AGENTS} agents. Nothing was changed.")
    return distinct


def matching(agents: AgentQuerySet) -> list[str]:
    """Return the ids of the agents that match a filter, sorted. Raises ValidationError for none or too many."""
    ids = [
        str(one) for one in agents.order_by("agent_id").values_list("agent_id", flat=True)[: limits.MATCHING_AGENTS + 1]
    ]
    if not ids:
        raise ValidationError("No agent matches the filter any more. Nothing was changed.")
    if len(ids) > limits.MATCHING_AGENTS:
        raise ValidationError(
            f"More than {limits.MATCHING_AGENTS:,} agents match. Nothing was changed. Narrow the filter."
        )
    return sorted(ids)


def snapshot_each(
    using: str, agent_ids: Sequence[str], description: str = "", *, by: Actor, seed: str | None = None
) -> list[Outcome]:
    """Take a snapshot of each agent, and return the results; with the same seed none is taken twice."""
    return list(_each(selected(agent_ids), _snapshot(using, description, by, seed)))


def change_status_of_each(
    using: str, agent_ids: Sequence[str], status: str, *, by: Actor, reason: str = ""
) -> list[Outcome]:
    """Change the status of each agent, and return the results; agents that have it already are left alone."""
    return list(_each(selected(agent_ids), _status(using, status, by, reason)))


def snapshot_in_time(using: str, agent_ids: Sequence[str], *, by: Actor) -> list[Outcome]:
    """Take a snapshot of each agent, for as long as one request may; return the results of those that were reached."""
    return list(_in_time(agent_ids, _snapshot(using, "", by, None)))


def change_status_in_time(
    using: str, agent_ids: Sequence[str], status: str, *, by: Actor, reason: str = "", group: str
) -> list[Outcome]:
    """Change the status of each agent, for as long as one request may; return the results of those that were reached.

    `group` names the action: `changes_of` finds its parts, `undo_group` undoes them.
    """
    return list(_in_time(agent_ids, _status(using, status, by, reason, group)))


def changes_of(entries: AuditQuerySet, group: str, started_at: int) -> list[StatusChange]:
    """Return what an action on several agents changed, as the audit log has it."""
    rows = entries.with_action(Action.STATUS).between(started_at, started_at + limits.GROUP_SECONDS)
    return [
        StatusChange(str(row.row_id), json.loads(row.before or "{}")["status"], json.loads(row.after or "{}")["status"])
        for row in rows.filter(detail__contains=group).order_by("id")
    ]


def undo_group(using: str, changes: Sequence[StatusChange], *, by: Actor, group: str) -> list[Outcome]:
    """Set the status of each agent back that still has the one it was given; return the results.

    `group` names the undo, which can be undone in turn.
    """
    given = {change.agent_id: change for change in changes}

    def set_back(agent_id: str) -> models.Transition | None:
        change = given[agent_id]
        return change_status(
            using, agent_id, change.before, by=by, reason="undo", only_from=change.after, group=group
        )  # fmt: skip

    return list(_in_time(list(given), set_back))


def _snapshot(using: str, description: str, by: Actor, seed: str | None) -> Verb:
    def take(agent_id: str) -> models.Snapshot:
        made_id = None if seed is None else str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {agent_id}"))
        return take_snapshot(using, agent_id, description or "Taken with others", by=by, made_id=made_id)

    return take


def _status(using: str, status: str, by: Actor, reason: str, group: str = "") -> Verb:
    return lambda agent_id: change_status(using, agent_id, status, by=by, reason=reason, group=group)


def _in_time(agent_ids: Sequence[str], verb: Verb) -> Iterator[Outcome]:
    ends_at = time.monotonic() + limits.REQUEST_SECONDS
    for outcome in _each(agent_ids, verb):
        yield outcome
        if time.monotonic() > ends_at:
            return


def _each(agent_ids: Sequence[str], verb: Verb) -> Iterator[Outcome]:
    for agent_id in agent_ids:
        try:
            yield Outcome(agent_id, verb(agent_id))
        except StateStoreError as error:
            yield Outcome(agent_id, refusal=str(error))
