"""Sessions as people ask for them: those recorded, those that exist only in events; what was said in one."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from statestore import dialect, models, paging
from statestore.querysets import SessionQuerySet, some_of_each
from statestore.routers import store_alias

LIST_ORDER: Final = ("-started_at", "-rowid")
# Of an events-only session, so many events tell who took part and how often.
COUNTED_EVENTS: Final = 2_000
LISTED_EVENTS: Final = 200
CONVERSATION_ROWS: Final = 100
GAP_SECONDS: Final = 300
SHOWN_CHARACTERS: Final = 20_000
_LOOKED_AT: Final = 5_000


@dataclass(frozen=True, slots=True)
class Tally:
    """Who took part and how often, of at most so many events as were counted; the most frequent come first."""

    events: int
    is_more: bool
    types: list[tuple[str, int]]
    actors: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the events of a session say about it; its tally is of the newest COUNTED_EVENTS."""

    first: int | None
    last: int | None
    tally: Tally


@dataclass(frozen=True, slots=True)
class Listed:
    """One session of the list. `row` is None for one that exists only in events; `tally` is of some LISTED_EVENTS."""

    session_id: str
    row: models.Session | None
    agent_id: str
    started_at: int
    ended_at: int | None
    status: str
    tally: Tally

    @property
    def seconds(self) -> int | None:
        """How long it took, or None while it goes on."""
        return None if self.ended_at is None else max(0, int(self.ended_at) - int(self.started_at))


_SPOKEN: Final = ("event_type", "actor_type", "actor_id")


def summary(session_id: str, *, using: str | None = None) -> Summary:
    """Return what the events of a session say about it, read from the newest back."""
    events = models.Event.objects.using(using or store_alias()).in_session(session_id)
    with dialect.translated_errors():
        first = events.oldest_first().values_list("timestamp", flat=True).first()
        rows = list(events.newest_first().values_list("timestamp", *_SPOKEN)[: COUNTED_EVENTS + 1])
    last = int(rows[0][0]) if rows else None
    return Summary(None if first is None else int(first), last, _tally([row[1:] for row in rows], COUNTED_EVENTS))


def _tally(spoken: list[tuple[Any, ...]], most: int) -> Tally:
    counted = spoken[:most]
    types = Counter(kind for kind, _, _ in counted)
    actors = Counter((actor_type, actor) for _, actor_type, actor in counted)
    who = [(kind, actor, number) for (kind, actor), number in actors.most_common()]
    return Tally(len(counted), len(spoken) > most, types.most_common(), who)


def _tallies(session_ids: list[str], using: str) -> dict[str, Tally]:
    """Return the tally of each of some sessions, in one query."""
    spoken = models.Event.objects.using(using).values_list(*_SPOKEN)
    found = some_of_each(spoken, "session_id", session_ids, LISTED_EVENTS + 1)
    return {name: _tally(rows, LISTED_EVENTS) for name, rows in zip(session_ids, found, strict=True)}


def recorded(text: str = "", status: str = "", agent: str = "", *, using: str | None = None) -> SessionQuerySet:
    """Return the recorded sessions whose id holds a text, of a status, of an agent; empty ones do not narrow."""
    rows: SessionQuerySet = models.Session.objects.using(using or store_alias())
    if text:
        rows = rows.filter(pk__holds=text)
    if status:
        rows = rows.filter(status=status)
    return rows.of_agent(agent) if agent else rows


def listed(rows: Iterable[models.Session], *, using: str | None = None) -> list[Listed]:
    """Return recorded sessions as the list shows them."""
    rows = list(rows)
    tallies = _tallies([row.pk for row in rows], using or store_alias())
    return [
        Listed(row.pk, row, row.agent_id, row.started_at, row.ended_at, row.status, tallies[row.pk]) for row in rows
    ]


def only_in_events(limit: int, text: str = "", *, using: str | None = None) -> list[Listed]:
    """Return sessions that the newest events name and that nobody recorded, the last active first."""
    using = using or store_alias()
    newest = models.Event.objects.using(using).last_inserted()
    newest = newest.filter(session_id__holds=text) if text else newest
    with dialect.translated_errors():
        rows = list(newest.values_list("session_id", "timestamp", "actor_type", "actor_id")[:_LOOKED_AT])
    seen: dict[str, list[Any]] = {}
    for session_id, at, actor_type, actor in rows:
        one = seen.setdefault(session_id, [int(at), int(at), ""])
        one[0], one[1] = min(one[0], int(at)), max(one[1], int(at))
        one[2] = one[2] or (actor if actor_type == "Agent" else "")
    ids = [session_id for session_id in seen if session_id][:900]
    known = set(models.Session.objects.using(using).filter(pk__in=ids).values_list("pk", flat=True))
    ids = sorted((i for i in ids if i not in known), key=lambda i: -seen[i][1])[:limit]
    tallies = _tallies(ids, using)
    return [Listed(i, None, seen[i][2], seen[i][0], seen[i][1], "not recorded", tallies[i]) for i in ids]


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


def exists(session_id: str, *, using: str | None = None) -> bool:
    """Return whether a session was recorded or is named by any event."""
    using = using or store_alias()
    return (
        models.Session.objects.using(using).filter(pk=session_id).exists()
        or models.Event.objects.using(using).in_session(session_id).exists()
    )
