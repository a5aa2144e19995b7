"""What a restore would do, before it is done: the state to put back, made against what the agent is now.

The state may be that of a moment, some paths of it, the present without one transition, or the present merged with it
if the agent has changed since the preview. It is always a text that can be shown before it is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from statestore import history, models
from statestore.db import fast_rows
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import NotFound
from statestore.history import moments
from statestore.jsondiff import parsing
from statestore.models import validation
from statestore.restore import in_place, limits, path_selection
from statestore.restore.path_selection import Edits, MergeConflict, Side

_OR_FORK: Final = (
    "A program may be in the middle of this thread. A fork to a new thread in the framework's store leaves this one as"
    " it is: choose Fork."
)
_GONE: Final = (
    "The orchestrator deleted this agent. Restoring creates it again, idle and without a namespace."
    " Undoing that removes it again."
)


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning before a restore, as a sentence."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do: the agent as it was when planned, the state to put back, and what speaks against it.

    `text` is that state: `target.text`, or what was made of it. `kind` says how: whole, part, edit, revert, merge; or
    remove, which takes an agent away again that a restore had created. `status` is what its status is set to, or
    empty to leave it.
    A plan with `clashes` is not ready: each must be chosen first.
    """

    agent: models.AgentState
    target: history.KnownState
    expected_etag: str
    warnings: tuple[Caution, ...]
    using: str
    text: str
    kind: str = "whole"
    label: str = ""
    clashes: tuple[MergeConflict, ...] = ()
    restore_id: str | None = None
    approved_by: str = ""
    status: str = ""

    @property
    def changes_nothing(self) -> bool:
        """Whether the agent already has the planned state."""
        return not self.agent.is_gone and self.kind != "remove" and models.same_text(self.agent.state_data, self.text)


def plan(
    agent_id: str,
    moment: moments.Moment | str,
    *,
    paths: Sequence[str] | None = None,
    edits: Edits = (),
    seen: str | None = None,
    using: str | None = None,
) -> RestorePlan:
    """Return the plan to restore an agent to a moment, based on its present state.

    With `paths` only those are put back, each with all that is below it; `edits` are (path, JSON text) pairs that
    correct the result. `seen` is the state that the paths were chosen in, where the agent has moved since: the plan is
    then for plan_merge. An agent that its orchestrator deleted is created again. Raises NotFound, and ValidationError
    for a path or a text that cannot be.
    """
    using = using or store_alias()
    parsed = moments.parse(moment) if isinstance(moment, str) else moment
    with translated_errors():
        agent = agent_or_gone(agent_id, using)
        target = history.state_at(agent_id, parsed, using=using)
    text, label, kind = target.text, target.label, "whole"
    if paths is not None:
        text, count = path_selection.select(agent.state_data if seen is None else seen, target.text, paths)
        if text != target.text:
            label, kind = f"{count} field{'' if count == 1 else 's'} of {target.label}", "part"
    if edits:
        text, label, kind = path_selection.correct(text, edits), f"{label}, corrected", "edit"
    return made(agent, target, using, text=text, label=label, kind=kind)


def plan_kept(agent_id: str, text: str, *, at: int, label: str, using: str | None = None) -> RestorePlan:
    """Return the plan to write a state that was kept outside of the store, such as in a backup.

    `at` is when it was kept, `label` where. An agent that does not exist is created.
    """
    using = using or store_alias()
    with translated_errors():
        agent = fast_rows.find(models.AgentState, using, agent_id=agent_id) or models.AgentState.gone(agent_id)
        target = history.KnownState(moments.AtTime(at), agent_id, text, at, label)
    return made(agent, target, using, text=text, label=label, kind="backup")


def plan_revert(
    agent_id: str, transition_id: str, *, sides: Mapping[str, Side] | None = None, using: str | None = None
) -> RestorePlan:
    """Return the plan to revert one transition's changes and keep later ones.

    Where later changes touched the same places the plan has clashes: call again with a side chosen for each, `ours`
    to keep the present, `theirs` to take back. Raises NotFound, and ValidationError if a state is not JSON.
    """
    using = using or store_alias()
    with translated_errors():
        agent = agent_or_gone(agent_id, using)
        target = history.state_at(agent_id, moments.AtTransition(transition_id, "before"), using=using)
        after = history.state_at(agent_id, moments.AtTransition(transition_id, "after"), using=using)
    text, clashes = path_selection.merge(after.text, agent.state_data, target.text, sides)
    label = f"without {after.label.removeprefix('after ')}"
    return made(agent, target, using, text=text, label=label, kind="revert", clashes=clashes)


def plan_merge(planned: RestorePlan, base: str, *, sides: Mapping[str, Side] | None = None) -> RestorePlan:
    """Return a plan that was made for the state `base`, merged with the agent's changes since."""
    text, clashes = path_selection.merge(base, planned.agent.state_data, planned.text, sides)
    merged = made(planned.agent, planned.target, planned.using, text=text, kind="merge", clashes=clashes,
                 label=f"{planned.label}, merged with later changes")  # fmt: skip
    return replace(merged, restore_id=planned.restore_id, approved_by=planned.approved_by, status=planned.status)


def setting(planned: RestorePlan, status: str) -> RestorePlan:
    """Return the plan which also sets the agent's status; empty leaves it."""
    if not status:
        return planned
    validation.check_columns(models.AgentState, {"status": status})
    return replace(planned, status=status)


def made(
    agent: models.AgentState, target: history.KnownState, using: str, *, text: str, label: str, kind: str,
    clashes: tuple[MergeConflict, ...] = (),
) -> RestorePlan:  # fmt: skip
    """Return the plan to write a text, with the warnings that speak against it."""
    with translated_errors():
        warnings = tuple(_warnings(agent, target, text, using))
    return RestorePlan(agent, target, agent.etag(), warnings, using, text, kind, label, clashes)


def expecting(planned: RestorePlan, etag: str) -> RestorePlan:
    """Return the plan bound to the row that was previewed: it applies only while the row has this ETag."""
    return replace(planned, expected_etag=etag)


def agent_now(agent_id: str, using: str, *, lock: bool = False) -> models.AgentState:
    """Return the agent's row. Raises NotFound if its orchestrator has deleted it."""
    agent = fast_rows.find(models.AgentState, using, agent_id=agent_id, lock=lock)
    if agent is None:
        raise NotFound("The orchestrator deleted this agent. Its snapshots and transitions remain.")
    return agent


def agent_or_gone(agent_id: str, using: str) -> models.AgentState:
    """Return the agent's row, or what stands for it, without a state, if its orchestrator deleted it.

    Raises NotFound if nothing remains of it.
    """
    agent = fast_rows.find(models.AgentState, using, agent_id=agent_id)
    if agent is None and history.remains_of(agent_id, using=using) is None:
        raise history.not_there(agent_id, using=using)
    return agent or models.AgentState.gone(agent_id)


def _warnings(agent: models.AgentState, target: history.KnownState, text: str, using: str) -> list[Caution]:
    warnings = [Caution("gone", _GONE)] if agent.is_gone else _warnings_of_agent(agent, target, text, using)
    if target.expires_at is not None and target.expires_at <= models.now():
        warnings.append(Caution("expired", "The snapshot has expired."))
    if target.doubt_until is not None:
        warnings.append(
            Caution("doubt", "This is the last known state before that time. An unrecorded change followed.")
        )
    return warnings


def _warnings_of_agent(agent: models.AgentState, target: history.KnownState, text: str, using: str) -> list[Caution]:
    warnings = []
    now = models.now()
    if agent.is_active:
        warnings.append(Caution("running", f"The agent is {agent.status} and may overwrite the restored state."))
    age_seconds = now - int(agent.updated_at)
    if 0 <= age_seconds < limits.FRESH_SECONDS:
        warnings.append(Caution("fresh", f"The agent changed {age_seconds} s ago and may be in use."))
    if agent.is_deleted:
        warnings.append(Caution("trash", "The agent is in the trash and stays there."))
    if difference := _other_shape(agent.state_data, text):
        warnings.append(Caution("shape", difference))
    if writer := in_place.writer_of(agent, using):
        warnings += [Caution("source", sentence) for sentence in writer.effects(target, text)]
        is_in_use = agent.status == "running" or 0 <= age_seconds < limits.FRESH_SECONDS
        if is_in_use and text == target.text and in_place.forker_of(agent, using):
            warnings.append(Caution("source", _OR_FORK))
    elif fast_rows.exists(models.Session, using, agent_id=agent.agent_id, ended_at=None):
        warnings.append(Caution("session", "The agent has an open session."))
    return warnings


def _other_shape(now: str, then: str) -> str:
    """Return a sentence if two states differ in type or in their top-level keys, otherwise nothing."""
    try:
        (present, present_keys), (past, past_keys) = parsing.top_level(now), parsing.top_level(then)
    except parsing.NotJson:
        # Text that cannot be parsed can still be told from an object by how it begins.
        is_same_kind = now.lstrip()[:1] == then.lstrip()[:1]
        return "" if is_same_kind else "Only one of the current and the restored state is JSON."
    if present is not past:
        return "The restored state has another JSON type than the current one."
    lost, gained = present_keys - past_keys, past_keys - present_keys
    words = [f"without “{key[:40]}”" for key in sorted(lost)[:5]] + [f"with “{key[:40]}”" for key in sorted(gained)[:5]]
    return f"Top-level keys differ from the current state: {', '.join(words)}." if words else ""
