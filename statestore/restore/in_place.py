"""Restores of agents that mirror a thread of another framework's store: there, too, or not at all.

The sources, which know these stores, lie above this room; they say here how to find a writer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from statestore import models
from statestore.access.audit import Actor
from statestore.errors import Conflict
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


def _no_writer(thread: models.SourceThread) -> Writer:
    raise Conflict(f"“{thread}” mirrors another program's store, which cannot be reached from here.")


_find: list[Callable[[models.SourceThread], Writer]] = [_no_writer]


def find_writers_with(find: Callable[[models.SourceThread], Writer]) -> None:
    """Ask this for the writer of a thread; it raises Conflict, with the reason, where there is none."""
    _find[0] = find


def writer_of(agent: models.AgentState, using: str) -> Writer | None:
    """Return the writer of a mirrored agent, None for an agent of our own. Raises Conflict if there is none."""
    thread = models.mirrored_thread(agent, using)
    return None if thread is None else _find[0](thread)
