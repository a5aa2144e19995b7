"""What a restore does not undo: events, finished tasks and commits after the restored moment."""

from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.restore import limits


@dataclass(frozen=True, slots=True)
class SideEffects:
    """An agent's side effects since a moment; `at_least` if more events were not counted."""

    events: int
    tool_calls: int
    commits: tuple[str, ...]
    tasks: tuple[models.Task, ...]
    at_least: bool

    def __bool__(self) -> bool:
        return bool(self.events or self.tasks)


def side_effects_of(agent_id: str, since: int | None, *, using: str | None = None) -> SideEffects:
    """Return what an agent did after a moment that a restore does not undo."""
    using, since = using or store_alias(), int(since or 0)
    with translated_errors():
        events = models.Event.objects.using(using).by_actor(agent_id).last_inserted()
        rows = list(events.values_list("timestamp", "event_type", "git_commit")[: limits.NEWEST_EVENTS])
        tasks = models.Task.objects.using(using).assigned_to(agent_id).done_after(since).last_changed_first()
        later = [(str(kind), commit) for at, kind, commit in rows if int(at) > since]
        return SideEffects(
            events=len(later),
            tool_calls=sum(kind.lower() in _TOOL_CALLS for kind, _ in later),
            commits=tuple(dict.fromkeys(str(commit) for _, commit in later if commit))[: limits.SHOWN_SIDE_EFFECTS],
            tasks=tuple(tasks[: limits.SHOWN_SIDE_EFFECTS]),
            at_least=len(later) == limits.NEWEST_EVENTS,
        )


_TOOL_CALLS: Final = {"tool_use", "tool_call", "tooluse", "toolcall"}
