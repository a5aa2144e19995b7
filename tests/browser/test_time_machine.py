"""The time machine as people use it: when did it go wrong, what to put back of it, many agents at once."""

import json
import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.story import GOAL, HOUR
from tests.browser.test_walk import row, state_of

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]


def put_lost_agent(site: Site, agent_id: str) -> None:
    """Save an agent that lost its goal yesterday and worked on since, and a snapshot of before."""
    start = int(time.time()) - 30 * HOUR
    states = [
        {"plan": {"goal": GOAL, "step": step}, "mode": "working", "spent": step * 1.5, "notes": ["a", "b"]}
        for step in range(6)
    ]
    for step, state in enumerate(states[3:]):
        del state["plan"]["goal"]
        state["mode"] = "stuck" if step else "working"
    with site.orchestrator() as orchestrator:
        for step in range(1, 6):
            before, after = json.dumps(states[step - 1]), json.dumps(states[step])
            reason = "context compacted" if step == 3 else f"step {step}"
            orchestrator.record_transition(agent_id, before, after, reason=reason, at=start + step * HOUR)
        orchestrator.create_snapshot(agent_id, json.dumps(states[2]), description="good", at=start + 2 * HOUR + 60)
        orchestrator.save_agent(agent_id, json.dumps(states[5]), name=agent_id, status="idle", at=start + 5 * HOUR)


def restored(page: Page) -> None:
    expect(page.get_by_text("● Active")).to_be_visible()


def test_bisect_finds_when_it_went_wrong_and_compare_says_what_differs(open_page: OpenPage, site: Site):
    put_lost_agent(site, "bisected")
    page = open_page("/agents/bisected/")
    page.get_by_role("link", name="Bisect").click()
    page.get_by_label("Condition").fill("/plan/goal missing")
    page.get_by_role("button", name="Find when").click()
    first = page.locator(".first-flip")
    expect(first).to_contain_text("context compacted")
    expect(page.get_by_text("False before this")).to_be_visible()
    first.get_by_role("link", name="context compacted").click()
    page.get_by_role("link", name="Compare with now").click()
    expect(page.locator(".change").filter(has_text="mode")).to_contain_text('"working"')
    page.locator(".change").filter(has_text="mode").get_by_role("link", name="ignore").click()
    expect(page.get_by_text("1 ignored")).to_be_visible()
    assert "ignore=%2Fmode" in page.url
    before = page.locator(".facts .number").first.inner_text()
    page.get_by_role("link", name="Swap").click()
    expect(page.get_by_label("Moment").first).to_have_value("now")
    assert page.locator(".facts .number").first.inner_text() == before


def test_a_condition_that_means_nothing_is_refused_in_words(open_page: OpenPage):
    page = open_page("/agents/coder-2/bisect/?condition=/mode+is+stuck", expected=("422 (",))
    expect(page.get_by_text("After the path, an operator is expected")).to_be_visible()


def test_two_paths_are_put_back_after_the_result_was_shown(open_page: OpenPage, site: Site):
    put_lost_agent(site, "parted")
    page = open_page("/agents/parted/")
    row(page, "good").get_by_role("link", name="Preview").click()
    page.get_by_label("all", exact=True).uncheck()
    expect(page.get_by_role("button", name="Restore 0 of")).to_be_disabled()
    page.get_by_label("added plan/goal").check()
    page.get_by_label("replaced mode").check()
    page.get_by_role("button", name="Restore 2 of 4 fields…").click()
    expect(page.get_by_text("Not restored yet")).to_be_visible()
    expect(page.get_by_role("region", name="Resulting changes").locator(".change")).to_have_count(2)
    assert "goal" not in state_of(site, "parted")["plan"]
    page.get_by_role("button", name="Restore", exact=True).click()
    restored(page)
    state = state_of(site, "parted")
    assert (state["plan"], state["mode"], state["spent"]) == ({"step": 5, "goal": GOAL}, "working", 7.5)


def test_a_corrected_value_is_written_as_typed(open_page: OpenPage, site: Site):
    put_lost_agent(site, "corrected")
    page = open_page("/agents/corrected/", expected=("422 (",))
    row(page, "good").get_by_role("link", name="Preview").click()
    page.locator("summary", has_text="Edit a value").click()
    page.get_by_label("Path", exact=True).fill("/spent")
    page.get_by_label("JSON").fill("not json")
    page.get_by_role("button", name="Preview result").click()
    expect(page.get_by_text("The value for /spent is not JSON")).to_be_visible()
    page.go_back()
    page.locator("summary", has_text="Edit a value").click()
    page.get_by_label("Path", exact=True).fill("/spent")
    page.get_by_label("JSON").fill("12.50")
    page.get_by_role("button", name="Preview result").click()
    expect(page.get_by_role("region", name="Resulting state")).to_contain_text("12.50")
    page.get_by_role("button", name="Restore", exact=True).click()
    restored(page)
    with site.orchestrator() as orchestrator:
        ((text,),) = orchestrator.rows("SELECT state_data FROM agent_states WHERE agent_id = 'corrected'")
    assert '"spent": 12.50' in text


def test_one_transition_is_taken_back_and_the_later_ones_stay(open_page: OpenPage, site: Site):
    put_lost_agent(site, "reverted")
    page = open_page("/agents/reverted/")
    page.get_by_role("link", name="context compacted").click()
    page.get_by_role("link", name="Revert only this change…").click()
    clashes = page.locator(".clashes tbody tr")
    expect(clashes).to_have_count(2)
    for number in range(2):
        clashes.nth(number).get_by_role("radio").first.check()
    page.get_by_role("button", name="Preview merged state").click()
    expect(clashes).to_have_count(0)
    page.get_by_role("button", name="Revert", exact=True).click()
    restored(page)
    state = state_of(site, "reverted")
    assert (state["plan"], state["mode"]) == ({"step": 5, "goal": GOAL}, "stuck")


def test_a_choice_made_before_the_agent_moved_is_merged_with_what_it_became(open_page: OpenPage, site: Site):
    put_lost_agent(site, "merged")
    page = open_page("/agents/merged/", expected=("409 (",))
    row(page, "good").get_by_role("link", name="Preview").click()
    page.get_by_label("all", exact=True).uncheck()
    page.get_by_label("added plan/goal").check()
    before = state_of(site, "merged")
    after = {**before, "notes": ["a", "b", "c"]}
    with site.orchestrator() as orchestrator:
        now = int(time.time()) - 120
        texts = json.dumps(before), json.dumps(after)
        orchestrator.record_transition("merged", *texts, reason="went on", at=now)
        orchestrator.save_agent("merged", texts[1], name="merged", status="idle", at=now)
    page.get_by_role("button", name="Preview result").click()
    expect(page.get_by_role("region", name="Changes since your preview")).to_contain_text("notes/2")
    page.get_by_role("button", name="Merge with these changes").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    restored(page)
    state = state_of(site, "merged")
    assert (state["notes"], state["plan"]["goal"]) == (["a", "b", "c"], GOAL)


def test_a_fork_begins_at_a_moment_and_stands_in_the_tree(open_page: OpenPage, site: Site):
    put_lost_agent(site, "forked")
    page = open_page("/agents/forked/timeline/", expected=("422 (",))
    page.get_by_role("link", name="← Older").click()
    page.get_by_role("link", name="Fork…").click()
    page.get_by_label("Id", exact=True).fill("forked-again")
    page.get_by_role("button", name="Fork agent").click()
    expect(page.get_by_role("heading", name="forked-again")).to_be_visible()
    page.get_by_role("link", name="Forks").click()
    expect(page.locator(".lineage li")).to_have_count(2)
    page.get_by_label("Id", exact=True).fill("forked")
    page.get_by_role("button", name="Fork agent").click()
    expect(page.get_by_role("alert")).to_contain_text("Agent “forked” already exists")


def test_the_slider_and_the_keys_step_through_moments(open_page: OpenPage, site: Site):
    put_lost_agent(site, "stepped")
    page = open_page("/agents/stepped/timeline/")
    page.keyboard.press("[")
    expect(page.locator("#moment .change").filter(has_text="plan/step")).to_contain_text("4")
    expect(page).to_have_url(re.compile("moment=transition"))
    slider = page.get_by_label("Moment", exact=True)
    slider.focus()
    slider.press("Home")
    expect(page.locator("#moment h2").nth(1)).to_have_text(re.compile("step 1"))
    page.reload()
    expect(page.locator("#moment h2").nth(1)).to_have_text(re.compile("step 1"))
    page.get_by_role("link", name="Newer →").click()
    expect(page.locator("#moment h2").nth(1)).to_have_text(re.compile("step 2"))


def test_blame_leads_to_every_value_that_a_path_had(open_page: OpenPage, site: Site):
    put_lost_agent(site, "blamed")
    page = open_page("/agents/blamed/blame/?find=spent")
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page.locator("[data-row]")).to_contain_text("step 5")
    page.get_by_role("link", name="/spent").click()
    expect(page.locator("[data-row]")).to_have_count(5)
    expect(page.get_by_role("img", name="6 numbers, from 0 to 7.5")).to_be_visible()


def test_a_plan_is_sent_to_a_colleague_who_applies_it(open_page: OpenPage, site: Site):
    put_lost_agent(site, "planned")
    page = open_page("/agents/planned/", role="manager")
    row(page, "good").get_by_role("link", name="Preview").click()
    page.get_by_label("Reason").fill("lost its goal")
    page.get_by_role("button", name="Save as plan").click()
    expect(page.get_by_text("Plan saved")).to_be_visible()
    other = open_page(page.url, role="operator")
    expect(other.get_by_text("made by manager")).to_be_visible()
    other.get_by_role("button", name="Apply this plan").click()
    restored(other)
    assert state_of(site, "planned")["plan"]["goal"] == GOAL


def test_a_fleet_is_put_back_to_a_time_and_undone_as_one(open_page: OpenPage, site: Site):
    for number in range(3):
        put_lost_agent(site, f"fleet-{number}")
    before = [state_of(site, f"fleet-{number}") for number in range(3)]
    page = open_page("/restores/")
    page.get_by_role("link", name="Restore many agents…").click()
    page.get_by_label("Time (UTC)").fill(str(int(time.time()) - 27 * HOUR - 1800))
    page.get_by_label("Id or name").fill("fleet-")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("[data-row]")).to_have_count(3)
    expect(page.get_by_text("3 will change")).to_be_visible()
    page.get_by_role("button", name="Create batch").click()
    page.get_by_role("button", name="Restore 3 agents").click()
    expect(page.get_by_text("3 agents restored.")).to_be_visible()
    assert all(state_of(site, f"fleet-{number}")["plan"]["goal"] == GOAL for number in range(3))
    page.get_by_role("button", name="Undo all").click()
    expect(page.get_by_text("3 agents restored.")).to_be_visible()
    assert [state_of(site, f"fleet-{number}") for number in range(3)] == before


def test_capture_is_switched_on_sees_a_save_and_is_switched_off(open_page: OpenPage, site: Site):
    page = open_page("/capture/", role="administrator")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("Capture is on.")).to_be_visible()
    with site.orchestrator() as orchestrator:
        for step in range(2):
            orchestrator.save_agent("captured", json.dumps({"step": step}), name="captured", status="idle")
    page.goto("/agents/captured/")
    page.get_by_role("link", name="captured change").click()
    expect(page.locator(".change").filter(has_text="step")).to_be_visible()
    page.goto("/capture/")
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_text("Capture is off.")).to_be_visible()
