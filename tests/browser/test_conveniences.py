"""What the small script adds, and what a role does not see."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.story import GOAL, Story

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]

ODD_ID = "odd id/ü\u202e\t\"'"


def copied(page: Page) -> str:
    """Return what was copied, once the page says that it was."""
    expect(page.locator("#toast")).to_have_text("Copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


@pytest.fixture
def open_with_clipboard(open_page: OpenPage) -> OpenPage:
    return lambda address: open_page(address, permissions=["clipboard-read", "clipboard-write"])


def test_copy_buttons_copy_the_exact_text(open_with_clipboard: OpenPage, site: Site):
    with site.orchestrator() as orchestrator:
        orchestrator.save_agent(ODD_ID, json.dumps({"text": "line\nline\u200b"}), name="Odd", status="idle")
    page = open_with_clipboard("/agents/?q=odd")
    page.get_by_role("button", name=re.compile("Copy odd")).click()
    assert copied(page) == ODD_ID
    page.locator("[data-row]").get_by_role("link").first.click()
    page.locator(".leaf").filter(has_text="line").hover()
    page.locator(".leaf").filter(has_text="line").get_by_role("button", name="value").click()
    assert copied(page) == "line\nline\u200b"


def test_a_path_is_copied_from_a_change_and_by_keyboard_from_a_state(open_with_clipboard: OpenPage, told: Story):
    page = open_with_clipboard(f"/transitions/{told.lost}/")
    page.locator(".change").filter(has_text="plan/goal").get_by_role("button", name="Copy this path").click()
    assert copied(page) == "/plan/goal"
    page.goto(f"/snapshots/{told.snapshot}/")
    value = page.locator(".leaf").filter(has_text="goal").get_by_role("button", name="value")
    value.focus()
    page.keyboard.press("Enter")
    assert copied(page) == GOAL


def test_times_are_relative_with_the_absolute_one_behind(open_page: OpenPage):
    page = open_page("/agents/coder-2/")
    time = page.locator(".facts time").first
    expect(time).to_have_text(re.compile(r"^\d+[smhd] ago$"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", time.get_attribute("title") or "")


def test_the_theme_is_kept_and_the_admin_wears_it(open_page: OpenPage):
    page = open_page("/", role="manager", color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.locator("summary", has_text="manager").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert dark != light
    page.goto("/admin/")
    assert page.evaluate(paper) == dark
    page.goto("/")
    page.locator("summary", has_text="manager").click()
    page.get_by_role("button", name="System").click()
    page.goto("/admin/")
    assert page.evaluate(paper) == light


@pytest.mark.parametrize("kind", ["agent", "snapshot", "transition", "list", "agents"])
def test_a_viewer_sees_no_button_that_acts(open_page: OpenPage, told: Story, kind: str):
    address = {
        "agent": "/agents/coder-2/",
        "snapshot": f"/snapshots/{told.snapshot}/",
        "transition": f"/transitions/{told.lost}/",
        "list": "/snapshots/",
        "agents": "/agents/",
    }[kind]
    acts = re.compile("Restore|Snapshot|Status|status|Delete|Preview")
    viewer, operator = open_page(address, role="viewer"), open_page(address, role="operator")
    for page, is_allowed in ((viewer, False), (operator, True)):
        main = page.get_by_role("main")
        expect(main.get_by_role("heading").first).to_be_visible()
        acting = main.locator("button, summary.button, a.button").filter(has_text=acts)
        assert (acting.count() > 0) is is_allowed


def test_the_audit_and_the_admin_are_shown_to_those_who_may_see_them(open_page: OpenPage):
    places = open_page("/", role="operator").get_by_role("navigation", name="Places")
    expect(places.get_by_role("link", name="Admin")).to_have_count(0)
    places = open_page("/", role="manager").get_by_role("navigation", name="Places")
    expect(places.get_by_role("link", name="Admin")).to_be_visible()
