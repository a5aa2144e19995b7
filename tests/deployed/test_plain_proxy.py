"""A dashboard that knows of no proxy, behind nginx: compression, no buffering, metrics, large bodies both ways."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from tests.deployed import nginx
from tests.deployed.browser import Answer, Browser
from tests.deployed.sites import deployed
from tests.faults.server import serving
from tests.faults.sites import NAME, QUIET
from tests.templates import Templates
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.faults,
    pytest.mark.sqlite,
    pytest.mark.skipif(not nginx.IS_INSTALLED, reason="no nginx or openssl"),
]

EVENTS: Final = 1_500
# What the documentation of /metrics shows is the last one.
SERVERS: Final = """
  gzip_types *;
  gzip_min_length 1;
  gzip_proxied any;
  server {{
    listen 127.0.0.1:{ports[0]};
    location / {{ proxy_pass http://127.0.0.1:{port}; }}
  }}
  server {{
    listen 127.0.0.1:{ports[1]};
    gzip on;
    location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host; }}
  }}
  server {{
    listen 127.0.0.1:{ports[2]};
    gzip on;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    location / {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host; }}
  }}
  server {{
    listen 127.0.0.1:{ports[3]};
    proxy_http_version 1.1;
    location / {{ proxy_pass http://127.0.0.1:{port}; }}
    location = /metrics {{ deny all; }}
  }}
"""


@dataclass(frozen=True)
class Proxied:
    """The addresses of one dashboard: of nginx in four ways, and its own; and a token for it."""

    roots: dict[str, str]
    token: str

    def call(self, how: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Return the answer to a call of the JSON API."""
        sent = {"Authorization": f"Bearer {self.token}", "Accept-Encoding": "gzip"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, (bytes, Iterator)):
            body, sent = json.dumps(body).encode(), {"Content-Type": "application/json", **sent}
        return Browser(self.roots[how]).open(f"api/v1/{path}", body, method=method, headers=sent)


@pytest.fixture(scope="module")
def proxied(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    home = tmp_path_factory.mktemp("plain")
    site = deployed(templates, home / "site")
    made = site.manage("token", "create", "test", "--user", NAME, "--scopes", "read,write,restore,admin")
    ports = nginx.free_ports(4)
    with serving(site) as server:
        servers = SERVERS.format(ports=ports, port=server.port)
        with nginx.running(home / "nginx", servers, ports):
            names = ["bare", "gzip", "unbuffered", "closed", "direct"]
            roots = {name: f"http://127.0.0.1:{port}" for name, port in zip(names, [*ports, server.port], strict=True)}
            yield Proxied(roots, made.split()[-1])


def test_a_weak_etag_binds_a_write_to_what_was_read(proxied: Proxied):
    read = proxied.call("gzip", "GET", f"agents/{QUIET[2]}")
    weak = read.headers["ETag"]
    assert weak.startswith('W/"'), "nginx did not compress"
    assert proxied.call("gzip", "GET", f"agents/{QUIET[2]}", If_None_Match=weak).status == 304
    wrong = proxied.call("gzip", "PUT", f"agents/{QUIET[2]}", {"state": {"a": 1}}, If_Match=f'W/"{"0" * 64}"')
    assert wrong.status == 412
    saved = proxied.call("gzip", "PUT", f"agents/{QUIET[2]}", {"state": {"a": 1}}, If_Match=weak)
    assert saved.status == 200, saved
    assert proxied.call("gzip", "PUT", f"agents/{QUIET[2]}", {"state": {"a": 2}}, If_Match=weak).status == 412
    assert (
        proxied.call("gzip", "PUT", f"agents/{QUIET[2]}", {"state": {"a": 3}}, If_Match=saved.headers["ETag"]).status
        == 200
    )
    assert proxied.call("gzip", "DELETE", f"agents/{QUIET[2]}", If_Match=weak).status == 412


@pytest.mark.parametrize(("how", "status"), [("direct", 200), ("bare", 401), ("gzip", 401), ("closed", 403)])
def test_metrics_are_open_to_this_machine_and_not_to_a_proxy_on_it(proxied: Proxied, how: str, status: int):
    answer = Browser(proxied.roots[how]).open("metrics")
    assert answer.status == status
    assert ("statestore_ready" in answer.text) is (status == 200)


def test_metrics_are_open_to_a_token_through_a_proxy(proxied: Proxied):
    for how in ("bare", "gzip", "unbuffered"):
        headers = {"Authorization": f"Bearer {proxied.token}"}
        assert "statestore_ready" in Browser(proxied.roots[how]).open("metrics", headers=headers).text


def test_a_bare_proxy_is_told_what_to_set(proxied: Proxied):
    answer = Browser(proxied.roots["bare"]).sign_in()
    assert answer.status == 403
    assert (
        f"sent from {proxied.roots['bare']}, but the dashboard was asked for as {proxied.roots['direct']}"
        in answer.text
    )


@pytest.mark.parametrize("how", ["gzip", "unbuffered"])
def test_the_live_tail_shows_what_is_saved(proxied: Proxied, how: str):
    browser = Browser(proxied.roots[how])
    assert browser.sign_in("/events/").status == 302
    page = browser.open("events/")
    cursor = re.search(r'data-cursor="([^"]*)"', page.text)
    assert cursor, page
    event = {"event_type": "note", "session_id": "s", "actor_type": "Agent", "actor_id": "a", "content": f"live {how}"}
    assert proxied.call(how, "POST", "events", event).status == 201
    asked = f"search/live/?{urlencode({'q': '', 'cursor': unescape(cursor[1])})}"
    headers = {"HX-Request": "true", "Accept-Encoding": "gzip"}
    wait_for(lambda: f"live {how}" in browser.open(asked, headers=headers).text, "the event in the tail")


@pytest.mark.parametrize("how", ["gzip", "unbuffered"])
def test_large_bodies_go_both_ways(proxied: Proxied, how: str):
    event = {"session_id": "s", "actor_type": "Agent", "actor_id": "a", "content": "x" * 1000}
    saved = proxied.call(how, "POST", "events/batch", {"events": [{"event_type": f"bulk-{how}", **event}] * EVENTS})
    assert saved.status == 200, saved
    exported = proxied.call(how, "GET", "export")
    assert exported.status == 200
    assert exported.content.count(f'"bulk-{how}"'.encode()) == EVENTS
    sent = {"Content_Type": "application/x-ndjson"}
    imported = proxied.call(how, "POST", "import", exported.content, **sent)
    assert imported.status == 200, imported
    # Sent in chunks, without a Content-Length.
    parts = (exported.content[start : start + 65_536] for start in range(0, len(exported.content), 65_536))
    again = proxied.call(how, "POST", "import", parts, **sent)
    assert (again.status, again.content) == (200, imported.content), again


@pytest.mark.parametrize("how", ["gzip", "unbuffered"])
def test_a_download_is_whole(proxied: Proxied, how: str):
    browser = Browser(proxied.roots[how])
    browser.sign_in()
    answer = browser.open("search/export/?format=csv", headers={"Accept-Encoding": "gzip"})
    assert answer.status == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    assert (
        answer.content
        == Browser(proxied.roots["direct"], cookies=browser.cookies).open("search/export/?format=csv").content
    )
