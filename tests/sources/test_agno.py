"""Agno's sessions and runs. What is expected is read from the file with plain SQL."""

import json

import pytest

from statestore.sources.contract import opaque
from statestore.sources.readers.agno import AgnoReader
from tests.sources.stores import DEEP, copied, opened, steps_after, survives, whole

SMALL = "agno/small.sqlite"
READER = AgnoReader()
RUNS = [
    "39e0ad87-1e55-43d2-9622-c7aff7ad24e6",
    "450be84c-1834-4ef6-ae1c-eefb512a24f6",
    "cd9a39a1-a5f0-4de2-b3ae-d12bd653a1ea",
]
STATES = [{"count": 5, "cart": ["hello"]}, {"count": 5, "cart": ["日本語 😀"]}, {"count": 3, "cart": ["bye"]}]
# 2026-11-26 17:20:47 UTC, by `date -u +%s`.
AT = 1_795_713_647


def test_sessions_and_runs_are_counted():
    with opened(SMALL) as rows:
        assert READER.count(rows) == {"threads": 2, "runs": 6}


def test_the_session_that_changed_last_comes_first():
    with copied(SMALL) as rows:
        rows.execute("UPDATE agno_runs SET updated_at = updated_at + 9 WHERE session_id = 'session-1'")

        assert [thread_id for thread_id, _ in READER.positions(rows)] == ["session-1", "session-2"]


def test_each_run_is_a_step_to_the_state_at_its_end():
    with opened(SMALL) as rows:
        history = whole(READER.read(rows, "session-1"))

    steps = list(history.steps)
    assert [(step.key, step.reason, step.at) for step in steps] == [
        (RUNS[0], "run 1: hello", AT + 1),
        (RUNS[1], "run 2: 日本語 😀", AT + 2),
        (RUNS[2], "run 3: bye", AT + 3),
    ]
    assert [step.after for step in steps] == STATES
    assert [step.before for step in steps] == [{}, *STATES[:2]]
    assert history.thread.state == STATES[2]
    assert (history.thread.created_at, history.thread.updated_at) == (AT, AT + 3)
    assert history.thread.metadata["agent_id"] == "helper"


def test_runs_are_ordered_by_their_index():
    with copied(SMALL) as rows:
        rows.execute("UPDATE agno_runs SET run_index = -run_index")

        assert [step.key for step in READER.read(rows, "session-1").steps] == RUNS[::-1]


def test_an_event_says_who_said_what():
    with opened(SMALL) as rows:
        events = list(READER.read(rows, "session-1").events)

    assert [(event.actor, event.kind, event.content) for event in events] == [
        ("User", "message", "hello"),
        ("Agent", "message", "answer 1; 1 messages 🌞"),
        ("User", "message", "日本語 😀"),
        ("Agent", "message", "answer 2; 3 messages 🌞"),
        ("User", "message", "bye"),
        ("Agent", "message", "answer 3; 5 messages 🌞"),
    ]
    assert events[0].key == "f20e60f3-b8d7-4d5a-abae-e9d3e4fd933e"


def test_a_message_that_a_run_repeats_from_the_history_is_no_event_of_it():
    with copied(SMALL) as rows:
        rows.execute("UPDATE agno_runs SET run_data = json_set(run_data, '$.messages[0].from_history', json('true'))")

        assert [event.actor for event in READER.read(rows, "session-1").events] == ["Agent"] * 3


@pytest.mark.parametrize("thread_id", ["session-1", "session-2"])
def test_reading_after_a_step_gives_exactly_the_later_ones(thread_id):
    with opened(SMALL) as rows:
        assert steps_after(READER, rows, thread_id)


def test_a_last_run_that_has_not_ended_is_no_step_yet():
    with copied(SMALL) as rows:
        rows.execute("UPDATE agno_runs SET status = 'RUNNING' WHERE run_id = ?", (RUNS[2],))
        running = dict(READER.positions(rows))
        history = whole(READER.read(rows, "session-1"))
        rows.execute("UPDATE agno_runs SET status = 'ERROR' WHERE run_id = ?", (RUNS[2],))
        later = READER.read(rows, "session-1", RUNS[1])
        (ended,) = later.steps

        assert dict(READER.positions(rows)) != running
    assert [step.key for step in history.steps] == RUNS[:2]
    assert history.thread.status == "running"
    assert len(list(history.events)) == 6
    assert (ended.key, later.marks) == (RUNS[2], {RUNS[2]: "failed"})


def test_a_run_that_another_run_made_is_no_step():
    with copied(SMALL) as rows:
        rows.execute("UPDATE agno_runs SET parent_run_id = ? WHERE run_id = ?", (RUNS[2], RUNS[1]))
        steps = list(READER.read(rows, "session-1").steps)

    assert [(step.key, step.before) for step in steps] == [(RUNS[0], {}), (RUNS[2], STATES[0])]


def test_a_run_without_a_state_leaves_it_as_it_was():
    with copied(SMALL) as rows:
        rows.execute("UPDATE agno_runs SET run_data = json_remove(run_data, '$.session_state') WHERE run_index = 1")
        steps = list(READER.read(rows, "session-1").steps)

    assert [step.after for step in steps] == [STATES[0], STATES[0], STATES[2]]


@pytest.mark.parametrize("data", [DEEP, "NaN", "[", b"\xff"])
def test_data_of_a_run_that_are_no_json_are_opaque(data):
    with copied(SMALL) as rows:
        rows.execute("UPDATE agno_runs SET run_data = ? WHERE run_id = ?", (data, RUNS[1]))
        history = whole(READER.read(rows, "session-1"))

    raw = data if isinstance(data, bytes) else data.encode()
    kind = "bytes that are not text" if isinstance(data, bytes) else "text that is not JSON"
    assert [step.after for step in history.steps][1] == opaque(kind, raw)
    assert [event.actor for event in history.events] == ["User", "Agent", "System", "User", "Agent"]


def test_a_session_is_called_what_its_user_called_it():
    with copied(SMALL) as rows:
        data = json.dumps({"session_name": "Trip", "session_state": [1]})
        rows.execute("UPDATE agno_sessions SET session_data = ? WHERE session_id = 'session-1'", (data,))
        thread = READER.read(rows, "session-1").thread

    assert (thread.id, thread.name, thread.state) == ("session-1", "Trip", [1])


def test_a_session_that_is_gone_is_empty():
    with opened(SMALL) as rows:
        history = whole(READER.read(rows, "gone"))

    assert (history.thread.state, history.steps, history.events) == ({}, [], [])


def test_damaged_values_give_a_history_or_an_error_of_sqlites():
    assert survives(READER, SMALL)
