"""The mirror: what a reader gives of a source, as rows of our own store, so that everything works on it.

A thread is an agent, in the namespace of its source. Rows have ids made of the source's, so that to read the same again
adds nothing; a run that was killed goes on where its last transaction ended.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.db import fast_rows, transactions
from statestore.errors import NotFound, StateStoreError
from statestore.models.sources import Source, SourceThread
from statestore.sources import intended_forks, interrupted, locations
from statestore.sources.batches import Batch
from statestore.sources.contract import FindsLate, FindsLateEvents, Reader, Rows
from statestore.sources.threads import RUNNING_SECONDS, MirroredThread

# As many as a page of agents lists.
GLANCED_THREADS: Final = 50

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
    is_open, has_forks = interrupted.has_restores(source, using), intended_forks.are_open(source, using)
    if stamp and stamp == source.stamp and not (is_open or has_forks):
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
        if has_forks:
            intended_forks.settle(source, using, is_complete=done.is_complete)
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
        MirroredThread(thread, reader.read(rows, thread_id, thread.last_step), batch).add(position)
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
            mirrored = MirroredThread(thread, reader.read(rows, thread_id, thread.last_step), batch)
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


def _glanced(reader: Reader, rows: Rows, threads: Sequence[SourceThread], batch: Batch) -> dict[str, SourceThread]:
    """Show new threads as they are now, before any past is read, which takes a moment for each; return them by id."""
    found = {}
    for thread in threads:
        with suppress(LookupError):
            MirroredThread(thread, reader.read(rows, thread.thread_id), batch).add_as_it_is()
            found[thread.thread_id] = thread
    batch.write()
    return found


def _new_thread(source: Source, key: str, thread_id: str, using: str) -> SourceThread:
    """Return a thread that this process reads for the first time, with an agent id that no other agent has."""
    agent_id = wanted = f"{source.name}/{thread_id}"
    number = 1
    if fast_rows.exists(models.AgentState, using, agent_id=agent_id):
        # Another process may have read it a moment ago.
        known = SourceThread.objects.using(using).of_reader(source, key).filter(thread_id=thread_id).first()
        if known is not None:
            return known
    while fast_rows.exists(models.AgentState, using, agent_id=agent_id):
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
