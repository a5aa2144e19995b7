"""Times that are none: a column of times holds what another program put there, and the past is read to its end."""

from itertools import islice
from typing import Any

import pytest
from django.db import connections

from statestore import history, models
from statestore.db.fields import NonInteger
from statestore.db.routers import store_alias
from statestore.history import moments
from statestore.history.past import Past, Position
from statestore.history.walk import HistoryWalk
from statestore.jsondiff import predicate
from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

ODD: list[Any] = [-1e308, 1e300, float("inf"), 1.5, "soon", "2026-11-22 21:28:06", "x" * 200]


@pytest.fixture
def agent() -> models.AgentState:
    """Return an agent with two transitions at each odd time, and a few at usual ones."""
    agent = make_agent("odd", state={"step": 2 * len(ODD) + 4})
    for number in range(2 * len(ODD) + 4):
        make_transition(agent, {"step": number}, {"step": number + 1}, id=f"t{number}", timestamp=NOW + number)
    with connections[store_alias()].cursor() as cursor:
        for place, odd in enumerate(ODD):
            for number in (2 * place, 2 * place + 1):
                cursor.execute("UPDATE state_transitions SET timestamp = %s WHERE id = %s", [odd, f"t{number}"])
    return agent


def ids(records: list[history.Record]) -> list[str]:
    return [str(record.row.pk) for record in records]


@pytest.mark.parametrize("odd", ODD)
def test_a_cursor_keeps_a_time_as_it_is_stored(agent: models.AgentState, odd: Any):
    row = models.Transition.objects.get(id=f"t{2 * ODD.index(odd)}")
    position = Position(row.timestamp, row.rowid)
    again = Position.parse(str(position))
    assert again is not None
    assert again == position
    assert isinstance(again.at, NonInteger)
    assert again.at.raw == odd


def test_a_walk_reads_each_step_once_and_ends(agent: models.AgentState):
    walk = HistoryWalk("odd", store_alias(), budget_seconds=None)
    read = [step.id for step in islice(walk, 100)]
    assert len(read) == len(set(read)) == 2 * len(ODD) + 4
    assert walk.reached is None


def test_a_walk_that_is_taken_up_at_each_step_reads_each_once(agent: models.AgentState):
    read: list[str] = []
    cursor = ""
    for _ in range(100):
        walk = HistoryWalk("odd", store_alias(), start=Position.parse(cursor), budget_seconds=0)
        read += [step.id for step in walk]
        if walk.reached is None:
            break
        cursor = str(walk.reached)
    assert len(read) == len(set(read)) == 2 * len(ODD) + 4


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_have_each_record_once(agent: models.AgentState, size: int):
    past, found, before = Past("odd"), list[str](), None
    for _ in range(100):
        records = past.page(size, before)
        if not records:
            break
        found += ids(records)
        before = Position.parse(str(records[-1].position))
    assert len(found) == len(set(found))


def stops_from(agent: models.AgentState, stop: history.Record, *, older: bool) -> list[str]:
    """Return the ids of all records that steps from one lead to, up to more than there are."""
    found: list[str] = []
    while len(found) < 100:
        found.append(str(stop.row.pk))
        before, after = history.neighbours(agent, stop)
        following = before if older else after
        if following is None or following.kind == "now":
            break
        stop = following
    return found


@pytest.mark.parametrize("saved_at", [NOW + 500, *ODD])
def test_steps_lead_to_each_record_once_in_both_directions(agent: models.AgentState, saved_at: Any):
    for number in range(2 * len(ODD)):
        make_snapshot(agent, {"step": number}, id=f"s{number}")
    with connections[store_alias()].cursor() as cursor:
        for number in range(2 * len(ODD)):
            cursor.execute("UPDATE state_snapshots SET created_at = %s WHERE id = %s", [ODD[number // 2], f"s{number}"])
        cursor.execute("UPDATE agent_states SET updated_at = %s WHERE agent_id = 'odd'", [saved_at])
    agent.refresh_from_db()
    newest = Past("odd").last()
    assert newest is not None
    back = stops_from(agent, newest, older=True)
    assert len(back) == len(set(back)) == 4 * len(ODD) + 4
    first = Past("odd").page(100)[-1]
    assert stops_from(agent, first, older=False) == back[::-1]
    now = history.stop_at(agent, moments.Now())
    assert now is not None
    assert len(stops_from(agent, now, older=True)) <= len(back) + 1, "steps from the present never end"


def test_a_bisect_ends(agent: models.AgentState):
    result = history.bisect(agent, predicate.parse("/step < 3"), budget_seconds=1)
    assert result.reached is None
