"""Pages of a state with hundreds of thousands of changed values end early, and others are answered meanwhile."""

import json
import threading
import time
from urllib.parse import urlencode

import pytest

from statestore.jsondiff import parsing
from tests.faults.scale import tell, times
from tests.faults.server import Answer, Server, Visitor, serving
from tests.faults.sites import LONG_AGO, QUIET, SiteMaker
from tests.foreign.orchestrator import Orchestrator

pytestmark = [pytest.mark.faults, pytest.mark.sqlite, pytest.mark.alone]

CHANGED_VALUES = times(200_000, 400_000)
# A page reads, hashes and parses both states, and compares and renders for about a second.
MOST_PARSES = 5


def state(shift: int) -> str:
    return json.dumps({f"k{number:06}": number + shift for number in range(CHANGED_VALUES)})


def parsing_seconds(*texts: str) -> float:
    """Return how long it takes to parse the texts on this machine, now."""
    began = time.perf_counter()
    for text in texts:
        parsing.parse(text)
    return time.perf_counter() - began


def asked_beside(visitor: Visitor, path: str, server: Server) -> tuple[Answer, list[Answer]]:
    """Return a page's answer, and those that a probe got while it was made."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(visitor.get(path)))
    thread.start()
    with Visitor(server.port) as prober:
        while thread.is_alive():
            prober.get("/healthz")
            thread.join(0.02)
        return answers[0], prober.answers


def test_a_transition_of_very_many_values_ends_early(make_site: SiteMaker):
    site = make_site("wal")
    before, after = state(0), state(7)
    with Orchestrator(site.store) as orchestrator:
        transition_id = orchestrator.record_transition(QUIET[0], before, after, at=LONG_AGO)
        snapshot_id = orchestrator.create_snapshot(QUIET[0], before, at=LONG_AGO)
        orchestrator.save_agent(QUIET[0], after, at=LONG_AGO)
    moment = f"snapshot:{snapshot_id}"
    pages = (
        f"/transitions/{transition_id}/",
        f"/compare/?{urlencode({'left': QUIET[0], 'before': moment, 'after': 'now'})}",
        f"/agents/{QUIET[0]}/restore/?{urlencode({'moment': moment})}",
    )
    wrong: list[str] = []
    ratios: list[float] = []
    with serving(site) as server, Visitor(server.port) as visitor:
        visitor.sign_in()
        for path in pages:
            control = parsing_seconds(before, after)
            page, probes = asked_beside(visitor, path, server)
            control = max(control, parsing_seconds(before, after))
            ratios.append(page.seconds / control)
            says_so = "too many values to be compared" in " ".join(page.text.split())
            wrong += [] if page.status == 200 and says_so else [str(page)]
            wrong += [str(probe) for probe in probes if probe.status != 200]
            slowest = max(probe.seconds for probe in probes)
            wrong += [] if slowest < page.seconds else [f"no probe was answered during {page}"]
    tell("hostile state", ratios=[round(ratio, 1) for ratio in ratios], failures=len(wrong), canary="none")
    assert not wrong, wrong
    assert max(ratios) < MOST_PARSES
