"""LangGraph's JavaScript package goes on from what was restored, and from forks."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from statestore import restore
from statestore.access.audit import SYSTEM
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
@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_every_step_put_back_is_langgraphs_state_again_and_the_graph_goes_on(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
):
    path = kept_in(tmp_path, request, is_server=database == "PostgreSQL")
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
    asked = next(step for step in before if step[2] == ["model"])[0]
    for thread in ("t1", f"fork of {asked}"):
        if thread == "t1":
            restored("t1", asked)
        assert run(path, "go-on", thread)[0][1:] == before[0][1:], "it asks again"
        assert run(path, "approve", thread)[0][1]["answer"] == "yes"
    assert run(path, "state", "other") == other
    transitions(source)
    assert shown("t1")["answer"] == "yes"


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_a_graph_that_goes_on_otherwise_gets_none_of_the_values_that_it_left(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
):
    """Values have numbers in PostgreSQL: one that is taken keeps its value, with no error."""
    path = kept_in(tmp_path, request, is_server=database == "PostgreSQL")
    first = run(path, "run", "t1", "hello")[0]
    run(path, "run", "t1", "left")
    mirrored(path)
    restored("t1", first[0])
    newest = run(path, "run", "t1", "instead")[0][1]
    assert newest["said"] == ["hello", "answer 0", "done", "instead", "answer 1", "done"]
