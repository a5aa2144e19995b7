"""A query as conditions on events: every answer is checked with them, on either database."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import F, IntegerField, Q, Value
from django.db.models.expressions import Expression
from django.db.models.functions import Coalesce, Greatest, Left, Lower, StrIndex, Substr

from statestore.db import vendor
from statestore.db.fields import LenientText
from statestore.models.events import EventQuerySet
from statestore.search import agent_sessions, limits
from statestore.search.query import Query, ascii_folded

COLUMNS: Final = {"type": "event_type", "actor-type": "actor_type", "actor": "actor_id", "session": "session_id"}


def narrowed(events: EventQuerySet, query: Query) -> EventQuerySet:
    """Return those of some events that match a query."""
    for word in query.words:
        events = events.matching(word)
    for word in query.unwanted:
        events = events.not_matching(word)
    # Their indexes would lure SQLite away from the rows that are looked up by id or by rowid.
    events = events.alias(
        **{f"plain_{column}": vendor.unindexed(column) for column in (*COLUMNS.values(), "git_commit")}
    )
    for negated in (False, True):
        for condition in _field_conditions(events, query, negated):
            events = events.exclude(condition) if negated else events.filter(condition)
    if query.after is not None:
        events = events.filter(timestamp__gte=query.after)
    if query.before is not None:
        events = events.filter(timestamp__lt=query.before)
    return events


def _field_conditions(events: EventQuerySet, query: Query, negated: bool) -> Iterable[Q]:
    for name, column in COLUMNS.items():
        if values := query.values(name, negated=negated):
            yield Q(**{f"plain_{column}__in": values})
    if agents := query.values("agent", negated=negated):
        sessions = agent_sessions.condition(
            "plain_session_id", events, agents, query.sessions_of_agents(negated=negated)
        )
        yield Q(plain_actor_type="Agent", plain_actor_id__in=agents) | sessions
    if commits := query.values("commit", negated=negated):
        yield reduce(or_, (_begins("git_commit", commit) for commit in commits))


def _begins(column: str, text: str) -> Q:
    """Return the condition that a column begins with a text; an empty text matches an empty column."""
    whole: Any = Coalesce(F(column), Value(""), output_field=LenientText())
    is_equal = Q(whole.get_lookup("exact")(whole, text))
    if not text:
        return is_equal
    # substr() stops at a NUL; an equality does not.
    begin: Any = Left(whole, len(text), output_field=LenientText())
    return Q(begin.get_lookup("exact")(begin, text)) | is_equal


def with_excerpt(events: EventQuerySet, words: tuple[str, ...], *, whole: bool = False) -> EventQuerySet:
    """Add `excerpt`, the content around the first word, its start, and the content's `size`."""
    start: Expression = Value(1)
    if words:
        place = StrIndex(Lower("content"), Value(ascii_folded(words[0])))
        start = Greatest(Value(1), place - Value(limits.EXCERPT_LEAD_CHARACTERS), output_field=IntegerField())
    piece = Substr("content", start, limits.EXCERPT_CHARACTERS, output_field=LenientText())
    events = events.annotate(excerpt_start=start, size=vendor.byte_length("content"))
    events = events.annotate(excerpt=piece)
    return events if whole else events.defer("content", "metadata")
