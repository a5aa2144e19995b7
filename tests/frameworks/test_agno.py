"""The real Agno has the state that was put back, and its model sees the runs up to there."""

from pathlib import Path
from typing import Any

import pytest

from statestore import restore
from statestore.access.audit import SYSTEM
from statestore.models.sources import Source
from tests.frameworks.programs import MARKS, kept_in, mirrored, restored, run, state_of, transitions

PROGRAM = "agno_program.py"

pytestmark = MARKS


@pytest.fixture(params=["SqliteDb", "PostgresDb"])
def source(tmp_path: Path, request: pytest.FixtureRequest, settings: Any) -> Source:
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path = kept_in(tmp_path, request, is_server=request.param == "PostgresDb")
    run(PROGRAM, path, "run", "other", "zero")
    run(PROGRAM, path, "run", "s1", "one", "two", "three")
    return mirrored(path)


def test_every_run_put_back_is_agnos_state_and_undone_again(source: Source):
    whole = run(PROGRAM, source.path, "state", "s1")
    other = run(PROGRAM, source.path, "state", "other")
    for place, key in enumerate(whole["runs"], 1):
        done = restored("s1", key)
        now = run(PROGRAM, source.path, "state", "s1")
        assert now["state"] == {"cart": ["one", "two", "three"][:place]} == state_of("s1")
        assert now["runs"] == whole["runs"][:place]
        restore.undo(done, by=SYSTEM)
        assert run(PROGRAM, source.path, "state", "s1") == whole
    assert run(PROGRAM, source.path, "state", "other") == other


def test_the_session_goes_on_from_the_restored_run(source: Source):
    first = run(PROGRAM, source.path, "state", "s1")["runs"][0]
    restored("s1", first)
    known = len(transitions(source))
    now = run(PROGRAM, source.path, "run", "s1", "four")
    assert now["seen"] == ["one", "four"]
    assert now["state"] == {"cart": ["one", "four"]}
    assert len(transitions(source)) == known + 1
    assert state_of("s1") == now["state"]


def test_the_session_goes_on_from_what_was_undone(source: Source):
    restore.undo(restored("s1", run(PROGRAM, source.path, "state", "s1")["runs"][0]), by=SYSTEM)
    now = run(PROGRAM, source.path, "run", "s1", "four")
    assert now["seen"] == ["one", "two", "three", "four"]
    assert now["state"] == {"cart": ["one", "two", "three", "four"]}
