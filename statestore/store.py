"""StateStore: the verbs of writing and reading, with the names of the orchestrator's own store.

Each verb is one short transaction, atomic and IMMEDIATE; each has a coroutine named with an `a` before it.
Times are whole seconds since 1970 UTC. Raises the errors of errors.py and no others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db.models import Model, Q, QuerySet

from statestore import models, restore, search
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.agents import retention, snapshots
from statestore.agents import service as agent_service
from statestore.coroutines import coroutine
from statestore.db import fast_rows, routers, transactions
from statestore.db.errors import translated_errors
from statestore.db.json_columns import as_text, optional_text
from statestore.errors import MigrationError, NotFound
from statestore.events import ingest
from statestore.models.agents import AgentQuerySet
from statestore.models.events import EventQuerySet
from statestore.models.snapshots import SnapshotQuerySet
from statestore.sessions import service as session_service
from statestore.tasks import service as task_service

R = TypeVar("R")
Rows = TypeVar("Rows", bound=QuerySet[Model])


class StateStore:
    """A view of the store, of one namespace where a prefix is given, on behalf of one actor."""

    def __init__(self, using: str = "store", prefix: str | None = None, actor: Actor = audit.SYSTEM) -> None:
        self.using = routers.store_alias() if using == "store" else using
        self.prefix = prefix
        self.actor = actor

    # Reading and locking rows of this namespace

    def agents(self) -> AgentQuerySet:
        """Return the agents of this store as a queryset, those in the trash included."""
        agents = models.AgentState.objects.using(self.using)
        return agents if self.prefix is None else agents.in_namespace(self.prefix)

    def _agent(self, agent_id: str) -> models.AgentState:
        return agent_service.find_agent(self.using, agent_id, prefix=self.prefix)

    def _of_own_agents(self, rows: Rows, column: str = "agent_id") -> Rows:
        return rows if self.prefix is None else rows.filter(**{f"{column}__in": self.agents().values("agent_id")})

    # Opening

    def initialize(self) -> None:
        """Create the schema where the database is empty, or bring ours up to date; `adopt` is for other files."""
        try:
            with translated_errors():
                call_command("migrate", database=self.using, verbosity=0)
        except CommandError as error:
            raise MigrationError(str(error)) from error

    def get_migration_history(self) -> list[models.OrchestratorMigration]:
        """Return the orchestrator's own migrations that the store has seen, oldest first."""
        # Where its lease manager made the table, there are no scripts.
        migrations = models.OrchestratorMigration.objects.using(self.using).defer("rollback_script")
        with translated_errors():
            return list(migrations.order_by("version"))

    @contextmanager
    def transaction(self) -> Iterator["StateStore"]:
        """Run several verbs as one: all are applied or none. Keep it under 100 ms, the orchestrator waits."""
        with transactions.writing(self.using):
            yield self

    async def atransaction(self, work: Callable[["StateStore"], R]) -> R:
        """Run a plain function as one transaction and return its result.

        A function, since coroutines share a connection: what another one wrote in between would be in it too.
        """

        def run() -> R:
            with self.transaction():
                return work(self)

        return await sync_to_async(run)()

    # Agents

    def save_agent_state(
        self,
        agent_id: str,
        state: object,
        *,
        name: str | None = None,
        status: str | None = None,
        metadata: object = None,
        version: int | None = None,
        reason: str | None = None,
        if_match: str | None = None,
    ) -> models.AgentState:
        """Create or overwrite an agent's state and return the agent; what is not given stays as it was.

        With a reason the change is recorded as a transition in the same transaction. With `if_match` (an etag) nothing
        is written when the row is not the one that the caller saw.
        """
        given = {"name": name, "status": status, "version": version, "state_data": as_text(state, "state")}
        given["metadata"] = optional_text(metadata)
        columns = {column: value for column, value in given.items() if value is not None}
        return agent_service.save_agent(
            self.using,
            agent_id,
            columns,
            prefix=self.prefix,
            reason=reason,
            if_match=if_match,
            by=None if self.actor == audit.SYSTEM else self.actor,
        ).agent

    def load_agent_state(self, agent_id: str) -> models.AgentState:
        """Return an agent with its state. Raises NotFound, also for one in the trash."""
        with translated_errors():
            agent = self._agent(agent_id)
        if agent.is_deleted:
            raise NotFound(f"Agent “{agent_id[:80]}” is in the trash. Restore it with undelete_agent.")
        return agent

    def list_agents(self, *, with_states: bool = False) -> list[models.AgentState]:
        """Return the agents that are not in the trash, last changed first.

        Without their states, each of which is a query of its own on access, or all `with_states` in one query.
        """
        agents = self.agents().alive().order_by("-updated_at", "-rowid")
        with translated_errors():
            return list(agents if with_states else agents.without_state())

    def update_agent_status(
        self, agent_id: str, status: str, *, reason: str = "", if_match: str | None = None
    ) -> models.Transition | None:
        """Change an agent's status and return the transition that records it, or None if it had it already."""
        return agent_service.change_status(
            self.using, agent_id, status, by=self.actor, prefix=self.prefix, reason=reason, if_match=if_match
        )

    def delete_agent(self, agent_id: str, *, reason: str = "", if_match: str | None = None) -> None:
        """Move an agent to the trash. Its state and history stay; the orchestrator brings it back by saving it."""
        agent_service.move_to_trash(
            self.using, agent_id, by=self.actor, prefix=self.prefix, reason=reason, if_match=if_match
        )

    def undelete_agent(self, agent_id: str, *, if_match: str | None = None) -> models.AgentState:
        """Bring an agent back from the trash and return it."""
        return agent_service.bring_back(self.using, agent_id, by=self.actor, prefix=self.prefix, if_match=if_match)

    def purge_agent(self, agent_id: str, *, if_match: str | None = None) -> None:
        """Delete an agent in the trash for good, with its transitions and snapshots; its events and restores stay."""

        def find() -> models.AgentState:
            return agent_service.find_agent(self.using, agent_id, prefix=self.prefix, if_match=if_match)

        with translated_errors():
            retention.purge_agent(self.using, find, by=self.actor)

    # Transitions

    def record_state_transition(
        self,
        agent_id: str,
        state_before: object,
        state_after: object,
        reason: str | None = None,
        metadata: object = None,
    ) -> models.Transition:
        """Record a change of an agent's state that happened elsewhere, and return the transition."""
        columns = {
            "state_before": as_text(state_before, "state_before"),
            "state_after": as_text(state_after, "state_after"),
            "reason": reason,
            "metadata": optional_text(metadata),
        }
        with transactions.writing(self.using):
            if self.prefix is not None:
                self._agent(agent_id)
            return agent_service.record_transition(self.using, agent_id, columns)

    def get_state_history(self, agent_id: str, limit: int = 100) -> list[models.Transition]:
        """Return an agent's newest transitions with their states, newest first."""
        transitions = self._of_own_agents(models.Transition.objects.using(self.using)).of_agent(agent_id)
        with translated_errors():
            return list(transitions.newest_first()[:limit])

    # Snapshots

    def create_snapshot(
        self,
        agent_id: str,
        description: str | None = None,
        *,
        expires_at: int | None = None,
        if_match: str | None = None,
    ) -> models.Snapshot:
        """Keep a copy of an agent's state now, byte for byte, and return the snapshot."""
        return snapshots.take_snapshot(
            self.using,
            agent_id,
            description,
            by=self.actor,
            prefix=self.prefix,
            expires_at=expires_at,
            if_match=if_match,
        )

    def list_snapshots(self, agent_id: str) -> list[models.Snapshot]:
        """Return an agent's snapshots, newest first, without their states (loaded on access)."""
        with translated_errors():
            return list(self._snapshots().of_agent(agent_id).without_state().newest_first())

    def _snapshots(self) -> SnapshotQuerySet:
        return self._of_own_agents(models.Snapshot.objects.using(self.using))

    def delete_snapshot(self, snapshot_id: str, *, if_match: str | None = None) -> None:
        """Delete a snapshot. One that an undo would need goes too: the restore then says that it cannot be undone."""
        snapshots.delete_snapshot(self.using, snapshot_id, by=self.actor, among=self._snapshots(), if_match=if_match)

    def restore_snapshot(self, snapshot_id: str, *, reason: str = "", status: str = "") -> models.Restore:
        """Replace the agent's present state by a snapshot's, keep it as a safety snapshot, and return the restore.

        With a `status` the agent's status is set in the same transaction; the undo sets it back.
        """
        with translated_errors():
            if self.prefix is None:
                snapshot = fast_rows.find(models.Snapshot, self.using, id=snapshot_id)
            else:
                snapshot = self._snapshots().without_state().filter(pk=snapshot_id).first()
        if snapshot is None:
            raise NotFound(f"Snapshot “{snapshot_id[:80]}” not found. Use list_snapshots to see all snapshots.")
        return restore.restore_now(snapshot, by=self.actor, reason=reason, status=status, using=self.using)

    def delete_expired_snapshots(self, among: SnapshotQuerySet | None = None) -> int:
        """Delete the snapshots whose time is over, in chunks, and return how many went."""
        rows = models.Snapshot.objects.using(self.using).all() if among is None else among
        with translated_errors():
            return retention.delete_expired_snapshots(self.using, self._of_own_agents(rows), by=self.actor)

    # Events

    def _events(self) -> EventQuerySet:
        events = models.Event.objects.using(self.using)
        if self.prefix is None:
            return events
        own = models.Session.objects.using(self.using).filter(agent_id__in=self.agents().values("agent_id"))
        return events.filter(Q(actor_id__in=self.agents().values("agent_id")) | Q(session_id__in=own.values("pk")))

    def save_event(self, event: Mapping[str, object]) -> None:
        """Save one event, over an earlier one of the same id, as the orchestrator does."""
        self.save_events([event])

    def save_events(self, events: Iterable[Mapping[str, object]]) -> int:
        """Save events in one transaction, each over an earlier one of the same id, and return how many."""
        scope = Scope(None if self.prefix is None else (self.prefix,), self.using, holder="store")
        return ingest.save_events(self.using, events, scope=scope)

    def get_events(self, session_id: str, limit: int | None = None) -> list[models.Event]:
        """Return a session's events, newest first."""
        with translated_errors():
            return list(self._events().in_session(session_id).newest_first()[:limit])

    def get_events_by_type(self, event_type: str, limit: int | None = None) -> list[models.Event]:
        """Return the events of a type, newest first."""
        with translated_errors():
            return list(self._events().of_type(event_type).newest_first()[:limit])

    def search_events(self, query: str, limit: int | None = 100) -> list[models.Event]:
        """Return the newest events with the text in content, type or session, newest first, by the search index."""
        return search.newest_with(str(query), among=self._events().all(), limit=limit)

    # Tasks

    def save_task(self, task: Mapping[str, object]) -> models.Task:
        """Save a task and its dependencies, over an earlier one of the same id, and return it."""
        return task_service.save_task(self.using, task, by=self.actor)

    def get_task(self, task_id: str) -> models.Task | None:
        """Return a task, or None."""
        with translated_errors():
            return models.Task.objects.using(self.using).filter(pk=task_id).first()

    def get_tasks(self) -> list[models.Task]:
        """Return all tasks, last changed first."""
        with translated_errors():
            return list(models.Task.objects.using(self.using).last_changed_first())

    # Sessions

    def start_session(self, agent_id: str, *, session_id: str | None = None, metadata: object = None) -> models.Session:
        """Open a session of an agent and return it."""
        if self.prefix is not None:
            self._agent(agent_id)
        return session_service.start_session(
            self.using, agent_id, session_id=session_id, metadata=metadata, by=self.actor
        )

    def end_session(self, session_id: str, status: str = "completed", *, if_match: str | None = None) -> models.Session:
        """Close a session and return it. Raises Conflict if it has ended already."""
        with transactions.writing(self.using):
            session = self.get_session(session_id)
            return session_service.end_session(self.using, session.pk, status=status, by=self.actor, if_match=if_match)

    def get_session(self, session_id: str) -> models.Session:
        """Return a session. Raises NotFound."""
        sessions = self._of_own_agents(models.Session.objects.using(self.using))
        with translated_errors():
            session: models.Session | None = sessions.filter(pk=session_id).first()
        if session is None:
            raise NotFound(f"Session “{session_id[:80]}” not found.")
        return session

    def list_sessions(self, agent_id: str | None = None) -> list[models.Session]:
        """Return the sessions, of one agent where it is named, newest first."""
        sessions = self._of_own_agents(models.Session.objects.using(self.using))
        with translated_errors():
            return list((sessions.of_agent(agent_id) if agent_id is not None else sessions).newest_first())

    ainitialize = coroutine(initialize)
    aget_migration_history = coroutine(get_migration_history)
    asave_agent_state = coroutine(save_agent_state)
    aload_agent_state = coroutine(load_agent_state)
    alist_agents = coroutine(list_agents)
    aupdate_agent_status = coroutine(update_agent_status)
    adelete_agent = coroutine(delete_agent)
    aundelete_agent = coroutine(undelete_agent)
    apurge_agent = coroutine(purge_agent)
    arecord_state_transition = coroutine(record_state_transition)
    aget_state_history = coroutine(get_state_history)
    acreate_snapshot = coroutine(create_snapshot)
    alist_snapshots = coroutine(list_snapshots)
    adelete_snapshot = coroutine(delete_snapshot)
    arestore_snapshot = coroutine(restore_snapshot)
    adelete_expired_snapshots = coroutine(delete_expired_snapshots)
    asave_event = coroutine(save_event)
    asave_events = coroutine(save_events)
    aget_events = coroutine(get_events)
    aget_events_by_type = coroutine(get_events_by_type)
    asearch_events = coroutine(search_events)
    asave_task = coroutine(save_task)
    aget_task = coroutine(get_task)
    aget_tasks = coroutine(get_tasks)
    astart_session = coroutine(start_session)
    aend_session = coroutine(end_session)
    aget_session = coroutine(get_session)
    alist_sessions = coroutine(list_sessions)
