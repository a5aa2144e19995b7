"""`agent:` finds events by an agent and all events of its sessions: its own, and those that it acted in."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statestore import models, search
from statestore.access.scope import Scope
from statestore.db.routers import store_alias
from statestore.search import limits
from statestore.search.fts import index_file, planner
from tests.builders import NOW, make_agent, make_event, make_session
from tests.faults.scale import times as examples
from tests.search.oracle import everything
from tests.search.test_exactness import change, step_a_little

pytestmark = pytest.mark.django_db

AGENTS = ("a", "b", "c")
SESSIONS = ("", "s1", "s2", "s3")


def naive(query: search.Query, events: list[models.Event], sessions: list[models.Session]) -> list[str]:
    """Return the ids of the events that match a query of `agent:`, `actor:`, `session:` and words, by a plain loop."""

    def is_of(event: models.Event, agents: tuple[str, ...]) -> bool:
        own = {session.pk for session in sessions if session.agent_id in agents}
        acted = {other.session_id for other in events if is_by(other, agents)}
        return is_by(event, agents) or (event.session_id != "" and event.session_id in own | acted)

    def is_by(event: models.Event, agents: tuple[str, ...]) -> bool:
        return event.actor_type == "Agent" and event.actor_id in agents

    def matches(event: models.Event) -> bool:
        agents, excluded = query.values("agent"), query.values("agent", negated=True)
        actors, named = query.values("actor"), query.values("session")
        return (
            (not agents or is_of(event, agents))
            and not (excluded and is_of(event, excluded))
            and (not actors or event.actor_id in actors)
            and (not named or event.session_id in named)
            and all(word in event.content for word in query.words)
        )

    return [event.pk for event in events if matches(event)]


def save(event_id: str, actor_type: str, actor: str, session: str, content: str, at: int) -> None:
    change("DELETE FROM events WHERE id = %s", event_id)
    make_event(
        id=event_id, actor_type=actor_type, actor_id=actor, session_id=session, content=content, timestamp=NOW + at
    )


def record(session: str, agent: str) -> None:
    change("DELETE FROM sessions WHERE id = %s", session)
    make_session(agent, id=session)


ids = st.sampled_from([f"e{number}" for number in range(12)])
agents = st.sampled_from(AGENTS)
sessions = st.sampled_from(SESSIONS)
steps = st.one_of(
    st.tuples(st.just(save), ids, st.sampled_from(["Agent", "Agent", "User"]), agents, sessions,
              st.sampled_from(["first word", "other text"]), st.integers(0, 5)),
    st.tuples(st.just(record), sessions, agents),
    st.tuples(st.just(change), st.just("DELETE FROM events WHERE id = %s"), ids),
    st.tuples(st.just(change), st.just("UPDATE events SET session_id = %s WHERE id = %s"), sessions, ids),
    st.tuples(st.just(change), st.just("UPDATE events SET actor_id = %s WHERE id = %s"), agents, ids),
    st.tuples(st.just(change), st.just("UPDATE sessions SET agent_id = %s WHERE id = %s"), agents, sessions),
    st.tuples(st.just(step_a_little)),
    st.tuples(st.just(search.index_all)),
)  # fmt: skip
QUERIES = st.sampled_from([
    "agent:a", "agent:a agent:b", "-agent:a", "agent:a -agent:b", "agent:a word", "agent:b session:s1 session:s2",
    "agent:a actor:c", "agent:nobody", "-agent:a -agent:c", 'agent:a session:""', "agent:c text -agent:a",
])  # fmt: skip


@settings(
    max_examples=examples(80, 2_000), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(steps, max_size=30), QUERIES, st.sampled_from([(20_000, 2_000, 50), (20_000, 1, 1), (1, 1, 1)]))
def test_after_any_changes_every_answer_equals_a_naive_filter(
    done: list[tuple[Any, ...]], text: str, bounds: tuple[int, int, int]
):
    change("DELETE FROM events")
    change("DELETE FROM sessions")
    index_file.delete()
    query = search.parse(text)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in zip(("AGENT_SESSIONS", "LISTED_SESSIONS", "MERGED_SESSIONS"), bounds, strict=True):
            patched.setattr(limits, name, value)
        start = search.tail_from_now()
        for act, *arguments in done:
            act(*arguments)
        expected = naive(
            query, list(models.Event.objects.order_by("-timestamp", "-rowid")), list(models.Session.objects.all())
        )
        for prepare in (lambda: None, search.index_all):
            prepare()
            assert everything(text) == expected
            assert everything(text, backwards=True) == expected
            assert [event.pk for event in search.find_all(query)] == expected
            counted, drawn = search.counts_of(query)
            assert (counted.total, sum(bar.count for bar in drawn.bars)) == (len(expected), len(expected))
            assert sum(bar.count for bar in search.histogram_of(query, NOW, NOW + 10).bars) == len(expected)
            assert sum(count for _, count in search.facets_of(query).values["type"]) == len(expected)
            tail = search.follow(query, start)
            assert tail.is_lost or sorted(event.pk for event in tail.rows) == sorted(expected)


@pytest.fixture
def work() -> Callable[[], None]:
    def make() -> None:
        make_session("coder", id="own")
        make_event(id="by-user", actor_type="User", actor_id="ada", session_id="own", timestamp=NOW)
        make_event(id="acted", actor_id="coder", session_id="guest", timestamp=NOW + 1)
        make_event(id="beside", actor_id="planner", session_id="guest", timestamp=NOW + 2)
        make_event(id="elsewhere", actor_id="planner", session_id="other", timestamp=NOW + 3)
        make_event(id="alone", actor_id="coder", session_id="", timestamp=NOW + 4)
        make_event(id="no session", actor_id="planner", session_id="", timestamp=NOW + 5)
        make_event(id="namesake", actor_type="User", actor_id="coder", session_id="other", timestamp=NOW + 6)

    return make


@pytest.mark.parametrize("is_indexed", [True, False])
def test_an_agents_events_are_its_own_and_those_of_its_sessions(work: Callable[[], None], is_indexed: bool):
    work()
    if is_indexed:
        search.index_all()
    assert everything("agent:coder") == ["alone", "beside", "acted", "by-user"]
    assert everything("-agent:coder") == ["namesake", "no session", "elsewhere"]
    assert everything("actor:coder") == ["namesake", "alone", "acted"], "strictly what it did"
    assert everything("agent:coder actor:planner") == ["beside"]


def test_sessions_that_a_limited_account_does_not_see_are_not_told(work: Callable[[], None]):
    make_agent("planner", namespace="build")
    make_agent("coder", namespace="secret")
    work()
    make_event(id="in own", actor_id="planner", session_id="own", timestamp=NOW + 7)
    events = Scope(("build",)).searched_events()
    found = [event.pk for event in search.find(search.parse("agent:coder"), among=events)]
    assert found == [], "guest and own are sessions of an agent out of scope"
    assert len(search.find(search.parse("agent:planner"), among=events)) == 4
    both = Scope(("build", "secret")).searched_events()
    assert [event.pk for event in search.find(search.parse("agent:coder"), among=both)] == [
        "in own", "alone", "beside", "acted", "by-user",
    ]  # fmt: skip


@pytest.mark.sqlite
def test_the_sessions_of_an_agent_are_merged_in_order_and_not_sorted(work: Callable[[], None]):
    work()
    search.index_all()
    index = index_file.reading()
    assert index is not None
    plan = planner.plan(index, search.engine.engine_for(store_alias()).resolved(search.parse("agent:coder")))
    assert isinstance(plan.documents, planner.AgentDocuments)
    assert plan.is_exact
    assert not plan.is_filtered
    sql = "EXPLAIN QUERY PLAN " + plan.documents.rows.format(direction="DESC")
    steps = [row[3] for row in index.execute(sql, (0, 1))]
    assert not [step for step in steps if "TEMP B-TREE" in step], steps
    assert not [step for step in steps if step.startswith("SCAN d")], steps


def test_an_agent_of_many_sessions_is_found_by_a_subquery(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "LISTED_SESSIONS", 2)
    for number in range(5):
        make_event(id=f"e{number}", actor_id="coder", session_id=f"s{number}", timestamp=NOW + number)
    make_event(id="beside", actor_id="planner", session_id="s1", timestamp=NOW - 1)
    search.index_all()
    asked: list[str] = []

    def noted(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with connections[store_alias()].execute_wrapper(noted):
        assert everything("agent:coder") == ["e4", "e3", "e2", "e1", "e0", "beside"]
    assert any("IN (SELECT DISTINCT" in sql for sql in asked)
