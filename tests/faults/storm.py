"""What somebody does who uses every page of the dashboard while the orchestrator works."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.server import Answer, Visitor, hidden, restore_id
from tests.faults.sites import QUIET, Site

PAGES = (
    "/", "/agents/", "/agents/?status=running", "/agents/?q=busy", "/agents/busy-0/", "/agents/planner/", "/snapshots/",
    "/restores/", "/events/", "/events/?q=turn", "/trash/", "/audit/", "/readyz", "/admin/", "/admin/statestore/task/",
    "/admin/statestore/session/", "/admin/statestore/event/", "/admin/statestore/agentstate/",
    "/admin/statestore/transition/",
)  # fmt: skip
BUSY = ("busy-0", "busy-1")


def roam(site: Site, visitor: Visitor, agent_id: str, chance: random.Random) -> Iterator[tuple[str, Answer]]:
    """Do one thing after another without end; yield what was done and the answer to it."""
    snapshots = site.snapshots(agent_id)
    for turn in itertools.count():
        for path in chance.sample(PAGES, 4):
            yield "page", visitor.get(path)
        yield "transition", visitor.get(f"/transitions/{_newest_transition(site)}/")
        yield "preview", visitor.preview(agent_id, snapshots[turn % 2])
        yield "snapshot", visitor.post(f"/agents/{chance.choice(BUSY)}/snapshot/", description=f"turn {turn}")
        restored = visitor.restore(agent_id, snapshots[turn % 2], reason=f"turn {turn}")
        yield "restore", restored
        done = restore_id(restored)
        if done is not None:
            page = visitor.get(f"/restores/{done}/")
            yield "restore's page", page
            yield (
                "undo",
                visitor.post(f"/restores/{done}/undo/", etag=hidden(page, "etag") if page.status == 200 else ""),
            )
        # The orchestrator saves this one all the time: mostly it has moved before the click.
        busy = chance.choice(BUSY)
        newest = site.rows("SELECT id FROM state_snapshots WHERE agent_id = ? ORDER BY rowid DESC LIMIT 1", busy)
        for (snapshot_id,) in newest:
            yield "restore of a busy agent", visitor.restore(busy, snapshot_id)
        yield "status", visitor.post(f"/agents/{agent_id}/status/", status=("paused", "idle")[turn % 2])


def _newest_transition(site: Site) -> str:
    return str(site.rows("SELECT id FROM state_transitions ORDER BY rowid DESC LIMIT 1")[0][0])


class Crowd:
    """Some people roaming at the same time, until told to stop."""

    def __init__(self, site: Site, visitors: list[Visitor]) -> None:
        self.answers: list[tuple[str, Answer]] = []
        self.errors: list[str] = []
        self.over = threading.Event()
        pairs = zip(QUIET, visitors, strict=False)
        self.threads = [threading.Thread(target=self._roam, args=(site, visitor, agent)) for agent, visitor in pairs]

    def _roam(self, site: Site, visitor: Visitor, agent_id: str) -> None:
        try:
            with visitor:
                for done in roam(site, visitor, agent_id, random.Random(agent_id)):
                    self.answers.append(done)
                    if self.over.is_set():
                        return
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")

    @property
    def dishonest(self) -> list[str]:
        """The failures that do not say when to come back."""
        return [f"{what}: {answer}" for what, answer in self.answers if not answer.is_honest] + self.errors

    @property
    def outcomes(self) -> dict[str, dict[int, int]]:
        """How often each status was the answer to each thing done."""
        kinds = sorted({what for what, _ in self.answers})
        return {kind: dict(Counter(answer.status for what, answer in self.answers if what == kind)) for kind in kinds}


@contextmanager
def crowd_at(site: Site, visitors: list[Visitor]) -> Iterator[Crowd]:
    """Yield a crowd that uses the site during the block."""
    crowd = Crowd(site, visitors)
    for thread in crowd.threads:
        thread.start()
    try:
        yield crowd
    finally:
        crowd.over.set()
        for thread in crowd.threads:
            thread.join()


def repeatedly(action: Callable[[], object], *, seconds: float) -> int:
    """Do something again and again for so long, and return how often."""
    end = time.monotonic() + seconds
    for done in itertools.count(1):
        action()
        if time.monotonic() > end:
            return done
    raise AssertionError
