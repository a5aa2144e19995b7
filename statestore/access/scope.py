"""The rows that a caller may see and change: the whole store, or what belongs to the agents of some namespaces.

A row out of scope does not exist for the caller: no list has it, and its id is not found.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Literal, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model, Q, QuerySet

from statestore import models
from statestore.access import rights
from statestore.db.errors import translated_errors
from statestore.db.ids import RowId
from statestore.db.routers import store_alias
from statestore.errors import Conflict, Forbidden, NotFound, ValidationError
from statestore.models.agents import AgentQuerySet, TombstoneQuerySet
from statestore.models.audit import AuditQuerySet
from statestore.models.batches import BatchQuerySet
from statestore.models.events import EventQuerySet
from statestore.models.restores import RestoreQuerySet, SavedPlanQuerySet
from statestore.models.sessions import SessionQuerySet
from statestore.models.snapshots import SnapshotQuerySet
from statestore.models.tasks import TaskQuerySet
from statestore.models.transitions import TransitionQuerySet
from statestore.text.natural_order import natural

Rows = TypeVar("Rows", bound=QuerySet[Model])


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows in scope, as querysets; `namespaces` is None for the whole store.

    `holder` is what has these limits, as messages say it.
    """

    namespaces: tuple[str, ...] | None = None
    using: str = field(default_factory=store_alias)
    holder: Literal["account", "token", "store"] = "token"

    @property
    def is_unrestricted(self) -> bool:
        """Whether the scope is the whole store."""
        return self.namespaces is None

    def whole(self) -> "Scope":
        """Return the scope of the whole store, to look for candidates that this scope then decides about."""
        return replace(self, namespaces=None)

    def agents(self, rows: AgentQuerySet | None = None) -> AgentQuerySet:
        """Return the agents, those in the trash included."""
        rows = models.AgentState.objects.using(self.using) if rows is None else rows
        return rows if self.namespaces is None else rows.in_namespaces(self.namespaces)

    def namespaces_in_use(self) -> list[str]:
        """Return the names of namespaces to choose from, in order."""
        if self.namespaces is None:
            return models.AgentState.objects.using(self.using).namespaces()
        return sorted((name for name in self.namespaces if name), key=natural)

    def includes(self, agent_id: str) -> bool:
        """Return whether rows of an agent are in scope; those of a deleted agent only in the whole store."""
        return self.is_unrestricted or bool(self.agents().filter(agent_id=agent_id).exists())

    def _ids(self) -> QuerySet[models.AgentState, object]:
        return self.agents().order_by().values("agent_id")

    def _of_agents(self, rows: Rows, column: str = "agent_id") -> Rows:
        return rows if self.is_unrestricted else rows.filter(**{f"{column}__in": self._ids()})

    def transitions(self) -> TransitionQuerySet:
        return self._of_agents(models.Transition.objects.using(self.using))

    def snapshots(self) -> SnapshotQuerySet:
        return self._of_agents(models.Snapshot.objects.using(self.using))

    def sessions(self) -> SessionQuerySet:
        return self._of_agents(models.Session.objects.using(self.using))

    def tasks(self) -> TaskQuerySet:
        """Return the tasks; in namespaces those assigned to their agents."""
        return self._of_agents(models.Task.objects.using(self.using), "assigned_to")

    def events(self) -> EventQuerySet:
        """Return the events; in namespaces those by their agents, or in sessions of these."""
        rows = models.Event.objects.using(self.using)
        if self.is_unrestricted:
            return rows
        sessions = self.sessions()
        own = rows.filter(Q(actor_id__in=self._ids()) | Q(session_id__in=sessions.order_by().values("pk")))
        return own.reaching(sessions)

    def searched_events(self) -> EventQuerySet | None:
        """Return the events to search among, None for all: the search index does not know namespaces."""
        return None if self.is_unrestricted else self.events()

    def restores(self) -> RestoreQuerySet:
        return self._of_agents(models.Restore.objects.using(self.using))

    def plans(self) -> SavedPlanQuerySet:
        return self._of_agents(models.SavedPlan.objects.using(self.using))

    def forks(self) -> QuerySet[models.Fork]:
        """Return the forks; in namespaces those of their agents from their agents."""
        return self._of_agents(self._of_agents(models.Fork.objects.using(self.using).all()), "parent_id")

    def tombstones(self) -> TombstoneQuerySet:
        return self._of_agents(models.Tombstone.objects.using(self.using).all())

    def batches(self) -> BatchQuerySet:
        """Return the batches; in namespaces those whose agents are all in scope."""
        rows = models.Batch.objects.using(self.using)
        return rows if self.is_unrestricted else rows.only_of_agents(self._ids())

    def audit(self) -> AuditQuerySet:
        """Return the audit entries; in namespaces those about their agents, and about tasks and sessions of these.

        Entries about deleted tasks and sessions are left out: whose they were is no longer known.
        """
        rows = models.AuditEntry.objects.using(self.using)
        if self.is_unrestricted:
            return rows
        own: dict[str, QuerySet[Model]] = {"task": self.tasks(), "session": self.sessions()}
        about_agents = Q(row_id__in=self._ids()) & ~Q(noun__in=own)
        about_work = (Q(noun=noun, row_id__in=own_rows.order_by().values("pk")) for noun, own_rows in own.items())
        return rows.filter(reduce(or_, about_work, about_agents))

    def namespace_for(self, wanted: str | None) -> str | None:
        """Return the namespace of a new agent, None for none. Raises Forbidden for a namespace out of scope."""
        if self.namespaces is None:
            return wanted or None
        if wanted is None and len(self.namespaces) == 1:
            wanted = self.namespaces[0]
        if wanted is None:
            how_many = "several namespaces. Name one of them" if self.namespaces else "no namespace"
            raise ValidationError(f"Your {self.holder} has {how_many}. Nothing was changed.")
        if wanted not in self.namespaces:
            raise Forbidden(f"Your {self.holder} has no access to this namespace. Nothing was changed.")
        return wanted or None

    def agent_ids(self, wanted: Sequence[RowId]) -> list[str]:
        """Return the ids of agents in the order of their addresses. Raises NotFound for an agent out of scope."""
        plain = [row_id for row_id in wanted if isinstance(row_id, str)]
        with translated_errors():
            known = set(self.agents().filter(agent_id__in=plain).order_by().values_list("agent_id", flat=True))
        return [row_id if isinstance(row_id, str) and row_id in known else self._named(row_id) for row_id in wanted]

    def _named(self, wanted: RowId) -> str:
        agent = None if isinstance(wanted, str) else self.agents().without_state().named(wanted, "agent_id")
        if agent is None:
            name = wanted if isinstance(wanted, str) else wanted.prefix
            raise NotFound(f"Agent “{name[:80]}” not found. Nothing was changed.")
        return str(agent.agent_id)

    def require_agent(self, agent_id: str | None, what: str) -> None:
        """Raise Forbidden unless the agent is in scope. Rows of no agent may be made in the whole store only."""
        if self.is_unrestricted:
            return
        if agent_id is None or not self.agents().filter(agent_id=agent_id).exists():
            raise Forbidden(f"{what} must belong to an agent in your {self.holder}'s namespaces. Nothing was changed.")

    def require_whole_store(self, what: str) -> None:
        """Raise Forbidden unless the scope is the whole store, which `what` concerns."""
        if not self.is_unrestricted:
            raise Forbidden(f"{what} concerns the whole store, but this {self.holder} is limited to namespaces.")

    def require_own_task(self, task: models.Task | None) -> None:
        """Raise Conflict if a task that would be overwritten is out of scope."""
        if task is not None and not self.is_unrestricted and not self.includes(task.assigned_to or ""):
            raise Conflict(_TAKEN.format(task.pk[:80]))

    def require_own_session(self, session: models.Session | None) -> None:
        """Raise Conflict if a session that would be overwritten is out of scope."""
        if session is not None and not self.includes(session.agent_id):
            raise Conflict(_TAKEN.format(session.pk[:80]))

    def own_sessions(self, session_ids: Collection[str], *, author: str | None = None) -> set[str]:
        """Return those of some ids that are sessions in scope, or that nothing out of scope names yet.

        What users said, or with an `author` that one alone, is of no namespace.
        """
        own = set(self.sessions().filter(pk__in=session_ids).order_by().values_list("pk", flat=True))
        rest = set(session_ids) - own
        recorded = models.Session.objects.using(self.using).filter(pk__in=rest)
        spoken = models.Event.objects.using(self.using).filter(session_id__in=rest).exclude(actor_id__in=self._ids())
        said = Q(actor_type=models.ActorType.USER)
        spoken = spoken.exclude(said if author is None else said & Q(actor_id=author))
        taken = {*recorded.values_list("pk", flat=True), *spoken.order_by().values_list("session_id", flat=True)}
        return own | (rest - taken)

    def require_new_agent(self, agent_id: str) -> None:
        """Raise Conflict if rows out of scope name this agent id: a new agent would bring them into scope."""
        if self.is_unrestricted:
            return
        if any(
            model._base_manager.using(self.using).filter(**{column: agent_id}).exists() for model, column in _OF_AGENTS
        ):
            raise Conflict(_TAKEN.format(agent_id[:80]))

    def require_new_session(self, session_id: str) -> None:
        """Raise Conflict if events out of scope name this session id: a new session would bring them into scope."""
        if self.is_unrestricted:
            return
        events = models.Event.objects.using(self.using).in_session(session_id)
        if events.exclude(actor_id__in=self._ids()).exists():
            raise Conflict(_TAKEN.format(session_id[:80]))


def scope_of(user: AbstractBaseUser | AnonymousUser, token: models.ApiToken | None = None) -> Scope:
    """Return the scope of a request: that of its user, or what of it the token has that it was sent with.

    This is the only place that decides which rows a person or a script may see; pages, API and admin ask it.
    """
    of_user = rights.namespaces_of(user)
    if token is None:
        return Scope(of_user, holder="account")
    namespaces = rights.narrowed(token.namespaces, user)
    is_narrower = namespaces is not None and (of_user is None or set(namespaces) < set(of_user))
    return Scope(namespaces, holder="token" if is_narrower else "account")


_TAKEN = "The id “{}” is already in use. Nothing was changed. Choose another id."
# Each model whose rows belong to an agent, with the column that names it.
_OF_AGENTS: tuple[tuple[type[Model], str], ...] = (
    (models.AgentState, "agent_id"), (models.Transition, "agent_id"), (models.Snapshot, "agent_id"),
    (models.Session, "agent_id"), (models.Restore, "agent_id"), (models.SavedPlan, "agent_id"),
    (models.Event, "actor_id"), (models.Task, "assigned_to"),
)  # fmt: skip
