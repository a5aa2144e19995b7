"""nginx ends TLS, on ports that are not the usual one: signing in, cookies, redirects, headers."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.deployed import nginx
from tests.deployed.browser import Browser
from tests.deployed.observatory import Scan, score
from tests.deployed.sites import deployed
from tests.faults.server import serving
from tests.templates import Templates

pytestmark = [
    pytest.mark.faults,
    pytest.mark.sqlite,
    pytest.mark.skipif(not nginx.IS_INSTALLED, reason="no nginx or openssl"),
]

# The host with its port, and without; the second of these is trusted. Below a path; and plain HTTP.
SERVERS: Final = """
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  server {{
    listen 127.0.0.1:{ports[0]} ssl;
    location / {{
      proxy_pass http://127.0.0.1:{port};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
  server {{
    listen 127.0.0.1:{ports[1]} ssl;
    listen 127.0.0.1:{ports[2]} ssl;
    location / {{
      proxy_pass http://127.0.0.1:{port};
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
  server {{
    listen 127.0.0.1:{ports[3]} ssl;
    location /tools/dash/ {{
      proxy_pass http://127.0.0.1:{port}/;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Prefix /tools/dash;
    }}
  }}
  server {{
    listen 127.0.0.1:{ports[4]};
    location / {{
      proxy_pass http://127.0.0.1:{port};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
"""


@dataclass(frozen=True)
class Tls:
    """Where nginx ends TLS, and what a client needs to trust it."""

    with_port: str
    without_port: str
    trusted: str
    prefixed: str
    plain: str
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def tls(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    home = tmp_path_factory.mktemp("tls")
    certificate, key = nginx.make_certificate(home)
    ports = nginx.free_ports(5)
    roots = [f"https://127.0.0.1:{port}" for port in ports[:4]]
    site = deployed(templates, home / "site", HTTPS="1", CSRF_TRUSTED_ORIGINS=roots[2])
    with serving(site) as server:
        servers = SERVERS.format(certificate=certificate, key=key, ports=ports, port=server.port)
        with nginx.running(home / "nginx", servers, ports):
            yield Tls(
                with_port=roots[0],
                without_port=roots[1],
                trusted=roots[2],
                prefixed=f"{roots[3]}/tools/dash",
                plain=f"http://127.0.0.1:{ports[4]}",
                context=nginx.trusting(certificate),
            )


def test_signing_in_works_on_any_port(tls: Tls):
    browser = Browser(tls.with_port, tls.context)
    signed_in = browser.sign_in("/agents/")
    assert (signed_in.status, signed_in.headers["Location"]) == (302, "/agents/"), signed_in
    page = browser.open("agents/")
    assert page.status == 200
    assert f'"{tls.with_port}/api/v1/agents' in page.text.replace("&quot;", '"')
    assert browser.refused == []
    assert {cookie.name for cookie in browser.cookies} == {
        "__Host-descartes_session", "__Host-csrftoken", "__Host-descartes_browser",
    }  # fmt: skip


def test_a_port_that_the_proxy_leaves_out_can_be_trusted(tls: Tls):
    browser = Browser(tls.trusted, tls.context)
    assert browser.sign_in("/agents/").headers["Location"] == "/agents/"
    # What is a page of ours is known by the trusted origin too.
    headers = {"HX-Request": "true", "HX-Current-URL": f"{tls.trusted}/events/"}
    answer = Browser(tls.trusted, tls.context).open("search/live/?q=", headers=headers)
    assert answer.headers["HX-Redirect"] == "/login/?next=/events/"


def test_a_form_from_another_origin_is_told_what_was_compared_and_what_to_set(tls: Tls):
    answer = Browser(tls.without_port, tls.context).sign_in()
    assert answer.status == 403
    words = " ".join(re.sub(r"<[^>]+>", " ", answer.text).replace("&quot;", '"').split())
    assert f"sent from {tls.without_port}, but the dashboard was asked for as https://127.0.0.1." in words
    assert f"CSRF_TRUSTED_ORIGINS={tls.without_port}" in words
    assert "Nothing was changed" in words
    assert "expired" not in words


def test_cookies_below_a_path_have_names_that_browsers_take_for_one(tls: Tls):
    browser = Browser(tls.prefixed, tls.context)
    signed_in = browser.sign_in("/tools/dash/agents/")
    assert signed_in.headers["Location"] == "/tools/dash/agents/"
    assert browser.open("agents/").status == 200
    assert browser.refused == []
    assert {(cookie.name, cookie.path, cookie.secure) for cookie in browser.cookies} == {
        (f"__Secure-{name}", "/tools/dash", True) for name in ("descartes_session", "csrftoken", "descartes_browser")
    }
    page = browser.open("agents/")
    out = browser.post("logout/", {"csrfmiddlewaretoken": page.hidden("csrfmiddlewaretoken")})
    assert (out.status, out.headers["Location"]) == (302, "/tools/dash/login/")
    assert browser.open("agents/").status == 302


def test_strict_transport_reaches_no_further_than_the_host(tls: Tls):
    answer = Browser(tls.with_port, tls.context).open("login/")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_plain_http_leads_to_https_and_probes_are_answered(tls: Tls):
    browser = Browser(tls.plain)
    answer = browser.open("login/")
    assert (answer.status, answer.headers["Location"]) == (301, f"{tls.plain.replace('http:', 'https:')}/login/")
    assert browser.open("healthz").status == 200
    assert browser.open("readyz").status == 200


def test_metrics_are_closed_behind_a_proxy_that_ends_tls(tls: Tls):
    assert Browser(tls.with_port, tls.context).open("metrics").status == 401
    assert Browser(tls.prefixed, tls.context).open("metrics").status == 401


@pytest.mark.parametrize("page", ["login/", "", "agents/"])
def test_the_observatory_gives_at_least_130(tls: Tls, page: str):
    browser = Browser(tls.with_port, tls.context)
    if page != "login/":
        browser.sign_in()
    plain, secure = Browser(tls.plain).open(page or "agents/"), browser.open(page)
    assert secure.status == 200
    results = score(Scan(secure.headers, secure.text, plain.headers.get("Location", "")))
    assert min(results.values()) >= 0, results
    assert 100 + sum(results.values()) >= 130, results


@pytest.mark.browser
def test_a_real_browser_signs_in_and_goes_by_keys_below_a_path(tls: Tls):
    from playwright.sync_api import expect, sync_playwright

    from tests.browser.conftest import launch
    from tests.faults.sites import NAME, PASSWORD

    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_context(ignore_https_errors=True).new_page()
        failed: list[str] = []
        page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
        page.on("console", lambda message: failed.append(message.text) if message.type == "error" else None)
        page.goto(f"{tls.prefixed}/events/")
        page.fill("input[name=username]", NAME)
        page.fill("input[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{tls.prefixed}/events/")
        # The live tail asks below the path.
        with page.expect_response(lambda answer: answer.url.startswith(f"{tls.prefixed}/search/live/")):
            pass
        page.keyboard.press("g")
        page.keyboard.press("k")
        expect(page).to_have_url(f"{tls.prefixed}/tasks/")
        browser.close()
    assert failed == []
