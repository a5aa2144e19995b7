"""The stranger's walk, as docs/tour.md tells it; and restoring by one click, with its undo and its conflict."""

import json
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import story
from tests.browser.conftest import OpenPage
from tests.browser.people import PASSWORD
from tests.browser.site import Site
from tests.browser.story import GOAL, Story, put_quiet_agent

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]


def state_of(site: Site, agent_id: str) -> Any:
    with site.orchestrator() as orchestrator:
        ((text,),) = orchestrator.rows("SELECT state_data FROM agent_states WHERE agent_id = ?", agent_id)
    return json.loads(text)


def row(page: Page, text: str):
    return page.locator("[data-row]").filter(has_text=text)


def test_a_stranger_finds_what_went_wrong_puts_it_back_and_changes_his_mind(
    open_page: OpenPage, site: Site, told: Story
):
    page = open_page("/", role="")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    trouble = page.get_by_role("region", name="In trouble")
    expect(trouble).to_contain_text("Coder 2")
    expect(trouble).to_contain_text("failed")
    trouble.get_by_role("link", name="Coder 2").click()
    expect(page.get_by_role("heading", name="Coder 2")).to_be_visible()
    wrong = state_of(site, "coder-2")

    row(page, "tool error").first.get_by_role("link").click()
    page.get_by_role("link", name="Older").click()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("heading", name="context compacted")).to_be_visible()
    lost = page.locator(".change").filter(has_text="plan/goal")
    expect(lost).to_have_attribute("data-kind", "removed")
    expect(lost).to_contain_text(GOAL)

    page.locator(".crumbs").get_by_role("link", name="Coder 2").click()
    row(page, "before refactor").get_by_role("button", name="Restore").click()
    expect(page.get_by_role("heading", name="Restored: Coder 2")).to_be_visible()
    expect(page.get_by_text("● Active")).to_be_visible()
    expect(page.get_by_role("region", name="Proof")).to_contain_text("Verified: read back and matches")
    assert state_of(site, "coder-2")["plan"]["goal"] == GOAL

    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("heading", name="Undone: Coder 2")).to_be_visible()
    assert state_of(site, "coder-2") == wrong

    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("● Active")).to_be_visible()
    assert state_of(site, "coder-2")["plan"]["goal"] == GOAL
    # Others walk through the same story.
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("● Active")).to_be_visible()


def test_one_click_restores_from_the_snapshots_page_and_one_click_undoes_it(open_page: OpenPage, site: Site):
    snapshot = put_quiet_agent(site, "clicked")
    page = open_page(f"/snapshots/{snapshot}/")
    page.get_by_role("button", name="Restore this snapshot").click()
    expect(page.get_by_role("heading", name="Restored: Clicked")).to_be_visible()
    assert state_of(site, "clicked") == {"step": 1}
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("heading", name="Undone: Clicked")).to_be_visible()
    assert state_of(site, "clicked") == {"step": 2}
    page.get_by_role("link", name="an earlier restore").click()
    expect(page.get_by_text("○ Superseded")).to_be_visible()


def test_a_running_agent_is_previewed_first_and_restored_with_a_reason(open_page: OpenPage, site: Site):
    put_quiet_agent(site, "busy")
    with site.orchestrator() as orchestrator:
        orchestrator.save_agent("busy", '{"step": 2}', name="Busy", status="running", at=int(time.time()) - 600)
    page = open_page("/agents/busy/")
    row(page, "before the step").get_by_role("button", name="Restore").click()
    expect(page.get_by_text("Not restored yet")).to_be_visible()
    expect(page.get_by_text("The agent is running")).to_be_visible()
    assert state_of(site, "busy") == {"step": 2}
    page.get_by_label("Reason").fill("it went astray")
    page.get_by_role("button", name="Restore 1 field").click()
    expect(page.get_by_role("region", name="Proof")).to_contain_text("it went astray")
    assert state_of(site, "busy") == {"step": 1}


def test_a_save_between_preview_and_click_is_shown_and_nothing_is_written(open_page: OpenPage, site: Site):
    snapshot = put_quiet_agent(site, "moving")
    page = open_page(f"/agents/moving/restore/?moment=snapshot:{snapshot}", expected=("409 (Conflict)",))
    expect(page.get_by_role("heading", name="Restore Moving")).to_be_visible()
    with site.orchestrator() as orchestrator:
        moved = '{"step": 3, "found": "gold"}'
        orchestrator.record_transition("moving", '{"step": 2}', moved, reason="another step")
        orchestrator.save_agent("moving", moved, name="Moving", status="idle", at=int(time.time()) - 600)
    with page.expect_response("**/restore/*") as answer:
        page.get_by_role("button", name="Restore 1 field").click()
    assert answer.value.status == 409
    expect(page.get_by_role("alert")).to_contain_text("Nothing was written")
    changed = page.get_by_role("region", name="Changes since your preview")
    expect(changed.locator(".change").filter(has_text="found")).to_have_attribute("data-kind", "added")
    expect(changed.locator(".change").filter(has_text="step")).to_contain_text("2 → 3")
    assert state_of(site, "moving") == {"step": 3, "found": "gold"}

    expect(page.get_by_role("heading", name="New preview: Restore Moving")).to_be_visible()
    page.get_by_role("button", name="Restore 2 fields").click()
    expect(page.get_by_role("heading", name="Restored: Moving")).to_be_visible()
    assert state_of(site, "moving") == {"step": 1}


def test_an_undo_of_what_moved_on_is_refused_with_what_moved(open_page: OpenPage, site: Site):
    snapshot = put_quiet_agent(site, "drifting")
    page = open_page(f"/snapshots/{snapshot}/", expected=("409 (Conflict)",))
    page.get_by_role("button", name="Restore this snapshot").click()
    expect(page.get_by_role("heading", name="Restored: Drifting")).to_be_visible()
    with site.orchestrator() as orchestrator:
        orchestrator.save_agent("drifting", '{"step": 9}', name="Drifting", status="idle")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was written")
    assert state_of(site, "drifting") == {"step": 9}


@pytest.mark.parametrize("side", ["before", "after"])
def test_either_side_of_a_transition_can_be_put_back(open_page: OpenPage, site: Site, side: str):
    agent_id = f"either-{side}"
    put_quiet_agent(site, agent_id)
    with site.orchestrator() as orchestrator:
        orchestrator.save_agent(agent_id, '{"step": 7}', name=agent_id, status="idle", at=int(time.time()) - story.HOUR)
    page = open_page(f"/agents/{agent_id}/")
    row(page, "a step").first.get_by_role("link", name="a step").click()
    page.get_by_role("button", name=f"Restore {side}").click()
    expect(page.get_by_text("● Active")).to_be_visible()
    assert state_of(site, agent_id) == {"step": 1 if side == "before" else 2}
