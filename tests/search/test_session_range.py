"""A page of sessions by the index is the page that a walk of all sessions gives."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from statestore import models, search, sessions
from statestore.db.routers import store_alias
from statestore.search import limits
from tests.builders import NOW, make_event, make_session

pytestmark = pytest.mark.django_db


def walked(size: int, **page: str) -> sessions.Listing:
    with patch.object(search, "session_range", lambda *how, **where: None):
        return sessions.listed(size=size, **page)


def assert_as_walked() -> None:
    """Assert that each page, forth and back, is the page by a walk."""
    for size in (1, 3, 50):
        assert sessions.listed(size=size) == walked(size), size
        cursors = [sessions.listed(size=size).older]
        while (cursor := cursors[-1]) and len(cursors) < 40:
            page = walked(size, cursor=cursor)
            assert sessions.listed(size=size, cursor=cursor) == page, (size, cursor)
            back = page.newer or ""
            assert sessions.listed(size=size, cursor=back) == walked(size, cursor=back), (size, back)
            cursors.append(page.older)


def is_walked(size: int, **page: str) -> bool:
    """Return whether the list walks the sessions."""
    with CaptureQueriesContext(connections[store_alias()]) as asked:
        sessions.listed(size=size, **page)
    return any("RECURSIVE" in query["sql"] for query in asked)


def pages(size: int) -> tuple[list[list[sessions.Listed]], list[list[sessions.Listed]]]:
    """Return all pages from the first to the last one, and those on the way back."""
    forth = [sessions.listed(size=size)]
    while forth[-1].older:
        forth.append(sessions.listed(size=size, cursor=forth[-1].older))
    back = [forth[-1]]
    while back[-1].newer:
        back.append(sessions.listed(size=size, cursor=back[-1].newer))
    return [page.rows for page in forth], [page.rows for page in back]


def test_pages_are_read_by_the_index_in_both_directions(on_sqlite: bool):
    for number in range(30):
        make_event(session_id=f"s-{number:02}", timestamp=NOW + number)
    assert is_walked(5) is on_sqlite, "there is no index yet, where one is kept"
    search.index_all()
    first = sessions.listed(size=5)
    second = sessions.listed(size=5, cursor=first.older or "")
    assert [one.session_id for one in second.rows] == [f"s-{number}" for number in range(24, 19, -1)]
    assert sessions.listed(size=5, cursor=second.newer or "").rows == first.rows
    for cursor in ("", first.older or "", second.newer or ""):
        assert not is_walked(5, cursor=cursor), cursor


def test_sessions_are_not_walked_however_many_events_the_newest_one_has():
    for number in range(9):
        make_event(session_id=f"s-{number}", timestamp=NOW + number)
    for number in range(60):
        make_event(session_id="long", timestamp=NOW + 100 + number)
    search.index_all()
    assert not is_walked(2)
    assert sessions.listed(size=2).rows == walked(2).rows


def test_sessions_of_one_second_are_walked_where_they_are_too_many_for_a_page():
    for number in range(40):
        make_event(session_id=f"s-{number:02}", timestamp=NOW)
    search.index_all()
    forth, back = pages(3)
    assert [one.session_id for page in forth for one in page] == [f"s-{number:02}" for number in range(39, -1, -1)]
    assert back == forth[::-1]


def test_a_session_that_lost_its_newest_events_is_found_where_it_stands_now():
    for session, at in (("a", 0), ("b", 1), ("c", 5), ("d", 6)):
        make_event(session_id=session, timestamp=NOW + at)
    for number in range(4):
        make_event(id=f"lost-{number}", session_id="ab"[number % 2], timestamp=NOW + 10 + number)
    search.index_all()
    models.Event.objects.filter(pk__startswith="lost").delete()
    for is_indexed in (False, True):
        forth, back = pages(1)
        assert [one.session_id for page in forth for one in page] == ["d", "c", "b", "a"], is_indexed
        assert back == forth[::-1], is_indexed
        search.index_all()


@pytest.mark.sqlite
def test_an_index_of_the_format_before_is_kept_and_learns_where_sessions_end(index_file: Path):
    for number in range(30):
        make_event(session_id=f"s-{number % 7}", timestamp=NOW + number)
    search.index_all()
    with closing(sqlite3.connect(index_file, isolation_level=None)) as index:
        index.executescript(
            "DROP TRIGGER session_went_on; DROP TRIGGER session_lost_its_last; DROP TABLE last_doc;"
            " UPDATE meta SET value = replace(value, '6 ', '5 ') WHERE name = 'format'"
        )
    inode = index_file.stat().st_ino
    assert is_walked(2), "the index was read before it knew"
    make_event(session_id="s-3", timestamp=NOW + 90)
    search.index_all()
    assert index_file.stat().st_ino == inode, "it was built again"
    assert not is_walked(2)
    assert_as_walked()


@pytest.mark.sqlite
def test_a_session_by_bytes_is_not_taken_for_one_by_text():
    make_event(session_id="same", timestamp=NOW)
    make_event(id="other", session_id="x", timestamp=NOW + 5)
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("UPDATE events SET session_id = %s WHERE id = 'other'", [b"same"])
    search.index_all()
    assert len(sessions.listed().rows) == 2
    assert sessions.listed().rows == walked(50).rows


@pytest.mark.parametrize("seed", range(12))
def test_a_page_by_the_index_is_the_page_by_a_walk(seed: int, on_sqlite: bool, monkeypatch: pytest.MonkeyPatch):
    chance = random.Random(seed)
    monkeypatch.setattr(limits, "SESSION_EVENTS", chance.choice([8, 40, 1000]))
    texts: list[Any] = ["late text", 2.5, -3, 2**50]

    def events(name: str, count: int) -> None:
        for number in range(count):
            at = NOW + chance.randrange(40)
            event = make_event(id=f"{name}-{number}", session_id=f"s-{chance.randrange(12)}é", timestamp=at)
            if on_sqlite and chance.random() < 0.03:
                with connections[store_alias()].cursor() as cursor:
                    sql = "UPDATE events SET timestamp = %s WHERE id = %s"
                    cursor.execute(sql, [chance.choice(texts), event.pk])

    events("first", 60)
    for number in range(4):
        make_session("agent-1", id=f"recorded-{number}", started_at=NOW + chance.randrange(50), ended_at=None)
    make_session("agent-1", id="s-3é", started_at=NOW + 100)
    search.index_all()
    assert_as_walked()
    events("waiting", 6)
    models.Event.objects.filter(pk__startswith="first-1").delete()
    models.Event.objects.filter(pk="first-2").update(session_id="renamed", timestamp=NOW + 60)
    assert_as_walked()
