"""The list of many stores: in process, with 100 files of which some are gone."""

import shutil
import statistics
import time
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.management import call_command
from django.test import Client

from statestore.adoption.temporary_store import store_at
from statestore.operations.store_summaries import FRESH_SECONDS
from tests.bench.figures import show, timed
from tests.builders import make_agent, make_event
from tests.many_stores.conftest import database_at, served

STORES: Final = 100
GONE: Final = 5
_ROUNDS: Final = 15
_AGAIN: Final = 5


def measure(home: Path, client: Client) -> None:
    """Measure the first list, of which nothing is known yet, and those after it."""
    folder = home / "stores"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = _made(folder)
    with served(settings, {path.stem: database_at(path) for path in files}):
        for path in files[:GONE]:
            path.unlink()
        client.get("/events/")  # The first page of a process compiles templates.
        first, _ = timed(lambda: client.get("/"), 1)
        show(f"list of {STORES} stores, {GONE} gone: the first", first, first)
        show(f"list of {STORES} stores, {GONE} gone", *timed(lambda: client.get("/"), _ROUNDS))
        show(f"list of {STORES} stores, {GONE} gone: asked again", *_asked_again(client))
    shutil.rmtree(folder)


def _asked_again(client: Client) -> tuple[float, float]:
    """Return what the list takes once its answers are old."""
    times = []
    for _ in range(_AGAIN):
        time.sleep(FRESH_SECONDS + 1)
        times.append(timed(lambda: client.get("/"), 1)[0])
    return statistics.median(times), max(times)


def _made(folder: Path) -> list[Path]:
    model = folder / "model.sqlite"
    with store_at(model) as alias:
        call_command("migrate", database=alias, verbosity=0)
        for number in range(50):
            make_agent(f"agent-{number}")
            make_event(actor_id=f"agent-{number}")
    return [Path(shutil.copy(model, folder / f"store-{number}.db")) for number in range(STORES)]
