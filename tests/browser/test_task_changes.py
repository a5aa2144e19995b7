"""Tasks on the board: dragged to another column, changed by keyboard without a script, and each change undone."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]


@pytest.fixture
def task(site: Site) -> str:
    """Return the title of a task that is to do, which no other test has."""
    with site.orchestrator() as orchestrator:
        orchestrator.rows(
            "INSERT OR REPLACE INTO tasks"
            " (id, title, status, priority, complexity, dependencies, created_at, updated_at)"
            " VALUES ('board-1', 'Drag me', 'Todo', 'medium', 'simple', '[]', 1, 4000000000)"
        )
    return "Drag me"


def test_a_card_is_dragged_to_another_column_and_back_by_undo(open_page: OpenPage, task: str):
    page = open_page("/tasks/?layout=board", role="manager")
    card = page.locator("[data-card]").filter(has_text=task)
    card.drag_to(page.locator("[data-column=Done]"))
    expect(page.get_by_text(f"Moved {task} from Todo to Done.")).to_be_visible()
    expect(page.locator("[data-column=Done] [data-card]").filter(has_text=task)).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-column=Todo] [data-card]").filter(has_text=task)).to_be_visible()
    assert "layout=board" in page.url, "One stays on the board."


def test_a_card_is_changed_without_a_script_by_keyboard(open_page: OpenPage, task: str):
    page = open_page("/tasks/?layout=board", role="manager", java_script_enabled=False)
    page.get_by_role("link", name=f"Change {task}").press("Enter")
    page.get_by_label("Priority").last.select_option("critical")
    page.get_by_label("Assigned to").last.fill("coder-1")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_role("status").filter(has_text="priority medium → critical")).to_be_visible()
    expect(page.locator("[data-card]").filter(has_text=task)).to_contain_text("critical · coder-1")
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.locator("[data-card]").filter(has_text=task)).to_contain_text("medium")


def test_agents_are_offered_while_one_types(open_page: OpenPage, task: str):
    page = open_page("/tasks/board-1/", role="manager")
    box = page.get_by_label("Assigned to").last
    options = page.locator(f"#{box.get_attribute('list')} option")
    with page.expect_response(lambda response: "/search/agents/" in response.url):
        box.press_sequentially("coder-2")
    expect(options).to_have_count(1)
    assert options.first.get_attribute("value") == "coder-2"
