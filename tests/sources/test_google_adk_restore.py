"""A restore of an ADK session: its state is the old one, and one event rewinds it. Nothing is removed."""

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
from statestore.sources.contract import History, Step
from statestore.sources.readers.google_adk import GoogleADKReader
from statestore.sources.row_ids import row_id
from statestore.sources.state_texts import state_text
from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db

FILES = ["sqlite_service", "database_service_v1"]
S1, REWOUND, OTHER = "demo_app/user-1/s1", "demo_app/user-1/rewound", "demo_app/user-2/s1"


def run(source: Source, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(source.path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def events(source: Source, thread: str) -> list[tuple[object, ...]]:
    sql = "SELECT * FROM events WHERE app_name = ? AND user_id = ? AND session_id = ? ORDER BY timestamp, rowid"
    return run(source, sql, *thread.split("/"))


def row_of(source: Source, thread: str) -> tuple[object, ...]:
    return run(source, "SELECT * FROM sessions WHERE app_name = ? AND user_id = ? AND id = ?", *thread.split("/"))[0]


def read(source: Source, thread: str) -> History:
    with files.opened(Path(source.path)) as rows:
        return GoogleADKReader().read(rows, thread)


def steps_of(source: Source, thread: str) -> list[Step]:
    return list(read(source, thread).steps)


def moment(source: Source, thread: str, key: str, side: str = "after") -> str:
    mirrored = source.threads.select_related("source").get(thread_id=thread)
    return f"transition:{row_id(mirrored, 'transition', key)}:{side}"


def restored(source: Source, thread: str, key: str, side: str = "after") -> models.Restore:
    planned = restore.plan(f"{source.name}/{thread}", moment(source, thread, key, side))
    return restore.apply(planned, by=SYSTEM, reason="it went wrong")


def transitions(source: Source, thread: str) -> int:
    """Return the number of transitions after a sync."""
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    return models.Transition.objects.of_agent(f"{source.name}/{thread}").count()


def last_event(source: Source, thread: str) -> dict[str, object]:
    event: dict[str, object] = json.loads(str(events(source, thread)[-1][-1]))
    return event


def live(source: Source, thread: str) -> list[str]:
    """Return the ids of the events that ADK shows the model, by ADK's own rule."""
    found = [(str(row[0]), str(row[4]), json.loads(str(row[-1]))["actions"]) for row in events(source, thread)]
    first = {invocation: place for place, (_, invocation, _) in reversed(list(enumerate(found)))}
    kept, place = [], len(found) - 1
    while place >= 0:
        if before := found[place][2].get("rewind_before_invocation_id"):
            place = min(place, first[before])
        else:
            kept.append(found[place][0])
        place -= 1
    return kept[::-1]


@pytest.mark.parametrize("name", FILES)
def test_one_event_rewinds_the_session_and_nothing_is_removed(opened: Opener, name: str):
    source = opened(f"google_adk/{name}.sqlite")
    before, others = events(source, S1), (events(source, OTHER), row_of(source, OTHER), events(source, REWOUND))
    was = row_of(source, S1)
    step = steps_of(source, S1)[2]
    restored(source, S1, step.key)
    after = events(source, S1)
    assert after[:-1] == before
    assert read(source, S1).thread.state == step.after
    assert live(source, S1) == [str(row[0]) for row in before[:6]]
    assert type(after[-1][5]) is type(before[-1][5])
    now = row_of(source, S1)
    assert now[5] == after[-1][5], "its time is that of the event"
    assert type(now[5]) is type(was[5])
    assert str(now[5]) > str(was[5])
    assert (events(source, OTHER), row_of(source, OTHER), events(source, REWOUND)) == others


@pytest.mark.parametrize("name", FILES)
def test_every_step_can_be_put_back_and_undone_or_says_why_not(opened: Opener, name: str):
    source = opened(f"google_adk/{name}.sqlite")
    for thread in (S1, REWOUND, OTHER):
        known = steps_of(source, thread)
        was, seen = state_text(read(source, thread).thread.state), live(source, thread)
        refused = put_back = 0
        for step in known:
            for side, state in (("before", step.before), ("after", step.after)):
                try:
                    done = restored(source, thread, step.key, side)
                except Conflict as error:
                    refused += "in the middle of the invocation" in str(error)
                    continue
                assert state_text(read(source, thread).thread.state) == state_text(state)
                restore.undo(done, by=SYSTEM)
                assert state_text(read(source, thread).thread.state) == was
                assert live(source, thread) == seen
                put_back += 1
        assert put_back + refused == 2 * len(known)
        assert put_back >= len(known)


@pytest.mark.parametrize("name", FILES)
def test_the_mirror_has_the_restore_once(opened: Opener, name: str):
    source = opened(f"google_adk/{name}.sqlite")
    done = restored(source, S1, steps_of(source, S1)[2].key)
    count = models.Transition.objects.of_agent(f"{name}/{S1}").count()
    assert transitions(source, S1) == count
    restore.undo(done, by=SYSTEM)
    assert transitions(source, S1) == count + 1


@pytest.mark.parametrize("name", FILES)
def test_what_the_session_does_next_is_one_step_more(opened: Opener, name: str):
    source = opened(f"google_adk/{name}.sqlite")
    # Takes keys away that events had set: the next step must not find them again.
    restored(source, S1, steps_of(source, S1)[0].key)
    count = transitions(source, S1)
    state = {**json.loads(str(row_of(source, S1)[3])), "count": 9}
    said = json.dumps({"author": "helper", "actions": {"state_delta": {"count": 9}}, "timestamp": 4_000_000_000.0})
    at = "2096-10-02 07:06:40.000000" if name == "database_service_v1" else 4_000_000_000.0
    run(source, "INSERT INTO events (id, app_name, user_id, session_id, invocation_id, timestamp, event_data)"
                " VALUES ('new', ?, ?, ?, 'e-new', ?, ?)", *S1.split("/"), at, said)  # fmt: skip
    run(source, "UPDATE sessions SET state = ?, update_time = ? WHERE app_name = ? AND user_id = ? AND id = ?",
        json.dumps(state), at, *S1.split("/"))  # fmt: skip
    assert transitions(source, S1) == count + 1
    agent = models.AgentState.objects.get(agent_id=f"{name}/{S1}")
    assert json.loads(agent.state_data) == state


def test_what_the_session_was_made_with_stays(opened: Opener):
    """ADK's own rewind of this session made its tenant null."""
    source = opened("google_adk/sqlite_service.sqlite")
    restored(source, S1, steps_of(source, S1)[0].key)
    event = last_event(source, S1)
    assert isinstance(event["actions"], dict)
    assert "tenant" not in event["actions"]["state_delta"]
    state = json.loads(str(row_of(source, S1)[3]))
    assert state == {"tenant": "acme", "nested": {"a": [1, 2, {"b": None}]}, "last_answer": "ok, I see 1 contents 🌞"}


def test_a_moment_that_was_rewound_can_be_put_back(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    annulled = steps_of(source, REWOUND)[5]
    restored(source, REWOUND, annulled.key)
    assert read(source, REWOUND).thread.state == annulled.after
    assert len(live(source, REWOUND)) == 12


def test_a_moment_within_an_invocation_is_refused(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    rows = events(source, S1)
    with pytest.raises(Conflict, match=r"in the middle of the invocation e-3fbc8d51.*Choose the step before"):
        restored(source, S1, steps_of(source, S1)[1].key)
    assert events(source, S1) == rows


def test_a_part_is_set_without_a_rewind(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    seen = live(source, S1)
    planned = restore.plan(f"sqlite_service/{S1}", moment(source, S1, steps_of(source, S1)[2].key), paths=["/mode"])
    assert "No event is rewound: the model sees the whole conversation." in [each.text for each in planned.warnings]
    done = restore.apply(planned, by=SYSTEM)
    assert json.loads(str(row_of(source, S1)[3]))["mode"] == "work"
    assert live(source, S1)[:-1] == seen
    restore.undo(done, by=SYSTEM)
    assert json.loads(str(row_of(source, S1)[3]))["mode"] == "stuck"
    assert live(source, S1) == seen


def test_a_part_that_adds_a_key_is_set(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    restored(source, S1, steps_of(source, S1)[0].key)
    later = moment(source, S1, steps_of(source, S1)[2].key)
    restore.apply(restore.plan(f"sqlite_service/{S1}", later, paths=["/count"]), by=SYSTEM)
    assert json.loads(str(row_of(source, S1)[3]))["count"] == 1


@pytest.mark.parametrize("name", FILES)
def test_the_order_of_keys_is_no_change(opened: Opener, name: str):
    source = opened(f"google_adk/{name}.sqlite")
    agent = f"{name}/{OTHER}"
    reasons = models.Transition.objects.of_agent(agent).values_list("reason", flat=True)
    assert "changed at the source" not in list(reasons)
    count = models.Transition.objects.of_agent(f"{name}/{S1}").count()
    assert count == len(steps_of(source, S1))


def test_a_key_of_the_users_state_is_refused(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    edits = [("", '{"user:lang": "fr"}')]
    with pytest.raises(Conflict, match="is not kept in the session's state"):
        restore.plan(f"sqlite_service/{S1}", moment(source, S1, steps_of(source, S1)[2].key), edits=edits)


def test_a_session_that_went_on_is_left_alone(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    planned = restore.plan(f"sqlite_service/{S1}", moment(source, S1, steps_of(source, S1)[0].key))
    run(source, "UPDATE sessions SET update_time = update_time + 1 WHERE user_id = 'user-1' AND id = 's1'")
    rows = events(source, S1)
    with pytest.raises(Moved, match="The thread went on"):
        restore.apply(planned, by=SYSTEM)
    assert events(source, S1) == rows
    assert models.Restore.objects.count() == 0


def test_the_states_of_users_and_apps_are_not_restored(opened: Opener):
    opened("google_adk/sqlite_service.sqlite")
    with pytest.raises(Conflict, match="Restore a session"):
        restore.plan("sqlite_service/demo_app/user-1", "now")


def test_the_preview_says_what_is_rewound(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    planned = restore.plan(f"sqlite_service/{S1}", moment(source, S1, steps_of(source, S1)[2].key))
    said = [warning.text for warning in planned.warnings if warning.kind == "source"]
    assert said[1] == "The last 18 events are rewound: the model no longer sees what was said there."
