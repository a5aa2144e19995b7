"""`index --rebuild` while a dashboard serves: its indexer does the work, and the command reports the progress."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import call_command

from statestore import search
from statestore.search.fts import daemon, index_file
from tests.builders import NOW, make_event
from tests.search.oracle import everything

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


@contextmanager
def another_indexer() -> Iterator[threading.Event]:
    """Hold the lease as another process does, until told to let it go."""
    taken, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with index_file.lease():
            taken.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(30)
    yield leave
    leave.set()
    thread.join()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_PACE_SECONDS", 0.01)
    monkeypatch.setattr(daemon, "_ORPHANED_SECONDS", 0.05)


def test_if_the_dashboard_stops_the_command_builds_the_index():
    """Regression: it waited forever."""
    make_event(id="e1", content="built anew")
    out = StringIO()
    with another_indexer() as leave:
        threading.Timer(0.1, leave.set).start()
        call_command("index", rebuild=True, stdout=out)
    assert "The dashboard has stopped; the index is built here." in out.getvalue()
    assert "up to date" in out.getvalue()
    assert everything("built anew") == ["e1"]
    assert not search.find(search.parse("built")).notes


def test_it_estimates_how_long_the_other_process_will_take(monkeypatch: pytest.MonkeyPatch):
    for number in range(6):
        make_event(id=f"e{number}", timestamp=NOW + number)
    states = iter([{"walk": 5, "done": done, "total": 40} for done in (0, 10, 20, 30)] + [{"built": 1}])
    monkeypatch.setattr(daemon, "_meta", lambda: next(states))
    told: list[search.Progress] = []
    started = time.monotonic()
    with another_indexer():
        assert daemon.rebuild_elsewhere(told.append, threading.Event())
    assert [progress.done for progress in told] == [0, 10, 20, 30]
    left = [progress.left_seconds for progress in told]
    assert left[0] is None
    # Ten of forty are done at the first note, so no estimate is over four times what has passed.
    took = time.monotonic() - started
    assert all(seconds is not None and 0 < seconds <= 4 * took for seconds in left[1:])
