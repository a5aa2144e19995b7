"""`python -m tests.screenshots`: make the pictures of README and docs anew, of the demo fleet, in .github/pictures."""

import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.conftest import launch
from tests.browser.site import ROOT, Site

PICTURES = ROOT / ".github" / "pictures"
# The changes of a transition begin low on its page.
WIDE: ViewportSize = {"width": 1440, "height": 640}
TALL: ViewportSize = {"width": 1440, "height": 900}
LOAD = "import django; django.setup(); from statestore import demo, models; demo.load(models.now())"


def demo_site(directory: Path) -> Site:
    """Return a site with the demo fleet, whose store is in WAL as `make run` makes it."""
    site = Site(directory)
    for alias in ("default", "store"):
        site.run("manage.py", "migrate", "--database", alias, "-v", "0")
    site.run("-c", LOAD)
    with site.orchestrator() as orchestrator:
        orchestrator.rows("PRAGMA journal_mode = WAL")
    site.admit()
    return site


def page_of(browser: Browser, site: Site, *, scheme: Any = "light", viewport: ViewportSize = WIDE) -> Page:
    """Return an empty page of an operator."""
    context = browser.new_context(base_url=site.url, color_scheme=scheme, viewport=viewport, reduced_motion="reduce")
    context.add_cookies([{"name": "descartes_session", "value": site.sessions["operator"], "url": site.url}])
    return context.new_page()


def keep(page: Page, name: str) -> None:
    """Write what the window shows to a file."""
    page.mouse.move(0, 0)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path)
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1024:.0f} KB")


def walk(page: Page) -> str:
    """Take the walk of docs/tour.md, keep a picture of each place, and return the address of the telling transition."""
    page.goto("/")
    keep(page, "overview")
    page.get_by_role("region", name="In trouble").get_by_role("link", name="Coder 2").click()
    agent = page.url
    keep(page, "agent")
    page.get_by_role("link", name="Conversation", exact=True).click()
    keep(page, "conversation")
    page.goto(agent)
    page.get_by_role("region", name="Diagnosis").get_by_role("link", name="context compacted after tool error").click()
    lost = page.url
    page.set_viewport_size(TALL)
    keep(page, "transition")
    page.set_viewport_size(WIDE)
    page.goto(agent)
    snapshot = page.locator("[data-row]").filter(has_text="before refactor")
    snapshot.get_by_role("link", name="Preview").click()
    page.get_by_label("Reason").fill("its goal was lost")
    keep(page, "preview")
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("● Active")).to_be_visible()
    keep(page, "restored")
    return lost


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        demo_site(Path(directory)).serving() as site,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        lost = walk(page_of(browser, site))
        dark = page_of(browser, site, scheme="dark", viewport=TALL)
        dark.goto(lost)
        keep(dark, "transition-dark")
        browser.close()


if __name__ == "__main__":
    main()
