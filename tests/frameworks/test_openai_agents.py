"""The real OpenAI Agents SDK has the items that were put back, and its model sees only those."""

from pathlib import Path
from typing import Any

import pytest

from statestore import restore
from statestore.access.audit import SYSTEM
from statestore.errors import Conflict
from statestore.models.sources import Source
from statestore.sources import locations
from statestore.sources.readers.openai_agents import OpenAIAgentsReader
from tests.frameworks.programs import MARKS, forked, held, kept_in, mirrored, restored, run, state_of, transitions

PROGRAM = "openai_agents_program.py"

pytestmark = MARKS


@pytest.fixture(params=["plain", "branches", "database"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return which of the SDK's sessions wrote."""
    return str(request.param)


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest, settings: Any, kind: str) -> Source:
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path = kept_in(tmp_path, request, is_server=kind == "database")
    run(PROGRAM, path, kind, "run", "s1", "one", "two", "three")
    run(PROGRAM, path, kind, "run", "other", "zero")
    return mirrored(path)


def steps_of(source: Source) -> list[str]:
    with locations.of(source.path).opened() as rows:
        return [step.key for step in OpenAIAgentsReader().read(rows, "s1").steps]


def test_every_turn_put_back_is_the_sdks_log_and_undone_again(source: Source, kind: str):
    whole, other = (run(PROGRAM, source.path, kind, "state", session) for session in ("s1", "other"))
    for place, key in enumerate(steps_of(source), 1):
        done = restored("s1", key)
        now = run(PROGRAM, source.path, kind, "state", "s1")
        assert now["items"] == whole["items"][: 4 * place] == state_of("s1")["items"]
        restore.undo(done, by=SYSTEM)
        assert run(PROGRAM, source.path, kind, "state", "s1") == whole
    assert run(PROGRAM, source.path, kind, "state", "other") == other


def test_the_session_goes_on_from_the_restored_turn(source: Source, kind: str):
    done = restored("s1", steps_of(source)[0])
    known = len(transitions(source))
    now = run(PROGRAM, source.path, kind, "run", "s1", "four")
    assert now["seen"] == [4 + 3]
    assert len(transitions(source)) == known + 1
    assert state_of("s1")["items"] == now["items"]
    with pytest.raises(Conflict, match="cannot be put back behind others"):
        restore.undo(done, by=SYSTEM)


def test_the_session_goes_on_from_what_was_undone_and_from_its_start(source: Source, kind: str):
    restore.undo(restored("s1", steps_of(source)[0]), by=SYSTEM)
    assert run(PROGRAM, source.path, kind, "run", "s1", "four")["seen"] == [12 + 3]
    transitions(source)
    restored("s1", steps_of(source)[0], "before")
    known = len(transitions(source))
    now = run(PROGRAM, source.path, kind, "run", "s1", "anew")
    assert now["seen"] == [3]
    assert len(transitions(source)) == known + 1
    assert state_of("s1")["items"] == now["items"]


def test_a_fork_is_a_session_that_goes_on_and_the_old_one_stays(source: Source, kind: str):
    whole = run(PROGRAM, source.path, kind, "state", "s1")
    for place, key in enumerate(steps_of(source), 1):
        forked("s1", key, f"fork-{place}")
        now = run(PROGRAM, source.path, kind, "state", f"fork-{place}")
        assert now["items"] == whole["items"][: 4 * place] == state_of(f"fork-{place}")["items"]
    known = len(transitions(source))
    now = run(PROGRAM, source.path, kind, "run", "fork-1", "four")
    assert now["seen"] == [4 + 3]
    assert len(transitions(source)) == known + 1
    assert state_of("fork-1")["items"] == now["items"]
    assert run(PROGRAM, source.path, kind, "state", "s1") == whole
    with pytest.raises(Conflict, match="There is a session with this id already"):
        forked("s1", steps_of(source)[0], "other")


def test_an_open_session_has_what_was_put_back_at_once(source: Source, kind: str):
    key = steps_of(source)[0]
    with held(PROGRAM, source.path, kind, "hold", "s1", "four") as go_on:
        restored("s1", key)
        said = go_on()
    assert said["seen"] == [4 + 3]
