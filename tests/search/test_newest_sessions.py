"""The first page of sessions by the index is the page that a walk of all sessions gives."""

import random
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from statestore import models, search, sessions
from statestore.db.routers import store_alias
from statestore.search import limits
from tests.builders import NOW, make_event, make_session

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def walked(size: int) -> sessions.Listing:
    with patch.object(search, "newest_sessions", lambda *how, **where: None):
        return sessions.listed(size=size)


def is_walked(size: int) -> bool:
    """Return whether the list walks the sessions."""
    with CaptureQueriesContext(connections[store_alias()]) as asked:
        sessions.listed(size=size)
    return any("RECURSIVE" in query["sql"] for query in asked)


def test_the_first_page_is_read_by_the_index_and_the_next_one_walked():
    for number in range(30):
        make_event(session_id=f"s-{number:02}", timestamp=NOW + number)
    assert is_walked(5), "there is no index"
    search.index_all()
    assert not is_walked(5)
    first = sessions.listed(size=5)
    assert [one.session_id for one in first.rows] == [f"s-{number}" for number in range(29, 24, -1)]
    second = sessions.listed(size=5, cursor=first.older or "")
    assert [one.session_id for one in second.rows] == [f"s-{number}" for number in range(24, 19, -1)]
    assert sessions.listed(size=5, cursor=second.newer or "").rows == first.rows


def test_sessions_are_walked_where_the_newest_events_are_of_too_few(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SESSION_EVENTS", 10)
    for number in range(40):
        make_event(session_id=f"s-{number // 10}", timestamp=NOW + number)
    search.index_all()
    assert is_walked(2)
    assert sessions.listed(size=2).rows == walked(2).rows


def test_sessions_that_lost_their_newest_events_do_not_stand_before_those_that_were_not_read(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(limits, "SESSION_EVENTS", 4)
    for session, at in (("a", 0), ("b", 1), ("not-read", 5), ("also-not-read", 6)):
        make_event(session_id=session, timestamp=NOW + at)
    for number in range(4):
        make_event(id=f"lost-{number}", session_id="ab"[number % 2], timestamp=NOW + 10 + number)
    search.index_all()
    assert [one.session_id for one in sessions.listed(size=1).rows] == ["b"]
    models.Event.objects.filter(pk__startswith="lost").delete()
    assert [one.session_id for one in sessions.listed(size=1).rows] == ["also-not-read"]


def test_a_session_by_bytes_is_not_taken_for_one_by_text():
    make_event(session_id="same", timestamp=NOW)
    make_event(id="other", session_id="x", timestamp=NOW + 5)
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("UPDATE events SET session_id = %s WHERE id = 'other'", [b"same"])
    search.index_all()
    assert len(sessions.listed().rows) == 2
    assert sessions.listed().rows == walked(50).rows


@pytest.mark.parametrize("seed", range(12))
def test_a_page_by_the_index_is_the_page_by_a_walk(seed: int, monkeypatch: pytest.MonkeyPatch):
    chance = random.Random(seed)
    monkeypatch.setattr(limits, "SESSION_EVENTS", chance.choice([8, 40, 1000]))
    texts: list[Any] = ["late text", 2.5, -3, 2**50]

    def events(name: str, count: int) -> None:
        for number in range(count):
            at = NOW + chance.randrange(40)
            event = make_event(id=f"{name}-{number}", session_id=f"s-{chance.randrange(12)}é", timestamp=at)
            if chance.random() < 0.03:
                with connections[store_alias()].cursor() as cursor:
                    sql = "UPDATE events SET timestamp = %s WHERE id = %s"
                    cursor.execute(sql, [chance.choice(texts), event.pk])

    events("first", 60)
    for number in range(4):
        make_session("agent-1", id=f"recorded-{number}", started_at=NOW + chance.randrange(50), ended_at=None)
    make_session("agent-1", id="s-3é", started_at=NOW + 100)
    search.index_all()
    for size in (1, 3, 50):
        assert sessions.listed(size=size) == walked(size), size
    events("waiting", 6)
    models.Event.objects.filter(pk__startswith="first-1").delete()
    models.Event.objects.filter(pk="first-2").update(session_id="renamed", timestamp=NOW + 60)
    for size in (1, 3, 50):
        assert sessions.listed(size=size) == walked(size), size
