"""Where it may not write, the dashboard shows every page or says in words why it cannot; it never breaks."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.reader import NOBODY
from tests.faults.scale import tell
from tests.faults.sites import JOURNAL_MODES, QUIET, ROOT, Site, SiteMaker
from tests.faults.wholeness import unsound
from tests.foreign import writer

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

CASES = {
    "file": ["store.db"],
    "directory": ["."],
    "both": ["store.db", "."],
}


def answers_at(site: Site, names: list[str], *options: str) -> list[dict[str, Any]]:
    """Return what each page answers to a process that may not write to these."""
    paths = [str(site.store.parent / name) for name in names]
    command = [sys.executable, "-m", "tests.faults.reader", *paths, *options]
    done = subprocess.run(command, cwd=ROOT, env=site.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def shortcomings(answers: list[dict[str, Any]]) -> list[str]:
    """Return the pages that broke, and the refusals without words."""
    wrong = []
    for answer in answers:
        words = " ".join(re.sub(r"<[^>]+>", " ", answer["text"]).split())
        what = f"{answer['method']} {answer['path']} {answer['status']} {words[:200]}"
        if answer["status"] not in {200, 404, 503} or (
            answer["status"] == 503 and "cannot be" not in words and "Nothing was changed" not in words
        ):
            wrong.append(what)
        if answer["method"] == "POST" and answer["status"] != 503:
            wrong.append(f"the write was not refused: {what}")
    return wrong


def make_unwritable(make_site: SiteMaker, journal_mode: str, directory: Path) -> Site:
    """Return a site whose store belongs to somebody else; the dashboard's own database stays writable."""
    site = make_site(journal_mode, directory / "store")
    own = directory / "own"
    own.mkdir()
    moved = Site(site.store, Path(shutil.move(site.dashboard, own / "dashboard.db")))
    for path in (directory, site.store.parent, own):
        path.chmod(0o755)
    if os.getuid() == 0:
        for path in (own, moved.dashboard, site.store.parent, site.store):
            os.chown(path, NOBODY, NOBODY)
    return moved


@pytest.mark.parametrize("is_orchestrator_there", [False, True], ids=["alone", "beside the orchestrator"])
@pytest.mark.parametrize("what", CASES)
@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_a_read_only_store_is_shown_or_explained(
    make_site: SiteMaker, quick_disk: Path, journal_mode: str, what: str, is_orchestrator_there: bool
):
    site = make_unwritable(make_site, journal_mode, quick_disk)
    before = site.state(QUIET[0])
    with ExitStack() as stack:
        if is_orchestrator_there:
            stack.enter_context(writer.running(site.store, "--per-second", "20"))
        answers = answers_at(site, CASES[what])
        # A log that exists already takes writes although its directory takes no new files.
        may_write = is_orchestrator_there and (journal_mode, what) == ("wal", "directory")
        wrong = shortcomings(answers[:-1] if may_write else answers)
    wrong += [] if may_write or site.state(QUIET[0]) == before else ["a refused restore changed something"]
    wrong += unsound(site.rows)
    statuses = Counter(answer["status"] for answer in answers)
    tell(
        f"read-only {what} ({journal_mode}{', orchestrator there' if is_orchestrator_there else ''})",
        statuses=dict(statuses), failures=len(wrong), canary="below",
    )  # fmt: skip
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_pages_that_break_on_a_read_only_store_are_noticed(make_site: SiteMaker, quick_disk: Path, journal_mode: str):
    site = make_unwritable(make_site, journal_mode, quick_disk)
    caught = shortcomings(answers_at(site, CASES["both"], "--bare"))
    tell(f"read-only canary ({journal_mode})", failures=0, canary=f"{len(caught)} answers flagged")
    assert any(" 500 " in words for words in caught)
