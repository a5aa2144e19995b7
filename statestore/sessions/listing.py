"""All sessions, recorded or known from their events alone, ordered by their last event, newest first.

The index of events by session and time is walked from one session to the next: one lookup per session, however many
events it has. A list without filters reads only the neighbours of its page instead, if the search index knows where
each session's last event is: it then takes as long for a hundred sessions as for a hundred thousand.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections
from django.db.models import Max

from statestore import models, search
from statestore.db import pagination, vendor
from statestore.db.errors import translated_errors
from statestore.db.fields import LenientText, StoredBlob
from statestore.db.ids import RowId
from statestore.db.routers import store_alias
from statestore.db.vendor import SqlRow
from statestore.errors import ValidationError
from statestore.models.sessions import SessionQuerySet
from statestore.sessions import limits
from statestore.sessions.participants import Tally, summary, tallies

NOT_RECORDED: Final = "not recorded"
BY_START: Final = ("-started_at", "-rowid")


@dataclass(frozen=True, slots=True)
class Listed:
    """One session of the list. `row` is None if only events name it; `tally` is of its newest events."""

    session_id: str
    row: models.Session | None
    agent_id: str
    started_at: int
    ended_at: int | None
    last_at: int
    status: str
    tally: Tally

    @property
    def seconds(self) -> int | None:
        """Its duration in seconds, or None while it is open."""
        return None if self.ended_at is None else max(0, int(self.ended_at) - int(self.started_at))


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of sessions, and the cursors of its neighbours.

    `beyond` is where the next list begins when there are more sessions than are sorted together; `is_partial` tells
    that an agent had more events than were looked through for its sessions.
    """

    rows: list[Listed]
    newer: str | None
    older: str | None
    beyond: str | None = None
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """The position of a session in the list."""

    session_id: str
    last_at: int
    first_at: int

    def cursor(self, *, backwards: bool) -> str:
        return pagination.encode_cursor([self.last_at, self.session_id], backwards=backwards)


class _Sql:
    """An SQL statement in parts, each with its parameters."""

    def __init__(self, using: str) -> None:
        self.connection = connections[using]
        self.parts: list[str] = []
        self.parameters: list[Any] = []

    def add(self, sql: str, *parameters: object) -> None:
        self.parts.append(sql)
        self.parameters += parameters

    def text(self, value: str) -> tuple[str, object]:
        """Return the placeholder and the parameter for an id, which may be any text."""
        bound = _TEXT.get_db_prep_value(value, self.connection)
        return _TEXT.get_placeholder(bound, None, self.connection), bound

    def rows(self) -> list[SqlRow]:
        with translated_errors(), self.connection.cursor() as cursor:
            cursor.execute(" ".join(self.parts), self.parameters)
            return list(cursor.fetchall())


_TEXT: Final = LenientText()
# A time may be stored as anything; as a number it can be compared, and bound to a cursor.
_WALK: Final = """
WITH RECURSIVE step AS (
    SELECT 0 AS n, (SELECT min(session_id) FROM events WHERE {in_events}) AS id
    UNION ALL
    SELECT step.n + 1 AS n, (SELECT min(session_id) FROM events WHERE session_id > step.id) AS id
    FROM step WHERE id IS NOT NULL AND n < %s
), edge AS (
    SELECT (SELECT id FROM step WHERE n = %s) AS id
), one AS (
    SELECT id, CAST((SELECT max(timestamp) FROM events WHERE session_id = step.id) AS BIGINT) AS last
    FROM step WHERE id IS NOT NULL AND n < %s
    UNION ALL
    SELECT id, CAST(coalesce(ended_at, started_at) AS BIGINT) AS last FROM sessions
    WHERE NOT EXISTS (SELECT 1 FROM events WHERE session_id = sessions.id)
    AND {in_sessions} AND ((SELECT id FROM edge) IS NULL OR sessions.id < (SELECT id FROM edge))
)
"""
# Of some ids, those that events name, and recorded sessions without events; only what is before the edge is kept.
_NEIGHBOURS: Final = """
WITH edge AS (SELECT NULL AS id), named AS (SELECT column1 AS id FROM (VALUES {ids}) AS listed), one AS (
    SELECT id, CAST((SELECT max(timestamp) FROM events WHERE session_id = named.id) AS BIGINT) AS last FROM named
    WHERE EXISTS (SELECT 1 FROM events WHERE session_id = named.id)
    UNION ALL
    SELECT id, CAST(coalesce(ended_at, started_at) AS BIGINT) AS last FROM sessions
    WHERE {before_edge} AND NOT EXISTS (SELECT 1 FROM events WHERE session_id = sessions.id)
)
"""
_OF_AGENT: Final = """
AND id IN (
    SELECT session_id FROM (
        SELECT session_id, actor_type FROM events WHERE actor_id = {agent} ORDER BY rowid DESC LIMIT %s
    ) AS newest WHERE actor_type = 'Agent'
    UNION SELECT sessions.id FROM sessions WHERE agent_id = {agent}
)
"""
_RECORDED: Final = "EXISTS (SELECT 1 FROM sessions WHERE sessions.id = one.id"


def listed(
    text: str = "",
    status: str = "",
    agent: str = "",
    *,
    cursor: str = "",
    beyond: str = "",
    size: int = pagination.USUAL_SIZE,
    using: str | None = None,
) -> Listing:
    """Return a page of all sessions, recorded or not, by last event, newest first; empty filters do not apply.

    `agent` keeps those that it is recorded for or took part in. Raises ValidationError for a cursor that was not made
    here.
    """
    using = using or store_alias()
    backwards, key = _key(cursor)
    asked = _Asked(text, status, agent)
    rows = None if beyond or asked != _Asked() else _neighbours(key, backwards, size + 1, using)
    if rows is None:
        sql = _Sql(using)
        _walk(sql, beyond)
        _page(sql, asked, key, backwards, size + 1)
        rows = sql.rows()
    edge = rows[0][0] if rows else None
    sessions = [_found(*row[1:]) for row in rows if row[1] is not None]
    has_more, sessions = len(sessions) > size, sessions[:size]
    if backwards:
        sessions.reverse()
    newer = (has_more if backwards else key is not None) and bool(sessions)
    older = bool(sessions) if backwards else has_more
    return Listing(
        list(_listed(sessions, agent, using)),
        sessions[0].cursor(backwards=True) if newer else None,
        sessions[-1].cursor(backwards=False) if older else None,
        pagination.encode_cursor([_id(edge)], backwards=False) if edge is not None else None,
        bool(agent) and _has_many_events(agent, using),
    )


def recorded(rows: SessionQuerySet, *, cursor: str = "", size: int = pagination.USUAL_SIZE) -> Listing:
    """Return a page of recorded sessions, by their start, newest first."""
    with translated_errors():
        page = pagination.page(rows, BY_START, cursor=cursor, size=size)
        return Listing(of_rows(page.rows, using=rows.db), page.newer, page.older)


def of_rows(rows: Iterable[models.Session], *, using: str) -> list[Listed]:
    """Return recorded sessions as the list has them."""
    recorded = {row.pk: row for row in rows}
    ends = models.Event.objects.using(using).filter(session_id__in=recorded).order_by().values_list("session_id")
    last = dict(ends.annotate(last=Max("timestamp")))
    return [
        Listed(pk, row, row.agent_id, row.started_at, row.ended_at,
               int(last.get(pk, row.started_at if row.ended_at is None else row.ended_at)), row.status, tally)
        for (pk, row), tally in zip(recorded.items(), tallies(list(recorded), using), strict=True)
    ]  # fmt: skip


def of_events(session_id: RowId, *, using: str) -> Listed | None:
    """Return a session that only events name, None if none does."""
    event = models.Event.objects.using(using).named(session_id, "session_id")
    if event is None:
        return None
    about = summary(event.session_id, using=using)
    first, last = about.first or 0, about.last or 0
    whose = next(iter(about.tally.agents), "")
    return Listed(event.session_id, None, whose, first, last, last, NOT_RECORDED, about.tally)


@dataclass(frozen=True, slots=True)
class _Asked:
    text: str = ""
    status: str = ""
    agent: str = ""


def _key(cursor: str) -> tuple[bool, tuple[int, str] | None]:
    if not cursor:
        return False, None
    backwards, (last, pk) = pagination.decode_cursor(cursor, 2)
    if not isinstance(last, int) or not isinstance(pk, str):
        raise ValidationError("The page's cursor is invalid. Start again from the first page.")
    return backwards, (last, pk)


def _found(pk: object, last: int | None, first: int | None) -> _Found:
    last = last or 0
    return _Found(_id(pk), last, last if first is None else first)


def _id(raw: object) -> str:
    return StoredBlob(raw) if isinstance(raw, bytes) else str(raw)


def _neighbours(key: tuple[int, str] | None, backwards: bool, limit: int, using: str) -> list[SqlRow] | None:
    """Return the rows of a page by the sessions whose last events are there, or None if these may be others."""
    start = None if key is None else key[0]
    near = search.session_range(limit * 2, start, backwards=backwards, using=using)
    if near is None or not near.ids or _has_blobs(using):
        return None
    sql = _Sql(using)
    places, bound = zip(*map(sql.text, sorted(near.ids)), strict=True)
    before = "1 = 1" if near.edge is None else f"{{last}} {'<' if backwards else '>'} {near.edge}"
    before_edge = before.format(last="CAST(coalesce(ended_at, started_at) AS BIGINT)")
    sql.add(_NEIGHBOURS.format(ids=", ".join(f"({place})" for place in places), before_edge=before_edge), *bound)
    _page(sql, _Asked(), key, backwards, limit, before_edge=before.format(last="last"))
    rows = sql.rows()
    return rows if near.edge is None or len(rows) == limit else None


def _has_blobs(using: str) -> bool:
    """Return whether a session's id is a blob, which the index does not tell from a text."""
    sql = _Sql(using)
    if not vendor.holds_any_bytes(sql.connection):
        return False
    sql.add("SELECT EXISTS (SELECT 1 FROM events WHERE session_id >= x'')")
    return bool(sql.rows()[0][0])


def _walk(sql: _Sql, beyond: str) -> None:
    """Begin a statement with all sessions as `one`, and the end of the walk as `edge`."""
    if not beyond:
        sql.add(_WALK.format(in_events="1 = 1", in_sessions="1 = 1"), *[limits.WALKED_SESSIONS] * 3)
        return
    _, (first,) = pagination.decode_cursor(beyond, 1)
    place, bound = sql.text(first if isinstance(first, str) else str(first))
    walk = _WALK.format(in_events=f"session_id >= {place}", in_sessions=f"sessions.id >= {place}")
    sql.add(walk, bound, *[limits.WALKED_SESSIONS] * 3, bound)


def _page(
    sql: _Sql,
    filters: _Asked,
    key: tuple[int, str] | None,
    backwards: bool,
    limit: int,
    *,
    before_edge: str = "1 = 1",
) -> None:
    """End the statement: the rows of one page, each after the edge, which is returned without rows too."""
    sort, beyond = ("ASC", ">") if backwards else ("DESC", "<")
    sql.add("SELECT edge.id, page.id, page.last, (SELECT CAST(min(timestamp) AS BIGINT) FROM events")
    sql.add("WHERE session_id = page.id) FROM edge LEFT JOIN (SELECT id, last FROM one")
    sql.add(f"WHERE {before_edge}")
    _narrow(sql, filters)
    if key is not None:
        place, bound = sql.text(key[1])
        sql.add(f"AND (last {beyond} %s OR (last = %s AND id {beyond} {place}))", key[0], key[0], bound)
    sql.add(
        f"ORDER BY last {sort}, id {sort} LIMIT %s) AS page ON 1 = 1 ORDER BY page.last {sort}, page.id {sort}", limit
    )


def _narrow(sql: _Sql, filters: _Asked) -> None:
    if filters.text:
        condition, pattern = vendor.holds(sql.connection, "id", filters.text)
        sql.add(f"AND {condition}", pattern)
    if filters.status == NOT_RECORDED:
        sql.add(f"AND NOT {_RECORDED})")
    elif filters.status:
        place, bound = sql.text(filters.status)
        sql.add(f"AND {_RECORDED} AND status = {place})", bound)
    if filters.agent:
        place, bound = sql.text(filters.agent)
        sql.add(_OF_AGENT.format(agent=place), bound, limits.AGENT_EVENTS, bound)


def _has_many_events(agent: str, using: str) -> bool:
    return models.Event.objects.using(using).by_actor(agent)[limits.AGENT_EVENTS : limits.AGENT_EVENTS + 1].exists()


def _listed(rows: list[_Found], agent: str, using: str) -> Iterator[Listed]:
    ids = [one.session_id for one in rows]
    recorded = {row.pk: row for row in models.Session.objects.using(using).filter(pk__in=ids)} if ids else {}
    for one, tally in zip(rows, tallies(ids, using), strict=True):
        row = recorded.get(one.session_id)
        if row is not None:
            status, started, ended, whose = row.status, row.started_at, row.ended_at, row.agent_id
        else:
            whose = agent or next(iter(tally.agents), "")
            status, started, ended = NOT_RECORDED, one.first_at, one.last_at
        yield Listed(one.session_id, row, whose, started, ended, one.last_at, status, tally)
