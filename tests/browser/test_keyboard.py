"""Keys: what they do, and that they do nothing while somebody types."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.story import Story, put_quiet_agent

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]


def test_slash_goes_to_the_search_and_takes_no_key_that_is_typed_there(open_page: OpenPage):
    page = open_page("/")
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Search everything")
    expect(box).to_be_focused()
    page.keyboard.type("ga?j[/")
    expect(box).to_have_value("ga?j[/")
    expect(page.get_by_role("dialog")).to_be_hidden()
    box.fill("coder-2")
    expect(page.get_by_role("option", name="Coder 2")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/agents/coder-2/$"))


def test_question_mark_opens_the_help_and_escape_closes_it(open_page: OpenPage):
    page = open_page("/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_j_and_k_move_from_row_to_row(open_page: OpenPage):
    page = open_page("/agents/?sort=id")
    links = page.locator("[data-row]").get_by_role("link")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(links.nth(0)).to_be_focused()
    address = links.nth(0).get_attribute("href")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"{address}$"))


def test_brackets_go_to_older_and_newer_transitions(open_page: OpenPage, told: Story):
    page = open_page(f"/transitions/{told.transitions[3]}/")
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(told.transitions[2]))
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(told.transitions[3]))


def test_brackets_go_through_a_list(open_page: OpenPage):
    page = open_page("/events/?size=25")
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile("cursor="))
    expect(page.locator("[data-row]")).to_have_count(25)
    page.keyboard.press("]")
    expect(page.locator("[data-key=newer]")).to_have_count(0)


@pytest.mark.parametrize(
    ("key", "heading"), [("a", "Agents"), ("e", "Events"), ("r", "Restores"), ("s", "Snapshots"), ("t", "Trash")]
)
def test_g_and_a_letter_go_to_a_place(open_page: OpenPage, key: str, heading: str):
    page = open_page("/")
    page.keyboard.press("g")
    page.keyboard.press(key)
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()


def test_a_restore_needs_no_mouse(open_page: OpenPage, told: Story):
    page = open_page(f"/snapshots/{told.snapshot}/")
    page.get_by_role("link", name="Preview").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Reason").press_sequentially("lost its goal")
    restore = page.get_by_role("button", name=re.compile("Restore . field|Restore .. fields"))
    for _ in range(8):
        if restore.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Shift+Tab")
    expect(restore).to_be_focused()


def test_an_open_menu_closes_with_escape_and_by_looking_elsewhere(open_page: OpenPage):
    page = open_page("/agents/coder-2/")
    description = page.get_by_label("Description")
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.get_by_role("heading", level=1).click()):
        page.locator("summary", has_text="Snapshot").click()
        expect(description).to_be_visible()
        close()
        expect(description).to_be_hidden()


def test_m_switches_between_the_tree_and_the_conversation_of_a_state(open_page: OpenPage):
    page = open_page("/agents/coder-2/")
    page.keyboard.press("m")
    expect(page).to_have_url(re.compile("view=conversation"))
    expect(page.get_by_role("heading", name="Conversation")).to_be_visible()
    expect(page.locator(".turn").first).to_be_visible()
    page.keyboard.press("m")
    expect(page.get_by_role("heading", name="State", exact=True)).to_be_visible()


def test_j_passes_over_what_a_folded_row_holds_until_it_is_opened(open_page: OpenPage, told: Story):
    page = open_page("/agents/coder-2/timeline/")
    rows = page.locator(".list > [data-row]:not([data-row] [data-row])")
    folded = page.locator("[data-row] > details > summary").first
    before = rows.evaluate_all("rows => rows.findIndex((row) => row.querySelector(':scope > details'))")
    for _ in range(before + 1):
        page.keyboard.press("j")
    expect(folded).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(0).locator(":focus")).to_have_count(1)  # It is the last row.
    page.keyboard.press("k")
    expect(folded).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    expect(rows.nth(before).locator("[data-row] a").first).to_be_focused()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText.trim().split(/\\s+/).slice(0, 2).join(' ')"))


def test_a_tree_is_one_stop_and_arrows_go_through_it(open_page: OpenPage):
    page = open_page("/agents/coder-2/")
    page.get_by_role("searchbox", name="Find in the state").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator(".tree summary").first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tree details").first).not_to_have_attribute("open", "")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    row = page.locator(".tree [tabindex='0']").first
    expect(row).to_be_focused()
    page.keyboard.press("Tab")
    expect(row.get_by_role("button", name="path").or_(page.locator(".copy:focus"))).to_be_focused()
    page.keyboard.press("End")
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("!document.activeElement.closest('.tree')"):
            break
    assert page.evaluate("!document.activeElement.closest('.tree')"), "Tab leaves the tree after the row's own actions."


def test_the_first_restore_of_an_agent_is_a_few_stops_away(open_page: OpenPage):
    page = open_page("/agents/coder-2/")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=re.compile("Skip to the (timeline|diagnosis)")).first).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(15):
        page.keyboard.press("Tab")
        if "estore" in focused(page):
            return
    pytest.fail("There are 15 stops before the first Restore.")


def stops(page: Page, inside: str) -> int:
    """Return how many stops of the Tab key something has."""
    return int(
        page.locator(inside).evaluate(
            "(list) => [...list.querySelectorAll('a[href], button, summary, input:not([type=hidden])')]"
            ".filter((stop) => stop.tabIndex >= 0 && stop.checkVisibility()).length"
        )
    )


@pytest.mark.parametrize(
    ("path", "most"),
    [("/agents/", 3), ("/events/", 3), ("/agents/coder-2/timeline/", 3), ("/changes/", 2)],
)
def test_a_long_list_is_one_stop_and_arrows_go_through_it(open_page: OpenPage, path: str, most: int):
    page = open_page(path)
    # Not those without a link: the other tests of this site leave changes that lead to no page.
    rows = page.locator("[data-rows] > [data-row]:has(a)")
    count = rows.count()
    assert count > 3
    assert stops(page, "[data-rows]") <= most, "What can be done with one row."
    page.locator("[data-rows] [tabindex='0']").last.focus()
    page.keyboard.press("End")
    expect(rows.last.locator(":focus")).to_have_count(1)
    page.keyboard.press("ArrowUp")
    expect(rows.nth(count - 2).locator(":focus")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(rows.last.locator(":focus")).to_have_count(1)
    page.keyboard.press("Home")
    expect(rows.first.locator(":focus")).to_have_count(1)
    assert stops(page, "[data-rows]") <= most


def test_enter_opens_the_row_and_tab_leaves_the_list(open_page: OpenPage):
    page = open_page("/agents/?sort=id")
    boxes = page.locator("[data-rows] input[type=checkbox]")
    boxes.first.focus()
    page.keyboard.press("ArrowDown")
    expect(boxes.nth(1)).to_be_focused()
    page.keyboard.press("Space")
    expect(boxes.nth(1)).to_be_checked()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    link = page.locator("[data-row]").nth(1).get_by_role("link")
    expect(link).to_be_focused()
    in_list = "Boolean(document.activeElement.closest('[data-rows]'))"
    for key, is_inside in (("Tab", False), ("Shift+Tab", True)):
        page.keyboard.press(key)
        while page.evaluate(in_list) != is_inside:
            page.keyboard.press(key)
    assert page.evaluate("document.activeElement.closest('[data-row]') === document.querySelectorAll('[data-row]')[1]")
    address = str(link.get_attribute("href"))
    link.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"{address}$"))


def test_the_first_restore_of_a_timeline_is_a_few_stops_away(open_page: OpenPage, site: Site):
    put_quiet_agent(site, "keys-only")
    page = open_page("/agents/keys-only/timeline/")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the list")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    for _ in range(10):
        if page.evaluate("Boolean(document.activeElement.closest('[data-row]').querySelector('.actions'))"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert focused(page).startswith("Restore")


def test_without_a_script_each_link_of_a_list_is_a_stop(open_page: OpenPage):
    page = open_page("/agents/", java_script_enabled=False)
    assert page.locator("[data-rows] a").count() > 3
    expect(page.locator("[data-rows] [tabindex]")).to_have_count(0)
