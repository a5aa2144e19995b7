"""Agents: save with a transition, change of status, trash and restore from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.access import audit, etags
from statestore.access.audit import Actor
from statestore.db import fast_rows, transactions
from statestore.db.fields import readable
from statestore.db.json_columns import as_text
from statestore.errors import Conflict, Moved, NotFound, ValidationError
from statestore.models import validation
from statestore.models.audit import Action

_IS_MIRROR: Final = (
    "This agent mirrors a thread of another framework's store. Nothing was changed. Restore it to a moment of its past,"
    " which is written there too, or fork it."
)


@dataclass(frozen=True, slots=True)
class Saved:
    """An agent as it is now, whether it is new, and the transition that records the change, None without one."""

    agent: models.AgentState
    is_new: bool
    transition: models.Transition | None


def save_agent(
    using: str,
    agent_id: str,
    columns: Mapping[str, object],
    *,
    prefix: str | None = None,
    reason: str | None = None,
    record: bool = False,
    if_match: str | None = None,
    only_new: bool = False,
    by: Actor | None = None,
) -> Saved:
    """Create an agent or overwrite some of its columns, in one transaction.

    The change of its state is recorded where there is a reason, and with `record` also without one; the transition's
    metadata says `by` whom. Raises NotFound for a new agent without a state, Moved where the row is not the one seen
    or, with `only_new`, where there is one.
    """
    if not agent_id:
        raise ValidationError("An agent needs an id.", field="agent_id")
    validation.check_columns(models.Transition, {"reason": reason})
    with transactions.writing(using):
        stored = fast_rows.find(models.AgentState, using, agent_id=agent_id, lock=True)
        _check(stored, agent_id, prefix, if_match, only_new)
        check_own(stored, using)
        validation.check_columns(models.AgentState, columns, kept=stored)
        state_before = stored.state_data if stored else ""
        if stored is not None:
            # As when the orchestrator saves: an agent in the trash comes back, and is shown as revived.
            agent = update(using, stored, {**columns, "is_deleted": 0} if stored.is_deleted else columns)
        elif "state_data" in columns:
            agent = _insert(using, agent_id, prefix, columns)
        else:
            raise NotFound(f"Agent “{agent_id[:80]}” not found. Check the id and the namespace.")
        is_recorded = reason is not None or (record and not models.same_text(state_before, agent.state_data))
        transition = record_change(using, agent, state_before, reason, by=by) if is_recorded else None
    return Saved(agent, stored is None, transition)


def report_state(
    using: str,
    agent_id: str,
    columns: Mapping[str, object],
    *,
    by: Actor,
    prefix: str | None = None,
    reason: str | None = None,
    if_match: str | None = None,
    only_new: bool = False,
) -> Saved:
    """Save an agent with its state, as its program does after each step, and record the transition.

    A state that overwrites one which the caller did not write is recorded in the audit log too: the caller's own last
    one is not, or the log would have an entry for each step.
    """
    with transactions.writing(using):
        stored = fast_rows.find(models.AgentState, using, agent_id=agent_id, lock=True)
        saved = save_agent(
            using, agent_id, columns, prefix=prefix, reason=reason, record=True, if_match=if_match, only_new=only_new,
            by=by,
        )  # fmt: skip
        is_changed = stored is not None and not models.same_text(stored.state_data, saved.agent.state_data)
        if stored is not None and is_changed and not _is_own_state(using, stored, saved.transition, by):
            audit.record(
                Action.CHANGE, saved.agent, by=by, using=using, hash_before=stored.etag(),
                hash_after=saved.agent.etag(), detail={"columns": "state_data", "reason": reason or ""},
            )  # fmt: skip
    return saved


def _is_own_state(using: str, stored: models.AgentState, made: models.Transition | None, by: Actor) -> bool:
    """Return whether a state is what the caller wrote last: the last transition that changed it says so."""
    transitions = models.Transition.objects.using(using).of_agent(stored.agent_id).of_changes()
    last = transitions.exclude(pk=None if made is None else made.pk).newest_first().first()
    return last is not None and last.by == by.name and models.same_text(last.state_after, stored.state_data)


def change_agent(
    using: str,
    agent_id: str,
    columns: Mapping[str, object],
    *,
    by: Actor,
    reason: str = "",
    if_match: str | None = None,
) -> Saved:
    """Change some columns of an agent, recorded in the audit log.

    Raises Conflict for an agent in the trash: only its orchestrator brings it back by saving it.
    """
    with transactions.writing(using):
        stored = fast_rows.find(models.AgentState, using, agent_id=agent_id, lock=True)
        check_alive(stored)
        saved = save_agent(using, agent_id, columns, reason=reason or None, record=True, if_match=if_match, by=by)
        audit.record(
            Action.CHANGE, saved.agent, by=by, using=using,
            hash_before=stored.etag() if stored else "", hash_after=saved.agent.etag(),
            detail={"columns": ", ".join(sorted(columns)), "reason": reason},
        )  # fmt: skip
    return saved


def find_agent(
    using: str, agent_id: str, *, prefix: str | None = None, lock: bool = False, if_match: str | None = None
) -> models.AgentState:
    """Return an agent, also one in the trash; with `prefix` of that namespace.

    Raises NotFound, and Moved where the row is not the one that `if_match` names.
    """
    agent = fast_rows.find(models.AgentState, using, agent_id=agent_id, lock=lock, **_namespace(agent_id, prefix))
    if agent is None:
        raise NotFound(f"Agent “{agent_id[:80]}” not found. Check the id and the namespace.")
    etags.expect(agent, if_match)
    return agent


def _namespace(agent_id: str, prefix: str | None) -> dict[str, str]:
    """Return the columns by which an agent is of a namespace; None is of any."""
    return {} if prefix is None else {"key": _key(agent_id, prefix)}


def _key(agent_id: str, prefix: str | None) -> str:
    return f"{prefix}:{agent_id}" if prefix else agent_id


def change_status(
    using: str,
    agent_id: str,
    status: str,
    *,
    by: Actor,
    prefix: str | None = None,
    reason: str = "",
    if_match: str | None = None,
    only_from: str | None = None,
    group: str = "",
) -> models.Transition | None:
    """Change an agent's status and return the transition that records it, or None if it had that status already.

    `group` names, in the audit log, the action on several agents that this one is a part of. Raises Moved where the
    row is not the one seen, or its status is not `only_from`.
    """
    validation.check_columns(models.AgentState, {"status": status})
    validation.check_columns(models.Transition, {"reason": reason})
    if not status.strip():
        raise ValidationError("A status must be a word such as idle or paused.", field="status")
    with transactions.writing(using):
        agent = find_agent(using, agent_id, prefix=prefix, lock=True, if_match=if_match)
        check_alive(agent)
        check_own(agent, using)
        if agent.status == status:
            return None
        if only_from is not None and agent.status != only_from:
            raise Moved(f"Its status was changed to {agent.status} since. It was left alone.", agent.etag())
        before, hash_before = agent.status, agent.etag()
        update(using, agent, {"status": status})
        words = f"status: {readable(before)} → {status}" + (f" ({reason})" if reason else "")
        change = models.status_change(before, status)
        transition = record_change(using, agent, agent.state_data, words, by=by, **change)
        audit.record(
            Action.STATUS, agent, by=by, using=using, before={"status": before}, after={"status": status},
            hash_before=hash_before, hash_after=agent.etag(), detail={"group": group} if group else None,
        )  # fmt: skip
    return transition


def move_to_trash(
    using: str, agent_id: str, *, by: Actor, prefix: str | None = None, reason: str = "", if_match: str | None = None
) -> None:
    """Move an agent to the trash. Its state and history stay; the orchestrator brings it back by saving it."""
    validation.check_columns(models.Tombstone, {"reason": reason})
    with transactions.writing(using):
        agent = find_agent(using, agent_id, prefix=prefix, lock=True, if_match=if_match)
        check_alive(agent)
        hash_before = agent.etag()
        models.Tombstone(agent_id=agent_id, at=models.now(), actor=by.name, reason=reason).save(using=using)
        _set_deleted(using, agent, 1)
        audit.record(
            Action.DELETE, agent, by=by, using=using, hash_before=hash_before, hash_after=agent.etag(),
            detail={"reason": reason},
        )  # fmt: skip


def bring_back(
    using: str, agent_id: str, *, by: Actor, prefix: str | None = None, if_match: str | None = None
) -> models.AgentState:
    """Restore an agent from the trash and return it."""
    with transactions.writing(using):
        agent = find_agent(using, agent_id, prefix=prefix, lock=True, if_match=if_match)
        hash_before = agent.etag()
        models.Tombstone.objects.using(using).filter(agent_id=agent_id).delete()
        _set_deleted(using, agent, 0)
        audit.record(Action.UNDELETE, agent, by=by, using=using, hash_before=hash_before, hash_after=agent.etag())
    return agent


def _set_deleted(using: str, agent: models.AgentState, is_deleted: int) -> None:
    agent.is_deleted = is_deleted
    fast_rows.update(agent, using, ["is_deleted"])


def check_alive(agent: models.AgentState | None) -> None:
    """Raise Conflict if an agent is in the trash."""
    if agent is not None and agent.is_deleted:
        raise Conflict("This agent is in the trash. Nothing was changed. Restore it from the trash first.")


def check_own(agent: models.AgentState | None, using: str) -> None:
    """Raise Conflict if an agent mirrors another framework's thread: what it is, is decided there."""
    if agent is not None and models.mirrored_thread(agent, using) is not None:
        raise Conflict(_IS_MIRROR)


def _check(
    stored: models.AgentState | None, agent_id: str, prefix: str | None, if_match: str | None, only_new: bool
) -> None:
    if stored is not None and prefix is not None and stored.key != _key(agent_id, prefix):
        raise Conflict(
            f"The id “{agent_id[:80]}” is already in use in another namespace."
            " Saving would delete that agent. Choose another id."
        )
    if only_new and stored is not None:
        raise Moved(f"Agent “{agent_id[:80]}” already exists. Nothing was changed.", stored.etag())
    etags.expect(stored, if_match)


def _insert(using: str, agent_id: str, prefix: str | None, columns: Mapping[str, object]) -> models.AgentState:
    key = _key(agent_id, prefix)
    validation.check_columns(models.AgentState, {"agent_id": agent_id, "key": key})
    now = models.now()
    columns = {"name": agent_id, **columns}
    agent = models.AgentState(key=key, agent_id=agent_id, created_at=now, updated_at=now, **columns)
    fast_rows.insert(agent, using)
    return agent


def update(using: str, agent: models.AgentState, columns: Mapping[str, object]) -> models.AgentState:
    """Write some columns of an agent, and `updated_at`."""
    written = {**columns, "updated_at": models.now()}
    for column, value in written.items():
        setattr(agent, column, value)
    fast_rows.update(agent, using, written)
    return agent


def record_transition(using: str, agent_id: str, columns: Mapping[str, object]) -> models.Transition:
    """Record a change of an agent's state that happened elsewhere, and return the transition."""
    validation.check_columns(models.Transition, columns)
    with transactions.writing(using):
        if fast_rows.exists(models.SourceThread, using, agent_id=agent_id):
            raise Conflict(_IS_MIRROR)
        if not fast_rows.exists(models.AgentState, using, agent_id=agent_id):
            validation.check_columns(models.Transition, {"agent_id": agent_id})
        transition = models.Transition(agent_id=agent_id, timestamp=models.now(), **columns)
        fast_rows.insert(transition, using)
    return transition


def record_change(
    using: str,
    agent: models.AgentState,
    state_before: str,
    reason: str | None,
    *,
    by: Actor | None = None,
    **metadata: object,
) -> models.Transition:
    """Record a transition to the agent's present state, with who made it in its metadata, and return it."""
    if by is not None:
        metadata["by"] = by.name
    transition = models.Transition(
        agent_id=agent.agent_id,
        state_before=state_before,
        state_after=agent.state_data,
        reason=reason,
        timestamp=models.now(),
        metadata=as_text(metadata) if metadata else None,
    )
    fast_rows.insert(transition, using)
    return transition
