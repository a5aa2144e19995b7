"""Signing in: what is logged and kept, who is refused for how long, and who is not."""

import logging
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessFailureLog, AccessLog
from django.contrib.auth.models import User
from django.core import signing
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from statestore.access import sign_ins
from statestore.access.sign_ins import PER_ACCOUNT, PER_ADDRESS, PER_PAIR, Limit
from statestore.api import auth
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

NAME, PASSWORD = "ada", "right and long"
COOKIE = "descartes_browser"


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user(NAME, password=PASSWORD)


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few failures be enough for the limits of an address and of a user."""
    monkeypatch.setattr(sign_ins, "PER_ADDRESS", Limit(6, PER_ADDRESS.seconds))
    monkeypatch.setattr(sign_ins, "PER_ACCOUNT", Limit(4, PER_ACCOUNT.seconds))


def attempt(password: str = "wrong", name: str = NAME, client: Client | None = None, address: str = "192.0.2.1") -> Any:
    client = client or Client()
    return client.post("/login/", {"username": name, "password": password}, REMOTE_ADDR=address)


def test_a_refused_sign_in_says_for_how_long_and_ends_by_itself(ada: User):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(PER_PAIR.failures):
            answer = attempt()
        assert answer.status_code == 429
        assert answer["Retry-After"] == str(PER_PAIR.seconds)
        assert "Try again\n        in 15 minutes" in answer.content.decode()
        # What is tried meanwhile does not make it longer, and the right password is not found out.
        clock.shift(timedelta(seconds=PER_PAIR.seconds - 10))
        refused = attempt(PASSWORD)
        assert (refused.status_code, refused["Retry-After"]) == (429, "10")
        clock.shift(timedelta(seconds=20))
        assert attempt(PASSWORD).status_code == 302


def test_a_sign_in_ends_the_count_of_its_user_and_address(ada: User):
    for _ in range(PER_PAIR.failures - 1):
        attempt()
    assert attempt(PASSWORD).status_code == 302
    assert [attempt().status_code for _ in range(3)] == [200] * 3


def test_one_address_cannot_try_many_names(ada: User, low_limits: None):
    answers = [attempt(name=f"user {number}").status_code for number in range(7)]
    assert answers == [200] * 5 + [429] * 2
    assert attempt(PASSWORD).status_code == 429
    assert attempt(PASSWORD, address="192.0.2.2").status_code == 302


def test_an_ipv6_network_is_one_address(ada: User, low_limits: None):
    answers = [attempt(name=f"user {n}", address=f"2001:db8:1:2::{n}").status_code for n in range(7)]
    assert answers[-1] == 429
    assert attempt(PASSWORD, address="2001:db8:1:3::1").status_code == 302


def test_many_addresses_cannot_share_the_guessing_of_one_password(ada: User, low_limits: None):
    answers = [attempt(address=f"192.0.2.{number}").status_code for number in range(5)]
    assert answers == [200] * 3 + [429] * 2
    assert attempt(PASSWORD, address="198.51.100.1").status_code == 429
    assert PER_ACCOUNT.seconds <= 300


@pytest.mark.usefixtures("low_limits")
def test_outsiders_lock_a_user_out_of_no_address_and_no_browser_that_is_known(ada: User):
    home, travelling = "198.51.100.7", Client()
    attempt(PASSWORD, address=home)
    attempt(PASSWORD, client=travelling, address="198.51.100.8")
    for number in range(20):
        attempt(address=f"192.0.2.{number}")
    assert attempt(PASSWORD, address="203.0.113.1").status_code == 429
    assert attempt(PASSWORD, address=home).status_code == 302
    # The browser is known wherever it is, also beside the attacker.
    travelling.cookies.pop("descartes_session")
    for _ in range(PER_PAIR.failures):
        attempt(address="203.0.113.9")
    assert attempt(PASSWORD, client=travelling, address="203.0.113.9").status_code == 302


def test_a_known_browser_has_a_limit_of_its_own(ada: User):
    browser = Client()
    attempt(PASSWORD, client=browser)
    browser.cookies.pop("descartes_session")
    answers = [attempt(client=browser, address=f"192.0.2.{number}").status_code for number in range(12)]
    assert answers == [200] * 9 + [429] * 3
    # It is no way to lock the user out elsewhere, and none to guess another user's password.
    assert attempt(PASSWORD, address="203.0.113.5").status_code == 302


def test_a_browser_is_known_for_its_own_user_alone_and_its_cookie_cannot_be_made(ada: User):
    User.objects.create_user("eve", password=PASSWORD)
    browser = Client()
    attempt(PASSWORD, name="eve", client=browser)
    browser.cookies.pop("descartes_session")
    forged = signing.dumps(
        {"user": ada.pk, "name": NAME, "browser": "x"}, key="another", salt="statestore.known_browser"
    )
    for cookie in (browser.cookies[COOKIE].value, forged, "nonsense", "x" * 5000):
        request = Client()
        request.cookies[COOKIE] = cookie
        answer = attempt(client=request)
        assert sign_ins.known_browser(answer.wsgi_request, NAME) == ""
    assert sign_ins.known_browser(attempt(client=browser, name="eve").wsgi_request, "eve")


def test_the_log_names_user_and_address_in_one_line_of_bounded_length(ada: User, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "statestore.access.sign_ins")
    attempt(name="x\n' from 10.0.0.1 \x1b[31m" + "y" * 100)
    attempt(PASSWORD)
    lines = [record.getMessage() for record in caplog.records if record.name == "statestore.access.sign_ins"]
    assert lines[0].startswith("Sign-in failed: user \"x\ufffd' from 10.0.0.1 ")
    assert lines[0].endswith("from 192.0.2.1")
    assert len(lines[0]) < 300
    assert all(line.isprintable() for line in lines)
    assert lines[1] == "Signed in: user 'ada' from 192.0.2.1"


def test_what_is_kept_of_attempts_is_bounded(ada: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sign_ins, "KEPT_ROWS", 5)
    monkeypatch.setattr(sign_ins, "PRUNED_EVERY", 1)
    for number in range(9):
        attempt(name=f"user {number}")
        attempt(PASSWORD)
    assert AccessFailureLog.objects.count() == AccessLog.objects.count() == 5
    AccessFailureLog.objects.update(attempt_time=timezone.now() - timedelta(days=sign_ins.KEPT_DAYS + 1))
    attempt()
    assert AccessFailureLog.objects.count() == 1


def test_the_library_s_command_ends_a_wait(ada: User, capsys: pytest.CaptureFixture[str]):
    for _ in range(PER_PAIR.failures):
        attempt()
    assert attempt(PASSWORD).status_code == 429
    call_command("axes_reset_username", NAME)
    assert attempt(PASSWORD).status_code == 302


def test_wrong_passwords_on_other_pages_count_too(ada: User):
    client = signed_in(ada)
    fields = {"old_password": "wrong", "new_password1": "new and long", "new_password2": "new and long"}
    answers = [client.post("/password/", fields) for _ in range(PER_PAIR.failures + 1)]
    assert [answer.status_code for answer in answers] == [200] * 9 + [429] * 2
    assert answers[-1]["Retry-After"]
    # The right one is refused then as well; and the admin has no page of its own on which to go on.
    assert client.post("/password/", fields | {"old_password": PASSWORD}).status_code == 429
    User.objects.update(is_staff=True)
    assert client.post("/admin/password_change/", fields)["Location"] == "/password/"
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_the_admin_s_login_counts_with_the_other(ada: User):
    for _ in range(PER_PAIR.failures - 1):
        attempt()
    fields = {"username": NAME, "password": "wrong"}
    assert Client().post("/admin/login/", fields, REMOTE_ADDR="192.0.2.1").status_code == 429


def test_a_page_for_administrators_lists_what_failed(people: dict[str, User]):
    attempt(name="<script>alert(1)</script>")
    attempt(name="bob", address="2001:db8::1")
    administrator = signed_in(people["administrator"])
    page = administrator.get("/sign-ins/").content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "2001:db8::/64" in page
    assert "192.0.2.1" in page
    one = administrator.get("/sign-ins/", {"username": "bob"}).content.decode()
    assert "bob" in one
    assert "192.0.2.1" not in one
    for asked in ("192.0.2.1", "nonsense", "\x00"):
        assert administrator.get("/sign-ins/", {"ip_address": asked}).status_code == 200
    assert 'href="/sign-ins/"' in administrator.get("/audit/").content.decode()
    viewer = signed_in(people["viewer"])
    assert viewer.get("/sign-ins/").status_code == 403
    assert "/sign-ins/" not in viewer.get("/audit/").content.decode()


def test_a_sender_of_wrong_tokens_is_told_to_stop_and_right_ones_work(people: dict[str, User]):
    from statestore.access import tokens

    _, secret = tokens.create(people["viewer"], "t", ["read"])
    # All within one minute, however slow the machine is.
    with time_machine.travel(timezone.now(), tick=False):
        statuses = [
            Client().get("/api/v1/me", headers={"Authorization": "Bearer dss.x.y"}, REMOTE_ADDR="192.0.2.1").status_code
            for _ in range(auth.WRONG_TOKENS + 1)
        ]
    assert statuses == [401] * auth.WRONG_TOKENS + [429]
    right = Client().get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"}, REMOTE_ADDR="192.0.2.1")
    assert right.status_code == 200
    elsewhere = Client().get("/api/v1/me", headers={"Authorization": "Bearer x"}, REMOTE_ADDR="192.0.2.2")
    assert elsewhere.status_code == 401
