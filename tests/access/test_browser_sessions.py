"""Sessions of browsers: they end without use, are read by one query and written by none, listed and ended."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from statestore.access import browser_sessions
from statestore.models import BrowserSession
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0"


@pytest.fixture
def ada(people: dict[str, User]) -> User:
    user = people["viewer"]
    user.set_password("right and long")
    user.save()
    return user


def sign_in(user: User, agent: str = CHROME, address: str = "192.0.2.1") -> Client:
    client = Client(REMOTE_ADDR=address, headers={"User-Agent": agent})
    sent = client.post("/login/", {"username": user.username, "password": "right and long"})
    assert sent.status_code == 302
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_a_session_ends_without_use_and_after_fourteen_days(ada: User, settings: Any):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        idle, busy = sign_in(ada), sign_in(ada)
        for _ in range(13 * 24 // 11):
            clock.shift(timedelta(hours=11))
            assert is_signed_in(busy)
        assert not is_signed_in(idle)
        for _ in range(4):
            clock.shift(timedelta(hours=11))
            is_signed_in(busy)
        assert not is_signed_in(busy)
        settings.SESSION_IDLE_HOURS = 0.5
        soon = sign_in(ada)
        clock.shift(timedelta(minutes=31))
        assert not is_signed_in(soon)


def test_a_page_that_asks_by_itself_keeps_no_one_signed_in(ada: User):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = sign_in(ada)
        for _ in range(5):
            clock.shift(timedelta(hours=3))
            answer = client.get("/agents/", headers={"HX-Request": "true", "X-Version": "x"})
        assert answer.status_code == 401
        assert answer["HX-Redirect"].startswith("/login/")


def test_reading_pages_writes_a_session_every_few_minutes_at_most(ada: User):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = sign_in(ada)

        def writes() -> int:
            with CaptureQueriesContext(connection) as queries:
                assert is_signed_in(client)
            return sum("UPDATE" in query["sql"] and "browser_session" in query["sql"] for query in queries)

        assert [writes() for _ in range(3)] == [0, 0, 0]
        clock.shift(timedelta(seconds=browser_sessions.NOTED_EVERY_SECONDS + 1))
        assert [writes() for _ in range(3)] == [1, 0, 0]


def test_pages_work_where_the_use_of_a_session_cannot_be_written(ada: User, monkeypatch: pytest.MonkeyPatch):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = sign_in(ada)
        clock.shift(timedelta(hours=1))

        def refuse(*_: object, **__: object) -> None:
            raise DatabaseError("attempt to write a readonly database")

        monkeypatch.setattr(browser_sessions.transaction, "atomic", refuse)
        assert is_signed_in(client)


def test_a_user_sees_the_own_browsers_and_no_secret(ada: User, people: dict[str, User]):
    client = sign_in(ada)
    sign_in(ada, FIREFOX, "2001:db8::7")
    signed_in(people["manager"])
    page = client.get("/browsers/").content.decode()
    assert page.count("<tr data-row>") == 2
    for words in ("Chrome on Linux", "Firefox on Windows", "192.0.2.1", "2001:db8::7", "(this one)"):
        assert words in page
    for row in BrowserSession.objects.all():
        assert row.session_key not in page


def test_one_browser_or_all_others_are_signed_out(ada: User, people: dict[str, User]):
    here, there, third, stranger = sign_in(ada), sign_in(ada), sign_in(ada), signed_in(people["manager"])
    key = there.cookies["descartes_session"].value
    stranger.post(f"/browsers/{browser_sessions.public_id(key)}/end/")
    assert is_signed_in(there)
    here.post(f"/browsers/{browser_sessions.public_id(key)}/end/")
    assert [is_signed_in(client) for client in (here, there, third)] == [True, False, True]
    here.post("/end-other-browsers/")
    assert [is_signed_in(client) for client in (here, third, stranger)] == [True, False, True]


def test_a_new_password_ends_all_other_sessions(ada: User):
    here, there = sign_in(ada), sign_in(ada)
    fields = {"old_password": "right and long", "new_password1": "new and long", "new_password2": "new and long"}
    assert here.post("/password/", fields).status_code == 302
    assert [is_signed_in(here), is_signed_in(there)] == [True, False]
    assert BrowserSession.objects.filter(user=ada).count() == 1


def test_signing_in_changes_the_key_of_the_session(ada: User):
    client = Client()
    client.cookies["descartes_session"] = "a" * 32
    client.post("/login/", {"username": ada.username, "password": "right and long"})
    assert client.cookies["descartes_session"].value != "a" * 32
    assert not BrowserSession.objects.filter(pk="a" * 32).exists()


def test_what_a_browser_says_of_itself_is_bounded_and_harmless(ada: User):
    client = sign_in(ada, "<script>\x00\n" + "x" * 5000)
    row = BrowserSession.objects.get(user=ada)
    assert len(row.user_agent) <= 200
    assert "&lt;script&gt;" in client.get("/browsers/").content.decode()


def test_sessions_that_ended_are_deleted(ada: User):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in(ada)
        clock.shift(timedelta(hours=13))
        sign_in(ada)
        call_command("clearsessions")
        assert BrowserSession.objects.count() == 1


def test_an_anonymous_request_stores_no_session(client: Client, db: None):
    for address in ("/", "/login/", "/api/v1/agents", "/nowhere/"):
        client.get(address)
    client.post("/login/", {"username": "x", "password": "y"})
    assert not BrowserSession.objects.exists()
