"""While people use every page, the orchestrator's saves neither fail nor wait for us."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.scale import LONG, tell, times
from tests.faults.scripts import Work, add_fleet, edit_tasks, restore_fleet, save_and_restore, scripts_at, secret_of
from tests.faults.server import Visitor, serving
from tests.faults.sites import JOURNAL_MODES, SiteMaker
from tests.faults.storm import crowd_at, repeatedly
from tests.faults.wholeness import unsound
from tests.foreign.harm import BAD_GUEST_SECONDS, bad_guest, held_seconds, watched

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.sqlite]

PEOPLE = 3
MIXES: dict[str, list[Work]] = {
    "3 scripts and one for tasks": [*[save_and_restore] * 3, edit_tasks],
    "2 scripts and a batch": [save_and_restore, save_and_restore, restore_fleet],
}
if LONG:
    MIXES |= {"1 script": [save_and_restore], "2 scripts": [save_and_restore] * 2, "4 scripts": [save_and_restore] * 4}


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_the_orchestrator_never_waits_for_the_dashboard(make_site: SiteMaker, journal_mode: str, quick_disk: Path):
    site, seconds = make_site(journal_mode, quick_disk), times(4, 300)
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        people = [visitor.another() for _ in range(PEOPLE)]
        with watched(site.store, "--per-second", "100", "--agents", "4") as run, crowd_at(site, people) as crowd:
            doctors = repeatedly(lambda: site.manage("doctor"), seconds=seconds)
        log = server.log()
    with watched(site.store, "--per-second", "100") as canary, bad_guest(site.store):
        threading.Event().wait(BAD_GUEST_SECONDS)
    held = canary.worst_wait_seconds
    wrong, caught = run.harm(held) + crowd.dishonest + unsound(site.rows), canary.harm(held)
    tell(
        f"storm ({journal_mode})", seconds=seconds, saves=len(run.saves), lost_saves=len(run.lost),
        control_saves=len(run.control.saves),
        worst_wait=f"{run.worst_wait_seconds:.3f} s", control=f"{run.control.worst_wait_seconds:.3f} s",
        answers=len(crowd.answers), doctors=doctors,
        outcomes=crowd.outcomes, failures=len(wrong), canary=f"{len(caught)} saves flagged",
    )  # fmt: skip
    assert not wrong, (wrong[:5], log[-2000:])
    assert len(run.saves) > len(run.control.saves) / 2, "the orchestrator hardly worked"
    for what in ("page", "transition", "preview", "snapshot", "restore", "undo", "status"):
        assert {200, 302} & crowd.outcomes[what].keys(), f"no {what} ever succeeded: {crowd.outcomes}"
    assert caught


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_scripts_that_write_without_pause_leave_the_orchestrator_its_turn(
    make_site: SiteMaker, journal_mode: str, quick_disk: Path
):
    site, seconds = make_site(journal_mode, quick_disk), times(2, 60)
    add_fleet(site)
    secret, wrong = secret_of(site), list[str]()
    held = held_seconds(site.store)
    with serving(site) as server:
        for name, works in MIXES.items():
            with watched(site.store, "--per-second", "50") as run, scripts_at(server, secret, *works) as scripts:
                run.control.await_saves(seconds * 50)
            statuses = Counter(status for script in scripts for status in script.statuses.elements())
            broken = [f"{name}: {status}" for status in statuses if status < 200 or (status >= 500 and status != 503)]
            harm = run.harm(held) + run.often_late(held) + broken
            tell(f"{name} ({journal_mode})", foreign=run.waits, answers=dict(statuses), failures=len(harm),
                 canary=f"{held:.1f} s flagged")  # fmt: skip
            wrong += harm
    assert not wrong, (wrong[:5], server.log()[-2000:])
