"""The sessions of the OpenAI Agents SDK. What is expected is read from the files with plain SQL."""

import json

import pytest

from statestore.sources.contract import opaque
from statestore.sources.readers.columns import list_of, object_of
from statestore.sources.readers.openai_agents import OpenAIAgentsReader
from tests.sources.stores import DEEP, copied, empty, opened, steps_after, survives, whole

SMALL, BRANCHES, ENCRYPTED = (f"openai_agents/{name}.sqlite" for name in ("small", "advanced_branches", "encrypted"))
# 2026-11-26 17:05:57 UTC, by `date -u +%s`.
AT = 1_795_712_757
READER = OpenAIAgentsReader()


def _stored(rows, *ids):
    """Return the items of these messages."""
    return [
        json.loads(data)
        for number in ids
        for (data,) in rows.execute("SELECT message_data FROM agent_messages WHERE id = ?", (number,))
    ]


def _items(history):
    return list_of(object_of(history.thread.state)["items"])


def _say(rows, session_id, text, *, role="user"):
    data = text if role is None else json.dumps({"role": role, "content": text})
    rows.execute("INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)", (session_id, data))


def test_threads_and_items_are_counted():
    with opened(SMALL) as rows:
        assert READER.count(rows) == {"threads": 2, "items": 16}


def test_the_session_that_changed_last_comes_first():
    with opened(SMALL) as rows:
        assert [thread_id for thread_id, _ in READER.positions(rows)] == ["user:42", "conversation-1"]


def test_a_position_differs_once_an_item_is_added_and_once_one_is_removed():
    with copied(SMALL) as rows:
        first = dict(READER.positions(rows))
        _say(rows, "user:42", "more")
        second = dict(READER.positions(rows))
        rows.execute("DELETE FROM agent_messages WHERE id = (SELECT max(id) FROM agent_messages)")
        rows.execute("DELETE FROM agent_messages WHERE id = (SELECT max(id) FROM agent_messages)")
        third = dict(READER.positions(rows))

    assert len({found["user:42"] for found in (first, second, third)}) == 3
    assert first["conversation-1"] == second["conversation-1"] == third["conversation-1"]


def test_each_turn_of_a_user_is_one_step():
    with opened(SMALL) as rows:
        history = whole(READER.read(rows, "conversation-1"))
        first, second = _stored(rows, 1, 2, 3, 4), _stored(rows, 1, 2, 3, 4, 5, 6, 7, 8)

    steps = list(history.steps)
    assert [(step.key, step.reason, step.at, step.back) for step in steps] == [
        ("4", "turn 1: weather?", AT, ""),
        ("8", "turn 2: and tomorrow?", AT, ""),
        ("12", "turn 3: thanks", AT, ""),
    ]
    assert (steps[0].before, steps[0].after) == ({"items": []}, {"items": first})
    assert (steps[1].before, steps[1].after) == ({"items": first}, {"items": second})
    assert history.thread.state == steps[2].after
    assert (history.thread.created_at, history.thread.updated_at) == (AT, AT)


def test_an_event_says_who_said_what():
    with opened(SMALL) as rows:
        events = list(READER.read(rows, "user:42").events)

    assert [(event.key, event.at, event.actor, event.kind, event.content) for event in events] == [
        ("13", AT, "User", "message", "hi"),
        ("14", AT + 1, "Agent", "function_call", '{"city": "K\\u00f6ln"}'),
        ("15", AT + 1, "Tool", "function_call_output", "Köln: sunny 🌞"),
        ("16", AT + 1, "Agent", "message", "answer 2; I saw 3 items"),
    ]
    assert events[1].metadata == {"name": "weather", "call_id": "call_1"}


def test_a_branch_goes_back_to_the_turn_that_it_was_made_from():
    with opened(BRANCHES) as rows:
        history = whole(READER.read(rows, "conv"))
        main, forked = _stored(rows, 1, 2, 3, 4), _stored(rows, 1, 2, 3, 4, 13, 14, 15, 16)

    steps = list(history.steps)
    assert [(step.key, step.reason, step.back, step.metadata["branch"]) for step in steps] == [
        ("4", "turn 1: weather?", "", "main"),
        ("8", "turn 2: second turn", "", "main"),
        ("12", "turn 3: third turn", "", "main"),
        ("20", "turn 2: second turn, said otherwise", "back to turn 1", "branch_from_turn_2_1795712765"),
        ("24", "turn 1: first turn anew", "back to the start", "alt"),
        ("28", "turn 4: fourth on main", "back to turn 3", "main"),
    ]
    assert steps[3].before == steps[0].after == {"items": main, "branch": "main"}
    assert steps[3].after == {"items": forked, "branch": "branch_from_turn_2_1795712765"}
    assert steps[4].before == {"items": [], "branch": "main"}
    assert steps[5].before == steps[2].after
    assert history.thread.state == steps[5].after
    assert history.thread.metadata["branches"] == ["main", "branch_from_turn_2_1795712765", "alt"]


def test_a_message_that_branches_share_is_one_event():
    with opened(BRANCHES) as rows:
        keys = [event.key for event in READER.read(rows, "conv").events]

    assert keys == [str(number) for number in range(1, 25)]


def test_a_step_carries_the_tokens_of_its_turn():
    with opened(BRANCHES) as rows:
        used = [step.metadata.get("total_tokens") for step in READER.read(rows, "conv").steps]

    # The file has no usage of `alt`'s turn and of the fourth on main.
    assert used == [26, 26, 26, 26, None, None]


def test_an_encrypted_item_is_opaque_and_a_step_of_its_own():
    with opened(ENCRYPTED) as rows:
        history = whole(READER.read(rows, "enc"))
        texts = [data for (data,) in rows.execute("SELECT message_data FROM agent_messages ORDER BY id")]

    hidden = [opaque("encrypted item", str(text).encode()) for text in texts]
    assert history.thread.state == {"items": hidden}
    assert history.thread.metadata["unreadable_items"] == 4
    assert [step.reason for step in history.steps] == [f"item {number}: encrypted" for number in (1, 2, 3, 4)]
    assert [step.after for step in history.steps] == [{"items": hidden[:number]} for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("name", "thread_id"), [(SMALL, "conversation-1"), (SMALL, "user:42"), (BRANCHES, "conv"), (ENCRYPTED, "enc")]
)
def test_reading_after_a_step_gives_exactly_the_later_ones(name, thread_id):
    with opened(name) as rows:
        assert steps_after(READER, rows, thread_id)


def test_a_turn_that_went_on_is_read_from_where_it_was():
    with copied(SMALL) as rows:
        _say(rows, "user:42", "one more thing", role="assistant")
        (step,) = READER.read(rows, "user:42", after="16").steps

        assert (step.key, step.reason) == ("17", "turn 1: hi")
        assert step.before == {"items": _stored(rows, 13, 14, 15, 16)}
        assert step.after == {"items": _stored(rows, 13, 14, 15, 16, 17)}


def test_after_items_were_removed_a_new_turn_is_a_step_back():
    with copied(SMALL) as rows:
        rows.execute("DELETE FROM agent_messages WHERE id BETWEEN 5 AND 12")
        _say(rows, "conversation-1", "again")
        (step,) = READER.read(rows, "conversation-1", after="12").steps

        assert (step.key, step.back) == ("17", "back to turn 1")
        assert step.before == {"items": _stored(rows, 1, 2, 3, 4)}


def test_a_branch_that_goes_on_comes_after_what_was_read():
    with copied(BRANCHES) as rows:
        _say(rows, "conv", "more on alt")
        rows.execute(
            "INSERT INTO message_structure (session_id, message_id, branch_id, message_type, sequence_number)"
            " VALUES ('conv', 25, 'alt', 'user', 29)"
        )
        (step,) = READER.read(rows, "conv", after="28").steps

        assert (step.key, step.back, step.reason) == ("29", "back to turn 1", "turn 2: more on alt")
        assert step.before == {"items": _stored(rows, 17, 18, 19, 20), "branch": "alt"}


def test_items_in_no_branch_are_counted_and_not_read():
    with copied(BRANCHES) as rows:
        before = whole(READER.read(rows, "conv"))
        _say(rows, "conv", "by a program that knows nothing of branches")
        after = whole(READER.read(rows, "conv"))

    assert (after.steps, after.events, after.thread.state) == (before.steps, before.events, before.thread.state)
    assert "items_in_no_branch" not in before.thread.metadata
    assert after.thread.metadata["items_in_no_branch"] == 1


def test_an_item_that_a_branch_adds_to_its_turn_is_not_of_the_branch_before_it():
    with copied(BRANCHES) as rows:
        _say(rows, "conv", "late", role="assistant")
        rows.execute(
            "INSERT INTO message_structure (session_id, message_id, branch_id, message_type, sequence_number)"
            " VALUES ('conv', 25, 'alt', 'assistant', 29)"
        )
        *_, fourth, late = READER.read(rows, "conv").steps

        assert (fourth.key, late.key, late.back, late.reason) == (
            "28",
            "29",
            "back to turn 1",
            "turn 1: first turn anew",
        )
        assert late.before == {"items": _stored(rows, 17, 18, 19, 20), "branch": "alt"}


def test_a_row_that_is_no_json_is_opaque_in_its_place_and_counted():
    with copied(SMALL) as rows:
        rows.execute("UPDATE agent_messages SET message_data = '{' WHERE id = 15")
        history = whole(READER.read(rows, "user:42"))

    assert _items(history)[2] == opaque("text that is not JSON", b"{")
    assert history.thread.metadata["unreadable_items"] == 1
    assert [step.reason for step in history.steps] == ["turn 1: hi"]


@pytest.mark.parametrize("data", [DEEP, "NaN", '{"a": 1, "a": 2}', "1e400", b"\xff", "7", '"text"', "[1]"])
def test_any_data_of_a_message_give_a_value(data):
    with copied(SMALL) as rows:
        rows.execute("UPDATE agent_messages SET message_data = ? WHERE id = 13", (data,))

        assert len(_items(whole(READER.read(rows, "user:42")))) == 4


def test_messages_of_a_session_without_a_row_are_read():
    with copied(SMALL) as rows:
        _say(rows, "orphan/🌞%2F", "hello")

        assert "orphan/🌞%2F" in dict(READER.positions(rows))
        assert [step.reason for step in READER.read(rows, "orphan/🌞%2F").steps] == ["turn 1: hello"]


def test_a_session_without_messages_has_an_empty_state():
    with copied(SMALL) as rows:
        rows.execute("DELETE FROM agent_messages")
        history = whole(READER.read(rows, "user:42"))

        assert (history.thread.state, history.steps) == ({"items": []}, [])


def test_what_stands_before_the_first_turn_is_a_step():
    with copied(SMALL) as rows:
        _say(rows, "new", "Be brief.", role="system")
        _say(rows, "new", "hello")

        assert [step.reason for step in READER.read(rows, "new").steps] == ["before turn 1", "turn 1: hello"]


def test_tables_may_have_any_name_and_be_several():
    with empty() as rows:
        for name in ("my/sessions", 'odd"'):
            sessions, messages = (f'"{(name + end).replace(chr(34), chr(34) * 2)}"' for end in ("", " log"))
            rows.execute(f"CREATE TABLE {sessions} (session_id VARCHAR PRIMARY KEY, created_at, updated_at)")
            rows.execute(
                f"CREATE TABLE {messages} (id INTEGER PRIMARY KEY, session_id VARCHAR, message_data TEXT, created_at,"
                f" FOREIGN KEY (session_id) REFERENCES {sessions} (session_id))"
            )
            rows.execute(f"INSERT INTO {sessions} VALUES ('one', '2026-11-26 17:05:57', NULL)")
            rows.execute(
                f"INSERT INTO {messages} VALUES (1, 'one', ?, NULL)", (json.dumps({"role": "user", "content": name}),)
            )

        assert sorted(dict(READER.positions(rows))) == ["my%2Fsessions log/one", 'odd" log/one']
        history = whole(READER.read(rows, 'odd" log/one'))
        assert [step.reason for step in history.steps] == ['turn 1: odd"']
        assert (history.thread.name, history.thread.created_at) == ("one", AT)


def test_a_thread_that_is_gone_is_empty():
    with opened(SMALL) as rows:
        history = whole(READER.read(rows, "gone"))

    assert (history.thread.state, history.steps, history.events) == ({"items": []}, [], [])


@pytest.mark.parametrize("name", [SMALL, BRANCHES, ENCRYPTED])
def test_damaged_values_give_a_history_or_an_error_of_sqlites(name):
    assert survives(READER, name)
