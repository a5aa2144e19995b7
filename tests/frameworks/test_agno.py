"""The real Agno has the state that was put back, and its model sees the runs up to there.

Of version 2, which keeps runs in lists, of version 3, which keeps them in rows, and of one after the other.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from statestore import restore
from statestore.access.audit import SYSTEM
from statestore.models.sources import Source
from tests.frameworks import programs
from tests.frameworks.programs import MARKS, Said, kept_in, mirrored, restored, state_of, transitions

PROGRAM = "agno_program.py"
OLD_PYTHON = os.environ.get("AGNO_2_PYTHON", "")

pytestmark = [*MARKS, pytest.mark.skipif(not OLD_PYTHON, reason="`make test-frameworks` installs the frameworks")]


@pytest.fixture(params=["version 2", "version 3", "begun by version 2", "moved to version 3"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["SqliteDb", "PostgresDb"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return kept_in(tmp_path, request, is_server=request.param == "PostgresDb")


@pytest.fixture
def python(version: str) -> str:
    """Return the Python that goes on with the sessions."""
    return OLD_PYTHON if version == "version 2" else programs.PYTHON


@pytest.fixture
def source(kept: Path | str, tmp_path: Path, version: str, python: str, settings: Any) -> Source:
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    first = programs.PYTHON if version == "version 3" else OLD_PYTHON
    programs.run(PROGRAM, kept, "run", "other", "zero", python=first)
    programs.run(PROGRAM, kept, "run", "s1", "one", "two", python=first)
    programs.run(PROGRAM, kept, "run", "s1", "three", python=python)
    if version == "moved to version 3":
        programs.run(PROGRAM, kept, "migrate", "s1", python=python)
    return mirrored(kept)


def state(source: Source, python: str, session: str = "s1") -> Said:
    return programs.run(PROGRAM, source.path, "state", session, python=python)


def say(source: Source, python: str, text: str) -> Said:
    return programs.run(PROGRAM, source.path, "run", "s1", text, python=python)


def test_every_run_put_back_is_agnos_state_and_undone_again(source: Source, python: str):
    whole, other = state(source, python), state(source, python, "other")
    for place, key in enumerate(whole["runs"], 1):
        done = restored("s1", key)
        now = state(source, python)
        assert now["state"] == {"cart": ["one", "two", "three"][:place]} == state_of("s1")
        assert now["runs"] == whole["runs"][:place]
        restore.undo(done, by=SYSTEM)
        assert state(source, python) == whole
    assert state(source, python, "other") == other


def test_the_session_goes_on_from_the_restored_run(source: Source, python: str):
    restored("s1", state(source, python)["runs"][0])
    known = len(transitions(source))
    now = say(source, python, "four")
    assert now["seen"] == ["one", "four"]
    assert now["state"] == {"cart": ["one", "four"]}
    assert len(transitions(source)) == known + 1
    assert state_of("s1") == now["state"]


def test_the_session_goes_on_from_before_its_first_run(source: Source, python: str):
    restored("s1", state(source, python)["runs"][0], "before")
    assert state(source, python)["runs"] == []
    now = say(source, python, "four")
    assert now["seen"] == ["four"]
    assert len(now["runs"]) == 1


def test_the_session_goes_on_from_what_was_undone(source: Source, python: str):
    restore.undo(restored("s1", state(source, python)["runs"][0]), by=SYSTEM)
    now = say(source, python, "four")
    assert now["seen"] == ["one", "two", "three", "four"]
    assert now["state"] == {"cart": ["one", "two", "three", "four"]}
