"""What somebody may reach: all of the store, or what belongs to agents of some namespaces.

A row outside of it is as if it were not there: it is in no list, and by its id it is not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.ids import RowId
from statestore.db.routers import store_alias
from statestore.errors import Conflict, Forbidden, NotFound, ValidationError
from statestore.models.tasks import dependency_ids


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows of some namespaces as querysets; of all where `namespaces` is None."""

    namespaces: tuple[str, ...] | None = None
    using: str = field(default_factory=store_alias)

    @property
    def is_unrestricted(self) -> bool:
        """Whether nothing is hidden."""
        return self.namespaces is None

    def agents(self, rows: Any = None) -> Any:
        """Return the agents, those in the trash included."""
        rows = models.AgentState.objects.using(self.using) if rows is None else rows
        return rows if self.namespaces is None else rows.in_namespaces(self.namespaces)

    def includes(self, agent_id: str) -> bool:
        """Return whether what belongs to an agent is in reach; of one that is gone only where nothing is hidden."""
        return self.is_unrestricted or bool(self.agents().filter(agent_id=agent_id).exists())

    def _ids(self) -> Any:
        return self.agents().order_by().values("agent_id")

    def _of_agents(self, rows: Any, column: str = "agent_id") -> Any:
        return rows if self.is_unrestricted else rows.filter(**{f"{column}__in": self._ids()})

    def transitions(self) -> object:
        return self._of_agents(models.Transition.objects.using(self.using))

    def snapshots(self) -> Any:
        return self._of_agents(models.Snapshot.objects.using(self.using))

    def sessions(self) -> Any:
        return self._of_agents(models.Session.objects.using(self.using))

    def tasks(self) -> Any:
        """Return the tasks; within namespaces those that are assigned to one of its agents."""
        return self._of_agents(models.Task.objects.using(self.using), "assigned_to")

    def events(self) -> Any:
        """Return the events; within namespaces those that an agent of them caused, or that are in its sessions."""
        rows = models.Event.objects.using(self.using)
        if self.is_unrestricted:
            return rows
        return rows.filter(Q(actor_id__in=self._ids()) | Q(session_id__in=self.sessions().order_by().values("pk")))

    def restores(self) -> Any:
        return self._of_agents(models.Restore.objects.using(self.using))

    def plans(self) -> Any:
        return self._of_agents(models.SavedPlan.objects.using(self.using))

    def batches(self) -> Any:
        """Return the batches; within namespaces those of whose agents none is outside."""
        rows = models.Batch.objects.using(self.using)
        return rows if self.is_unrestricted else rows.only_of_agents(self._ids())

    def audit(self) -> Any:
        """Return the audit entries; within namespaces those about its agents, and about tasks and sessions of theirs.

        What was done to a task or session that is gone is not among these: nobody can say any more whose it was.
        """
        rows = models.AuditEntry.objects.using(self.using)
        if self.is_unrestricted:
            return rows
        own = {"task": self.tasks(), "session": self.sessions()}
        about_agents = Q(row_id__in=self._ids()) & ~Q(noun__in=own)
        about_work = (Q(noun=noun, row_id__in=found.order_by().values("pk")) for noun, found in own.items())
        return rows.filter(reduce(or_, about_work, about_agents))

    def namespace_for(self, wanted: str | None) -> str | None:
        """Return the namespace in which a new agent is made, None for none. Raises Forbidden outside of the reach."""
        if self.namespaces is None:
            return wanted or None
        if wanted is None and len(self.namespaces) == 1:
            wanted = self.namespaces[0]
        if wanted is None:
            raise ValidationError("Your token has several namespaces. Name one of them.")
        if wanted not in self.namespaces:
            raise Forbidden("Your token has no access to this namespace. Nothing was changed.")
        return wanted or None

    def agent_ids(self, wanted: Sequence[RowId]) -> list[str]:
        """Return the ids of some agents as addresses name them, in order. Raises NotFound for one that is not here."""
        plain = [one for one in wanted if isinstance(one, str)]
        with translated_errors():
            here = set(self.agents().filter(agent_id__in=plain).order_by().values_list("agent_id", flat=True))
        return [one if isinstance(one, str) and one in here else self._named(one) for one in wanted]

    def _named(self, wanted: RowId) -> str:
        agent = None if isinstance(wanted, str) else self.agents().without_state().named(wanted, "agent_id")
        if agent is None:
            name = wanted if isinstance(wanted, str) else wanted.prefix
            raise NotFound(f"Agent “{name[:80]}” not found. Nothing was changed.")
        return str(agent.agent_id)

    def require_agent(self, agent_id: str | None, what: str) -> None:
        """Raise Forbidden unless everything is in reach, or the agent is: of nobody's rows none may be made here."""
        if self.is_unrestricted:
            return
        if agent_id is None or not self.agents().filter(agent_id=agent_id).exists():
            raise Forbidden(f"{what} must belong to an agent in your token's namespaces. Nothing was changed.")

    def require_tasks(self, wanted: Sequence[str], *, besides: models.Task | None) -> None:
        """Raise ValidationError for a dependency that is out of reach, as for one that is not there.

        Those that the task has already stay, whoever made them.
        """
        kept = besides.dependencies or "" if besides is not None else ""
        ids = set(wanted) - set(_ids_in(kept))
        here = set(self.tasks().filter(pk__in=ids).order_by().values_list("pk", flat=True))
        if missing := sorted(ids - here):
            raise ValidationError(f"Task “{missing[0][:80]}” does not exist. Nothing was saved.", field="dependencies")

    def require_new_agent(self, agent_id: str) -> None:
        """Raise Conflict where rows out of reach name an id: with an agent of it they would come into reach."""
        if self.is_unrestricted:
            return
        named = {"agent_id": agent_id}
        rows = [model.objects.using(self.using).filter(**named) for model in _OF_AGENTS]
        rows += [
            models.Event.objects.using(self.using).filter(actor_id=agent_id),
            models.Task.objects.using(self.using).filter(assigned_to=agent_id),
        ]
        if any(some.exists() for some in rows):
            raise Conflict(_TAKEN.format(agent_id[:80]))

    def require_new_session(self, session_id: str) -> None:
        """Raise Conflict where events out of reach name an id: with a session of it they would come into reach."""
        if self.is_unrestricted:
            return
        events = models.Event.objects.using(self.using).in_session(session_id)
        if events.exclude(actor_id__in=self._ids()).exists():
            raise Conflict(_TAKEN.format(session_id[:80]))


_TAKEN = "The id “{}” is already in use. Nothing was changed. Choose another id."
_OF_AGENTS: tuple[Any, ...] = (
    models.AgentState, models.Transition, models.Snapshot, models.Session, models.Restore, models.SavedPlan,
)  # fmt: skip


def _ids_in(dependencies: str) -> list[str]:
    try:
        return dependency_ids(dependencies)
    except ValidationError:
        return []
