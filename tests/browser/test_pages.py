"""Every page: no violation that axe knows, in light and dark; nothing that the strict policy forbids; no overflow."""

import re
import time
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.story import Story, put_quiet_agent

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]

NAMES = (
    "overview", "agents", "case", "case of a transition",
    "agents, nothing found", "agent", "agent in the trash", "deleted agent", "find", "branch",
    "changes", "conversation", "conversation at a snapshot", "transition", "transition, side by side",
    "transition, whole state",
    "snapshots", "snapshot", "preview",
    "preview of a running one", "part previewed", "timeline", "timeline at a snapshot", "blame", "value", "bisect",
    "bisect, not asked", "compare", "compare, not asked", "tasks", "board", "board, one changed",
    "task", "open session", "revert", "fork", "plan", "fleet", "fleet previewed", "batch",
    "edit", "capture", "growth", "sources", "connect", "restores", "restore", "events", "search", "API", "API call",
    "trash",
    "upkeep", "new policy", "policy", "limits", "audit", "password", "error", "missing",
    "login", "confirm", "browsers", "failed sign-ins",
    "admin", "admin tasks", "admin task", "admin sessions", "admin transition",
)  # fmt: skip
EDIT_A_TASK = (
    "import django; django.setup(); from statestore import models; from statestore.access import audit; "
    "from statestore.tasks import service; "
    "service.save_task('store', {'id': models.Task.objects.last().pk, 'title': 'Renamed'}, by=audit.SYSTEM)"
)
MAKE_A_POLICY = (
    "import django; django.setup(); from statestore import retention; from statestore.access import audit; "
    "retention.create('store', 'snapshots', None, retention.Limits(keep_count=1), by=audit.SYSTEM)"
)
# A page that says what went wrong answers so.
EXPECTED = ("404 (Not Found)", "422 (")


@pytest.fixture(scope="module")
def addresses(site: Site, told: Story, browser: Any) -> dict[str, str]:
    """Return where each page is; what people do first on some was done."""
    context = browser.new_context(base_url=site.url)
    context.add_cookies([{"name": "descartes_session", "value": site.sessions["manager"], "url": site.url}])
    page = context.new_page()
    page.goto(f"/snapshots/{put_quiet_agent(site, 'shown')}/")
    page.get_by_role("button", name="Restore this snapshot").click()
    expect(page.get_by_text("● Active")).to_be_visible()
    restore = page.url.removeprefix(site.url)
    address = f"/agents/coder-2/restore/?moment=snapshot:{told.snapshot}"
    page.goto(address)
    page.get_by_role("button", name="Save as plan").click()
    expect(page.get_by_role("button", name="Apply this plan")).to_be_visible()
    plan = page.url.removeprefix(site.url)
    at = int(time.time()) - 8 * 3600
    page.goto(f"/fleet/?at={at}&namespace=build")
    page.get_by_role("button", name="Create batch").click()
    expect(page.get_by_role("button", name="Restore 1 agent")).to_be_visible()
    batch = page.url.removeprefix(site.url)
    put_quiet_agent(site, "thrown")
    page.goto("/agents/thrown/")
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Move to trash").click()
    expect(page.get_by_text("to the trash. Its state and history are kept")).to_be_visible()
    context.close()
    put_quiet_agent(site, "vanished")
    with site.orchestrator() as orchestrator:
        orchestrator.rows("DELETE FROM agent_states WHERE agent_id = ?", "vanished")
    with site.orchestrator() as orchestrator:
        ((task,),) = orchestrator.rows("SELECT id FROM tasks LIMIT 1")
        ((session,),) = orchestrator.rows("SELECT id FROM sessions WHERE ended_at IS NULL LIMIT 1")
    site.run("-c", EDIT_A_TASK)
    with site.orchestrator() as orchestrator:
        ((edit,),) = orchestrator.rows("SELECT max(id) FROM dash_audit WHERE noun = 'task'")
    site.run("-c", MAKE_A_POLICY)
    with site.orchestrator() as orchestrator:
        ((policy,),) = orchestrator.rows("SELECT id FROM dash_policy LIMIT 1")
    transition = f"/transitions/{told.lost}/"
    return {
        "overview": "/",
        "agents": "/agents/?size=25",
        "agents, nothing found": "/agents/?q=nobody",
        "changes": "/changes/?start=0&end=9999999999",
        "agent": "/agents/coder-2/",
        "case": "/agents/coder-2/case/",
        "case of a transition": f"{transition}case/",
        "agent in the trash": "/agents/thrown/",
        "deleted agent": "/agents/vanished/",
        "find": "/agents/coder-2/?find=token",
        "conversation": "/agents/coder-2/?view=conversation",
        "conversation at a snapshot": f"/snapshots/{told.snapshot}/?view=conversation",
        "branch": "/agents/coder-2/branch/?path=/memory",
        "transition": transition,
        "transition, side by side": f"{transition}?layout=split",
        "transition, whole state": f"{transition}?show=state",
        "snapshots": "/snapshots/",
        "snapshot": f"/snapshots/{told.snapshot}/",
        "preview": f"/agents/coder-2/restore/?moment=snapshot:{told.snapshot}",
        "preview of a running one": "/agents/tester-1/restore/?moment=now",
        "part previewed": address,
        "timeline": "/agents/coder-2/timeline/",
        "timeline at a snapshot": f"/agents/coder-2/timeline/?moment=snapshot:{told.snapshot}",
        "blame": "/agents/coder-2/blame/",
        "value": "/agents/coder-2/history/?path=/budget/spent",
        "bisect": "/agents/coder-2/bisect/?condition=/plan/goal+missing",
        "bisect, not asked": "/agents/coder-2/bisect/",
        "compare": f"/compare/?left=coder-2&before=snapshot:{told.snapshot}&after=now",
        "compare, not asked": "/compare/",
        "tasks": "/tasks/",
        "board": "/tasks/?layout=board",
        "board, one changed": f"/tasks/?layout=board&edit={task}",
        "task": f"/tasks/{task}/",
        "open session": f"/sessions/{session}/",
        "revert": f"/transitions/{told.lost}/revert/",
        "fork": "/agents/coder-2/fork/",
        "plan": plan,
        "fleet": "/fleet/",
        "fleet previewed": f"/fleet/?at={at}&namespace=*",
        "batch": batch,
        "edit": f"/audit/{edit}/",
        "capture": "/capture/",
        "growth": "/growth/",
        "sources": "/sources/",
        "connect": "/connect/",
        "restores": "/restores/",
        "restore": restore,
        "events": "/events/?size=25",
        "API": "/api/v1/docs",
        "API call": "/api/v1/docs?q=create_restore",
        "search": "/find/?q=coder&agent=coder-2",
        "trash": "/trash/",
        "upkeep": "/upkeep/",
        "new policy": "/upkeep/policies/new/",
        "policy": f"/upkeep/policies/{policy}/",
        "limits": f"/upkeep/policies/{policy}/edit/",
        "audit": "/audit/",
        "password": "/password/",
        "error": "/agents/coder-2/restore/?moment=yesterday",
        "missing": "/agents/nobody/",
        "login": "/login/",
        "confirm": "/confirm/",
        "browsers": "/browsers/",
        "failed sign-ins": "/sign-ins/",
        "admin": "/admin/",
        "admin tasks": "/admin/statestore/task/",
        "admin task": f"/admin/statestore/task/{task}/change/",
        "admin sessions": "/admin/statestore/session/",
        "admin transition": f"/admin/statestore/transition/{told.lost}/change/",
    }


# Preloading would put the sheets into inline styles, which the policy forbids. The passes are 600 KB of each result.
# The size of targets is a rule of WCAG 2.2, which axe leaves out unless it is named.
RUN_AXE = """async () => (await axe.run({
  preload: false, resultTypes: ['violations'], rules: {'target-size': {enabled: true}},
})).violations"""


def violations(page: Page) -> list[str]:
    """Return what axe finds on a page, one line for each element."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(Axe().axe_script)
    found = page.evaluate(RUN_AXE)
    return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in found for node in one["nodes"]]


# Nothing where the page is as wide as its window, else the elements that reach beyond it.
TOO_WIDE = """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
  [...document.querySelectorAll("*")]
  .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1 && element.checkVisibility())
  .map((element) => element.outerHTML.slice(0, 120)).slice(-4).concat("the page")"""


def too_wide(page: Page) -> list[str]:
    """Return what makes the page wider than its window."""
    return list(page.evaluate(TOO_WIDE))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_for_everybody_in_light_and_dark_on_a_phone_and_on_a_desk(
    open_page: OpenPage, addresses: dict[str, str], name: str
):
    role = {"login": "", "confirm": "viewer"}.get(name, "administrator")
    page = open_page(addresses[name], role=role, expected=EXPECTED, color_scheme="light")
    assert violations(page) == []
    assert too_wide(page) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == []
    assert too_wide(page) == []


def test_an_open_menu_stays_on_the_page_of_a_phone(open_page: OpenPage):
    page = open_page("/agents/coder-2/", viewport={"width": 390, "height": 844})
    for word in ("Snapshot", "Status", "Hold", "Delete", "operator"):
        page.locator("summary", has_text=word).first.click()
        drop = page.locator("details[open] > .drop")
        expect(drop).to_be_visible()
        box = drop.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        page.keyboard.press("Escape")


def test_a_wide_screen_is_filled_without_scrolling_sideways(open_page: OpenPage):
    page = open_page("/agents/coder-2/", viewport={"width": 1920, "height": 1080})
    assert too_wide(page) == []
    panel = page.get_by_role("region", name="Timeline").bounding_box()
    assert panel
    assert panel["x"] + panel["width"] > 1600


def test_a_filtered_list_is_swapped_in_without_a_complaint(open_page: OpenPage):
    page = open_page("/agents/")
    page.get_by_placeholder("Id or name…").press_sequentially("crowd-1")
    expect(page.locator("[data-row]")).to_have_count(10)
    expect(page).to_have_url(re.compile("q=crowd-1"))
    expect(page.locator("[data-row] time").first).to_have_text(re.compile("ago"))
    assert violations(page) == []
    page.go_back()
    expect(page.get_by_role("heading", name="Agents")).to_be_visible()


def test_more_of_a_branch_is_swapped_in_without_a_complaint(open_page: OpenPage):
    page = open_page("/agents/librarian/")
    page.locator("summary").filter(has_text="books").click()
    more = page.get_by_role("link", name="Show 100 of 2,500 more")
    with page.expect_response(re.compile("/branch/")) as answer:
        more.click()
    assert answer.value.ok
    expect(page.get_by_text("book-0100")).to_be_visible()
    expect(page.get_by_text("book-0000")).to_be_visible()
    expect(page.get_by_role("link", name="Show 100 of 2,400 more")).to_be_visible()


@pytest.fixture
def reports(open_page: OpenPage) -> list[str]:
    """Return what a page's console says when something is put into it that an agent might write."""
    page = open_page("/", expected=("violation of", "Refused to", "Content Security Policy"))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'pwned'";
          document.body.append(script);
          const box = document.createElement("div");
          box.innerHTML = '<img src="data:," onerror="document.title = \\'pwned\\'" style="color: red">';
          document.body.append(box);
        }"""
    )
    expect(page).to_have_title("Overview · Descartes")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    return said


def test_the_policy_blocks_an_injected_script_handler_and_style_and_this_is_heard(reports: list[str]):
    """The canary: were a page to let an agent's text through, the tests above would fail."""
    heard = {match[1] for report in reports if (match := re.match(r"violation of (\S+):", report))}
    assert heard >= {"script-src-elem", "script-src-attr", "style-src-attr"}
