"""A session as a conversation: its events, with the transitions of its agents in between."""

from collections.abc import Iterator
from dataclasses import dataclass

from statestore import models
from statestore.db import pagination
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.models.events import EventQuerySet
from statestore.models.transitions import TransitionQuerySet
from statestore.sessions import limits


@dataclass(frozen=True, slots=True)
class ConversationEntry:
    """One entry of a conversation: an event, or a transition of an agent; `gap_seconds` is the pause before it."""

    at: int
    event: models.Event | None
    transition: models.Transition | None
    gap_seconds: int | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A page of a session, oldest first, and the cursors of its neighbours.

    With `is_cut`, there are more transitions within it than are among its entries.
    """

    entries: list[ConversationEntry]
    earlier: str | None
    later: str | None
    is_cut: bool = False


def conversation(
    session_id: str,
    agents: list[str],
    *,
    cursor: str = "",
    limit: int = limits.CONVERSATION_ROWS,
    among: TransitionQuerySet | None = None,
    using: str | None = None,
) -> Conversation:
    """Return a page of a session's events, oldest first, with the transitions of its agents in between.

    To the given agents those are added that act on the page. With `among`, only these transitions are shown.
    """
    using = using or store_alias()
    events = models.Event.objects.using(using).in_session(session_id)
    with translated_errors():
        page = pagination.page(
            events.with_beginning(limits.SHOWN_CHARACTERS + 1), ("timestamp", "rowid"), cursor=cursor, size=limit
        )
        if not page.rows:
            return Conversation([], page.newer, page.older)
        among = models.Transition.objects.using(using).all() if among is None else among
        stretch = _stretch(events, page.rows, agents, among)
        transitions = stretch.transitions()
        merged = list(_merged(page.rows, transitions[: limits.PAGE_TRANSITIONS]))
        entries = list(_with_gaps(merged, stretch.before()))
    return Conversation(entries, page.newer, page.older, len(transitions) > limits.PAGE_TRANSITIONS)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The time range of a page: from its first event up to, and excluding, the first of the next page.

    `previous` is the last event before it, `following` the first one after it; None if there is none.
    """

    among: TransitionQuerySet
    agents: list[str]
    previous: int | None
    first: int
    last: int
    following: int | None

    def transitions(self) -> list[models.Transition]:
        """Return the transitions within it, oldest first, one more than are shown if there are more."""
        rows = self._rows().since(self.first)
        rows = rows.until(self.last) if self.following is None else rows.filter(timestamp__lt=self.following)
        return list(rows.without_states().with_sizes().oldest_first()[: limits.PAGE_TRANSITIONS + 1])

    def before(self) -> int | None:
        """Return the time of the last entry before it, or None."""
        if self.previous is None:
            return None
        rows = self._rows().since(self.previous).filter(timestamp__lt=self.first)
        changed = rows.newest_first().values_list("timestamp", flat=True).first()
        return int(self.previous if changed is None else changed)

    def _rows(self) -> TransitionQuerySet:
        return self.among.filter(agent_id__in=self.agents)


def _stretch(events: EventQuerySet, rows: list[models.Event], agents: list[str], among: TransitionQuerySet) -> _Stretch:
    columns = ("timestamp", "actor_type", "actor_id")
    previous = events.older_than(rows[0]).newest_first().values_list(*columns).first()
    following = events.newer_than(rows[-1]).oldest_first().values_list(*columns).first()
    acting = [(row.actor_type, row.actor_id) for row in rows]
    acting += [one[1:] for one in (previous, following) if one is not None]
    names = dict.fromkeys([actor for kind, actor in acting if kind == "Agent"] + agents)
    ends = [None if one is None else one[0] for one in (previous, following)]
    return _Stretch(among, list(names)[: limits.PAGE_AGENTS], ends[0], rows[0].timestamp, rows[-1].timestamp, ends[1])


def _merged(
    events: list[models.Event], transitions: list[models.Transition]
) -> Iterator[tuple[int, models.Event | None, models.Transition | None]]:
    entries = [(int(event.timestamp), 0, number, event, None) for number, event in enumerate(events)]
    entries += [(int(one.timestamp), 1, number, None, one) for number, one in enumerate(transitions)]  # type: ignore[misc]
    for at, _, _, event, transition in sorted(entries, key=lambda entry: entry[:3]):
        yield at, event, transition


def _with_gaps(
    entries: list[tuple[int, models.Event | None, models.Transition | None]], before: int | None
) -> Iterator[ConversationEntry]:
    for at, event, transition in entries:
        gap = at - before if before is not None and at - before >= limits.GAP_SECONDS else None
        yield ConversationEntry(at, event, transition, gap)
        before = at
