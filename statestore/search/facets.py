"""Facets: how often each value occurs among the newest matches."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from statestore.db import vendor
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.models.events import EventQuerySet
from statestore.search import filters, sampling
from statestore.search.filters import Cursor
from statestore.search.fts import index_file, ordering, planner, unindexed
from statestore.search.fts.coverage import Coverage, coverage
from statestore.search.fts.planner import Doc
from statestore.search.postgres import engine
from statestore.search.query import FIELDS, Query

VALUES_SHOWN: Final = 8
Row = tuple[Any, Any, Any, Any, Any]  # type, actor type, actor, session, commit
_COLUMNS: Final = ("event_type", "actor_type", "actor_id", "session_id", "git_commit")


@dataclass(frozen=True, slots=True)
class Facets:
    """{filter's name: its commonest values with how often they occur} over the newest matches.

    `total` is how many matches were counted; where `has_more`, others may be among what was not looked at, and `reach`
    says, in words, up to where that is.
    """

    values: dict[str, list[tuple[str, int]]]
    total: int
    has_more: bool
    reach: str = ""


def facets(query: Query, *, among: EventQuerySet | None = None, using: str | None = None) -> Facets:
    """Return how often each value occurs among the newest matches; with `among`, of those events alone."""
    using = using or store_alias()
    if among is not None:
        return _counted_rows(*_rows(filters.narrowed(among, query).order_by(*filters.ORDER)))
    if not vendor.is_sqlite(connections[using]):
        read = engine.ask(using, query, Cursor(), lambda events: _rows(events.order_by(*filters.ORDER)))
        rows, has_more = read.answer
        reach = "" if read.edge is None else f"back to {ordering.when(read.edge.timestamp)}"
        return _counted_rows(rows, has_more or read.edge is not None, reach)
    covered = coverage(using)
    if covered.index is None:
        events, is_all = sampling.last_inserted(using, query)
        rows, has_more = _rows(events)
        reach = "" if is_all else f"among the {unindexed.MOST_ROWS:,} events saved last"
        return _counted_rows(rows, has_more or not is_all, reach)
    with index_file.snapshot(covered.index):
        plan, covered = sampling.planned(query, covered)
        found = sampling.newest(using, query, covered, plan)
        rest, more = sampling.beside(using, query, covered)
        reach = f"back to {ordering.when(found.last)}" if found.last is not None else "so far" if more else ""
        return _counted(covered, found.docs, rest, found.last is not None or more, reach)


def _rows(events: Any) -> tuple[list[Row], bool]:
    with translated_errors():
        rows = list(events.values_list(*_COLUMNS)[: sampling.MOST_COUNTED + 1])
    return rows[: sampling.MOST_COUNTED], len(rows) > sampling.MOST_COUNTED


def _counted(covered: Coverage, docs: list[Doc], rest: list[unindexed.Place], has_more: bool, reach: str) -> Facets:
    assert covered.index is not None
    columns = (2, 4, 3, 5, None, 6)
    counters: dict[str, Counter[Any]] = {
        name: Counter(doc[place] for doc in docs) for name, place in zip(FIELDS, columns, strict=True) if place
    }
    agent = planner.agents(covered.index)
    counters["agent"] = Counter(doc[4] for doc in docs if doc[3] in agent)
    counters["commit"].pop(None, None)
    named = {name: Counter(_named(covered, counter)) for name, counter in counters.items()}
    for start in range(0, len(rest), unindexed.NAMES_AT_ONCE):
        pks = [place.pk for place in rest[start : start + unindexed.NAMES_AT_ONCE]]
        rows, _ = _rows(unindexed.events_of(store_alias()).filter(pk__in=pks).order_by())
        for name, counter in _counters(rows).items():
            named[name].update(counter)
    return _facets(named, len(docs) + len(rest), has_more, reach)


def _named(covered: Coverage, counter: Counter[Any]) -> dict[str, int]:
    """Return the commonest values by name; more than are shown, since others may be added to them."""
    common = counter.most_common(VALUES_SHOWN * 4)
    assert covered.index is not None
    sql = f"SELECT id, text FROM name WHERE id IN ({', '.join('?' * len(common))})"  # noqa: S608
    names = dict(covered.index.execute(sql, [number for number, _ in common]))
    return {names[number]: count for number, count in common if number in names}


def _counters(rows: Iterable[Row]) -> dict[str, Counter[str]]:
    rows = list(rows)
    found = {
        name: Counter(str(row[place]) for row in rows if row[place] is not None)
        for name, place in (("type", 0), ("actor", 2), ("actor-type", 1), ("session", 3), ("commit", 4))
    }
    return found | {"agent": Counter(str(row[2]) for row in rows if row[1] == "Agent")}


def _counted_rows(rows: list[Row], has_more: bool, reach: str = "") -> Facets:
    return _facets(_counters(rows), len(rows), has_more, reach)


def _facets(counters: dict[str, Counter[str]], total: int, has_more: bool, reach: str) -> Facets:
    return Facets({name: counters[name].most_common(VALUES_SHOWN) for name in FIELDS}, total, has_more, reach)
