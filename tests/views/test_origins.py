"""A form that fails the check against forgery: its page says which check, what was compared, and what to do."""

import re
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.test import Client

pytestmark = pytest.mark.django_db
EXPIRED = "The form has expired"


def refused(*, secure: bool = False, token: str = "x" * 32, cookie: bool = True, **sent: Any) -> str:
    """Return the words of the page that a form gets."""
    client = Client(enforce_csrf_checks=True)
    if cookie:
        client.cookies[site_settings.CSRF_COOKIE_NAME] = "y" * 32
    answer = client.post("/login/", {"csrfmiddlewaretoken": token}, secure=secure, **sent)
    assert answer.status_code == 403
    text = answer.content.decode()
    assert "Nothing was changed" in text
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_a_wrong_token_has_expired():
    assert EXPIRED in refused()
    assert EXPIRED in refused(secure=True, HTTP_ORIGIN="https://testserver")


def test_a_missing_cookie_is_named():
    words = refused(cookie=False)
    assert "no cookie" in words
    assert EXPIRED not in words


@pytest.mark.parametrize(
    ("secure", "origin", "asked_for"),
    [
        (True, "https://testserver:8443", "https://testserver"),
        (False, "http://testserver:8080", "http://testserver"),
        (True, "https://other.example.org", "https://testserver"),
    ],
)
def test_another_origin_is_named_with_what_it_was_compared_with(secure: bool, origin: str, asked_for: str):
    words = refused(secure=secure, HTTP_ORIGIN=origin)
    assert f"sent from {origin}, but the dashboard was asked for as {asked_for}." in words
    assert f"CSRF_TRUSTED_ORIGINS={origin}" in words
    assert "another site sent the form" in words
    assert EXPIRED not in words
    assert "HTTPS=1" not in words


def test_https_that_the_dashboard_does_not_know_of_is_named():
    assert "HTTPS=1" in refused(HTTP_ORIGIN="https://testserver")


@pytest.mark.parametrize("referer", ["https://testserver:8443/login/", "https://testserver:8443/login/?next=/"])
def test_without_an_origin_the_page_of_the_form_is_compared(referer: str):
    words = refused(secure=True, HTTP_REFERER=referer)
    assert "sent from https://testserver:8443, but" in words


@pytest.mark.parametrize("sent", [{"HTTP_ORIGIN": "null"}, {}, {"HTTP_REFERER": "nonsense"}])
def test_a_browser_that_hides_the_origin_is_told(sent: Any):
    words = refused(secure=True, **sent)
    assert "does not say from which page" in words
    assert EXPIRED not in words


def test_an_origin_is_text():
    words = refused(HTTP_ORIGIN="https://<script>alert(1)</script>" + "x" * 5000)
    assert len(words) < 2000


def test_a_trusted_origin_is_accepted(settings: Any):
    settings.CSRF_TRUSTED_ORIGINS = ["https://testserver:8443"]
    assert EXPIRED in refused(secure=True, HTTP_ORIGIN="https://testserver:8443")  # It is the token that is wrong.


def test_the_json_api_names_the_origin_too(people: Any):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["administrator"])
    answer = client.post(
        "/api/v1/tasks", "{}", content_type="application/json", headers={"Origin": "https://testserver:8443"}
    )
    assert answer.status_code == 403
    assert "CSRF_TRUSTED_ORIGINS" in answer.json()["detail"]
