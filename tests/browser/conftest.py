"""A site, a browser, and pages in it that notice whatever a page complains about."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

from tests.browser import story
from tests.browser.site import Site
from tests.foreign import hostile, orchestrator
from tests.templates import Templates
from tests.waiting import HANG_SECONDS

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
# In a page's console, so that a page that is left at once is heard too.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`violation of ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""
expect.set_options(timeout=HANG_SECONDS * 1000)
OpenPage = Callable[..., Page]


def launch(playwright: Any) -> Browser:
    # Debian's headless shell is the same engine without the desktop's parts, which take a quarter of the time.
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    browser: Browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
    return browser


@pytest.fixture(scope="session")
def site_and_story(
    templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, story.Story]]:
    def fill(directory: Path) -> None:
        site = Site(directory)
        written = story.write(site.store)
        (directory / "story.json").write_text(json.dumps(asdict(written)))
        site.adopt()

    site = Site.copy(templates.get("story", fill), tmp_path_factory.mktemp("site"))
    with site.serving():
        yield site, story.Story(**json.loads((site.directory / "story.json").read_text()))


@pytest.fixture(scope="session")
def site(site_and_story: tuple[Site, story.Story]) -> Site:
    return site_and_story[0]


@pytest.fixture(scope="session")
def told(site_and_story: tuple[Site, story.Story]) -> story.Story:
    """Return the ids of the story that the site's store tells."""
    return site_and_story[1]


@pytest.fixture(scope="session")
def hostile_site(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def fill(directory: Path) -> None:
        site = Site(directory)
        orchestrator.create(site.store)
        hostile.fill(site.store)
        site.adopt()

    site = Site.copy(templates.get("hostile", fill), tmp_path_factory.mktemp("hostile"))
    with site.serving():
        yield site


# For a module, not for the session: while it is open, no other test of the process could run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Return a function that opens a page as somebody of a role; at the end no page may have complained.

    `expected` names what a page's console may say: a part of each line.
    """
    contexts, complaints = [], []

    def open_page(
        address: str = "/",
        *,
        role: str = "operator",
        site: Site | None = None,
        expected: tuple[str, ...] = (),
        **how: Any,
    ) -> Page:
        site = site or request.getfixturevalue("site")
        context = browser.new_context(base_url=site.url, **{"viewport": {"width": 1440, "height": 900}, **how})
        context.set_default_timeout(HANG_SECONDS * 1000)
        contexts.append(context)
        if role:
            site.renew_proofs()
            context.add_cookies([{"name": "descartes_session", "value": site.sessions[role], "url": site.url}])
        if how.get("java_script_enabled", True):
            context.add_init_script(REPORT_VIOLATIONS)

        def complain(text: str) -> None:
            if not any(part in text for part in expected):
                complaints.append(f"{page.url}: {text}")

        def dismiss(dialog: Dialog) -> None:
            complain(f"dialog: {dialog.message}")
            dialog.dismiss()

        page = context.new_page()
        page.on("console", lambda message: complain(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complain(f"script error: {error}"))
        page.on("dialog", dismiss)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)
