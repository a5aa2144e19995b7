"""Whose forwarding headers are believed."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from statestore.access import proxies
from statestore.access.proxies import FORWARDED_PREFIX, IS_FORWARDED

PROXY, INNER, CLIENT = "10.0.0.1", "10.0.0.2", "203.0.113.7"
TRUSTED = ["10.0.0.0/24", "2001:db8:ffff::/48"]
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PREFIX")


def believed(peer: str, trusted: Sequence[str] = TRUSTED, **headers: str) -> dict[str, Any]:
    sent = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    environment: dict[str, object] = {"REMOTE_ADDR": peer, "HTTP_HOST": "inner:8000", "wsgi.url_scheme": "http", **sent}
    proxies.believe(environment, proxies.networks(tuple(trusted)), ["HTTP_REMOTE_USER"])
    return environment


@pytest.mark.parametrize(
    ("sent", "client"),
    [
        (CLIENT, CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", CLIENT),
        # What stands left of the first address that is no proxy's was written by that client.
        (f"127.0.0.1, {CLIENT}", CLIENT),
        (f"10.0.0.9, {CLIENT}, {INNER}", CLIENT),
        (f"{CLIENT}, {INNER}, 10.0.0.3", CLIENT),
        # Only proxies: then the one that is furthest away.
        (f"10.0.0.9, {INNER}", "10.0.0.9"),
        (f"nonsense, {INNER}", INNER),
        (f"{CLIENT}, nonsense", PROXY),
        # A long text of the client's hides nothing of what the proxy adds.
        ("192.0.2.1, " * 1000 + CLIENT, CLIENT),
        ("x" * 10_000 + f", {CLIENT}", CLIENT),
        ("", PROXY),
        (" , ,", PROXY),
    ],
)
def test_the_client_is_the_first_address_from_the_right_that_is_no_trusted_proxy(sent: str, client: str):
    assert believed(PROXY, x_forwarded_for=sent)["REMOTE_ADDR"] == client


def test_scheme_host_and_prefix_are_those_that_a_trusted_proxy_forwards():
    environment = believed(
        PROXY, x_forwarded_for=CLIENT, x_forwarded_proto="https", x_forwarded_host="dash.example.org",
        x_forwarded_prefix="/tools/dash/",
    )  # fmt: skip
    assert environment["wsgi.url_scheme"] == "https"
    assert environment["HTTP_HOST"] == "dash.example.org"
    assert environment[FORWARDED_PREFIX] == "/tools/dash"
    assert environment[IS_FORWARDED]
    assert not set(FORWARDED) & set(environment)


def test_what_was_decided_once_is_not_decided_again_with_what_is_left():
    environment = believed(PROXY, x_forwarded_for=f"10.0.0.9, {CLIENT}", x_forwarded_prefix="/dash")
    decided = dict(environment)
    proxies.believe(environment, proxies.networks((f"{CLIENT}/32",)))
    assert environment == decided


def test_of_a_chain_the_word_of_the_proxy_nearest_to_the_client_counts():
    chain = f"{CLIENT}, {INNER}"
    environment = believed(PROXY, x_forwarded_for=chain, x_forwarded_proto="https, http")
    assert environment["wsgi.url_scheme"] == "https"
    forged = believed(PROXY, x_forwarded_for=chain, x_forwarded_proto="https, http, http")
    assert forged["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize("peer", [CLIENT, "2001:db8::7", "", "nonsense", "10.0.1.1"])
def test_what_others_forward_is_dropped(peer: str):
    environment = believed(
        peer, x_forwarded_for="192.0.2.1", x_forwarded_proto="https", x_forwarded_host="evil.example",
        x_forwarded_prefix="/evil", remote_user="root",
    )  # fmt: skip
    assert environment["REMOTE_ADDR"] == peer
    assert environment["wsgi.url_scheme"] == "http"
    assert environment["HTTP_HOST"] == "inner:8000"
    assert environment[FORWARDED_PREFIX] == ""
    assert not {*FORWARDED, "HTTP_REMOTE_USER"} & set(environment)
    assert environment[IS_FORWARDED]


@pytest.mark.parametrize(
    "prefix", ["evil", "//evil.example", "/../x", "/x/..", "/a b", "/<script>", "/" + "x" * 65, "/x//y"]
)
def test_a_prefix_that_is_no_path_is_dropped(prefix: str):
    assert believed(PROXY, x_forwarded_prefix=prefix)[FORWARDED_PREFIX] == ""


def test_a_trusted_network_may_be_of_either_family_and_wrong_ones_are_named():
    assert believed("2001:db8:ffff::1", x_forwarded_for=CLIENT)["REMOTE_ADDR"] == CLIENT
    assert believed("::ffff:10.0.0.1", x_forwarded_for=CLIENT)["REMOTE_ADDR"] == CLIENT
    with pytest.raises(ValueError, match="nonsense"):
        proxies.networks(("nonsense",))


@given(st.text(max_size=200), st.text(max_size=60), st.text(max_size=60))
def test_no_header_makes_it_fail_or_yields_something_else_than_an_address(addresses: str, scheme: str, prefix: str):
    environment = believed(PROXY, x_forwarded_for=addresses, x_forwarded_proto=scheme, x_forwarded_prefix=prefix)
    assert proxies.parsed_address(environment["REMOTE_ADDR"]) is not None
    assert environment["wsgi.url_scheme"] in {"http", "https"}


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", None),
    ],
)
def test_an_ipv6_customer_is_one_sender(address: str, source: str | None):
    assert proxies.source_of(address) == source


@pytest.mark.django_db
def test_the_site_believes_the_proxies_that_it_is_told_of(settings: Any, people: object):
    settings.TRUSTED_PROXIES, settings.HTTPS, settings.ALLOWED_HOSTS = TRUSTED, True, ["dash.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "dash.example.org", "X-Forwarded-For": CLIENT}
    answer = Client(REMOTE_ADDR=PROXY).get("/agents/", headers=headers)
    assert answer.status_code == 302
    assert answer["Location"] == "/login/?next=/agents/"
    assert answer.wsgi_request.META["REMOTE_ADDR"] == CLIENT
    assert answer.wsgi_request.is_secure()


@pytest.mark.django_db
def test_a_proxy_that_is_not_trusted_is_told_of_instead_of_being_redirected_for_ever(
    settings: Any, caplog: pytest.LogCaptureFixture
):
    settings.TRUSTED_PROXIES, settings.HTTPS, settings.SECURE_SSL_REDIRECT = TRUSTED, True, True
    client = Client(REMOTE_ADDR="172.18.0.2")
    for _ in range(3):
        answer = client.get("/login/", headers={"X-Forwarded-Proto": "https"})
        assert answer.status_code == 400
        assert "TRUSTED_PROXIES" in answer.content.decode()
        assert "172.18.0.2" not in answer.content.decode()
    assert [record.message for record in caplog.records if "172.18.0.2 was ignored" in record.message].__len__() == 1
    # Without the header, the request came by plain HTTP.
    assert client.get("/login/")["Location"].startswith("https://")
