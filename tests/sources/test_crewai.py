"""CrewAI's flow states and checkpoints. What is expected is read from the files with plain SQL."""

import json

import pytest

from statestore.sources.contract import opaque
from statestore.sources.readers.columns import list_of, object_of
from statestore.sources.readers.crewai import CrewAICheckpointsReader, CrewAIFlowReader
from tests.sources.stores import DEEP, copied, opened, steps_after, survives, whole

FLOWS, CHECKPOINTS = "crewai/flow_states.db", "crewai/checkpoints.db"
FLOW_READER, READER = CrewAIFlowReader(), CrewAICheckpointsReader()
TWICE, ONCE = "e9f6aa5d-d1a0-4f4d-8c58-873c6d3ebb37", "6c7c27eb-1151-41b0-b564-7037bd3813ab"
CREW = "fde3aa69-1276-4691-abe3-e63395a274e8"
KEYS = ["20261126T172931_3f15aab1", "20261126T172935_7bf29502", "20261126T172936_d1f4922e"]
TASKS = [
    "fe465b65-3af8-4305-acfe-41a7c0703f66",
    "dbaa314e-ba87-4f7f-a910-90f791072cc0",
    "5ca6768a-543f-470f-b5ee-c2dfd12bc05c",
]


def _copy(rows, key, parent, *, branch="main", of=1):
    """Append a copy of a checkpoint."""
    rows.execute(
        "INSERT INTO checkpoints SELECT ?, '20261126T180000', ?, ?, data FROM checkpoints WHERE rowid = ?",
        (key, parent, branch, of),
    )


# Flows


def test_flows_and_their_states_are_counted():
    with opened(FLOWS) as rows:
        assert FLOW_READER.count(rows) == {"threads": 2, "states": 9}
        assert [thread_id for thread_id, _ in FLOW_READER.positions(rows)] == [ONCE, TWICE]


def test_each_state_that_a_flow_saved_is_a_step():
    with opened(FLOWS) as rows:
        history = whole(FLOW_READER.read(rows, TWICE))
        saved = [
            json.loads(str(state))
            for (state,) in rows.execute("SELECT state_json FROM flow_states WHERE flow_uuid = ? ORDER BY id", (TWICE,))
        ]

    steps = list(history.steps)
    assert [(step.key, step.reason) for step in steps] == [
        ("1", "begin"), ("2", "work"), ("3", "finish"), ("4", "begin"), ("5", "work"), ("6", "finish"),
    ]  # fmt: skip
    assert [step.after for step in steps] == saved
    assert [step.before for step in steps] == [{}, *saved[:-1]]
    assert history.thread.state == saved[-1]
    # 2026-11-26 17:29:16.394838 UTC, by `date -u +%s.%N`.
    assert history.thread.created_at == steps[0].at == 1795714156.394838


def test_a_flow_that_asks_a_human_is_paused():
    with copied(FLOWS) as rows:
        before = dict(FLOW_READER.positions(rows))
        rows.execute("INSERT INTO pending_feedback VALUES (1, ?, '{\"ask\": \"ok?\"}', '{}', '2026-11-26')", (ONCE,))
        after = dict(FLOW_READER.positions(rows))
        history = whole(FLOW_READER.read(rows, ONCE))

    assert (before[ONCE] != after[ONCE], before[TWICE] != after[TWICE]) == (True, False)
    assert history.thread.status == "paused"
    assert history.thread.metadata["pending_feedback"] == {"asked": {"ask": "ok?"}}
    assert history.marks == {list(history.steps)[-1].key: "waits for feedback"}


def test_a_file_without_the_table_of_feedback_is_read():
    with copied(FLOWS) as rows:
        rows.execute("DROP TABLE pending_feedback")

        assert len(list(FLOW_READER.positions(rows))) == 2
        assert FLOW_READER.read(rows, ONCE).thread.status == "idle"


@pytest.mark.parametrize("thread_id", [ONCE, TWICE])
def test_reading_a_flow_after_a_step_gives_exactly_the_later_ones(thread_id):
    with opened(FLOWS) as rows:
        assert steps_after(FLOW_READER, rows, thread_id)


@pytest.mark.parametrize("after", ["9" * 30, "-1", "x", "９"])
def test_a_key_that_no_row_can_have_is_no_error(after):
    with opened(FLOWS) as rows:
        assert len(list(FLOW_READER.read(rows, ONCE, after).steps)) == 3


@pytest.mark.parametrize("state", [DEEP, "NaN", '{"a": 1, "a": 2}', "", b"\xff"])
def test_a_state_that_is_no_json_is_opaque(state):
    with copied(FLOWS) as rows:
        rows.execute("UPDATE flow_states SET state_json = ? WHERE id = 8", (state,))
        _, second, third = whole(FLOW_READER.read(rows, ONCE)).steps

    assert "$opaque" in object_of(second.after)
    assert third.before == second.after


def test_a_flow_that_is_gone_is_empty():
    with opened(FLOWS) as rows:
        history = whole(FLOW_READER.read(rows, "gone"))

    assert (history.thread.state, history.steps) == ({}, [])


def test_damaged_flow_states_give_a_history_or_an_error_of_sqlites():
    assert survives(FLOW_READER, FLOWS)


# Checkpoints


def test_crews_and_checkpoints_are_counted():
    with opened(CHECKPOINTS) as rows:
        assert READER.count(rows) == {"threads": 1, "checkpoints": 3}
        assert [thread_id for thread_id, _ in READER.positions(rows)] == [CREW]


def test_each_checkpoint_is_a_step_that_tells_which_task_was_done():
    with opened(CHECKPOINTS) as rows:
        history = whole(READER.read(rows, CREW))

    steps = list(history.steps)
    # 2026-11-26 17:29:31 UTC, by `date -u +%s`.
    assert [(step.key, step.at, step.reason, step.back) for step in steps] == [
        (KEYS[0], 1795714171.0, "task_completed: step 0 about Köln", ""),
        (KEYS[1], 1795714175.0, "task_completed: step 1 about Köln", ""),
        (KEYS[2], 1795714176.0, "task_completed: step 2 about Köln", ""),
    ]
    assert [step.before for step in steps] == [{}, steps[0].after, steps[1].after]
    assert history.thread.state == steps[2].after
    assert (history.thread.name, history.thread.status) == ("crew", "completed")


def test_a_checkpoints_state_is_what_changes_in_the_crew():
    with opened(CHECKPOINTS) as rows:
        states = [object_of(step.after) for step in READER.read(rows, CREW).steps]
        stored = rows.execute(
            "SELECT json(data -> '$.entities[0].tasks[0].output'), json(data -> '$.entities[0].checkpoint_inputs'),"
            " json(data -> '$.entities[0].agents[0].agent_executor.checkpoint_state') FROM checkpoints ORDER BY rowid"
        )
        found = [tuple(json.loads(str(value)) for value in row) for row in stored]

    for state, (output, inputs, memory) in zip(states, found, strict=True):
        assert object_of(list_of(state["tasks"])[0])["output"] == output
        assert state["inputs"] == inputs == {"topic": "Köln"}
        assert object_of(list_of(state["agents"])[0])["memory"] == memory
    outputs = [[object_of(task)["output"] is not None for task in list_of(state["tasks"])] for state in states]
    assert outputs == [[True, False, False], [True, True, False], [True, True, True]]


def test_tasks_are_those_of_the_newest_checkpoint():
    with copied(CHECKPOINTS) as rows:
        rows.execute("DELETE FROM checkpoints WHERE rowid = 3")
        tasks = list(READER.read(rows, CREW).tasks)

    assert [(task.key, task.title, task.is_done) for task in tasks] == [
        (TASKS[0], "step 0 about Köln", True),
        (TASKS[1], "step 1 about Köln", True),
        (TASKS[2], "step 2 about Köln", False),
    ]


def test_each_event_of_the_record_comes_once_in_the_order_of_its_emission():
    with opened(CHECKPOINTS) as rows:
        events = list(READER.read(rows, CREW).events)
        stored = list(
            rows.execute(
                "SELECT key, value ->> '$.event.type' FROM checkpoints, json_each(data, '$.event_record.nodes')"
                " WHERE checkpoints.rowid = 3"
            )
        )

    assert [(event.key, event.kind) for event in events] == stored
    assert [event.metadata["emission_sequence"] for event in events] == list(range(1, 31))
    assert [event.content for event in events if event.kind == "task_completed"] == [
        "result 1 🌞", "result 2 🌞", "result 3 🌞",
    ]  # fmt: skip


def test_reading_after_a_checkpoint_gives_exactly_the_later_ones():
    with opened(CHECKPOINTS) as rows:
        assert steps_after(READER, rows, CREW)


def test_reading_after_a_checkpoint_gives_the_events_that_it_did_not_record():
    with opened(CHECKPOINTS) as rows:
        found = [[event.metadata["emission_sequence"] for event in READER.read(rows, CREW, key).events] for key in KEYS]

    assert found == [list(range(11, 31)), list(range(21, 31)), []]


def test_a_crew_whose_first_checkpoint_cannot_be_read_is_called_after_it():
    with copied(CHECKPOINTS) as rows:
        rows.execute("UPDATE checkpoints SET data = x'dcff' WHERE rowid = 1")

        assert [thread_id for thread_id, _ in READER.positions(rows)] == [KEYS[0]]
        assert [step.key for step in READER.read(rows, KEYS[0]).steps] == KEYS


def test_a_branch_goes_back_to_the_checkpoint_that_it_was_made_from():
    with copied(CHECKPOINTS) as rows:
        position = dict(READER.positions(rows))
        _copy(rows, "forked", KEYS[0], branch="other", of=2)
        (step,) = READER.read(rows, CREW, KEYS[2]).steps
        history = whole(READER.read(rows, CREW))

        assert dict(READER.positions(rows)) != position
    assert (step.key, step.back, step.metadata["branch"]) == ("forked", f"back to {KEYS[0]}", "other")
    first, _, _, last = history.steps
    assert (last, step.before) == (step, first.after)
    assert history.thread.metadata["branches"] == ["main", "other"]
    # The two tips repeat the events that they share.
    assert len(list(history.events)) == 30


def test_a_crew_whose_first_checkpoints_were_pruned_keeps_its_id():
    with copied(CHECKPOINTS) as rows:
        rows.execute("DELETE FROM checkpoints WHERE rowid < 3")
        (step,) = READER.read(rows, CREW).steps

    assert (step.key, step.before, step.back) == (KEYS[2], {}, "")


def test_data_that_are_no_jsonb_are_opaque():
    with copied(CHECKPOINTS) as rows:
        rows.execute("UPDATE checkpoints SET data = x'dcff' WHERE rowid = 2")
        first, second, third = whole(READER.read(rows, CREW)).steps

    assert second.after == third.before == opaque("malformed JSONB", b"\xdc\xff")
    assert "tasks" in object_of(first.after)


def test_data_that_are_json_text_are_read():
    with copied(CHECKPOINTS) as rows:
        expected = whole(READER.read(rows, CREW))
        rows.execute("UPDATE checkpoints SET data = json(data)")

        assert whole(READER.read(rows, CREW)) == expected


def test_a_crew_that_is_gone_is_empty():
    with opened(CHECKPOINTS) as rows:
        history = whole(READER.read(rows, "gone"))

    assert (history.thread.state, history.steps) == ({}, [])


def test_damaged_checkpoints_give_a_history_or_an_error_of_sqlites():
    assert survives(READER, CHECKPOINTS)
