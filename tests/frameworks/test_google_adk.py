"""The real ADK has the state that was put back, and its model sees what was said up to there."""

from pathlib import Path
from typing import Any

import pytest

from statestore import restore
from statestore.access.audit import SYSTEM
from statestore.errors import Conflict
from statestore.models.sources import Source
from statestore.sources import locations
from statestore.sources.readers.google_adk import GoogleADKReader
from tests.frameworks.programs import MARKS, Said, forked, held, kept_in, mirrored, restored, run, state_of, transitions

PROGRAM, THREAD = "google_adk_program.py", "app/user/s1"

pytestmark = MARKS


@pytest.fixture(params=["sqlite", "database", "server"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return which of ADK's two services wrote, and that of databases into a server's."""
    return str(request.param)


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest, settings: Any, kind: str) -> Source:
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path = kept_in(tmp_path, request, is_server=kind == "server")
    run(PROGRAM, path, kind, "run", "other", "zero")
    run(PROGRAM, path, kind, "run", "s1", "one", "two", "three")
    return mirrored(path)


def now_of(source: Source, kind: str, session: str = "s1") -> Said:
    return run(PROGRAM, source.path, kind, "state", session)


def steps_of(source: Source) -> list[str]:
    with locations.of(source.path).opened() as rows:
        return [step.key for step in GoogleADKReader().read(rows, THREAD).steps]


def test_every_step_put_back_is_adks_state_or_within_an_invocation(source: Source, kind: str):
    whole, other = now_of(source, kind), now_of(source, kind, "other")
    put_back = 0
    for key in steps_of(source):
        try:
            done = restored(THREAD, key)
        except Conflict:
            continue
        assert now_of(source, kind)["state"] == state_of(THREAD)
        restore.undo(done, by=SYSTEM)
        assert now_of(source, kind)["state"] == whole["state"]
        put_back += 1
    assert put_back == 3, "the end of each invocation"
    assert now_of(source, kind, "other") == other


def test_the_session_goes_on_from_the_restored_moment(source: Source, kind: str):
    restored(THREAD, steps_of(source)[1])
    assert now_of(source, kind)["state"] == {"tenant": "acme", "last": "one", "has_one": True, "answer": "saw 1"}
    known = len(transitions(source))
    now = run(PROGRAM, source.path, kind, "run", "s1", "four")
    assert now["seen"] == ["one", "four"]
    assert now["state"]["tenant"] == "acme"
    assert "has_two" not in now["state"]
    assert len(transitions(source)) == known + 2
    assert state_of(THREAD) == now["state"]


def test_the_session_goes_on_from_what_was_undone(source: Source, kind: str):
    restore.undo(restored(THREAD, steps_of(source)[1]), by=SYSTEM)
    assert run(PROGRAM, source.path, kind, "run", "s1", "four")["seen"] == ["one", "two", "three", "four"]


def test_a_fork_is_a_session_that_goes_on_and_the_old_one_stays(source: Source, kind: str):
    whole = now_of(source, kind)
    forked(THREAD, steps_of(source)[1], "fork")
    now = now_of(source, kind, "fork")
    assert now["state"] == {"tenant": "acme", "last": "one", "has_one": True, "answer": "saw 1"}
    assert now["events"] == whole["events"][: len(now["events"])]
    known = len(transitions(source))
    now = run(PROGRAM, source.path, kind, "run", "fork", "four")
    assert now["seen"] == ["one", "four"]
    assert "has_two" not in now["state"]
    assert len(transitions(source)) == known + 2
    assert state_of("app/user/fork") == now["state"]
    assert now_of(source, kind) == whole


def test_a_program_that_held_the_session_is_refused_by_adk(source: Source, kind: str):
    key = steps_of(source)[1]
    with held(PROGRAM, source.path, kind, "hold", "s1") as go_on:
        restored(THREAD, key)
        said = go_on()
    assert said["refused"] == "StaleSessionError"
    assert said["state"] == state_of(THREAD)
