"""While people use every page, the orchestrator's saves neither fail nor wait for us."""

import threading
from pathlib import Path

import pytest

from tests.faults.scale import tell, times
from tests.faults.server import Visitor, serving
from tests.faults.sites import JOURNAL_MODES, SiteMaker
from tests.faults.storm import crowd_at, repeatedly
from tests.faults.wholeness import unsound
from tests.foreign.harm import BAD_GUEST_SECONDS, bad_guest, watched

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.sqlite]

PEOPLE = 3


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_the_orchestrator_never_waits_for_the_dashboard(make_site: SiteMaker, journal_mode: str, quick_disk: Path):
    site, seconds = make_site(journal_mode, quick_disk), times(6, 300)
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
