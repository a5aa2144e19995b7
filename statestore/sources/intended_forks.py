"""Forks in a framework's own store, noted before they are written there, and recorded once they are.

A process that is killed in between leaves a new thread and no record of where it came from: the next look at the source
finds it by its id and its state, and records it, or drops the note. So a fork is never made twice.
"""

import json
import logging
from collections.abc import Iterator

from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.db import transactions
from statestore.db.fields import readable
from statestore.history import KnownState
from statestore.models import IntendedFork
from statestore.models.audit import Action
from statestore.models.sources import Source, SourceThread
from statestore.sources.state_texts import rewritten

log = logging.getLogger(__name__)


def note(
    thread: SourceThread, new_thread: str, known: KnownState, *, by: Actor, reason: str, using: str
) -> IntendedFork:
    """Note a fork of a mirrored thread that is about to be written, and return the note."""
    about = {
        "moment": str(known.moment), "label": readable(known.label), "state": models.sha256(rewritten(known.text)),
        "by": [by.name, by.ip_address, by.means], "reason": reason,
    }  # fmt: skip
    return IntendedFork.objects.using("default").create(
        store=using, source_id=thread.source_id, reader=thread.reader, thread_id=new_thread,
        agent_id=thread.agent_id, at=models.now(), about=json.dumps(about),
    )  # fmt: skip


def drop(intended: IntendedFork) -> None:
    """Forget what was intended: it is recorded, or was not written."""
    IntendedFork.objects.using("default").filter(pk=intended.pk).delete()


def are_open(source: Source, using: str) -> bool:
    """Return whether forks into a source were noted of which it is not known that they are recorded."""
    return IntendedFork.objects.using("default").of_source(using, source).exists()


def forget(source: Source, using: str) -> None:
    """Forget all that was intended of a source that is removed."""
    IntendedFork.objects.using("default").of_source(using, source).delete()


def record(intended: IntendedFork, thread: SourceThread, using: str) -> models.AgentState:
    """Record a fork whose new thread is mirrored, unless another process did, and return its agent."""
    with transactions.writing(using):
        child = _recorded(intended, thread, using)
    drop(intended)
    return child


def _recorded(intended: IntendedFork, thread: SourceThread, using: str) -> models.AgentState:
    child, about = models.AgentState.objects.using(using).get(agent_id=thread.agent_id), json.loads(intended.about)
    if models.Fork.objects.using(using).filter(pk=child.agent_id).exists():
        return child
    by = Actor(*about["by"])
    models.Fork(
        agent_id=child.agent_id, parent_id=intended.agent_id, moment=about["moment"], at=intended.at, actor=by.name,
        reason=about["reason"], state_hash=about["state"],
    ).save(using=using)  # fmt: skip
    audit.record(
        Action.FORK, child, by=by, using=using, hash_after=child.etag(),
        detail={
            "parent": intended.agent_id, "moment": about["moment"], "label": about["label"],
            "source": thread.source.name,
        },
    )  # fmt: skip
    return child


def settle(source: Source, using: str, *, is_complete: bool) -> None:
    """Record the forks that were written into a source and not recorded; forget those that are not in it.

    Called once the source was read: what is not mirrored then, of a source that was read to its end, was not written.
    """
    known = []
    # The lock waits for a fork that is being written: what is noted then is written, or is of a process that is gone.
    with transactions.writing(using):
        for intended in IntendedFork.objects.using("default").of_source(using, source):
            threads = SourceThread.objects.using(using).of_reader(source, intended.reader)
            thread = threads.select_related("source").filter(thread_id=intended.thread_id).first()
            if thread is not None:
                _settle(intended, thread, using)
            if thread is not None or is_complete:
                known.append(intended)
    for intended in known:
        drop(intended)


def _settle(intended: IntendedFork, thread: SourceThread, using: str) -> None:
    if json.loads(intended.about)["state"] in _states(thread, using):
        _recorded(intended, thread, using)
        log.info("A fork of %s was interrupted after it was written: it is recorded now.", intended.agent_id)
    else:
        log.warning("A fork of %s was interrupted; another thread has its id now.", intended.agent_id)


def _states(thread: SourceThread, using: str) -> Iterator[str]:
    """Yield the hashes of the states that a thread had."""
    agents = models.AgentState.objects.using(using).filter(agent_id=thread.agent_id)
    yield from map(models.sha256, agents.values_list("state_data", flat=True))
    steps = models.Transition.objects.using(using).of_agent(thread.agent_id).newest_first()
    yield from map(models.sha256, steps.values_list("state_after", flat=True).iterator(chunk_size=1))
