"""Batches: the rows of mirrored threads that are written in one transaction."""

from collections.abc import Iterable, Sequence
from typing import Final

from django.db.models import Model

from statestore import archive, models
from statestore.access.audit import SYSTEM
from statestore.db import fast_rows, transactions
from statestore.errors import NotFound
from statestore.models.sources import Source, SourceThread

# So much is written in one transaction, which then takes some tens of milliseconds.
BATCH_ROWS: Final = 1_000
BATCH_BYTES: Final = 4 * 1024 * 1024
AGENT_COLUMNS: Final = ("name", "status", "state_data", "version", "updated_at", "metadata")


class Batch:
    """Rows that are written in one transaction: of a part of a long thread, or of several short ones."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.threads_written = self.steps_written = self.events_written = 0
        self._empty()

    def _empty(self) -> None:
        self._past: list[models.Transition | models.Snapshot] = []
        self._events: dict[str, models.Event] = {}
        self._agents: dict[str, models.AgentState] = {}
        self._threads: dict[str, SourceThread] = {}
        self._sessions: dict[str, models.Session] = {}
        self._tasks: list[models.Task] = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether to write more would take a moment in which others wait."""
        return self.has_many_rows or self._bytes >= BATCH_BYTES

    @property
    def has_many_rows(self) -> bool:
        """Whether it is full, however short the states are."""
        return len(self._past) + len(self._events) >= BATCH_ROWS

    def add_transition(self, row: models.Transition) -> None:
        """Add a change of an agent's state."""
        self._past.append(row)
        self._bytes += len(row.state_before) + len(row.state_after)

    def add_event(self, row: models.Event) -> None:
        """Add an event; one that is there already stays as it is."""
        self._events[row.pk] = row
        self._bytes += len(row.content)

    def add_snapshot(self, row: models.Snapshot) -> None:
        """Add a snapshot; one that is there already stays as it is."""
        self._past.append(row)

    def add_session(self, row: models.Session) -> None:
        """Add a session, or change the one with its id."""
        self._sessions[row.pk] = row

    def add_standing(self, thread: SourceThread, agent: models.AgentState) -> None:
        """Add how far a thread was read, with its agent as it was there."""
        self._threads[thread.agent_id], self._agents[thread.agent_id] = thread, agent

    def add_task(self, row: models.Task) -> None:
        """Add a task, or change the one with its id."""
        self._tasks.append(row)

    def write(self, *, packed: str = "", newest: str = "") -> None:
        """Write all that was added; the states of one agent packed, which become like its newest one."""
        if packed:
            archive.switch_on(self.using)
        with transactions.writing(self.using):
            if packed:
                rows = [row for row in self._past if row.agent_id == packed]
                archive.pack(self.using, packed, rows, newest=newest, by=SYSTEM)
            self._insert(self._events.values())
            self._insert(row for row in self._past if isinstance(row, models.Transition))
            self._insert(row for row in self._past if isinstance(row, models.Snapshot))
            self._upsert(models.Session, self._sessions.values(), "id", ("status", "started_at", "ended_at"))
            self._upsert(models.AgentState, self._agents.values(), "key", AGENT_COLUMNS)
            self._upsert(models.Task, self._tasks, "id", ("title", "description", "status", "updated_at"))
            self._write_threads()
        self.events_written += len(self._events)
        self._empty()

    def _insert(self, rows: Iterable[Model]) -> None:
        fast_rows.insert_new(list(rows), self.using)

    def _upsert(self, model: type[Model], rows: Iterable[Model], key: str, columns: Sequence[str]) -> None:
        model._default_manager.using(self.using).bulk_create(
            list(rows), update_conflicts=True, unique_fields=[key], update_fields=list(columns)
        )

    def _write_threads(self) -> None:
        wanted = {thread.source_id for thread in self._threads.values()}
        if Source.objects.using(self.using).filter(pk__in=wanted).count() < len(wanted):
            # The transaction takes back what it wrote.
            raise NotFound("The source was removed while it was read.")
        threads = SourceThread.objects.using(self.using)
        self._find_those_of_others()
        # Asked first: a thread that was created has a key afterwards, and is up to date.
        known = [thread for thread in self._threads.values() if thread.pk is not None]
        threads.bulk_create([thread for thread in self._threads.values() if thread.pk is None])
        threads.bulk_update(known, ["position", "last_step", "gone_at"])

    def _find_those_of_others(self) -> None:
        """Find the threads that another process wrote since this one began to read them: they are the same."""
        new = {agent_id: thread for agent_id, thread in self._threads.items() if thread.pk is None}
        written = SourceThread.objects.using(self.using).filter(agent_id__in=new)
        for pk, agent_id in written.values_list("pk", "agent_id") if new else ():
            new[agent_id].pk = pk
