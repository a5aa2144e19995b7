"""A mirrored thread: an agent with its transitions, events, snapshots, sessions and tasks."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from django.db.models import Max

from statestore import models
from statestore.db import fast_rows
from statestore.db.fields import text_bytes
from statestore.jsondiff.parsing import Json
from statestore.models.rows import LAST_SECOND
from statestore.models.sources import SourceThread
from statestore.sources.batches import Batch
from statestore.sources.contract import Event, History, Step
from statestore.sources.row_ids import RowIds
from statestore.sources.state_texts import Texts, rewritten, state_text

# So many steps, or so much of a thread, are worth a frame; less is written whole.
PACKED_STEPS: Final = 128
PACKED_BYTES: Final = 1024 * 1024
# So much is collected for frames: as most states are those before the next step, too, it fills two of the largest.
COLLECTED_BYTES: Final = 32 * 1024 * 1024
# A reader says that a thread runs if it has a next step; one that was not changed for longer stopped there.
RUNNING_SECONDS: Final = 60


class MirroredThread:
    """One thread on its way into our tables."""

    def __init__(self, thread: SourceThread, history: History, batch: Batch) -> None:
        self.thread, self.history, self.batch = thread, history, batch
        self._row_ids, self._parts = RowIds(thread), Texts()
        is_known = thread.pk is not None
        agent = fast_rows.find(models.AgentState, batch.using, agent_id=thread.agent_id) if is_known else None
        # Of one that was only glanced at, the past is still to come.
        self.state: str | None = agent.state_data if agent and (thread.last_step or thread.position) else None
        self.version = int(agent.version) if agent else 0
        self._newest: float = 0 if self.state is None else self._newest_second()
        self.session_id = self._id("session", "")
        self._text_of: tuple[Json, str] = (None, "null")
        self._marks = dict(history.marks)
        # Of what is to be written.
        self._steps = self._bytes = 0
        self._known: set[str] | None = None
        self._known_events: set[str] | None = None

    def _newest_second(self) -> int:
        rows = models.Transition.objects.using(self.batch.using).of_agent(self.thread.agent_id)
        return int(rows.aggregate(newest=Max("timestamp"))["newest"] or 0)

    def add(self, position: str) -> None:
        """Add what is new to the batch, which is written whenever it is full: each part of a thread is whole."""
        for event in self.history.events:
            self._add_event(event)
        for step in self._new_steps():
            self._add_step(step)
            if self._is_batch_full:
                self._add_standing(step.at)
                self._write()
        self._finish(position)
        self.batch.threads_written += 1
        if self.batch.is_full or self._is_long:
            self._write()

    @property
    def _is_long(self) -> bool:
        """Whether what is to be written of the thread is worth a frame."""
        return self._steps >= PACKED_STEPS or self._bytes >= PACKED_BYTES

    @property
    def _is_batch_full(self) -> bool:
        """Whether enough is collected; of a long thread, whose states become small, more is."""
        if self._is_long:
            return self.batch.has_many_rows or self._bytes >= COLLECTED_BYTES
        return self.batch.is_full

    def _write(self) -> None:
        """Write the batch: whole states of a long thread would grow with the square of its length."""
        if self._is_long:
            # Of what only grows, all before is in the state of the end.
            self.batch.write(packed=self.thread.agent_id, newest=self._text(self.history.thread.state))
        else:
            self.batch.write()
        self._steps = self._bytes = 0

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
            self._add_transition(step, step.at, before, after)
            words = "went on from another step: this one was written late"
            self.batch.add_transition(self._transition(f"{step.key} on", step.at, after, between, reason=words))

    def add_as_it_is(self) -> None:
        """Add the thread without its past, which its empty position says is to be read."""
        now = self.history.thread
        self.state = self._text(now.state)
        self._add_standing(now.updated_at)

    def _add_step(self, step: Step) -> None:
        at, before, after = self._in_order(step.at), self._text(step.before), self._text(step.after)
        if self.state is not None and self.state != before:
            words = step.back or "changed outside of its steps"
            self.batch.add_transition(self._transition(f"{step.key} back", at, self.state, before, reason=words))
        self._add_transition(step, at, before, after)
        self.state = after
        self._steps += 1
        self._bytes += len(before) + len(after)
        self.thread.last_step = step.key

    def _add_transition(self, step: Step, at: float, before: str, after: str) -> None:
        """Add what a step changed, with what was said in it, and a snapshot if it is worth coming back to."""
        made = self._transition(
            step.key,
            at,
            before,
            after,
            reason=step.reason,
            metadata={
                **_unmarked(step.metadata),
                "key": step.key,
                **({"parent": step.parent} if step.parent else {}),
                **_exact(step.at, _second(at)),
            },
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
        if self.state is not None and text not in {self.state, rewritten(self.state)}:
            at = self._in_order(now.updated_at)
            self.batch.add_transition(self._transition("", at, self.state or "", text))
        self.state = text
        self.thread.position, self.thread.gone_at = position, None
        self._add_marks_of_earlier_steps()
        self._add_kept()
        self._add_tasks()
        self._add_standing(now.updated_at)

    def _in_order(self, at: float) -> float:
        """Return the time of what comes after all others: no earlier, whatever the framework's clock said."""
        self._newest = max(self._newest, at)
        return self._newest

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
        if not wanted:
            return
        rows = models.Transition.objects.using(self.batch.using).of_agent(self.thread.agent_id)
        for row in rows.filter(pk__in=wanted):
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
        metadata = {**event.metadata, **_exact(event.at, at)}
        self.batch.add_event(
            models.Event(
                id=self._id("event", event.key), event_type=event.kind, timestamp=at,
                session_id=self._id("session", event.session) if event.session else self.session_id,
                actor_type=event.actor, actor_id=event.actor_id or self._actor_of(event),
                content=event.content, metadata=state_text(metadata) if metadata else None, created_at=at,
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


def _written_key(transition: models.Transition) -> str:
    """Return the key of the step that a restore of ours wrote, "" if it wrote none."""
    with suppress(ValueError, RecursionError, AttributeError):
        return str(json.loads(transition.metadata or "{}").get(models.MIRROR_MARK, {}).get("key") or "")
    return ""


def _unmarked(metadata: Mapping[str, Json]) -> dict[str, Json]:
    """Return what a framework noted, without what would pass for a note of a restore of ours."""
    return {name: value for name, value in metadata.items() if name != models.MIRROR_MARK}


def _exact(at: float, second: int) -> dict[str, Json]:
    """Return the note of a time of which a column, which holds a whole second, does not say all."""
    return {} if at == second else {"at": at}


def _second(at: float) -> int:
    return min(max(int(at), 0), LAST_SECOND)
