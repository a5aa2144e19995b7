"""A restore of an Agno session: its state is the old one, later runs are removed, and an undo puts them back."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Conflict, Moved
from statestore.models.sources import Source
from statestore.sources import files, mirror
from statestore.sources.contract import History
from statestore.sources.readers.agno import AgnoReader
from statestore.sources.row_ids import row_id
from statestore.sources.writers import removals
from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db

FILE, AGENT = "agno/small.sqlite", "small/session-1"


def run(source: Source, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(source.path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def runs(source: Source, session: str = "session-1") -> list[tuple[object, ...]]:
    return run(source, "SELECT * FROM agno_runs WHERE session_id = ? ORDER BY run_index", session)


def keys(source: Source, session: str = "session-1") -> list[str]:
    return [str(row[0]) for row in runs(source, session)]


def data_of(source: Source, session: str = "session-1") -> object:
    return run(source, "SELECT session_data FROM agno_sessions WHERE session_id = ?", session)[0][0]


def read(source: Source, session: str = "session-1") -> History:
    with files.opened(Path(source.path)) as rows:
        return AgnoReader().read(rows, session)


def moment(source: Source, key: str, session: str = "session-1", side: str = "after") -> str:
    mirrored = source.threads.select_related("source").get(thread_id=session)
    return f"transition:{row_id(mirrored, 'transition', key)}:{side}"


def restored(source: Source, key: str, session: str = "session-1", side: str = "after") -> models.Restore:
    planned = restore.plan(f"small/{session}", moment(source, key, session, side))
    return restore.apply(planned, by=SYSTEM, reason="it went wrong")


def sync(source: Source) -> int:
    """Return the number of transitions after a sync."""
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    return models.Transition.objects.of_agent(AGENT).count()


def appended(source: Source, key: str) -> None:
    run(
        source,
        "INSERT INTO agno_runs SELECT ?, session_id, run_type, agent_id, team_id, workflow_id, user_id, NULL,"
        " status, (SELECT max(run_index) + 1 FROM agno_runs WHERE session_id = 'session-1'), run_data,"
        " created_at, updated_at FROM agno_runs WHERE session_id = 'session-1' AND run_index = 0",
        key,
    )


def test_later_runs_are_removed_and_the_state_is_the_old_one(opened: Opener):
    source = opened(FILE)
    before, other = runs(source), (runs(source, "session-2"), data_of(source, "session-2"))
    restored(source, keys(source)[0])
    assert runs(source) == before[:1]
    assert read(source).thread.state == {"count": 5, "cart": ["hello"]}
    assert json.loads(str(data_of(source)))["session_metrics"] == {}
    assert (runs(source, "session-2"), data_of(source, "session-2")) == other


def test_undo_puts_the_runs_back_as_they_were(opened: Opener):
    source = opened(FILE)
    before, data = runs(source), data_of(source)
    done = restored(source, keys(source)[0])
    restore.undo(done, by=SYSTEM)
    assert runs(source) == before
    assert json.loads(str(data_of(source))) == json.loads(str(data))


def test_an_undo_can_be_undone(opened: Opener):
    source = opened(FILE)
    before = runs(source)
    undone = restore.undo(restored(source, str(before[0][0])), by=SYSTEM)
    again = restore.undo(undone, by=SYSTEM)
    assert runs(source) == before[:1]
    restore.undo(again, by=SYSTEM)
    assert runs(source) == before


def test_the_mirror_has_the_restore_and_its_undo_once(opened: Opener):
    source = opened(FILE)
    done = restored(source, keys(source)[0])
    count = models.Transition.objects.of_agent(AGENT).count()
    assert sync(source) == count
    restore.undo(done, by=SYSTEM)
    assert sync(source) == count + 1


def test_what_the_session_does_next_is_one_step_more(opened: Opener):
    source = opened(FILE)
    restored(source, keys(source)[1])
    count = sync(source)
    appended(source, "new")
    run(source, "UPDATE agno_sessions SET session_data = '{\"session_state\": {\"count\": 5, \"cart\": [\"hello\"]}}'"
                " WHERE session_id = 'session-1'")  # fmt: skip
    assert sync(source) == count + 1


@pytest.mark.parametrize("session", ["session-1", "session-2"])
def test_every_step_of_every_session_can_be_put_back_and_undone(opened: Opener, session: str):
    source = opened(FILE)
    steps = list(read(source, session).steps)
    before = runs(source, session)
    for place, step in enumerate(steps):
        for side, state, number in (("before", step.before, place), ("after", step.after, place + 1)):
            done = restored(source, step.key, session, side)
            assert read(source, session).thread.state == state
            assert runs(source, session) == before[:number]
            restore.undo(done, by=SYSTEM)
            assert runs(source, session) == before


def test_a_removed_moment_comes_back_from_the_timeline(opened: Opener):
    source = opened(FILE)
    before = runs(source)
    restored(source, str(before[0][0]))
    with pytest.raises(Conflict, match="no longer in the file"):
        restored(source, str(before[1][0]))
    restored(source, str(before[2][0]))
    assert runs(source) == before


def test_restores_one_after_the_other_are_undone_in_turn(opened: Opener):
    source = opened(FILE)
    before = runs(source)
    first = restored(source, str(before[1][0]))
    second = restored(source, str(before[0][0]))
    with pytest.raises(Conflict, match="Undo the latest restore first"):
        restore.undo(first, by=SYSTEM)
    restore.undo(second, by=SYSTEM)
    restore.undo(first, by=SYSTEM)
    assert runs(source) == before


def test_undo_is_refused_once_the_session_went_on(opened: Opener):
    source = opened(FILE)
    done = restored(source, keys(source)[0])
    appended(source, "new")
    sync(source)
    now = runs(source)
    with pytest.raises(Conflict, match="cannot be put back behind others"):
        restore.undo(done, by=SYSTEM)
    assert runs(source) == now


def test_a_session_that_went_on_is_left_alone(opened: Opener):
    source = opened(FILE)
    planned = restore.plan(AGENT, moment(source, keys(source)[0]))
    appended(source, "new")
    now = runs(source)
    with pytest.raises(Moved, match="The thread went on"):
        restore.apply(planned, by=SYSTEM)
    assert runs(source) == now
    assert models.Restore.objects.count() == 0


def test_a_part_is_set_without_removing_a_run(opened: Opener):
    source = opened(FILE)
    before = runs(source)
    planned = restore.plan(AGENT, moment(source, keys(source)[0]), paths=["/count"])
    assert "No run is removed: the model sees the whole conversation." in [warning.text for warning in planned.warnings]
    done = restore.apply(planned, by=SYSTEM)
    assert read(source).thread.state == {"count": 5, "cart": ["bye"]}
    assert runs(source) == before
    count = models.Transition.objects.of_agent(AGENT).count()
    assert sync(source) == count
    restore.undo(done, by=SYSTEM)
    assert read(source).thread.state == {"count": 3, "cart": ["bye"]}


def test_runs_that_belong_to_a_run_stay_and_go_with_it(opened: Opener):
    source = opened(FILE)
    first, second, third = keys(source)
    for key, parent in (("one", first), ("two", third)):
        appended(source, key)
        run(source, "UPDATE agno_runs SET parent_run_id = ? WHERE run_id = ?", parent, key)
    sync(source)
    before = runs(source)
    done = restored(source, second)
    assert keys(source) == [first, second, "one"]
    restore.undo(done, by=SYSTEM)
    assert runs(source) == before


def test_a_run_that_has_not_ended_is_removed_and_comes_back(opened: Opener):
    source = opened(FILE)
    last = keys(source)[-1]
    appended(source, "paused")
    run(source, "UPDATE agno_runs SET status = 'PAUSED' WHERE run_id = 'paused'")
    sync(source)
    before = runs(source)
    done = restored(source, last)
    assert runs(source) == before[:-1]
    restore.undo(done, by=SYSTEM)
    assert runs(source) == before


def test_what_is_too_large_for_an_undo_is_refused(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened(FILE)
    monkeypatch.setattr(removals, "_KEPT_BYTES", 1000)
    before = runs(source)
    with pytest.raises(Conflict, match="an undo could not put back"):
        restored(source, keys(source)[0])
    assert runs(source) == before


def test_the_preview_says_what_is_removed(opened: Opener):
    source = opened(FILE)
    planned = restore.plan(AGENT, moment(source, keys(source)[0]))
    assert [warning.text for warning in planned.warnings if warning.kind == "source"] == [
        "The session's state in small.sqlite is set.",
        "2 runs after this moment are removed. An undo puts them back, while the session has not gone on.",
        "What tools did elsewhere, memories and summaries are not turned back.",
    ]
