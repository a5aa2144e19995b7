"""The mirror: what a reader gives of a source, as rows of our own store, so that everything works on it.

A thread is an agent, in the namespace of its source. Rows have ids made of the source's, so that to read the same again
adds nothing; a run that was killed goes on where its last transaction ended.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.db.models import Model

from statestore import archive, models
from statestore.access.audit import SYSTEM
from statestore.db import fast_rows, transactions
from statestore.db.fields import text_bytes
from statestore.errors import NotFound, StateStoreError
from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json
from statestore.models.rows import LAST_SECOND
from statestore.models.sources import Source, SourceThread
from statestore.sources import interrupted, locations
from statestore.sources.contract import Event, FindsLate, FindsLateEvents, History, Reader, Rows, Step

# So much is written in one transaction, which then takes some tens of milliseconds.
BATCH_ROWS: Final = 1_000
BATCH_BYTES: Final = 4 * 1024 * 1024
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
AGENT_COLUMNS: Final = ("name", "status", "state_data", "version", "updated_at", "metadata")
# Fewer do not make a frame that is worth it.
PACKED_STEPS: Final = 128
PACKED_BYTES: Final = 16 * 1024 * 1024
# So much of a thread may lie whole in the store after it was read.
LEFT_BYTES: Final = 1024 * 1024
# As many as a page of agents lists.
GLANCED_THREADS: Final = 50
# Of the parts of a thread's states, so many texts are kept.
KEPT_TEXTS: Final = 10_000
# A reader says that a thread runs if it has a next step; one that was not changed for longer stopped there.
RUNNING_SECONDS: Final = 60


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Synced:
    """What a run added, and whether it came to the end of the source."""

    threads: int = 0
    steps: int = 0
    events: int = 0
    is_complete: bool = True

    def __add__(self, other: "Synced") -> "Synced":
        return Synced(
            self.threads + other.threads, self.steps + other.steps, self.events + other.events,
            self.is_complete and other.is_complete,
        )  # fmt: skip


def sync(source: Source, *, using: str, go_on: Callable[[], bool] = lambda: True) -> Synced:
    """Mirror what a source has that is new, the thread that changed last first, and return what was added.

    Ends early once `go_on` says so, with all that it wrote complete. What fails is noted with the source.
    """
    location = locations.of(source.path)
    stamp = location.stamp()
    is_open = interrupted.has_restores(source, using)
    if stamp and stamp == source.stamp and not is_open:
        return Synced()
    problem, done = source.problem, Synced()
    try:
        if is_open:
            interrupted.settle(source, using)
        with location.opened() as rows:
            readers = location.readers(rows)
            counts = {name: number for reader in readers.values() for name, number in reader.count(rows).items()}
            source.formats = ", ".join(reader.name for reader in readers.values())
            source.counts, source.problem = json.dumps(counts), ""
            for key, reader in readers.items():
                done += _sync_with(reader, rows, source, key, using, go_on)
    except StateStoreError as error:
        source.problem, done = str(error), Synced(done.threads, done.steps, done.events, is_complete=False)
    except Exception as error:
        # A reader may be another package's: what it raises must not keep the other sources waiting.
        log.exception("The reader of %s failed", location.name)
        source.problem = f"The reader of {location.name} failed ({type(error).__name__}). Nothing there was changed."
        done = Synced(is_complete=False)
    if source.problem and source.problem == problem:
        return done
    source.stamp = stamp if done.is_complete else ""
    source.synced_at = models.now()
    with transactions.writing(using):
        # One that was removed meanwhile stays removed.
        Source.objects.using(using).filter(pk=source.pk).update(
            formats=source.formats, counts=source.counts, problem=source.problem, stamp=source.stamp,
            synced_at=source.synced_at,
        )  # fmt: skip
    return done


def read_thread(source: Source, key: str, thread_id: str, *, using: str) -> SourceThread:
    """Mirror one thread that was just made, and return it. Raises NotFound if its framework has deleted it again."""
    location = locations.of(source.path)
    with location.opened() as rows:
        reader = location.readers(rows)[key]
        known = SourceThread.objects.using(using).of_reader(source, key).filter(thread_id=thread_id).first()
        thread, batch = known or _new_thread(source, key, thread_id, using), Batch(using)
        thread.source = source
        position = dict(reader.positions(rows)).get(thread_id)
        if position is None:
            raise NotFound("The new thread is not in its framework's store any more.")
        _Mirrored(thread, reader.read(rows, thread_id, thread.last_step), batch).add(position)
        batch.write()
    return thread


def settle(using: str) -> None:
    """Let agents that ran when they were mirrored, and were not changed since, be idle: they stopped there."""
    mirrored = SourceThread.objects.using(using).values("agent_id")
    silent = models.AgentState.objects.using(using).filter(
        status="running", updated_at__lt=models.now() - RUNNING_SECONDS, agent_id__in=mirrored
    )
    if silent.exists():
        with transactions.writing(using):
            silent.update(status="idle")


def _sync_with(reader: Reader, rows: Rows, source: Source, key: str, using: str, go_on: Callable[[], bool]) -> Synced:
    known = {thread.thread_id: thread for thread in SourceThread.objects.using(using).of_reader(source, key)}
    seen: set[str] = set()
    batch = Batch(using)
    is_complete = True
    positions = list(reader.positions(rows))
    new = [thread_id for thread_id, _ in positions if thread_id not in known]
    if len(new) > GLANCED_THREADS:
        threads = [_new_thread(source, key, thread_id, using) for thread_id in new[:GLANCED_THREADS]]
        known |= _glanced(reader, rows, threads, batch)
    for thread_id, position in positions:
        seen.add(thread_id)
        thread = known.get(thread_id) or _new_thread(source, key, thread_id, using)
        if thread.position == position and thread.gone_at is None:
            continue
        if not go_on():
            is_complete = False
            break
        thread.source = source
        # One that was deleted since it was listed is noted by the next run.
        with suppress(LookupError):
            mirrored = _Mirrored(thread, reader.read(rows, thread_id, thread.last_step), batch)
            if thread.last_step and isinstance(reader, FindsLate):
                mirrored.add_late(reader.late(rows, thread_id, thread.last_step, thread.position, mirrored.is_known))
            if thread.last_step and isinstance(reader, FindsLateEvents):
                mirrored.add_events(
                    reader.late_events(rows, thread_id, thread.last_step, thread.position, mirrored.is_known_event)
                )
            mirrored.add(position)
    batch.write()
    if is_complete:
        _note_gone([thread for thread_id, thread in known.items() if thread_id not in seen], using)
    return Synced(batch.threads_written, batch.steps_written, batch.events_written, is_complete)


def _glanced(reader: Reader, rows: Rows, threads: Sequence[SourceThread], batch: "Batch") -> dict[str, SourceThread]:
    """Show new threads as they are now, before any past is read, which takes a moment for each; return them by id."""
    found = {}
    for thread in threads:
        with suppress(LookupError):
            _Mirrored(thread, reader.read(rows, thread.thread_id), batch).add_as_it_is()
            found[thread.thread_id] = thread
    batch.write()
    return found


def _new_thread(source: Source, key: str, thread_id: str, using: str) -> SourceThread:
    """Return a thread that is read for the first time, with an agent id that no other agent has."""
    agent_id = wanted = f"{source.name}/{thread_id}"
    number = 1
    while models.AgentState.objects.using(using).filter(agent_id=agent_id).exists():
        number += 1
        agent_id = f"{wanted} ({number})"
    return SourceThread(source=source, reader=key, thread_id=thread_id, agent_id=agent_id)


def _note_gone(threads: Iterable[SourceThread], using: str) -> None:
    """Keep what the framework has deleted, and note when that was seen."""
    for thread in threads:
        if thread.gone_at is None:
            thread.gone_at = models.now()
            with transactions.writing(using):
                thread.save(using=using, update_fields=["gone_at"])


class Batch:
    """Rows that are written in one transaction: of a part of a long thread, or of several short ones."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.threads_written = self.steps_written = self.events_written = 0
        self._empty()

    def _empty(self) -> None:
        self._transitions: list[models.Transition] = []
        self._events: dict[str, models.Event] = {}
        self._snapshots: list[models.Snapshot] = []
        self._agents: dict[str, models.AgentState] = {}
        self._threads: dict[str, SourceThread] = {}
        self._sessions: dict[str, models.Session] = {}
        self._tasks: list[models.Task] = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether to write more would take a moment in which others wait."""
        return len(self._transitions) + len(self._events) >= BATCH_ROWS or self._bytes >= BATCH_BYTES

    def add_transition(self, row: models.Transition) -> None:
        """Add a change of an agent's state."""
        self._transitions.append(row)
        self._bytes += len(row.state_before) + len(row.state_after)

    def add_event(self, row: models.Event) -> None:
        """Add an event; one that is there already stays as it is."""
        self._events[row.pk] = row
        self._bytes += len(row.content)

    def add_snapshot(self, row: models.Snapshot) -> None:
        """Add a snapshot; one that is there already stays as it is."""
        self._snapshots.append(row)

    def add_session(self, row: models.Session) -> None:
        """Add a session, or change the one with its id."""
        self._sessions[row.pk] = row

    def add_standing(self, thread: SourceThread, agent: models.AgentState) -> None:
        """Add how far a thread was read, with its agent as it was there."""
        self._threads[thread.agent_id], self._agents[thread.agent_id] = thread, agent

    def add_task(self, row: models.Task) -> None:
        """Add a task, or change the one with its id."""
        self._tasks.append(row)

    def write(self) -> None:
        """Write all that was added."""
        with transactions.writing(self.using):
            self._insert(self._events.values())
            self._insert(self._transitions)
            self._insert(self._snapshots)
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
        threads.bulk_create([thread for thread in self._threads.values() if thread.pk is None])
        threads.bulk_update(
            [thread for thread in self._threads.values() if thread.pk is not None],
            ["position", "last_step", "gone_at"],
        )


class _Mirrored:
    """One thread on its way into our tables."""

    def __init__(self, thread: SourceThread, history: History, batch: Batch) -> None:
        self.thread, self.history, self.batch = thread, history, batch
        self._row_ids, self._parts = RowIds(thread), Texts()
        known = models.AgentState.objects.using(batch.using).filter(agent_id=thread.agent_id)
        agent = known.first() if thread.pk is not None else None
        # Of one that was only glanced at, the past is still to come.
        self.state: str | None = agent.state_data if agent and (thread.last_step or thread.position) else None
        self.version = int(agent.version) if agent else 0
        self.session_id = self._id("session", "")
        self._text_of: tuple[Json, str] = (None, "null")
        self._marks = dict(history.marks)
        self._unpacked_steps = self._unpacked_bytes = 0
        self._known: set[str] | None = None
        self._known_events: set[str] | None = None

    def add(self, position: str) -> None:
        """Add what is new to the batch, which is written whenever it is full: each part of a thread is whole."""
        for event in self.history.events:
            self._add_event(event)
        for step in self._new_steps():
            self._add_step(step)
            if self.batch.is_full:
                self._add_standing(step.at)
                self.batch.write()
                if self._unpacked_steps >= PACKED_STEPS or self._unpacked_bytes >= PACKED_BYTES:
                    self._pack()
        self._finish(position)
        self.batch.threads_written += 1
        is_long = self._unpacked_steps >= PACKED_STEPS or self._unpacked_bytes >= LEFT_BYTES
        if self.batch.is_full or is_long:
            self.batch.write()
        if is_long:
            self._pack()

    def _new_steps(self) -> Iterator[Step]:
        """Yield the steps that are not mirrored yet: a reader gives all again if the last one is gone at the source."""
        is_replay: bool | None = None
        for step in self.history.steps:
            if is_replay is None:
                is_replay = bool(self.thread.last_step) and self.is_known(step.key)
            if is_replay and self.is_known(step.key):
                self.thread.last_step = step.key
            else:
                yield step

    def is_known(self, key: str) -> bool:
        """Return whether a step is mirrored already, or was written by a restore of ours."""
        if self._known is None:
            rows = models.Transition.objects.using(self.batch.using).of_agent(self.thread.agent_id)
            written = rows.without_states().filter(metadata__contains=f'"{models.MIRROR_MARK}"')
            self._known = set(rows.values_list("pk", flat=True))
            self._known |= {self._id("transition", _written_key(row)) for row in written}
        return self._id("transition", key) in self._known

    def is_known_event(self, key: str) -> bool:
        """Return whether an event is mirrored already."""
        if self._known_events is None:
            rows = models.Event.objects.using(self.batch.using).filter(session_id=self.session_id)
            self._known_events = set(rows.values_list("pk", flat=True))
        return self._id("event", key) in self._known_events

    def add_events(self, events: Iterable[Event]) -> None:
        """Add events that belong to no new step."""
        for event in events:
            self._add_event(event)

    def add_late(self, steps: Iterable[tuple[Json, Step]]) -> None:
        """Add steps that were written below the newest one: each leads away from its place in the past, and back."""
        for state, step in steps:
            between, before, after = self._text(state), self._text(step.before), self._text(step.after)
            if between != before:
                words = step.back or "changed outside of its steps"
                self.batch.add_transition(self._transition(f"{step.key} back", step.at, between, before, reason=words))
            self._add_transition(step, before, after)
            words = "went on from another step: this one was written late"
            self.batch.add_transition(self._transition(f"{step.key} on", step.at, after, between, reason=words))

    def add_as_it_is(self) -> None:
        """Add the thread without its past, which its empty position says is to be read."""
        now = self.history.thread
        self.state = self._text(now.state)
        self._add_standing(now.updated_at)

    def _pack(self) -> None:
        """Move steps of a long thread into frames before more are written: whole states grow with their square."""
        self._unpacked_steps = self._unpacked_bytes = 0
        using, agent_id = self.batch.using, self.thread.agent_id
        records = archive.records_of(using, agent_id, LAST_SECOND)
        # Of what only grows, all before is in the state of the end.
        archive.archive_agent(using, agent_id, records, by=SYSTEM, newest=self._text(self.history.thread.state))

    def _add_step(self, step: Step) -> None:
        before, after = self._text(step.before), self._text(step.after)
        if self.state is not None and self.state != before:
            words = step.back or "changed outside of its steps"
            self.batch.add_transition(self._transition(f"{step.key} back", step.at, self.state, before, reason=words))
        self._add_transition(step, before, after)
        self.state = after
        self._unpacked_steps += 1
        self._unpacked_bytes += len(before) + len(after)
        self.thread.last_step = step.key

    def _add_transition(self, step: Step, before: str, after: str) -> None:
        """Add what a step changed, with what was said in it, and a snapshot if it is worth coming back to."""
        made = self._transition(
            step.key,
            step.at,
            before,
            after,
            reason=step.reason,
            metadata=_unmarked(step.metadata) | {"key": step.key, "parent": step.parent, "at": step.at},
        )
        self.batch.add_transition(made)
        if words := self._marks.pop(step.key, ""):
            self._add_snapshot(made, words)
        for event in step.events:
            self._add_event(event)
        self.version += 1
        self.batch.steps_written += 1

    def _finish(self, position: str) -> None:
        """Add what is known of the thread as a whole; a state that no step explains was changed beside them."""
        now = self.history.thread
        text = self._text(now.state)
        if self.state is not None and text not in {self.state, _rewritten(self.state)}:
            self.batch.add_transition(self._transition("", now.updated_at, self.state or "", text))
        self.state = text
        self.thread.position, self.thread.gone_at = position, None
        self._add_marks_of_earlier_steps()
        self._add_kept()
        self._add_tasks()
        self._add_standing(now.updated_at)

    def _transition(
        self, key: str, at: float, before: str, after: str, *, reason: str = "changed at the source",
        metadata: Mapping[str, Json] | None = None,
    ) -> models.Transition:  # fmt: skip
        key = key or hashlib.sha256(text_bytes(f"{at} {before} {after}")).hexdigest()
        return models.Transition(
            id=self._id("transition", key), agent_id=self.thread.agent_id, state_before=before, state_after=after,
            reason=reason, timestamp=_second(at), metadata=state_text(dict(metadata)) if metadata else None,
        )  # fmt: skip

    def _add_standing(self, at: float) -> None:
        now, agent_id, source = self.history.thread, self.thread.agent_id, self.thread.source
        is_stale = now.status == "running" and models.now() - now.updated_at > RUNNING_SECONDS
        marked = {**now.metadata, models.MIRROR_MARK: source.name, "format": self.thread.reader}
        began = _second(now.created_at)
        agent = models.AgentState(
            key=f"{source.name}:{agent_id}", agent_id=agent_id, name=now.name, state_data=self.state or "{}",
            status="idle" if is_stale else now.status, version=self.version, metadata=state_text(marked),
            created_at=began, updated_at=_second(at),
        )  # fmt: skip
        session = models.Session(
            id=self.session_id, agent_id=agent_id, status="active", started_at=began, created_at=began
        )
        self.batch.add_standing(self.thread, agent)
        if not self.history.sessions:
            self.batch.add_session(session)

    def _add_tasks(self) -> None:
        at = _second(self.history.thread.updated_at)
        for task in self.history.tasks:
            self.batch.add_task(
                models.Task(
                    id=self._id("task", task.key), title=task.title, description=task.description,
                    status=task.status, assigned_to=self.thread.agent_id,
                    created_at=at, updated_at=at, created_timestamp=at,
                )
            )  # fmt: skip

    def _add_marks_of_earlier_steps(self) -> None:
        """Keep a snapshot of each step that turned out to be worth coming back to after it was read."""
        wanted = {self._id("transition", key): words for key, words in self._marks.items()}
        rows = models.Transition.objects.using(self.batch.using).of_agent(self.thread.agent_id).filter(pk__in=wanted)
        for row in rows if wanted else ():
            self._add_snapshot(row, wanted[row.pk])

    def _add_kept(self) -> None:
        """Add the snapshots and sessions that the framework itself keeps."""
        agent_id = self.thread.agent_id
        for kept in self.history.snapshots:
            self.batch.add_snapshot(
                models.Snapshot(
                    id=self._id("snapshot", kept.key), agent_id=agent_id, state_data=self._text(kept.state),
                    description=kept.description, created_at=_second(kept.at),
                )
            )  # fmt: skip
        for session in self.history.sessions:
            began = _second(session.started_at)
            self.batch.add_session(
                models.Session(
                    id=self._id("session", session.key), agent_id=agent_id, status=session.status, started_at=began,
                    ended_at=None if session.ended_at is None else _second(session.ended_at), created_at=began,
                )
            )  # fmt: skip

    def _add_snapshot(self, row: models.Transition, words: str) -> None:
        self.batch.add_snapshot(
            models.Snapshot(
                id=self._id("snapshot", row.pk), agent_id=row.agent_id, state_data=row.state_after, description=words,
                created_at=row.timestamp,
            )
        )  # fmt: skip

    def _add_event(self, event: Event) -> None:
        at = _second(event.at)
        self.batch.add_event(
            models.Event(
                id=self._id("event", event.key), event_type=event.kind, timestamp=at,
                session_id=self._id("session", event.session) if event.session else self.session_id,
                actor_type=event.actor, actor_id=event.actor_id or self._actor_of(event),
                content=event.content, metadata=state_text({**event.metadata, "at": event.at}), created_at=at,
            )
        )  # fmt: skip

    def _actor_of(self, event: Event) -> str:
        return "user" if event.actor == "User" else self.thread.agent_id

    def _text(self, state: Json) -> str:
        """Return a state's text; the state after a step is that before the next, and is written once."""
        known, text = self._text_of
        if known is not state or state is None:
            text = self._parts.of(state)
            self._text_of = (state, text)
        return text

    def _id(self, kind: str, key: str) -> str:
        return self._row_ids.of(kind, key)


def row_id(thread: SourceThread, kind: str, key: str) -> str:
    """Return the id of a mirrored row."""
    return RowIds(thread).of(kind, key)


class RowIds:
    """The ids of a thread's mirrored rows: the same each time, and no other source's."""

    def __init__(self, thread: SourceThread) -> None:
        parts = (thread.source.name, thread.reader, thread.thread_id)
        self._thread = hashlib.sha256(b"".join(text_bytes(part) + b"\0" for part in parts))

    def of(self, kind: str, key: str) -> str:
        """Return the id of a row by the key of what it mirrors: a UUID of version 5."""
        made = self._thread.copy()
        made.update(text_bytes(f"{kind}\0{key}"))
        digest = bytearray(made.digest()[:16])
        digest[6], digest[8] = digest[6] & 0x0F | 0x50, digest[8] & 0x3F | 0x80
        digits = digest.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Texts:
    """The texts of a thread's states. What is the same object in the next state, such as a message, is written once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Json, str]] = {}
        self._names: dict[str, str] = {}

    def of(self, state: Json) -> str:
        """Return the text of a state, as `state_text` does."""
        if type(state) is not dict:
            return state_text(state)
        try:
            return "{" + ",".join([f"{self._name(name)}:{self._member(value)}" for name, value in state.items()]) + "}"
        except TypeError:
            return state_text(state)

    def _name(self, name: str) -> str:
        if len(self._names) >= KEPT_TEXTS:
            self._names.clear()
        return self._names.get(name) or self._names.setdefault(name, _encode(name))

    def _member(self, value: Json) -> str:
        if type(value) is list and value and type(value[0]) is dict:
            return "[" + ",".join(map(self._item, value)) + "]"
        return _encode(value)

    def _item(self, value: Json) -> str:
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        text = _encode(value)
        if type(value) is dict:
            if len(self._known) >= KEPT_TEXTS:
                self._known.clear()
            # As long as the object is here, no other one has its id.
            self._known[id(value)] = value, text
        return text


def state_text(value: Json) -> str:
    """Return a state as the mirror stores it. Numbers that Python would print differently keep their literals."""
    try:
        return _encode(value)
    except TypeError:
        return parsing.dump(value, indent=None)


def _written_key(transition: models.Transition) -> str:
    """Return the key of the step that a restore of ours wrote, "" if it wrote none."""
    with suppress(ValueError, RecursionError, AttributeError):
        return str(json.loads(transition.metadata or "{}").get(models.MIRROR_MARK, {}).get("key") or "")
    return ""


def _unmarked(metadata: Mapping[str, Json]) -> dict[str, Json]:
    """Return what a framework noted, without what would pass for a note of a restore of ours."""
    return {name: value for name, value in metadata.items() if name != models.MIRROR_MARK}


def _rewritten(text: str) -> str:
    """Return a state as the mirror would store it: an edit keeps the spaces that were typed."""
    try:
        return state_text(parsing.parse(text))
    except parsing.NotJson:
        return text


def _second(at: float) -> int:
    return min(max(int(at), 0), LAST_SECOND)
