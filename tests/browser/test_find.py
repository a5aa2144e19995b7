"""The search box of every page: what it offers while one types, by keyboard and mouse, and without a script."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_pages import violations

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]


def box(page: Page):
    return page.get_by_role("combobox", name="Search everything")


def test_ctrl_k_opens_it_from_anywhere_even_from_a_field_and_from_the_help(open_page: OpenPage):
    page = open_page("/agents/")
    page.get_by_placeholder("Id or name…").focus()
    page.keyboard.press("Control+k")
    expect(box(page)).to_be_focused()
    expect(page.get_by_role("option", name="Overview")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    expect(box(page)).to_be_focused()


def test_arrows_walk_through_the_options_and_the_box_says_which_one(open_page: OpenPage):
    page = open_page("/")
    page.keyboard.press("/")
    box(page).fill("coder")
    options = page.get_by_role("listbox", name="Results").get_by_role("option")
    expect(options.first).to_contain_text("Coder 2")
    expect(box(page)).to_have_attribute("aria-expanded", "true")
    assert box(page).get_attribute("aria-activedescendant") is None, "an option is chosen before a key was pressed"
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    chosen = box(page).get_attribute("aria-activedescendant")
    assert chosen == options.first.get_attribute("id")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    expect(options.first).to_have_attribute("aria-selected", "false")
    expect(box(page)).to_be_focused()
    assert violations(page) == []


def test_escape_closes_the_list_and_keeps_the_text(open_page: OpenPage):
    page = open_page("/")
    page.keyboard.press("/")
    box(page).fill("coder")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(box(page)).to_have_value("coder")
    expect(box(page)).to_have_attribute("aria-expanded", "false")


def test_enter_without_a_chosen_option_leads_to_all_results(open_page: OpenPage):
    page = open_page("/")
    page.keyboard.press("/")
    box(page).fill("coder")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/find/\?q=coder$"))
    expect(page.get_by_role("region", name="Agents").get_by_role("link", name="Coder 2")).to_be_visible()


def test_a_click_leads_to_what_was_clicked(open_page: OpenPage):
    page = open_page("/")
    box(page).click()
    box(page).fill("split off")
    page.get_by_role("option", name="Split off the tokenizer").click()
    expect(page.get_by_role("heading", name="Split off the tokenizer")).to_be_visible()


def test_an_answer_that_comes_late_is_not_shown(open_page: OpenPage):
    page = open_page("/")
    held: list[Route] = []
    page.route(re.compile(r"/find/\?q=coder$"), lambda route: held.append(route))
    page.keyboard.press("/")
    expect(page.get_by_role("option", name="Overview")).to_be_visible()
    with page.expect_request(re.compile(r"/find/\?q=coder$")):
        box(page).fill("coder")
    with page.expect_event("requestfailed") as cancelled:
        box(page).fill("librarian")
    assert "coder" in cancelled.value.url, "the earlier request goes on"
    expect(page.get_by_role("option", name="Librarian librarian")).to_be_visible()
    page.route(re.compile(r"/find/\?q=tester$"), lambda route: held.append(route))
    with page.expect_request(re.compile(r"/find/\?q=tester$")):
        box(page).fill("tester")
    with page.expect_event("requestfailed"):
        page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    for route in held:
        route.abort()


def test_on_an_agents_page_its_actions_open_where_they_are(open_page: OpenPage):
    page = open_page("/agents/coder-2/")
    page.keyboard.press("Control+k")
    box(page).fill("take snap")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Take snapshot")).to_be_visible()


def test_keys_pressed_before_the_answer_comes_choose_from_it(open_page: OpenPage):
    page = open_page("/")
    held: list[Route] = []
    page.route(re.compile(r"/find/\?q=librarian$"), lambda route: held.append(route))
    page.keyboard.press("/")
    expect(page.get_by_role("option", name="Overview")).to_be_visible()
    with page.expect_request(re.compile(r"/find/\?q=librarian$")):
        box(page).fill("librarian")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    held[0].continue_()
    expect(page.get_by_role("heading", name="Librarian", level=1)).to_be_visible()


def test_it_fits_a_phone(open_page: OpenPage):
    page = open_page("/agents/coder-2/", viewport={"width": 390, "height": 844})
    box(page).click()
    expect(page.get_by_role("option", name="Overview")).to_be_visible()
    drawn = page.get_by_role("listbox", name="Results").bounding_box()
    assert drawn
    assert drawn["x"] >= 0
    assert drawn["x"] + drawn["width"] <= 390
    assert violations(page) == []


def test_without_a_script_the_box_is_a_form(open_page: OpenPage):
    page = open_page("/", java_script_enabled=False)
    page.get_by_label("Search everything").fill("coder-2")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Coder 2").click()
    expect(page.get_by_role("heading", name="Coder 2")).to_be_visible()
