"""The programs of the frameworks, run by their own Python, and the mirrors of the files that they write."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.access.scope import Scope
from statestore.db.routers import store_alias
from statestore.models.sources import Source, SourceThread
from statestore.sources import adding, forking, mirror
from statestore.sources.row_ids import row_id

PYTHON = os.environ.get("FRAMEWORKS_PYTHON", "")
MARKS = [
    pytest.mark.django_db,
    pytest.mark.frameworks,
    pytest.mark.skipif(not PYTHON, reason="`make test-frameworks` installs the frameworks"),
]
Said = dict[str, Any]


def run(program: str, *words: str | Path, python: str = PYTHON) -> Said:
    """Run a program, and return what it says on its last line."""
    done = subprocess.run(_command(program, words, python), capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    said: Said = json.loads(done.stdout.splitlines()[-1])
    return said


@contextmanager
def held(program: str, *words: str | Path) -> Iterator[Callable[[], Said]]:
    """Give a program that has loaded its session, as what lets it go on and returns what it says then."""
    with subprocess.Popen(
        _command(program, words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        while process.stdout.readline().strip() != b"loaded":
            assert process.poll() is None, "the program ended"

        def go_on() -> Said:
            said: Said = json.loads(process.communicate(b"\n", timeout=120)[0].splitlines()[-1])
            return said

        yield go_on


def _command(program: str, words: tuple[str | Path, ...], python: str = PYTHON) -> list[str]:
    return [python, str(Path(__file__).with_name(program)), *map(str, words)]


def kept_in(tmp_path: Path, request: pytest.FixtureRequest, *, is_server: bool) -> Path | str:
    """Return where a program is to keep its sessions: a file, or the URL of a database."""
    if not is_server:
        return tmp_path / "agents.db"
    url: str = request.getfixturevalue("server").made().url
    return url.replace(":geheim", "")


def mirrored(path: Path | str) -> Source:
    """Return the source of a file or a database, mirrored to its end."""
    source = adding.add_source(path, name="agents", using=store_alias())
    assert mirror.sync(source, using=store_alias()).is_complete
    return source


def transitions(source: Source) -> list[models.Transition]:
    """Return all transitions after a sync, oldest first."""
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    return list(models.Transition.objects.oldest_first())


def restored(thread_id: str, key: str, side: str = "after") -> models.Restore:
    """Restore a thread to what was before or after one of its steps."""
    thread = SourceThread.objects.select_related("source").get(thread_id=thread_id)
    moment = f"transition:{row_id(thread, 'transition', key)}:{side}"
    return restore.apply(restore.plan(thread.agent_id, moment), by=SYSTEM)


def forked(thread_id: str, key: str, new_id: str, side: str = "after") -> models.AgentState:
    """Fork a thread in its own store from what was before or after one of its steps."""
    thread = SourceThread.objects.select_related("source").get(thread_id=thread_id)
    moment = f"transition:{row_id(thread, 'transition', key)}:{side}"
    agent = models.AgentState.objects.get(agent_id=thread.agent_id)
    return forking.fork(agent, moment, new_id, by=SYSTEM, scope=Scope())


def state_of(thread_id: str) -> Any:
    """Return the state that the mirror has of a thread."""
    thread = SourceThread.objects.get(thread_id=thread_id)
    return json.loads(models.AgentState.objects.get(agent_id=thread.agent_id).state_data)
