"""Somebody searches, narrows, zooms, keeps a view, exports, follows what is new, reads a session and moves a task."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.test_pages import too_wide, violations

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]

NAMES = ("search", "search with a mistake", "event", "sessions", "session", "tasks", "board", "task", "commit")


@pytest.fixture(scope="module")
def addresses(site: Site) -> dict[str, str]:
    with site.orchestrator() as orchestrator:
        ((event, commit),) = orchestrator.rows(
            "SELECT id, git_commit FROM events WHERE session_id = 'build-coder-2' ORDER BY timestamp LIMIT 1"
        )
    return {
        "search": "/events/?q=event+-type:thought+after:30d",
        "search with a mistake": "/events/?q=event+%22open",
        "event": f"/events/{event}/",
        "sessions": "/sessions/",
        "session": "/sessions/build-coder-2/",
        "tasks": "/tasks/",
        "board": "/tasks/?layout=board",
        "task": "/tasks/build-the-tree/",
        "commit": f"/commits/{commit}/",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_for_everybody_in_light_and_dark_on_a_phone_and_on_a_desk(
    open_page: OpenPage, addresses: dict[str, str], name: str
):
    page = open_page(addresses[name], role="administrator", color_scheme="light")
    assert violations(page) == []
    assert too_wide(page) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == []
    assert too_wide(page) == []


def rows(page: Page) -> int:
    return page.locator("#event-rows tr").count()


def test_typing_offers_names_and_values_and_the_answer_is_marked(open_page: OpenPage):
    page = open_page("/events/")
    box = page.get_by_role("combobox", name="Search in events")
    box.press_sequentially("turn ses")
    option = page.get_by_role("option", name=re.compile("session:"))
    expect(option).to_be_visible()
    box.press("Enter") if option.get_attribute("aria-selected") == "true" else box.press("Tab")
    box.press_sequentially("build")
    expect(page.get_by_role("option", name=re.compile("build-coder-2"))).to_be_visible()
    assert violations(page) == []
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("turn session:build-coder-2 ")
    box.press("Enter")
    expect(page.locator("#event-rows mark").first).to_have_text("turn")
    assert rows(page) == 5


def test_a_facet_narrows_a_chip_widens_and_a_bar_zooms(open_page: OpenPage):
    page = open_page("/events/?q=event")
    facets = page.get_by_role("complementary", name="Filters")
    facets.get_by_role("link", name="Exclude session crowd").click()
    expect(page.get_by_text("No events")).to_be_visible()
    page.get_by_role("link", name="Remove session crowd").click()
    expect(page.locator("#event-rows tr").first).to_be_visible()
    everything = page.locator(".panel header .number").inner_text()
    page.locator(".histogram a").first.click()
    expect(page).to_have_url(re.compile("after%3A"))
    assert int(page.locator(".panel header .number").inner_text()) < int(everything)
    page.get_by_role("link", name="all", exact=True).click()
    expect(page.locator(".panel header .number")).to_have_text(everything)


def test_an_absolute_range_is_chosen(open_page: OpenPage):
    page = open_page("/events/?q=event after:30d")
    page.locator("summary", has_text="Custom").click()
    page.get_by_label("From, UTC").fill("2020-01-01T00:00:00")
    page.get_by_label("To, UTC").fill("2020-01-02T10:30:00")
    assert violations(page) == []
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("combobox", name="Search in events")).to_have_value(
        re.compile(r"event after:2020-01-01T00:00(:00)? before:2020-01-02T10:30(:00)?")
    )
    expect(page.get_by_text("No events")).to_be_visible()


def test_what_is_too_long_for_an_address_is_refused_in_words(open_page: OpenPage):
    page = open_page("/events/")
    box = page.get_by_role("combobox", name="Search in events")
    box.fill("語" * 10_000)
    page.get_by_role("button", name="Search", exact=True).click()
    said = box.evaluate("(box) => box.validationMessage")
    assert "at most 66" in said
    assert "of these 10000 characters" in said
    assert page.url.endswith("/events/")
    box.fill("語" * 6_000)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("No events")).to_be_visible()
    box = open_page("/events/", java_script_enabled=False).get_by_label("Search in events")
    assert box.get_attribute("maxlength") == "7000"


def test_an_event_opens_beside_the_list_and_closes_where_one_was(open_page: OpenPage):
    page = open_page("/events/?q=event")
    link = page.locator("#event-rows a[data-side]").first
    link.click()
    panel = page.get_by_role("dialog", name="Event")
    expect(panel.get_by_role("heading", name="Context in this session")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(link).to_be_focused()


def test_keys_move_through_the_list_and_open_the_event(open_page: OpenPage):
    page = open_page("/events/?q=turn")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#event-rows tr").nth(1).locator("[data-side]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Event")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
def test_no_time_lies_over_what_stands_beside_it(open_page: OpenPage, addresses: dict[str, str], script: bool):
    overlapping = """() => [...document.querySelectorAll("[data-columns=time] > li")].filter((row) => {
      const time = row.firstElementChild.firstElementChild.getBoundingClientRect();
      const rest = row.children[1].getBoundingClientRect();
      return time.right > rest.left && time.bottom > rest.top;
    }).length"""
    for width in (1440, 390):
        page = open_page(addresses["event"], java_script_enabled=script, viewport={"width": width, "height": 800})
        assert page.locator("[data-columns=time] > li").count() > 1
        assert page.evaluate(overlapping) == 0
    if script:
        page = open_page("/events/?q=turn")
        page.locator("#event-rows a[data-side]").first.click()
        expect(page.get_by_role("heading", name="Context in this session")).to_be_visible()
        assert page.evaluate(overlapping) == 0


def test_on_a_phone_the_facets_stand_above_the_rows_and_are_closed(open_page: OpenPage):
    page = open_page("/events/?q=event", java_script_enabled=False, viewport={"width": 390, "height": 844})
    narrow = page.get_by_role("complementary", name="Filters")
    expect(narrow.get_by_role("link").first).to_be_hidden()
    narrow.get_by_role("checkbox", name="Filters").check()
    expect(narrow.get_by_role("link", name="crowd", exact=True)).to_be_visible()
    top, rows_top = (where.bounding_box() for where in (narrow, page.locator("#event-rows")))
    assert top
    assert rows_top
    assert top["y"] < rows_top["y"]


def test_long_names_leave_the_content_its_room(open_page: OpenPage, site: Site):
    with site.orchestrator() as orchestrator:
        orchestrator.save_event("squeezed " * 20, session_id="s-" * 40, event_type="t-" * 40, actor_id="a-" * 40)
    page = open_page("/events/?q=squeezed", viewport={"width": 1280, "height": 800})
    content = page.locator("#event-rows td.lead").bounding_box()
    assert content
    assert content["width"] >= 300
    assert too_wide(page) == []


def test_a_view_is_saved_and_found_again(open_page: OpenPage):
    page = open_page("/events/?q=turn")
    page.locator("summary", has_text="Views").click()
    page.get_by_label("Name of the view").fill("My turns")
    page.get_by_role("button", name="Save search").click()
    expect(page.get_by_text("Saved search as My turns.")).to_be_visible()
    page.goto("/events/")
    page.locator("summary", has_text="Views").click()
    page.get_by_role("link", name="My turns").click()
    expect(page).to_have_url(re.compile(r"q=turn"))
    page.locator("summary", has_text="Views").click()
    page.get_by_role("button", name="Delete the view My turns").click()
    expect(page.get_by_text("Deleted saved view My turns.")).to_be_visible()


def test_what_was_found_is_downloaded(open_page: OpenPage):
    page = open_page("/events/?q=session:build-coder-2")
    with page.expect_download() as download:
        page.get_by_role("link", name="NDJSON").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 8
    assert download.value.suggested_filename.endswith(".ndjson")


def test_new_events_appear_by_themselves_and_wait_for_who_reads_further_down(open_page: OpenPage, site: Site):
    page = open_page("/events/?q=tailed", viewport={"width": 1440, "height": 500})
    with site.orchestrator() as orchestrator:
        for number in range(40):
            orchestrator.save_event(f"tailed {number}", session_id="tail")
    page.reload()
    expect(page.locator("#event-rows tr")).to_have_count(40)
    with site.orchestrator() as orchestrator:
        orchestrator.save_event("tailed and new", session_id="tail")
    expect(page.locator("#event-rows tr").first).to_contain_text("tailed and new")
    expect(page.locator(".panel header .number")).to_have_text("41")
    page.evaluate("window.scrollTo(0, 900)")
    with site.orchestrator() as orchestrator:
        orchestrator.save_event("tailed again", session_id="tail")
    new = page.get_by_role("button", name="1 new")
    expect(new).to_be_visible()
    expect(page.locator("#event-rows tr")).to_have_count(41)
    new.click()
    expect(page.locator("#event-rows tr").first).to_contain_text("tailed again")
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Paused")).to_be_visible()


def test_new_events_stand_where_their_time_puts_them(open_page: OpenPage, site: Site):
    now = int(time.time())
    with site.orchestrator() as orchestrator:
        orchestrator.save_event("clocked far ahead", session_id="clocks", at=now + 9_000)
        orchestrator.save_event("clocked first", event_id="clocked-1", session_id="clocks", at=now - 100)
    page = open_page("/events/?q=clocked")
    rows = page.locator("#event-rows tr")
    expect(rows).to_have_count(2)
    with site.orchestrator() as orchestrator:
        orchestrator.save_event("clocked behind", session_id="clocks", at=now - 130)
        orchestrator.save_event("clocked now", session_id="clocks", at=now)
    expect(rows).to_contain_text(["far ahead", "now", "first", "behind"])
    with site.orchestrator() as orchestrator:
        orchestrator.save_event("clocked first again", event_id="clocked-1", session_id="clocks", at=now + 5)
    expect(rows).to_contain_text(["far ahead", "first again", "now", "behind"])
    expect(page.locator(".panel header .number")).to_have_text("4")


def test_a_hidden_tab_asks_for_nothing(open_page: OpenPage):
    page = open_page("/events/")
    page.clock.install()
    page.reload()
    with page.expect_response(lambda response: "/search/live/" in response.url):
        page.clock.run_for(10_000)
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true })")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []


def test_the_list_of_agents_keeps_itself_fresh(open_page: OpenPage, site: Site):
    page = open_page("/agents/?q=crowd-59")
    # Also what changes before the first question is asked.
    with site.orchestrator() as orchestrator:
        orchestrator.save_agent("crowd-59", "{}", status="running")
    expect(page.locator("[data-row]")).to_contain_text("running")


def test_a_session_is_followed_at_its_end_and_nobody_is_disturbed(open_page: OpenPage, site: Site):
    now = int(time.time())
    with site.orchestrator() as orchestrator:
        for number in range(40):
            orchestrator.save_event(f"line {number}", session_id="followed", at=now - 100 + number)
    page = open_page("/sessions/followed/", viewport={"width": 1440, "height": 500})
    entries = page.locator(".turn")
    expect(entries).to_have_count(40)
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    with site.orchestrator() as orchestrator:
        orchestrator.save_event("line that came", session_id="followed", at=now)
    expect(entries.last).to_contain_text("line that came")
    expect(entries.last).to_be_in_viewport()
    page.evaluate("window.scrollTo(0, 600)")
    with site.orchestrator() as orchestrator:
        orchestrator.save_event("line that waits", session_id="followed", at=now + 1)
    show = page.get_by_role("button", name="Show changes")
    expect(show).to_be_in_viewport()
    expect(entries).to_have_count(41)
    show.click()
    expect(entries.last).to_contain_text("line that waits")
    expect(entries.last).to_be_in_viewport()


def test_without_a_script_one_searches_narrows_pages_and_moves(open_page: OpenPage, site: Site):
    with site.orchestrator() as orchestrator:
        orchestrator.save_task("Plain move", task_id="plain-move")
    page = open_page("/events/?size=25", role="manager", java_script_enabled=False)
    page.get_by_label("Search in events").fill("event")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("#event-rows mark").first).to_have_text("event")
    page.get_by_role("complementary").get_by_role("link", name="crowd", exact=True).click()
    expect(page.get_by_role("link", name="Remove session crowd")).to_be_visible()
    expect(page.locator("#live")).to_be_hidden()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newer")).to_be_visible()
    page.locator("#event-rows a[data-side]").first.click()
    expect(page.get_by_role("heading", name="Context in this session")).to_be_visible()
    page.get_by_role("link", name="crowd").first.click()
    expect(page.get_by_role("heading", name="Conversation")).to_be_visible()
    page.goto("/tasks/?layout=board")
    card = page.locator("[data-card]").filter(has_text="Plain move")
    card.get_by_role("link", name="Change Plain move").click()
    card = page.locator("[data-card]").filter(has_text="Plain move")
    card.get_by_label("Status").select_option("Done")
    card.get_by_role("button", name="Save").click()
    done = page.locator("[data-column=Done] [data-card]").filter(has_text="Plain move")
    expect(done).to_be_visible()
