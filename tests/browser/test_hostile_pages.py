"""A store in which each text is what a prompt-injected agent could write, in a real browser: nothing of it runs."""

import re
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.test_pages import too_wide
from tests.faults.scale import chance, times

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]

LISTS = (
    *("/", "/agents/?size=100", "/snapshots/?size=100", "/events/?size=100", "/restores/", "/trash/", "/audit/"),
    *("/changes/?start=0&size=100", "/tasks/", "/sessions/?size=100", "/find/?q=%3C", "/find/?q=script"),
    *("/upkeep/", "/growth/", "/sources/", "/connect/"),
)
PAGES_OF_AN_AGENT = ("timeline/", "blame/", "bisect/?condition=/n=1", "case/")
# Some of each; `make faults` opens others, and more.
ROWS_OF_EACH_KIND = times(7, 50)
# What only an agent's text could have put there.
FOREIGN = """() => [...document.querySelectorAll(
  "main script, main iframe, main object, main embed, main img, main [onerror], main [onfocus], main [onmouseover]," +
  "main [hx-get*='/x'], main [hx-trigger=load], main a[href^='javascript:'], main meta, main base, main link"
)].map((element) => element.outerHTML.slice(0, 200))"""


def rows_of(page: Page, site: Site) -> list[str]:
    """Return the addresses of some agents, transitions and snapshots, whatever their ids are."""
    found: list[str] = []
    choice = chance()
    for start, kind in (("/agents/?size=100", "agents"), ("/snapshots/?size=100", "snapshots")):
        page.goto(start)
        rows = links(page, kind)
        found += choice.sample(rows, min(len(rows), ROWS_OF_EACH_KIND))
    for agent in found[:ROWS_OF_EACH_KIND]:
        page.goto(agent)
        found += links(page, "transitions")[:1]
        found += [agent + own for own in PAGES_OF_AN_AGENT] + [f"{site.url}/compare/?left={agent.split('/')[-2]}"]
    return found


def links(page: Page, kind: str) -> list[str]:
    hrefs = page.eval_on_selector_all("main a[href]", "(links) => links.map((link) => link.getAttribute('href'))")
    addresses = [urljoin(page.url, href) for href in hrefs]
    return list(dict.fromkeys(address for address in addresses if re.search(rf"/{kind}/[^/?]+/$", address)))


def faults(page: Page, address: str) -> list[str]:
    """Return what an agent put into a page, and what does not fit a phone or a wide screen."""
    found = [f"{address}: {element}" for element in page.evaluate(FOREIGN)]
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{address} at {width} px: {element}" for element in too_wide(page)]
    return found


def test_nothing_that_an_agent_wrote_acts_or_breaks_a_page(open_page: OpenPage, hostile_site: Site):
    page = open_page("/", site=hostile_site, role="administrator")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    rows = rows_of(page, hostile_site)
    assert len(rows) >= 3 * ROWS_OF_EACH_KIND - 4
    wrong = []
    for address in [*LISTS, *rows]:
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        assert page.title() != "pwned"
        wrong += faults(page, address)
    page.goto("/agents/")
    page.check("[data-select-all=agent]")
    page.click("button[name=action][value=status]")
    wrong += faults(page, page.url)
    assert not wrong, "\n".join(wrong)
    assert [url for url in asked if not url.startswith(hostile_site.url) or url.endswith("/x")] == []


def test_an_element_of_an_agent_would_be_seen(open_page: OpenPage, hostile_site: Site):
    """The canary of the test above."""
    page = open_page("/", site=hostile_site, role="viewer")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<div hx-get=/x></div><img src>')")
    assert len(page.evaluate(FOREIGN)) == 2
