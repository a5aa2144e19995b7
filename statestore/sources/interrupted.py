"""Restores that a process wrote into a framework's store and was killed before it recorded them.

What was intended is noted beforehand; the next look at the source finds by the thread's steps whether it was written.
"""

import logging
from collections.abc import Sequence

from statestore.db import fast_rows, transactions
from statestore.models import AgentState, IntendedRestore, Restore
from statestore.models.sources import Source, SourceThread
from statestore.restore import intentions
from statestore.restore.apply import record
from statestore.restore.intentions import Intention
from statestore.sources import locations
from statestore.sources.contract import Step
from statestore.sources.readers.columns import json_of, object_of, text_of

log = logging.getLogger(__name__)


def has_restores(source: Source, using: str) -> bool:
    """Return whether restores into a source were noted of which it is not known that they are recorded."""
    return bool(_noted(source, using))


def settle(source: Source, using: str) -> None:
    """Record the restores that were written into a source and not recorded, and forget all that were noted."""
    known = []
    # The lock waits for a restore that goes on: what is noted then, and not recorded, is of a process that is gone.
    with transactions.writing(using):
        for intended in _noted(source, using):
            _settle(intended, using)
            known.append(intended.pk)
    for restore_id in known:
        intentions.drop(str(restore_id))


def _noted(source: Source, using: str) -> list[IntendedRestore]:
    """Return the restores that were noted, oldest first. Mostly there are none, which is one query."""
    noted = list(IntendedRestore.objects.using("default").filter(store=using).order_by("at", "id"))
    if not noted:
        return []
    threads = SourceThread.objects.using(using).filter(source=source, agent_id__in={row.agent_id for row in noted})
    agents = set(threads.values_list("agent_id", flat=True))
    return [row for row in noted if row.agent_id in agents]


def _settle(intended: IntendedRestore, using: str) -> None:
    agent = fast_rows.find(AgentState, using, agent_id=intended.agent_id, lock=True)
    thread = SourceThread.objects.using(using).select_related("source").of_agent(intended.agent_id).first()
    is_recorded = Restore.objects.using(using).filter(pk=intended.pk).exists()
    if is_recorded or agent is None or thread is None:
        return
    meant = intentions.intention_of(intended, agent)
    if meant is None:
        log.warning("A restore of %s was interrupted, and its agent has changed: it is not recorded.", agent.agent_id)
        return
    last_step = _step_written(thread, intended, meant)
    if last_step is None:
        return
    record(intended, agent)
    thread.last_step, thread.position = last_step, ""
    thread.save(using=using, update_fields=["last_step", "position"])
    log.info("A restore of %s was interrupted after it was written: it is recorded now.", agent.agent_id)


def _step_written(thread: SourceThread, intended: IntendedRestore, meant: Intention) -> str | None:
    """Return the step after which the thread stood once it was restored; None if it was not restored."""
    location = locations.of(thread.source.path)
    with location.opened() as rows:
        reader = location.readers(rows)[thread.reader]
        positions = dict(reader.positions(rows))
        if positions.get(thread.thread_id, "") in {"", intended.position}:
            return None
        steps = list(reader.read(rows, thread.thread_id).steps)
    return _found(steps, intended.last_step, meant)


def _found(steps: Sequence[Step], before: str, meant: Intention) -> str | None:
    """Return the step of a restore: rows that it removed are gone, or what it added is there."""
    keys = [step.key for step in steps]
    key, removed = text_of(meant.noted.get("key")), object_of(meant.noted.get("removed"))
    if removed:
        return key if text_of(removed.get("last")) not in keys else None
    if key:
        return key if key in keys and key != before else None
    # The framework's store chose the key: it is that of the first step after the one before it.
    later = steps[keys.index(before) + 1 :][:1] if before in keys else []
    return next((step.key for step in later if step.after == json_of(meant.plan.text)), None)
