"""LangGraph's JavaScript package goes on from what was restored, and from a fork where a restore is refused."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.errors import Conflict
from tests.frameworks.programs import Said, forked, kept_in, mirrored, restored, state_of, transitions

PACKAGES = os.environ.get("LANGGRAPH_PACKAGES", "")
PROGRAM = Path(__file__).with_name("langgraph_program.mjs")

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.frameworks,
    pytest.mark.skipif(not PACKAGES, reason="`npm install` of docs/contributing.md installs the packages"),
]


def of_driver(path: Path | str) -> str:
    """Return a URL as the driver of Node.js takes it, with the directory of a socket among its options."""
    if not isinstance(path, str):
        return str(path)
    front, _, database = path.removeprefix("postgresql://").partition("/")
    user, _, host = front.partition("@")
    return f"postgresql://{user}@/{database}?host={unquote(host)}"


def run(path: Path | str, verb: str, thread: str, *texts: str) -> list[Any]:
    """Run the program, and return the history that it says, the newest first."""
    command = ["node", str(PROGRAM), of_driver(path), verb, thread, *texts]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, cwd=PACKAGES)
    assert done.returncode == 0, done.stderr.decode()
    said: Said = json.loads(done.stdout.splitlines()[-1])
    return list(said["history"])


@pytest.fixture
def embedded(settings: Any, tmp_path: Path) -> None:
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"


def shown(thread: str) -> dict[str, Any]:
    """Return a state of the mirror as the program says one: messages by their texts."""
    state = state_of(thread)
    texts = [message["kwargs"]["content"] for message in state.pop("messages", [])]
    return {**state, "said": texts}


@pytest.mark.usefixtures("embedded")
def test_every_step_put_back_is_langgraphs_state_again_and_the_graph_goes_on(tmp_path: Path):
    path = tmp_path / "agents.db"
    run(path, "run", "t1", "hello")
    before = run(path, "run", "t1", "again")
    other = run(path, "run", "other", "hello")
    source = mirrored(path)
    for checkpoint_id, values, nodes in before[:-2]:
        done = restored("t1", checkpoint_id)
        newest = run(path, "state", "t1")[0]
        assert newest[1:] == [values, nodes]
        assert shown("t1") == values
        restore.undo(done, by=SYSTEM)
        assert run(path, "state", "t1")[0][1:] == before[0][1:]
        forked("t1", checkpoint_id, f"fork of {checkpoint_id}")
        assert run(path, "state", f"fork of {checkpoint_id}")[0][1:] == [values, nodes]
    waiting = before[0]
    restored("t1", next(step for step in before if step[2] == ["model"])[0])
    assert run(path, "go-on", "t1")[0][1:] == waiting[1:], "it asks again"
    assert run(path, "approve", "t1")[0][1]["answer"] == "yes"
    assert run(path, "state", "other") == other
    transitions(source)
    assert shown("t1")["answer"] == "yes"


@pytest.mark.usefixtures("embedded")
def test_in_postgresql_a_restore_is_refused_and_a_fork_goes_on(tmp_path: Path, request: pytest.FixtureRequest):
    path = kept_in(tmp_path, request, is_server=True)
    run(path, "run", "t1", "hello")
    before = run(path, "run", "t1", "again")
    mirrored(path)
    count = models.Transition.objects.count()
    for checkpoint_id, values, nodes in before[:-2]:
        with pytest.raises(Conflict, match="Fork the agent in its own store"):
            restored("t1", checkpoint_id)
        forked("t1", checkpoint_id, f"fork of {checkpoint_id}")
        assert run(path, "state", f"fork of {checkpoint_id}")[0][1:] == [values, nodes]
    assert run(path, "state", "t1") == before
    asked = next(step for step in before if step[2] == ["model"])[0]
    assert run(path, "go-on", f"fork of {asked}")[0][1:] == before[0][1:]
    assert models.Transition.objects.filter(agent_id="agents/t1").count() == count
