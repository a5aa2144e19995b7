"""A dashboard below a path of its host: every address that it names is below the path, and answers.

nginx takes the prefix off, passes it on, or takes another one off and says so. The crawl signs in and follows what each
page names, one address for each kind of page.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import pytest

from tests.deployed import nginx
from tests.deployed.browser import Answer, Browser
from tests.deployed.sites import deployed
from tests.faults.server import serving
from tests.faults.sites import QUIET
from tests.templates import Templates

pytestmark = [
    pytest.mark.faults,
    pytest.mark.sqlite,
    pytest.mark.skipif(not nginx.IS_INSTALLED, reason="no nginx or openssl"),
]

SERVERS: Final = """
  server {{
    listen 127.0.0.1:{ports[0]};
    location /statestore/ {{ proxy_pass http://127.0.0.1:{port}/; proxy_set_header Host $http_host; }}
  }}
  server {{
    listen 127.0.0.1:{ports[1]};
    location /statestore {{ proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host; }}
  }}
  server {{
    listen 127.0.0.1:{ports[2]};
    location /tools/dash/ {{
      proxy_pass http://127.0.0.1:{port}/;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Prefix /tools/dash;
    }}
  }}
"""


@dataclass(frozen=True)
class Place:
    """Where nginx serves the dashboard."""

    port: int
    prefix: str

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"


@pytest.fixture(scope="module")
def places(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    home = tmp_path_factory.mktemp("prefixed")
    site = deployed(templates, home / "site", PATH_PREFIX="/statestore", TRUSTED_PROXIES="127.0.0.1")
    ports = nginx.free_ports(3)
    with serving(site) as server:
        servers = SERVERS.format(ports=ports, port=server.port)
        with nginx.running(home / "nginx", servers, ports):
            found = {
                "taken off": Place(ports[0], "/statestore"),
                "passed on": Place(ports[1], "/statestore"),
                "forwarded": Place(ports[2], "/tools/dash"),
                "direct": Place(server.port, ""),
            }
            browser = Browser(found["taken off"].root)
            browser.sign_in()
            assert restore(browser, QUIET[1]).status == 302
            yield found


# Attributes that hold addresses, of links, forms, scripts and our own scripts' data.
TAG: Final = re.compile(r"<\w[^>]*>")
ATTRIBUTE: Final = re.compile(
    r"\s(?:href|src|action|formaction|hx-get|hx-post|data-url|data-complete|data-model-url)=\"([^\"]*)\""
)
CURL: Final = re.compile(r"(https?://127\.0\.0\.1:\d+[^\s\"&<]*)")
CSS_ADDRESS: Final = re.compile(r"url\([\"']?([^\"')]+)[\"']?\)")
OTHER_SITES: Final = re.compile(r"(https?:)?//(?!127\.0\.0\.1)|data:|mailto:|javascript:")
ID: Final = re.compile(r"/(~[\w-]*|[\w:.@~-]*\d[\w:.@~-]*|quiet-\w+)(?=/|$)")


@dataclass(frozen=True)
class Named:
    """An address as a page names it, and whether it may be followed."""

    page: str
    address: str
    is_followed: bool


def addresses_in(answer: Answer) -> Iterator[Named]:
    """Yield what a page, a style sheet or a JSON answer names."""
    if location := answer.headers.get("Location"):
        yield Named(answer.url, location, True)
    elif answer.media == "text/html":
        for tag in TAG.findall(answer.text):
            is_post = 'method="post"' in tag or "formaction" in tag or "hx-post" in tag
            for address in ATTRIBUTE.findall(tag):
                yield Named(answer.url, unescape(address), not is_post)
        for address in CURL.findall(unescape(answer.text)):
            yield Named(answer.url, address, False)
        for text in re.findall(r"<script type=\"application/json\"[^>]*>(.*?)</script>", answer.text, re.DOTALL):
            yield from _in_json(answer.url, json.loads(unescape(text)))
    elif answer.media == "text/css":
        for address in CSS_ADDRESS.findall(answer.text):
            yield Named(answer.url, address, True)
    elif answer.media in {"application/json", "application/problem+json"}:
        yield from _in_json(answer.url, json.loads(answer.content))


def _in_json(page: str, value: Any) -> Iterator[Named]:
    if isinstance(value, list):
        for item in value:
            yield from _in_json(page, item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in {"url", "type", "next_url", "state_url"} and isinstance(item, str) and item.startswith("/"):
                yield Named(page, item, True)
            elif name == "paths" and isinstance(item, dict):  # The description of the API.
                yield from (Named(page, path, False) for path in item)
            else:
                yield from _in_json(page, item)


def kind_of(address: str) -> str:
    """Return the address's path with ids taken out: one of each kind is followed."""
    return ID.sub("/*", urlsplit(address).path)


@pytest.mark.parametrize("how", ["taken off", "passed on", "forwarded"])
def test_signing_in_and_forms_lead_on_below_the_prefix(places: dict[str, Place], how: str):
    place = places[how]
    browser = Browser(place.root)
    first = browser.open("agents/")
    assert first.status == 302
    assert first.headers["Location"] == f"{place.prefix}/login/?next={place.prefix}/agents/"
    signed_in = browser.sign_in(f"{place.prefix}/agents/")
    assert (signed_in.status, signed_in.headers["Location"]) == (302, f"{place.prefix}/agents/"), signed_in
    done = restore(browser, QUIET[0])
    assert done.status == 302, done
    assert done.headers["Location"].startswith(f"{place.prefix}/restores/")
    token = browser.open("tasks/").hidden("csrfmiddlewaretoken")
    theme = browser.post("theme/", {"csrfmiddlewaretoken": token, "theme": "dark", "next": f"{place.prefix}/tasks/"})
    assert theme.headers["Location"] == f"{place.prefix}/tasks/"
    elsewhere = browser.post("theme/", {"csrfmiddlewaretoken": token, "theme": "dark", "next": "/other/"})
    assert elsewhere.headers["Location"] == f"{place.prefix}/"


def restore(browser: Browser, agent_id: str) -> Answer:
    """Look at the preview of a restore and confirm it."""
    snapshot = re.search(r"/snapshots/([\w-]+)/", browser.open(f"agents/{agent_id}/").text)
    assert snapshot
    preview = browser.open(f"agents/{agent_id}/restore/?moment=snapshot:{snapshot[1]}")
    fields = {name: preview.hidden(name) for name in ("csrfmiddlewaretoken", "etag")}
    return browser.post(
        f"agents/{agent_id}/restore/", {**fields, "moment": f"snapshot:{snapshot[1]}", "confirmed": "1"}
    )


def test_every_address_is_below_the_prefix_and_answers(places: dict[str, Place]):
    place = places["forwarded"]
    browser = Browser(place.root)
    browser.sign_in()
    seen, wrong = crawl(browser, place)
    assert wrong == []
    parts = {path.removeprefix(f"{place.prefix}/").split("/")[0] for path in seen}
    assert parts >= {"admin", "agents", "api", "audit", "browsers", "compare", "events", "fleet", "restores", "search"}
    assert parts >= {"sessions", "snapshots", "static", "tasks", "tokens", "transitions", "trash"}


def test_what_the_first_pages_name_answers_where_the_prefix_is_passed_on(places: dict[str, Place]):
    browser = Browser(places["passed on"].root)
    browser.sign_in()
    seen, wrong = crawl(browser, places["passed on"], most=40)
    assert wrong == []
    assert len(seen) >= 40


def crawl(browser: Browser, place: Place, most: int = 1_000) -> tuple[set[str], list[str]]:
    """Return the kinds of addresses that were followed, and what is wrong with an address or its answer."""
    waiting = [f"{place.root}/", f"{place.root}/api/v1/docs", f"{place.root}/api/v1/openapi.json"]
    seen = {kind_of(address) for address in waiting}
    wrong: list[str] = []
    while waiting and most > 0:
        answer = browser.open(waiting.pop(0))
        most -= 1
        if answer.status >= 400:
            wrong.append(str(answer))
        for named in addresses_in(answer):
            whole = urljoin(answer.url, named.address)
            if OTHER_SITES.match(named.address) or not named.address or named.address.startswith("#"):
                continue
            if not whole.startswith(f"{place.root}/"):
                wrong.append(f"{named.page} names {named.address}")
            elif named.is_followed and (kind := kind_of(whole)) not in seen:
                seen.add(kind)
                waiting.append(whole)
    return seen, wrong


def test_cookies_are_confined_to_the_prefix(places: dict[str, Place]):
    for place in (places["taken off"], places["forwarded"]):
        browser = Browser(place.root)
        answer = browser.sign_in()
        assert answer.status == 302
        assert {cookie.path for cookie in browser.cookies} == {place.prefix}
        assert {cookie.name for cookie in browser.cookies} == {"descartes_session", "csrftoken", "descartes_browser"}


def test_two_dashboards_of_one_host_do_not_sign_each_other_out(places: dict[str, Place]):
    """A browser sends the cookies of both to the one that lies below the other; its own come first."""
    inner = Browser(places["taken off"].root)
    inner.sign_in()
    own = "; ".join(f"{cookie.name}={cookie.value}" for cookie in inner.cookies)
    foreign = "descartes_session=another; csrftoken=another; descartes_browser=another"
    plain = Browser(places["taken off"].root)
    assert plain.open("agents/", headers={"Cookie": f"{own}; {foreign}"}).status == 200


@pytest.mark.parametrize("how", ["taken off", "passed on", "forwarded", "direct"])
def test_probes_answer_with_and_without_the_prefix(places: dict[str, Place], how: str):
    browser = Browser(places[how].root)
    for probe in ("healthz", "readyz"):
        assert json.loads(browser.open(probe).content) == {"ok": True}
    direct = Browser(places["direct"].root)
    for probe in ("healthz", "readyz"):
        assert json.loads(direct.open(f"statestore/{probe}").content) == {"ok": True}


def test_a_part_of_a_page_leads_to_the_login_below_the_prefix(places: dict[str, Place]):
    place = places["taken off"]
    page = f"{place.root}/events/"
    answer = Browser(place.root).open("search/live/?q=", headers={"HX-Request": "true", "HX-Current-URL": page})
    assert answer.status == 401
    assert answer.headers["HX-Redirect"] == f"{place.prefix}/login/?next={place.prefix}/events/"


def test_pages_of_errors_and_problems_stay_below_the_prefix(places: dict[str, Place]):
    place = places["forwarded"]
    browser = Browser(place.root)
    browser.sign_in()
    missing = browser.open("agents/no-such-agent/")
    assert missing.status == 404
    assert f'href="{place.prefix}/"' in missing.text
    problem = json.loads(browser.open("api/v1/agents/no-such-agent").content)
    assert problem["type"] == f"{place.prefix}/api/v1/problems/not-found"
    assert browser.open(f"http://127.0.0.1:{place.port}{problem['type']}").status == 200
    slashless = browser.open("agents")
    assert (slashless.status, slashless.headers["Location"]) == (301, f"{place.prefix}/agents/")
