"""Agno's databases of version 2, and those that version 3 took over: read and restored as Agno itself reads them."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.errors import Conflict, Moved
from statestore.models.sources import Source
from statestore.sources import files
from statestore.sources.contract import opaque
from statestore.sources.readers.agno import AgnoReader
from statestore.sources.row_ids import row_id
from statestore.sources.writers import removals
from tests.sources.conftest import Opener
from tests.sources.stores import DEEP, copied, steps_after, survives, whole
from tests.sources.stores import opened as reading

pytestmark = pytest.mark.django_db

READER = AgnoReader()
SAID = ["apples", "pears", 'eggs & "milk"', "bread"]
# In half of them a run is in a row and the older ones in the list; in the last one, in both.
NUMBERS = {"version_2": 3, "half_moved": 4, "moved": 4}


@pytest.fixture(params=NUMBERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_run_is_a_step_whether_it_is_in_a_row_or_in_a_list(name: str):
    with reading(f"agno/{name}.sqlite") as rows:
        history = whole(READER.read(rows, "s1"))
        others = {thread_id for thread_id, _ in READER.positions(rows)}
        assert READER.count(rows) == {"threads": 2}

    number = NUMBERS[name]
    steps = list(history.steps)
    assert [step.reason for step in steps] == [f"run {i}: {said}" for i, said in enumerate(SAID[:number], 1)]
    assert [step.after for step in steps] == [{"cart": SAID[: i + 1]} for i in range(number)]
    assert history.thread.state == {"cart": SAID[:number]}
    assert [event.content for event in history.events if event.actor == "User"] == SAID[:number]
    assert others == {"s1", "s 2/🙂"}


def test_a_row_that_was_written_again_later_does_not_change_when_its_run_was():
    """Agno's own migration writes the rows of old runs after those of new ones."""
    with reading("agno/moved.sqlite") as rows:
        times = [step.at for step in READER.read(rows, "s1").steps]

    assert times == sorted(times)
    assert times[0] == times[2] < times[3]


def test_reading_after_a_step_gives_exactly_the_later_ones(name: str):
    with reading(f"agno/{name}.sqlite") as rows:
        assert steps_after(READER, rows, "s1")


def test_damaged_values_give_a_history_or_an_error_of_sqlites(name: str):
    assert survives(READER, f"agno/{name}.sqlite")


@pytest.mark.parametrize("data", [DEEP, "NaN", b"\xff", '"["'])
def test_a_list_that_cannot_be_read_is_one_opaque_run(data: str | bytes):
    with copied("agno/version_2.sqlite") as rows:
        rows.execute("UPDATE agno_sessions SET runs = ? WHERE session_id = 's1'", (data,))
        (step,) = whole(READER.read(rows, "s1")).steps

    raw = {b"\xff": b"\xff", '"["': b"["}.get(data, str(data).encode())
    kind = "bytes that are not text" if isinstance(data, bytes) else "text that is not JSON"
    assert step.after == opaque(kind, raw)


def test_a_change_within_the_same_second_is_seen():
    with copied("agno/version_2.sqlite") as rows:
        before = dict(READER.positions(rows))
        rows.execute("UPDATE agno_sessions SET runs = NULL WHERE session_id = 's1'")
        after = dict(READER.positions(rows))

    assert before["s1"] != after["s1"]
    assert before["s 2/🙂"] == after["s 2/🙂"]


def test_tables_of_other_names_are_known_by_their_columns_and_kept_apart():
    with copied("agno/version_2.sqlite") as rows, copied("agno/small.sqlite") as others:
        rows.execute("ALTER TABLE agno_sessions RENAME TO \"my 'chats'\"")
        others.execute("ALTER TABLE agno_sessions RENAME TO chats")
        others.execute("ALTER TABLE agno_runs RENAME TO done")
        assert READER.recognises(rows.tables())
        assert READER.recognises(others.tables())
        assert len(list(READER.read(rows, "s1").steps)) == 3
        assert len(list(READER.read(others, "session-1").steps)) == 3

        rows.execute("CREATE TABLE agno_sessions AS SELECT * FROM \"my 'chats'\"")
        both = dict(READER.positions(rows))
        assert set(both) == {f"{table}/{id}" for table in ("agno_sessions", "my 'chats'") for id in ("s1", "s 2/🙂")}
        assert READER.read(rows, "my 'chats'/s1").thread.metadata["session_id"] == "s1"


# Restores


def run(source: Source, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(source.path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def unwrapped(value: Any) -> Any:
    found = json.loads(value) if value is not None else None
    return json.loads(found) if isinstance(found, str) else found


def stored(source: Source, session: str = "s1") -> tuple[Any, ...]:
    """Return a session's data, its list, and its rows of runs."""
    ((data, runs),) = run(source, "SELECT session_data, runs FROM agno_sessions WHERE session_id = ?", session)
    has_rows = run(source, "SELECT 1 FROM sqlite_master WHERE name = 'agno_runs'")
    sql = "SELECT * FROM agno_runs WHERE session_id = ? ORDER BY run_index"
    return unwrapped(data), unwrapped(runs), run(source, sql, session) if has_rows else []


def told(source: Source) -> list[str]:
    """Return what the user said in the runs that Agno shows: those of the list, and those of rows that it lacks."""
    _, listed, rows = stored(source)
    runs = {item["run_id"]: item for item in listed or []} | {row[0]: json.loads(row[10]) for row in rows}
    return [item["input"]["input_content"] for item in runs.values()]


def moment(source: Source, place: int, side: str = "after") -> str:
    thread = source.threads.select_related("source").get(thread_id="s1")
    with files.opened(Path(source.path)) as rows:
        step = list(READER.read(rows, "s1").steps)[place]
    return f"transition:{row_id(thread, 'transition', step.key)}:{side}"


def restored(source: Source, place: int, side: str = "after") -> models.Restore:
    return restore.apply(restore.plan(f"{source.name}/s1", moment(source, place, side)), by=SYSTEM)


def test_every_step_can_be_put_back_and_undone_wherever_its_run_is(opened: Opener, name: str):
    source = opened(f"agno/{name}.sqlite")
    before, other = stored(source), stored(source, "s 2/🙂")
    for place in range(NUMBERS[name]):
        done = restored(source, place)
        assert told(source) == SAID[: place + 1]
        assert stored(source)[0]["session_state"] == {"cart": SAID[: place + 1]}
        restore.undo(done, by=SYSTEM)
        assert stored(source) == before
    assert stored(source, "s 2/🙂") == other


def test_before_the_first_run_there_is_no_list_that_version_2_could_not_load(opened: Opener, name: str):
    source = opened(f"agno/{name}.sqlite")
    before = stored(source)
    done = restored(source, 0, "before")
    assert stored(source)[1:] == (None, [])
    restore.undo(restore.undo(restore.undo(done, by=SYSTEM), by=SYSTEM), by=SYSTEM)
    assert stored(source)[1:] == before[1:]


def test_columns_stay_texts_within_texts_where_version_2_wrote_them_so(opened: Opener):
    source = opened("agno/version_2.sqlite")
    restored(source, 1)
    for column in run(source, "SELECT session_data, runs FROM agno_sessions WHERE session_id = 's1'")[0]:
        assert isinstance(json.loads(column), str)


def test_the_preview_counts_a_run_once_that_is_in_a_row_and_in_the_list(opened: Opener):
    source = opened("agno/moved.sqlite")
    planned = restore.plan("moved/s1", moment(source, 1))
    expected = "2 runs after this moment are removed. An undo puts them back, while the session has not gone on."
    assert expected in [warning.text for warning in planned.warnings]
    done = restore.apply(planned, by=SYSTEM)
    back = restore.plan_undo(done)
    assert "2 runs that a restore had removed come back." in [warning.text for warning in back.warnings]


def test_a_run_that_came_meanwhile_is_not_lost(opened: Opener):
    source = opened("agno/version_2.sqlite")
    planned = restore.plan("version_2/s1", moment(source, 0))
    listed = stored(source)[1]
    more = json.dumps([*listed, {**listed[0], "run_id": "new"}])
    run(source, "UPDATE agno_sessions SET runs = ? WHERE session_id = 's1'", more)
    with pytest.raises(Moved, match="The thread went on"):
        restore.apply(planned, by=SYSTEM)
    assert len(stored(source)[1]) == 4


def test_a_list_that_cannot_be_read_is_left_alone(opened: Opener):
    source = opened("agno/half_moved.sqlite")
    before = moment(source, 2)
    run(source, "UPDATE agno_sessions SET runs = '[' WHERE session_id = 's1'")
    with pytest.raises((Conflict, Moved)):
        restore.apply(restore.plan("half_moved/s1", before), by=SYSTEM)
    assert run(source, "SELECT runs FROM agno_sessions WHERE session_id = 's1'") == [("[",)]


def test_what_is_too_large_for_an_undo_is_refused(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened("agno/version_2.sqlite")
    monkeypatch.setattr(removals, "_KEPT_BYTES", 1000)
    before = stored(source)
    with pytest.raises(Conflict, match="an undo could not put back"):
        restored(source, 0)
    assert stored(source) == before
