"""A transfer whose process is killed at any moment loses nothing, and the next one ends it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from statestore.adoption.temporary_store import store_at
from statestore.transfer import transfer
from tests.commands import ROOT
from tests.faults.scale import tell, times
from tests.transfer.conftest import Database, fill, sqlite_url
from tests.transfer.test_transfer import rows_at, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.faults]

# In small chunks, so that most of the time passes between two of them.
_RUN = """
import sys, django
django.setup()
from statestore import transfer
from statestore.transfer import moving
moving._CHUNK_ROWS = 3
print("begins", flush=True)
transfer.transfer(sys.argv[1], sys.argv[2], progress=lambda table, rows: print(table, rows, flush=True))
print("ended", flush=True)
"""


def killed(source: str, target: str, chunks: int, var: Path) -> str:
    """Kill a transfer after so many chunks, and return the last line that it printed."""
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "descartes_site.settings", "VAR_DIR": str(var), "SECRET_KEY": "k" * 60,
    }  # fmt: skip
    words = [sys.executable, "-c", _RUN, source, target]
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [line.strip() for line, _ in zip(process.stdout, range(chunks + 1), strict=False)]
        process.kill()
    return lines[-1]


def test_a_transfer_that_is_killed_again_and_again_ends_with_all_rows(origin: Path, database: Database, tmp_path: Path):
    with store_at(origin) as alias:
        fill(alias, first=4)
    place, random_number = database(), random.Random(7)
    var = tmp_path / "processes"
    var.mkdir()
    last = [killed(sqlite_url(origin), place, random_number.randrange(0, 60), var) for _ in range(times(4, 50))]
    assert "ended" not in last, "the canary: each was killed before its end"
    done = transfer(sqlite_url(origin), place)
    assert rows_at(place) == rows_of(origin)
    tell("kills of a transfer", failures=0, canary=last[-1], kills=len(last), rows=done.rows)
