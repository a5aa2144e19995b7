"""A path prefix: what is taken off a path, what cookies become, and which addresses a request may lead on to."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse, set_script_prefix

from statestore.access import path_prefix, proxies
from statestore.checks import check_addresses
from statestore.views.own_addresses import is_own
from statestore.views.static_files import PlainFiles

SESSION, CSRF = "__Host-descartes_session", "__Host-csrftoken"


@pytest.fixture(autouse=True)
def _no_prefix() -> Iterator[None]:
    yield
    set_script_prefix("/")


def entered(path: str, **environment: Any) -> Any:
    request = RequestFactory().get(path, **environment)
    path_prefix.enter(request)
    return request


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("/dash/agents/", "/agents/"),
        ("/agents/", "/agents/"),
        ("/dash", "/"),
        ("/dash/", "/"),
        ("/dashboard/", "/dashboard/"),
        ("/dash/dash/", "/dash/"),
        ("/", "/"),
    ],
)
def test_a_prefix_is_taken_off_once_if_the_proxy_passed_it_on(settings: Any, path: str, inner: str):
    settings.PATH_PREFIX = "/dash"
    request = entered(path)
    assert (request.path_info, request.path) == (inner, f"/dash{inner}")
    assert reverse("agents") == "/dash/agents/"
    assert PlainFiles().url("statestore/app.js") == "/dash/static/statestore/app.js"


def test_what_a_server_or_a_proxy_says_comes_before_the_setting(settings: Any):
    settings.PATH_PREFIX = "/dash"
    assert entered("/agents/", **{proxies.FORWARDED_PREFIX: "/other"}).path == "/other/agents/"
    assert reverse("agents") == "/other/agents/"
    assert entered("/agents/", SCRIPT_NAME="/mounted").path == "/mounted/agents/"
    settings.PATH_PREFIX = ""
    assert entered("/agents/").path == "/agents/"
    assert reverse("agents") == "/agents/"


def test_a_prefix_like_an_address_of_ours_counts_as_taken_off(settings: Any):
    assert entered("/agents/a1/", **{proxies.FORWARDED_PREFIX: "/agents"}).path_info == "/agents/a1/"
    assert entered("/api/v1/me", **{proxies.FORWARDED_PREFIX: "/api"}).path_info == "/api/v1/me"


def test_cookies_are_for_the_prefix_alone(settings: Any):
    settings.PATH_PREFIX = "/dash"
    sent = f"__Secure-descartes_session=near; theme=dark; {SESSION}=foreign; __Secure-descartes_session=far"
    request = entered("/dash/agents/", HTTP_COOKIE=sent)
    assert request.COOKIES == {SESSION: "near", "theme": "dark"}
    response = HttpResponse()
    response.set_cookie(SESSION, "s", secure=True, httponly=True)
    response.set_cookie("theme", "dark")
    response.delete_cookie(CSRF)
    path_prefix.confine_cookies(response)
    lines = {cookie.key: cookie.OutputString() for cookie in response.cookies.values()}
    assert lines["__Secure-descartes_session"] == "__Secure-descartes_session=s; HttpOnly; Path=/dash; Secure"
    assert lines["theme"] == "theme=dark; Path=/dash"
    assert "Path=/dash" in lines["__Secure-csrftoken"]
    assert "Secure" in lines["__Secure-csrftoken"].split("; ")


def test_cookies_without_a_prefix_stay_as_they_are():
    entered("/agents/")
    response = HttpResponse()
    response.set_cookie(SESSION, "s", secure=True)
    path_prefix.confine_cookies(response)
    assert response.cookies[SESSION].OutputString() == f"{SESSION}=s; Path=/; Secure"


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("/dash/agents/", True),
        ("http://testserver/dash/agents/", True),
        ("https://dash.example.org:8443/dash/", True),
        ("?page=2", True),
        ("../tasks/", True),
        ("/agents/", False),
        ("/dashboard/", False),
        ("/dash/../other/", False),
        ("http://other/dash/", False),
        ("//other/dash/", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_a_request_leads_on_to_addresses_of_the_dashboard(settings: Any, address: str, is_ours: bool):
    settings.PATH_PREFIX = "/dash"
    settings.CSRF_TRUSTED_ORIGINS = ["https://dash.example.org:8443"]
    assert is_own(entered("/dash/agents/"), address) is is_ours


@pytest.mark.parametrize(
    ("prefix", "origins", "ids"),
    [
        ("", [], []),
        ("/statestore", ["https://dash.example.org:8443", "https://*.example.org", "http://[::1]:8000"], []),
        ("/tools/dash", [], []),
        ("/a b", [], ["statestore.E011"]),
        ("/a/../b", [], ["statestore.E011"]),
        ("/agents", [], ["statestore.E012"]),
        ("/api/v1/x", [], ["statestore.E012"]),
        ("/static", [], ["statestore.E012"]),
        ("", ["dash.example.org", "https://dash.example.org/statestore"], ["statestore.E013", "statestore.E013"]),
    ],
)
def test_wrong_settings_are_named(settings: Any, prefix: str, origins: list[str], ids: list[str]):
    settings.PATH_PREFIX, settings.CSRF_TRUSTED_ORIGINS = prefix, origins
    assert [message.id for message in check_addresses()] == ids


@pytest.mark.one_store
@pytest.mark.django_db
@pytest.mark.parametrize("probe", ["/healthz", "/readyz"])
def test_a_probe_below_the_prefix_is_answered_for_any_host(settings: Any, probe: str):
    settings.PATH_PREFIX, settings.SECURE_SSL_REDIRECT = "/dash", True
    for path in (probe, f"/dash{probe}"):
        assert Client().get(path, HTTP_HOST="10.1.2.3").json() == {"ok": True}
