"""The real CrewAI begins a flow with the state that was put back."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from statestore import restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.models.sources import Source, SourceThread
from statestore.sources import adding, mirror
from statestore.sources.row_ids import row_id

PYTHON = os.environ.get("CREWAI_PYTHON", "")
PROGRAM = Path(__file__).with_name("crewai_program.py")

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.frameworks,
    pytest.mark.skipif(not PYTHON, reason="`make test-frameworks` installs the frameworks"),
]


def started(path: Path, *ids: str) -> dict[str, Any]:
    done = subprocess.run(
        [PYTHON, str(PROGRAM), str(path), "run", *ids], capture_output=True, check=False, timeout=180, text=True,
        env={**os.environ, "CREWAI_TRACING_ENABLED": "false", "OTEL_SDK_DISABLED": "true", "HOME": str(path.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("STATE "))
    said: dict[str, Any] = json.loads(line.removeprefix("STATE "))
    return said


def test_a_flow_begins_with_the_state_that_was_put_back_and_with_the_one_that_was_undone(tmp_path: Path, settings: Any):
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path = tmp_path / "flows.db"
    first = started(path)
    assert first["count"] == 111
    source = adding.add_source(path, using=store_alias())
    mirror.sync(source, using=store_alias())
    thread = SourceThread.objects.select_related("source").get(thread_id=first["id"])
    begun = f"transition:{row_id(thread, 'transition', '1')}:after"
    done = restore.apply(restore.plan(thread.agent_id, begun), by=SYSTEM)
    restore.undo(done, by=SYSTEM)
    assert started(path, first["id"])["count"] == 222, "after the undo it goes on from 111"
    synced(source)
    restore.apply(restore.plan(thread.agent_id, begun), by=SYSTEM)
    assert started(path, first["id"])["notes"] == ["begin", "begin", "work", "finish"]


def synced(source: Source) -> None:
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
