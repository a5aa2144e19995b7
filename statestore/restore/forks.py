"""Forks: a new agent from any moment of another one, and the lineage."""

from dataclasses import dataclass

from statestore import history, models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.db import transactions
from statestore.db.errors import translated_errors
from statestore.db.fields import readable
from statestore.errors import Conflict, ValidationError
from statestore.history import moments
from statestore.models import validation
from statestore.models.audit import Action
from statestore.restore import limits


def fork(
    agent_id: str,
    moment: moments.Moment | str,
    new_id: str,
    *,
    by: Actor,
    name: str = "",
    reason: str = "",
    scope: Scope | None = None,
) -> models.AgentState:
    """Create an idle agent with another's state at a moment, in its namespace, and return it.

    Raises Conflict if the id is taken, also in another namespace: ids are unique across all. In a limited `scope` rows
    out of it must not name the id either.
    """
    scope = scope or Scope()
    using = scope.using
    parsed = moments.parse(moment) if isinstance(moment, str) else moment
    if not new_id.strip() or len(new_id) > limits.MAX_ID_CHARACTERS:
        raise ValidationError(
            f"The new agent needs an id of 1 to {limits.MAX_ID_CHARACTERS} characters. Nothing was created.",
            field="agent_id",
        )
    validation.check_columns(models.AgentState, {"agent_id": new_id, "name": name})
    validation.check_columns(models.Fork, {"reason": reason})
    with transactions.writing(using):
        scope.require_new_agent(new_id)
        known = history.state_at(agent_id, parsed, using=using)
        child = _child(agent_id, new_id, name or new_id, known.text, using)
        child.save(using=using, force_insert=True)
        # A past needs a beginning: without one, nothing would be known of the time before the first change.
        words = readable(f"forked from {agent_id[:80]}, {known.label}") + (f" — {reason}" if reason else "")
        models.Transition(
            agent_id=new_id, state_before=known.text, state_after=known.text, reason=words, timestamp=child.created_at
        ).save(using=using, force_insert=True)
        models.Fork(
            agent_id=new_id, parent_id=agent_id, moment=str(parsed), at=child.created_at, actor=by.name, reason=reason,
            state_hash=child.state_hash(),
        ).save(using=using)  # fmt: skip
        audit.record(
            Action.FORK, child, by=by, using=using, hash_after=child.etag(),
            detail={"parent": agent_id, "moment": str(parsed), "label": readable(known.label)},
        )  # fmt: skip
    return child


def _child(parent_id: str, new_id: str, name: str, state: str, using: str) -> models.AgentState:
    """Return an agent to be inserted in its parent's namespace. Raises Conflict if its id is taken."""
    agents = models.AgentState.objects.using(using)
    parent = agents.filter(agent_id=parent_id).without_state().first()
    key = f"{parent.namespace}:{new_id}" if parent is not None and parent.namespace else new_id
    if agents.filter(agent_id=new_id).exists() or agents.filter(key=key).exists():
        raise Conflict(f"Agent “{new_id[:80]}” already exists. Nothing was created. Choose another id.")
    now = models.now()
    return models.AgentState(
        key=key, agent_id=new_id, name=name, state_data=state, metadata=parent.metadata if parent else "{}",
        created_at=now, updated_at=now,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lineage:
    """One agent in a tree of forks: its depth, and the moment that it was forked from."""

    agent_id: str
    depth: int
    fork: models.Fork | None
    exists: bool
    is_asked: bool

    @property
    def shown_depth(self) -> int:
        """The depth as far as a page can indent it."""
        return min(self.depth, limits.MAX_FORK_DEPTH)


def lineage(agent_id: str, *, scope: Scope | None = None) -> list[Lineage]:
    """Return the tree of forks that an agent is in, children below their parents; empty without forks.

    A limited scope ends at agents that are not in it.
    """
    scope = scope or Scope()
    using, forks = scope.using, scope.forks()
    with translated_errors():
        root, seen = agent_id, {agent_id}
        while (
            (up := forks.filter(pk=root).first()) is not None
            and up.parent_id not in seen
            and len(seen) < limits.MAX_FORKS
        ):
            root = up.parent_id
            seen.add(root)
        tree = {fork.agent_id: fork for fork in forks.filter(pk=root)}
        children: dict[str, list[models.Fork]] = {}
        level = [root]
        while level and len(tree) < limits.MAX_FORKS:
            below = list(forks.filter(parent_id__in=level).order_by("at", "agent_id")[: limits.MAX_FORKS])
            level = [fork.agent_id for fork in below if fork.agent_id not in tree and fork.agent_id != root]
            for fork in below:
                if fork.agent_id in level:
                    tree[fork.agent_id] = fork
                    children.setdefault(fork.parent_id, []).append(fork)
        if not children:
            return []
        alive = models.AgentState.objects.using(using).filter(agent_id__in=[root, *tree])
        present = set(alive.values_list("agent_id", flat=True))
    return list(_walk(root, 0, tree, children, present, agent_id))


def _walk(
    agent_id: str, depth: int, tree: dict[str, models.Fork], children: dict[str, list[models.Fork]],
    present: set[str], selected_id: str,
) -> list[Lineage]:  # fmt: skip
    line = [Lineage(agent_id, depth, tree.get(agent_id), agent_id in present, agent_id == selected_id)]
    for child in children.get(agent_id, ()):
        line += _walk(child.agent_id, depth + 1, tree, children, present, selected_id)
    return line
