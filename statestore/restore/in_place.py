"""Restores of agents that mirror a thread of another framework's store: there, too, or not at all.

The sources, which know these stores, lie above this room; the app says how to find a writer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, cast, runtime_checkable

from django.apps import apps

from statestore import models
from statestore.access.audit import Actor
from statestore.history import KnownState


class PutBack(Protocol):
    """A write into the framework's store that was prepared: what the transition says of it, and the write itself."""

    @property
    def metadata(self) -> Mapping[str, object]: ...

    def write(self) -> None:
        """Write, read back and commit. Raises Moved if the thread went on, DatabaseError if the state read differs."""
        ...


class Writer(Protocol):
    """How a thread of a framework is put back. Each verb raises Conflict, with the reason, where that cannot be."""

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return in sentences what a restore does in the framework's store, and what it does not."""
        ...

    def prepare(self, target: KnownState, text: str, by: Actor) -> PutBack:
        """Return the write that puts the thread back."""
        ...


@runtime_checkable
class Forker(Protocol):
    """A writer that makes a new thread from a moment, too, and leaves the old one as it is.

    Each verb raises Conflict, with the reason, where that cannot be.
    """

    def fork_effects(self, target: KnownState) -> Sequence[str]:
        """Return in sentences what a fork does in the framework's store, and what it does not."""
        ...

    def fork_id(self, new_id: str) -> str:
        """Return the id in the mirror of a new thread with an id of the framework's."""
        ...

    def fork(self, target: KnownState, new_id: str, by: Actor) -> None:
        """Write a new thread with an id of the framework's, read it back, and commit."""
        ...


class _App(Protocol):
    def writer_of(self, thread: models.SourceThread) -> Writer:
        """Return the writer of a thread. Raises Conflict, with the reason, if there is none."""
        ...

    def refusal_of(self, thread: models.SourceThread) -> str:
        """Return why no moment of a thread can be put back; "" where it can."""
        ...


def forker_of(agent: models.AgentState, using: str) -> Forker | None:
    """Return what forks a mirrored agent in its framework's store; None if its format has none.

    Raises Conflict, with the reason, if the store cannot be written.
    """
    writer: object = writer_of(agent, using)
    return writer if isinstance(writer, Forker) else None


def writer_of(agent: models.AgentState, using: str) -> Writer | None:
    """Return the writer of a mirrored agent, None for an agent of our own. Raises Conflict if there is none."""
    thread = models.mirrored_thread(agent, using)
    return None if thread is None else _app().writer_of(thread)


def refusals(agent_ids: Iterable[str], using: str) -> dict[str, str]:
    """Return, for those of some agents of which no moment can be put back, the reason and what to do instead.

    It takes one query; a store in which nothing is mirrored has nothing to refuse.
    """
    threads = models.SourceThread.objects.using(using).select_related("source").filter(agent_id__in=set(agent_ids))
    reasons = {thread.agent_id: _app().refusal_of(thread) for thread in threads}
    return {agent_id: reason for agent_id, reason in reasons.items() if reason}


def _app() -> _App:
    return cast(_App, apps.get_app_config("statestore"))
