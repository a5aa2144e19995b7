"""Several stores: one is added on the page, opened, named where something is confirmed, and removed again."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser import story
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.test_pages import too_wide, violations
from tests.stores import make_store
from tests.templates import Templates

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]


class SiteOfSeveral(Site):
    """A dashboard whose stores are the files of a directory that administrators may add."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a process of the dashboard is started with."""
        own = {name: value for name, value in super().environment.items() if name not in {"STORE_URL", "SEARCH_INDEX"}}
        return {**own, "VAR_DIR": str(self.directory / "var"), "STORE_DIRS": str(self.directory / "stores")}


@pytest.fixture
def several(templates: Templates, tmp_path: Path) -> Iterator[Site]:
    def fill(directory: Path) -> None:
        site = Site(directory)
        written = story.write(site.store)
        (directory / "story.json").write_text(json.dumps(asdict(written)))
        site.adopt()

    site = SiteOfSeveral.copy(templates.get("story", fill), tmp_path / "site")
    (site.directory / "stores").mkdir()
    for name in ("alpha", "beta"):
        shutil.copy(site.store, site.directory / "stores" / f"{name}.db")
    with site.serving():
        yield site


def test_a_store_is_added_opened_and_removed_on_pages_for_everybody(open_page: OpenPage, several: Site):
    page = open_page("/", site=several, role="administrator", color_scheme="light", expected=("404 (Not Found)",))
    for name in ("alpha", "beta"):
        page.get_by_role("button", name=f"Add {several.directory / 'stores' / name}.db").click()
        expect(page.get_by_text(f"The store {name} is served now.")).to_be_visible()
    assert violations(page) == []
    assert too_wide(page) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == []
    assert too_wide(page) == []
    page.locator("main").get_by_role("link", name="beta", exact=True).click()
    expect(page.get_by_role("link", name="beta", exact=True)).to_be_visible()
    page.goto(f"{several.url}/stores/beta/agents/coder-2/")
    page.locator("summary", has_text="Delete").first.click()
    expect(page.locator("details[open] .in-store")).to_have_text("in the store beta")
    assert violations(page) == []
    page.emulate_media(color_scheme="light")
    assert violations(page) == []
    page.goto(several.url)
    page.locator("summary[aria-label='Remove beta']").click()
    page.get_by_role("button", name="Remove beta").click()
    expect(page.get_by_role("button", name=f"Add {several.directory / 'stores' / 'beta'}.db")).to_be_visible()
    answer = page.goto(f"{several.url}/stores/beta/agents/")
    assert answer
    assert answer.status == 404


def test_files_with_hostile_names_are_listed_added_and_hide_nothing(open_page: OpenPage, several: Site):
    """Not adopted: the page names the whole path, in a command that can be copied."""
    folder = several.directory / "stores"
    plain = make_store(several.directory / "plain.db")
    names = ("<img src=x onerror=alert(1)>.db", "a" * 196 + ".db", "\u202emoc.evil שלום.db", "with  many   spaces .db")
    for name in names:
        shutil.copy(plain, folder / name)
    shutil.copy(plain, os.fsdecode(os.fsencode(folder) + b"/bad\xff.db"))
    page = open_page("/", site=several, role="administrator", viewport={"width": 1440, "height": 900})
    for number in range(len(names) + 1):
        row = page.locator("tr", has_text="not adopted yet").first
        row.get_by_role("textbox").fill(f"hostile-{number}")
        row.get_by_role("button").click()
        expect(page.get_by_text(f"The store hostile-{number} is served now.")).to_be_visible()
    panel = page.locator(".panel", has=page.get_by_role("columnheader", name="Search index"))
    expect(panel.get_by_text("Not available")).to_have_count(len(names) + 1)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert too_wide(page) == []
        assert violations(page) == []
        right = _right_edge(panel)
        cells = panel.locator("td").all()
        assert max(map(_right_edge, cells)) <= right, f"A cell is out of its panel at {width}."
    assert "with  many   spaces" in page.locator("body").inner_text(), "As a person sees and copies it."


def _right_edge(part: Locator) -> float:
    box = part.bounding_box()
    assert box is not None
    return box["x"] + box["width"]
