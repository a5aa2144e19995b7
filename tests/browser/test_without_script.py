"""Everything works where no script runs: the script is a convenience."""

import re
import time as clock

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.story import CROWD, put_quiet_agent
from tests.browser.test_walk import row, state_of

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]


@pytest.fixture
def open_plain(open_page: OpenPage) -> OpenPage:
    return lambda address, **how: open_page(address, java_script_enabled=False, **how)


def test_the_list_is_filtered_by_a_button_and_paged_by_links(open_plain: OpenPage):
    page = open_plain("/agents/?size=25")
    expect(page.locator("[data-row]")).to_have_count(25)
    first = page.locator("[data-row]").first.inner_text()
    page.get_by_role("link", name="More").click()
    assert page.locator("[data-row]").first.inner_text() != first
    page.get_by_placeholder("Id or name…").fill("crowd-4")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("[data-row]")).to_have_count(10)
    page.get_by_label("Status", exact=True).select_option("failed")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No matching agents")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Clear filters").first.click()
    page.get_by_label("Status", exact=True).select_option("idle")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("[data-row]")).to_have_count(50)
    assert CROWD > 50


def test_a_state_is_searched_and_more_of_a_branch_is_a_page(open_plain: OpenPage):
    page = open_plain("/agents/librarian/")
    page.get_by_placeholder("Find in state…").fill("hay")
    page.get_by_role("button", name="Find", exact=True).click()
    page.get_by_role("link", name="/needle").click()
    expect(page.get_by_text("“hay”")).to_be_visible()
    page.get_by_role("link", name="Back to agent").click()
    page.locator("summary").filter(has_text="books").click()
    page.get_by_role("link", name="Show 100 of 2,500 more").click()
    expect(page.get_by_text("book-0100")).to_be_visible()


def test_a_snapshot_is_taken_restored_and_the_restore_undone(open_plain: OpenPage, site: Site):
    put_quiet_agent(site, "plain")
    page = open_plain("/agents/plain/")
    page.locator("summary", has_text="Snapshot").click()
    page.get_by_label("Description").fill("by hand")
    page.get_by_role("button", name="Take snapshot").click()
    expect(page.get_by_text("Snapshot taken: by hand")).to_be_visible()
    with site.orchestrator() as orchestrator:
        at = int(clock.time()) - 600
        orchestrator.save_agent("plain", '{"step": 5}', name="Plain", status="idle", at=at)
    page.reload()
    row(page, "by hand").get_by_role("button", name="Restore").click()
    expect(page.get_by_text("● Active")).to_be_visible()
    assert state_of(site, "plain") == {"step": 2}
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("heading", name="Undone")).to_be_visible()
    assert state_of(site, "plain") == {"step": 5}


def test_times_are_told_and_what_needs_a_script_is_not_shown(open_plain: OpenPage):
    page = open_plain("/agents/coder-2/")
    time = page.locator(".facts time").first
    assert re.fullmatch(r"\d+(s|m|h|d|mo|y) ago", time.inner_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", time.get_attribute("title") or "")
    expect(page.locator(".copy:visible")).to_have_count(0)
    page.goto("/agents/")
    expect(page.get_by_label("Select all on this page")).to_be_hidden()


def test_the_theme_is_switched_and_kept(open_plain: OpenPage):
    page = open_plain("/agents/")
    page.locator("summary", has_text="operator").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.get_by_role("heading", name="Agents")).to_be_visible()
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_phones_menu_is_a_link_to_the_rail(open_plain: OpenPage):
    page = open_plain("/", viewport={"width": 390, "height": 844})
    places = page.get_by_role("navigation", name="Places")
    expect(places).to_be_hidden()
    page.get_by_role("link", name="Menu").click()
    places.get_by_role("link", name="Agents").click()
    expect(page.get_by_role("heading", name="Agents")).to_be_visible()
