"""The mirror: what a reader gives of a source, as rows of our own store, so that everything works on it.

A thread is an agent, in the namespace of its source. Rows have ids made of the source's, so that to read the same again
adds nothing; a run that was killed goes on where its last transaction ended.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

from statestore import models
from statestore.db import transactions
from statestore.db.fields import text_bytes
from statestore.errors import StateStoreError
from statestore.jsondiff.parsing import Json
from statestore.models.rows import LAST_SECOND
from statestore.models.sources import Source, SourceThread
from statestore.sources import files
from statestore.sources.contract import Event, History, Reader, Step, Thread

Item = TypeVar("Item")

# So much is written in one transaction; a page that is read meanwhile waits for milliseconds at most.
STEPS_AT_ONCE: Final = 64
EVENTS_AT_ONCE: Final = 500
# A reader says that a thread runs if it has a next step; one that was not changed for longer stopped there.
RUNNING_SECONDS: Final = 60


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
    path = Path(source.path)
    stamp = files.stamp(path) if path.exists() else ""
    if stamp and stamp == source.stamp:
        return Synced()
    problem, done = source.problem, Synced()
    try:
        with files.opened(path) as rows:
            readers = files.readers_of(rows, path)
            counts = {name: number for reader in readers.values() for name, number in reader.count(rows).items()}
            source.formats = ", ".join(reader.name for reader in readers.values())
            source.counts, source.problem = json.dumps(counts), ""
            for key, reader in readers.items():
                done += _sync_with(reader, rows, source, key, using, go_on)
    except StateStoreError as error:
        source.problem, done = str(error), Synced(done.threads, done.steps, done.events, is_complete=False)
    if source.problem and source.problem == problem:
        return done
    source.stamp = stamp if done.is_complete else ""
    source.synced_at = models.now()
    with transactions.writing(using):
        source.save(using=using, update_fields=["formats", "counts", "problem", "stamp", "synced_at"])
    return done


def settle(using: str) -> None:
    """Let agents that ran when they were mirrored, and were not changed since, be idle: they stopped there."""
    mirrored = SourceThread.objects.using(using).values("agent_id")
    silent = models.AgentState.objects.using(using).filter(
        status="running", updated_at__lt=models.now() - RUNNING_SECONDS, agent_id__in=mirrored
    )
    if silent.exists():
        with transactions.writing(using):
            silent.update(status="idle")


def _sync_with(
    reader: Reader, rows: files.SourceFile, source: Source, key: str, using: str, go_on: Callable[[], bool]
) -> Synced:
    known = {thread.thread_id: thread for thread in SourceThread.objects.using(using).of_reader(source, key)}
    seen: set[str] = set()
    done = Synced()
    for thread_id, position in list(reader.positions(rows)):
        seen.add(thread_id)
        thread = known.get(thread_id) or _new_thread(source, key, thread_id, using)
        if thread.position != position or thread.gone_at is not None:
            if not go_on():
                return Synced(done.threads, done.steps, done.events, is_complete=False)
            history = reader.read(rows, thread_id, thread.last_step)
            done += _Mirrored(source, thread, history, using).write(position)
    _note_gone([thread for thread_id, thread in known.items() if thread_id not in seen], using)
    return done


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


class _Mirrored:
    """One thread on its way into our tables."""

    def __init__(self, source: Source, thread: SourceThread, history: History, using: str) -> None:
        self.source, self.thread, self.history, self.using = source, thread, history, using
        agent = models.AgentState.objects.using(using).filter(agent_id=thread.agent_id).first()
        self.state: str | None = agent.state_data if agent and thread.last_step else None
        self.version = int(agent.version) if agent else 0
        self._text_of: tuple[Json, str] = (None, "null")

    def write(self, position: str) -> Synced:
        """Write what is new, in transactions of which each is whole, and return how much it was."""
        # Events first: they are read from the last step on, which the transactions of the steps move.
        events = self._write_events()
        steps = 0
        for portion in _portions(self.history.steps, STEPS_AT_ONCE):
            transitions = [row for step in portion for row in self._transitions(step)]
            self.thread.last_step = portion[-1].key
            with transactions.writing(self.using):
                models.Transition.objects.using(self.using).bulk_create(transitions, ignore_conflicts=True)
                self._save_agent(portion[-1].at)
                self.thread.save(using=self.using)
            steps += len(portion)
        self._finish(position)
        return Synced(1, steps, events)

    def _finish(self, position: str) -> None:
        """Write what is known of the thread as a whole; a state that no step explains was changed beside them."""
        now = self.history.thread
        text = self._text(now.state)
        unexplained = (
            [] if self.state in {None, text} else [self._transition("", now.updated_at, self.state or "", text)]
        )
        self.state = text
        self.thread.position, self.thread.gone_at = position, None
        with transactions.writing(self.using):
            models.Transition.objects.using(self.using).bulk_create(unexplained, ignore_conflicts=True)
            self._save_agent(now.updated_at)
            self._save_session(now)
            self._save_tasks()
            self._save_marks()
            self.thread.save(using=self.using)

    def _transitions(self, step: Step) -> Iterator[models.Transition]:
        before, after = self._text(step.before), self._text(step.after)
        if self.state is not None and self.state != before:
            words = f"back to {step.back}" if step.back else "changed outside of its steps"
            yield self._transition(f"{step.key} back", step.at, self.state, before, reason=words)
        yield self._transition(
            step.key, step.at, before, after, reason=step.reason, metadata={**step.metadata, "at": step.at}
        )
        self.state = after
        self.version += 1

    def _transition(
        self, key: str, at: float, before: str, after: str, *, reason: str = "changed at the source",
        metadata: Mapping[str, Json] | None = None,
    ) -> models.Transition:  # fmt: skip
        key = key or hashlib.sha256(text_bytes(after)).hexdigest()
        return models.Transition(
            id=self._id("transition", key), agent_id=self.thread.agent_id, state_before=before, state_after=after,
            reason=reason, timestamp=_second(at), metadata=state_text(dict(metadata)) if metadata else None,
        )  # fmt: skip

    def _save_agent(self, at: float) -> None:
        now, agent_id = self.history.thread, self.thread.agent_id
        is_stale = now.status == "running" and models.now() - now.updated_at > RUNNING_SECONDS
        marked = {**now.metadata, models.MIRROR_MARK: self.source.name, "format": self.thread.reader}
        columns = {
            "name": now.name, "status": "idle" if is_stale else now.status, "state_data": self.state or "{}",
            "version": self.version, "updated_at": _second(at), "metadata": state_text(marked),
        }  # fmt: skip
        new = {"key": f"{self.source.name}:{agent_id}", "created_at": _second(now.created_at)}
        models.AgentState.objects.using(self.using).update_or_create(
            agent_id=agent_id, defaults=columns, create_defaults={**columns, **new}
        )

    def _save_session(self, now: Thread) -> None:
        models.Session.objects.using(self.using).update_or_create(
            id=self._id("session", ""),
            defaults={"agent_id": self.thread.agent_id, "status": "active", "started_at": _second(now.created_at)},
            create_defaults={
                "agent_id": self.thread.agent_id, "status": "active", "started_at": _second(now.created_at),
                "created_at": _second(now.created_at),
            },
        )  # fmt: skip

    def _save_tasks(self) -> None:
        at = _second(self.history.thread.updated_at)
        for task in self.history.tasks:
            columns = {
                "title": task.title, "description": task.description, "status": "Done" if task.is_done else "Todo",
                "assigned_to": self.thread.agent_id, "updated_at": at,
            }  # fmt: skip
            models.Task.objects.using(self.using).update_or_create(
                id=self._id("task", task.key), defaults=columns, create_defaults={**columns, "created_at": at}
            )

    def _save_marks(self) -> None:
        """Keep a snapshot of each step that is worth coming back to."""
        wanted = {self._id("transition", key): words for key, words in self.history.marks.items()}
        rows = models.Transition.objects.using(self.using).of_agent(self.thread.agent_id).filter(pk__in=wanted)
        models.Snapshot.objects.using(self.using).bulk_create(
            [
                models.Snapshot(
                    id=self._id("snapshot", row.pk), agent_id=row.agent_id, state_data=row.state_after,
                    description=wanted[row.pk], created_at=row.timestamp,
                )
                for row in rows
            ],
            ignore_conflicts=True,
        )  # fmt: skip

    def _write_events(self) -> int:
        number = 0
        session_id = self._id("session", "")
        for portion in _portions(self.history.events, EVENTS_AT_ONCE):
            rows = [self._event(event, session_id) for event in portion]
            known = set(
                models.Event.objects.using(self.using)
                .filter(pk__in=[row.pk for row in rows])
                .values_list("pk", flat=True)
            )
            fresh = list({row.pk: row for row in rows if row.pk not in known}.values())
            with transactions.writing(self.using):
                models.Event.objects.using(self.using).bulk_create(fresh, ignore_conflicts=True)
            number += len(fresh)
        return number

    def _event(self, event: Event, session_id: str) -> models.Event:
        return models.Event(
            id=self._id("event", event.key), event_type=event.kind, timestamp=_second(event.at), session_id=session_id,
            actor_type=event.actor, actor_id="user" if event.actor == "User" else self.thread.agent_id,
            content=event.content, metadata=state_text({**event.metadata, "at": event.at}),
            created_at=_second(event.at),
        )  # fmt: skip

    def _text(self, state: Json) -> str:
        """Return a state's text; the state after a step is that before the next, and is written once."""
        known, text = self._text_of
        if known is not state or state is None:
            text = state_text(state)
            self._text_of = (state, text)
        return text

    def _id(self, kind: str, key: str) -> str:
        return row_id(self.thread, kind, key)


def row_id(thread: SourceThread, kind: str, key: str) -> str:
    """Return the id of a mirrored row: the same each time, and no other source's."""
    parts = (thread.source.name, thread.reader, thread.thread_id, kind, key)
    digest = hashlib.sha256(b"\0".join(text_bytes(part) for part in parts)).digest()
    return str(UUID(bytes=digest[:16], version=5))


def _portions(items: Iterable[Item], size: int) -> Iterator[Sequence[Item]]:
    remaining = iter(items)
    while portion := list(islice(remaining, size)):
        yield portion


def state_text(value: Json) -> str:
    """Return a state as the mirror stores it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _second(at: float) -> int:
    return min(max(int(at), 0), LAST_SECOND)
