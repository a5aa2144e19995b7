"""Putting an agent back: plan → apply → verify → undo.

A plan is computed from what the agent is now; applying it writes only if that is still so. One IMMEDIATE transaction
checks the hash, keeps the outgoing state as a safety snapshot, writes the state, the transition, the restore and the
audit entry; then the state is read back and compared.
"""

from dataclasses import dataclass, replace
from typing import Final

from statestore import audit, dialect, history, jsontext, models, moments
from statestore.audit import Actor
from statestore.errors import Conflict, DatabaseError, NotFound
from statestore.routers import store_alias

# A running agent may write its memory over what is restored; one that changed so lately is likely to.
FRESH_SECONDS: Final = 60
SAFETY_DESCRIPTION: Final = "Before restore"


@dataclass(frozen=True, slots=True)
class Caution:
    """One reason to look before restoring: what is so, in a sentence."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore would do: the agent as it was when planned, the state to put back, and what speaks against it."""

    agent: models.AgentState
    target: history.KnownState
    expected_etag: str
    warnings: tuple[Caution, ...]
    using: str

    @property
    def changes_nothing(self) -> bool:
        """Whether the agent's state is the target already."""
        return models.same_text(self.agent.state_data, self.target.text)


def plan(agent_id: str, moment: moments.Moment | str, *, using: str | None = None) -> Plan:
    """Return the plan to put an agent back to a moment, against its state now. Raises NotFound."""
    using = using or store_alias()
    parsed = moments.parse(moment) if isinstance(moment, str) else moment
    with dialect.translated_errors():
        agent = _agent(agent_id, using)
        target = history.state_at(agent_id, parsed, using=using)
        warnings = tuple(_warnings(agent, target, using))
    return Plan(agent, target, agent.etag(), warnings, using)


def expecting(planned: Plan, etag: str) -> Plan:
    """Return the plan as it was shown to somebody: it applies only to the row with that etag."""
    return replace(planned, expected_etag=etag)


def _agent(agent_id: str, using: str, *, lock: bool = False) -> models.AgentState:
    agents = models.AgentState.objects.using(using)
    agent = (agents.select_for_update() if lock else agents).filter(agent_id=agent_id).first()
    if agent is None:
        raise NotFound("This agent is gone: its orchestrator deleted it. Its snapshots and transitions remain.")
    return agent


def _warnings(agent: models.AgentState, target: history.KnownState, using: str) -> list[Caution]:
    found = []
    now = models.now()
    if agent.status == models.AgentStatus.RUNNING:
        found.append(Caution("running", "The agent is marked running: it may write its memory over what is restored."))
    age_seconds = now - int(agent.updated_at)
    if 0 <= age_seconds < FRESH_SECONDS:
        found.append(Caution("fresh", f"The agent changed {age_seconds} s ago: somebody is working with it."))
    if models.Session.objects.using(using).of_agent(agent.agent_id).open().exists():
        found.append(Caution("session", "The agent has an open session."))
    if agent.is_deleted:
        found.append(Caution("trash", "The agent is in the trash; it stays there."))
    if target.expires_at is not None and target.expires_at <= now:
        found.append(Caution("expired", "The snapshot has expired."))
    if difference := _other_shape(agent.state_data, target.text):
        found.append(Caution("shape", difference))
    return found


def _other_shape(now: str, then: str) -> str:
    """Return a sentence where two states differ in kind or in their top-level keys, else nothing."""
    try:
        present = jsontext.parse(now)
        past = jsontext.parse(then)
    except jsontext.NotJson:
        # Text that cannot be parsed can still be told from an object by how it begins.
        is_same_kind = now.lstrip()[:1] == then.lstrip()[:1]
        return "" if is_same_kind else "The state is of another kind than the one now: one of them is no JSON."
    if type(present) is not type(past):
        return "The state is of another kind than the one now: only one of them is an object."
    if not isinstance(present, dict) or not isinstance(past, dict):
        return ""
    lost, gained = [*present.keys() - past.keys()], [*past.keys() - present.keys()]
    words = [f"without “{key[:40]}”" for key in sorted(lost)[:5]] + [f"with “{key[:40]}”" for key in sorted(gained)[:5]]
    return f"The state has another shape than the one now: {', '.join(words)}." if words else ""


def apply_at_once(planned: Plan, etag: str, *, by: Actor, confirmed: bool, reason: str = "") -> models.Restore | None:
    """Apply a plan to the row that somebody saw, or return None and write nothing where they should look first.

    That is so where something speaks against it and they have not confirmed it. Raises Conflict as `apply` does.
    """
    has_moved = etag != planned.expected_etag
    if planned.warnings and not confirmed and not has_moved:
        return None
    return apply(expecting(planned, etag), by=by, reason=reason)


def apply(planned: Plan, *, by: Actor, reason: str = "", undoes: models.Restore | None = None) -> models.Restore:
    """Put the planned state back and return the restore, proved by reading back.

    Raises Conflict, and writes nothing, where the agent's row is not the one that the plan was made against.
    """
    using = planned.using
    with dialect.writing(using):
        agent = _agent(planned.agent.agent_id, using, lock=True)
        if agent.etag() != planned.expected_etag:
            raise Conflict("The agent has changed since you looked. Nothing was written; look at the new difference.")
        restored = _write(agent, planned.target, by=by, reason=reason, undoes=undoes, using=using)
        _prove(restored, using)
    return restored


def _write(
    agent: models.AgentState,
    target: history.KnownState,
    *,
    by: Actor,
    reason: str,
    undoes: models.Restore | None,
    using: str,
) -> models.Restore:
    now, etag_before, words = models.now(), agent.etag(), _words(target, reason, undoes)
    outgoing = agent.state_data
    safety = models.Snapshot(
        agent_id=agent.agent_id, state_data=outgoing, description=f"{SAFETY_DESCRIPTION}: {words}", created_at=now
    )
    agent.state_data, agent.updated_at = target.text, now
    transition = models.Transition(
        agent_id=agent.agent_id, state_before=outgoing, state_after=target.text, reason=words, timestamp=now
    )
    restored = models.Restore(
        agent_id=agent.agent_id,
        at=now,
        actor=by.name,
        reason=reason,
        moment=str(target.moment),
        hash_before=models.sha256(outgoing),
        hash_after=models.sha256(target.text),
        safety_snapshot_id=safety.pk,
        transition_id=transition.pk,
        undoes_id=undoes.pk if undoes else None,
    )
    for row in (safety, transition, restored):
        row.save(using=using, force_insert=True)
    agent.save(using=using, update_fields=["state_data", "updated_at"])
    verb = "undo" if undoes else "restore"
    audit.record(
        verb, agent, by=by, using=using, hash_before=etag_before, hash_after=agent.etag(), restore=restored.pk,
        moment=restored.moment, reason=reason,
    )  # fmt: skip
    return restored


def _words(target: history.KnownState, reason: str, undoes: models.Restore | None) -> str:
    what = "undo of a restore" if undoes else f"restored to {target.label}"
    return f"{what} — {reason}" if reason else what


def _prove(restored: models.Restore, using: str) -> None:
    """Read the agent back before anything is committed, and refuse the whole restore where it differs."""
    agent = _agent(restored.agent_id, using)
    if agent.state_hash() != restored.hash_after:
        raise DatabaseError(
            "The state reads back differently than it was written. Nothing was changed; run the doctor."
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether what a restore wrote is still the agent's state."""

    in_force: bool
    agent_gone: bool = False
    overwritten_at: int | None = None
    overwritten_by: models.Transition | None = None


def verify(restored: models.Restore, *, using: str | None = None) -> Standing:
    """Return whether a restore still stands, and if not, when and by which transition it was overwritten."""
    using = using or store_alias()
    agent = models.AgentState.objects.using(using).filter(agent_id=restored.agent_id).first()
    if agent is None:
        return Standing(in_force=False, agent_gone=True)
    if agent.state_hash() == restored.hash_after:
        return Standing(in_force=True)
    transition = models.Transition.objects.using(using).filter(pk=restored.transition_id).first()
    later = models.Transition.objects.using(using).of_agent(restored.agent_id).without_states()
    first = later.after(transition).oldest_first().first() if transition else None
    return Standing(in_force=False, overwritten_at=first.timestamp if first else agent.updated_at, overwritten_by=first)


def plan_undo(restored: models.Restore, *, using: str | None = None) -> Plan:
    """Return the plan that puts back what a restore overwrote."""
    return plan(restored.agent_id, moments.AtSnapshot(restored.safety_snapshot_id), using=using)


def undo(restored: models.Restore, *, by: Actor, expected_etag: str | None = None, reason: str = "") -> models.Restore:
    """Put back what a restore overwrote, and return the new restore. Raises Conflict where the agent moved since."""
    planned = plan_undo(restored)
    if expected_etag is not None:
        planned = expecting(planned, expected_etag)
    return apply(planned, by=by, reason=reason, undoes=restored)
