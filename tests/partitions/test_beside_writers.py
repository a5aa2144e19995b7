"""Partitions are made, and taken back, while programs write; killed at any point, the next run ends them."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.db import connections

from statestore import models, partitions
from statestore.access import audit
from statestore.adoption.temporary_store import database_at
from statestore.db.routers import chosen
from statestore.events import ingest
from statestore.partitions import limits
from tests.builders import NOW
from tests.commands import ROOT
from tests.faults.scale import tell, times
from tests.partitions.conftest import MONTH, rows_of
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.faults]

_RUN = """
import sys, time, django
django.setup()
from statestore import partitions
from statestore.access import audit
from statestore.adoption.temporary_store import database_at
from statestore.db.routers import chosen
from statestore.partitions import limits
limits.COPIED_ROWS = limits.COMPARED_ROWS = 10
do = partitions.unpartition if sys.argv[2] == "undo" else partitions.partition
with database_at(sys.argv[1]) as alias, chosen(alias):
    print("begins", flush=True)
    do(alias, by=audit.SYSTEM, progress=lambda table, what, rows: print(table, what, rows, flush=True))
print("ended", flush=True)
"""


@dataclass
class Writer:
    """A program that saves events and transitions, again and again, and knows what must be there in the end."""

    place: str
    contents: dict[str, str] = field(default_factory=dict)
    transitions: set[str] = field(default_factory=set)
    longest_seconds: float = 0.0
    writes: int = 0
    fault: str = ""

    def run(self, ends: threading.Event) -> None:
        """Write until told to end."""
        chance = random.Random(3)
        with database_at(self.place) as alias, chosen(alias):
            try:
                while not ends.is_set():
                    began = time.monotonic()
                    self._write(alias, chance)
                    self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
                    self.writes += 1
            except Exception as error:
                self.fault = repr(error)

    def _write(self, alias: str, chance: random.Random) -> None:
        names = [f"e{chance.randrange(300)}" for _ in range(chance.randrange(1, 8))]
        if chance.random() < 0.2:
            models.Event.objects.using(alias).filter(pk__in=names).delete()
            for name in names:
                self.contents.pop(name, None)
            return
        texts = dict.fromkeys(names, f"said {self.writes}")
        ingest.save_events(alias, [self._event(name, text, chance) for name, text in texts.items()])
        self.contents |= texts
        transition = f"t{self.writes}"
        models.Transition.objects.using(alias).create(
            id=transition, agent_id="busy", state_before="{}", state_after="{}",
            timestamp=NOW - chance.randrange(5) * MONTH,
        )  # fmt: skip
        self.transitions.add(transition)

    def _event(self, name: str, text: str, chance: random.Random) -> dict[str, object]:
        at = NOW - chance.randrange(5) * MONTH
        return {
            "id": name, "event_type": "busy", "timestamp": at, "session_id": "s", "actor_type": "System",
            "actor_id": "test", "content": text,
        }  # fmt: skip

    def check(self) -> None:
        """Fail unless every write is there, and no other."""
        assert self.fault == ""
        found = models.Event.objects.filter(event_type="busy").values_list("pk", "content")
        assert len(found) == len(self.contents)
        assert dict(found) == self.contents
        assert set(models.Transition.objects.of_agent("busy").values_list("pk", flat=True)) == self.transitions


@contextmanager
def writing(place: str) -> Iterator[Writer]:
    """Let a program write beside a block."""
    writer, ends = Writer(place), threading.Event()
    thread = threading.Thread(target=writer.run, args=[ends])
    thread.start()
    try:
        wait_for(lambda: writer.writes > 20 or bool(writer.fault), "its first writes")
        yield writer
    finally:
        ends.set()
        thread.join()


def test_a_writer_hardly_waits_and_every_write_is_there(place: str, using: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "COPIED_ROWS", 20)
    before = {key: row for rows in rows_of(using).values() for key, *row in rows}
    with writing(place) as writer:
        for _ in range(times(1, 10)):
            partitions.partition(using, by=audit.SYSTEM)
            partitions.unpartition(using, by=audit.SYSTEM)
        partitions.partition(using, by=audit.SYSTEM)
        writes = writer.writes
        wait_for(lambda: writer.writes > writes + 20 or bool(writer.fault), "writes with partitions")
    writer.check()
    after = {key: row for rows in rows_of(using).values() for key, *row in rows}
    assert {key: after[key] for key in before} == before
    tell(
        "partitions beside writes", failures=0, canary="a mirror that is broken is found", writes=writer.writes,
        longest_wait=f"{writer.longest_seconds:.2f} s",
    )  # fmt: skip
    # As long as an orchestrator waits for a lock; on a quiet machine it is 0.2 s.
    assert writer.longest_seconds < 5, "It waited for longer than a moment."


def killed(place: str, verb: str, lines: int, var: Path) -> str:
    """Kill a run after so many lines, and return the last one that it printed."""
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "descartes_site.settings", "VAR_DIR": str(var), "SECRET_KEY": "k" * 60,
    }  # fmt: skip
    words = [sys.executable, "-c", _RUN, place, verb]
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = [line.strip() for line, _ in zip(process.stdout, range(lines + 1), strict=False)]
        process.kill()
    return printed[-1] if printed else ""


@pytest.mark.parametrize("verb", ["do", "undo"])
def test_killed_again_and_again_it_goes_on_and_loses_nothing(place: str, using: str, verb: str, tmp_path: Path):
    if verb == "undo":
        partitions.partition(using, by=audit.SYSTEM)
    before, chance = {key: row for rows in rows_of(using).values() for key, *row in rows}, random.Random(5)
    with writing(place) as writer:
        last = [killed(place, verb, chance.randrange(0, 40), tmp_path) for _ in range(times(3, 30))]
    assert last[0] != "ended", "the canary: it was killed before its end"
    connections[using].close()
    (partitions.unpartition if verb == "undo" else partitions.partition)(using, by=audit.SYSTEM)
    writer.check()
    after = {key: row for rows in rows_of(using).values() for key, *row in rows}
    assert {key: after[key] for key in before} == before
    assert partitions.is_partitioned(using, "events") == (verb == "do")
    tell("kills of partitions", failures=0, canary=last[-1], kills=len(last), writes=writer.writes)
