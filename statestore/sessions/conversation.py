"""One session as a conversation: what was said and done, and what changed in its agents in between."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from statestore import dialect, models, paging
from statestore.routers import store_alias

CONVERSATION_ROWS: Final = 100
GAP_SECONDS: Final = 300
SHOWN_CHARACTERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Said:
    """One entry of a conversation: an event, or a transition of an agent; `gap_seconds` is the silence before it."""

    at: int
    event: models.Event | None
    transition: models.Transition | None
    gap_seconds: int | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A stretch of a session, oldest first, and the cursors of its neighbours."""

    entries: list[Said]
    earlier: str | None
    later: str | None


def conversation(
    session_id: str, agents: list[str], *, cursor: str = "", limit: int = CONVERSATION_ROWS, using: str | None = None
) -> Conversation:
    """Return what was said and done in a session, oldest first, with the transitions of its agents in between."""
    using = using or store_alias()
    events = models.Event.objects.using(using).in_session(session_id).with_beginning(SHOWN_CHARACTERS + 1)
    with dialect.translated_errors():
        page = paging.page(events, ("timestamp", "rowid"), cursor=cursor, size=limit)
        merged = list(_merged(page.rows, _transitions(page, agents, using)))
    return Conversation(list(_with_gaps(merged)), page.newer, page.older)


def _transitions(page: paging.Page[models.Event], agents: list[str], using: str) -> list[models.Transition]:
    if not page.rows or not agents:
        return []
    first, last = page.rows[0].timestamp, page.rows[-1].timestamp
    rows = models.Transition.objects.using(using).filter(agent_id__in=agents[:20]).since(first).until(last)
    return list(rows.without_states().with_sizes().oldest_first()[: CONVERSATION_ROWS * 2])


def _merged(events: list[models.Event], transitions: list[models.Transition]) -> Iterator[tuple[int, Any, Any]]:
    entries = [(int(event.timestamp), 0, number, event, None) for number, event in enumerate(events)]
    entries += [(int(one.timestamp), 1, number, None, one) for number, one in enumerate(transitions)]  # type: ignore[misc]
    for at, _, _, event, transition in sorted(entries, key=lambda entry: entry[:3]):
        yield at, event, transition


def _with_gaps(entries: list[tuple[int, Any, Any]]) -> Iterator[Said]:
    before: int | None = None
    for at, event, transition in entries:
        gap = at - before if before is not None and at - before >= GAP_SECONDS else None
        yield Said(at, event, transition, gap)
        before = at
