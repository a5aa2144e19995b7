"""The sessions of Google ADK. What is expected is read from the files with plain SQL."""

import json
import pickle

import pytest

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import opaque
from statestore.sources.readers.columns import object_of
from statestore.sources.readers.google_adk import GoogleADKReader
from tests.sources.stores import DEEP, copied, empty, opened, steps_after, survives, whole

SQLITE, DATABASE = "google_adk/sqlite_service.sqlite", "google_adk/database_service_v1.sqlite"
READER = GoogleADKReader()
REWOUND, FIRST, SECOND = "demo_app/user-1/rewound", "demo_app/user-1/s1", "demo_app/user-2/s1"
# The changes of the session `rewound` as its events tell them: the same in both files, in other words of the model.
CHANGES: list[tuple[str, dict[str, Json]]] = [
    ("helper: a, count", {"a": "1", "count": 1}),
    ("helper: last_answer", {"last_answer": "ok, I see 3 contents 🌞"}),
    ("helper: a, count", {"a": "2", "count": 2}),
    ("helper: last_answer", {"last_answer": "ok, I see 7 contents 🌞"}),
    ("helper: b, count", {"b": "1", "count": 3}),
    ("helper: last_answer", {"last_answer": "ok, I see 11 contents 🌞"}),
    (
        "back to before “set a=2”",
        {"a": "1", "count": 1, "last_answer": "ok, I see 3 contents 🌞", "b": None, "tenant": None},
    ),
    ("helper: last_answer", {"last_answer": "ok, I see 5 contents 🌞"}),
]


def _stored_state(rows, user, session):
    ((state,),) = rows.execute("SELECT state FROM sessions WHERE user_id = ? AND id = ?", (user, session))
    return json.loads(str(state))


def _append(rows, key, event, *, at=2e9, session="s1", user="user-2"):
    values = (key, "demo_app", user, session, "i", at, event if isinstance(event, str) else json.dumps(event))
    rows.execute(
        "INSERT INTO events (id, app_name, user_id, session_id, invocation_id, timestamp, event_data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        values,
    )


def _setting(key, value):
    return {"author": "helper", "actions": {"state_delta": {key: value}}}


@pytest.mark.parametrize(("name", "users"), [(SQLITE, 1), (DATABASE, 2)])
def test_sessions_events_and_shared_states_are_counted(name, users):
    with opened(name) as rows:
        assert READER.count(rows) == {"threads": 3, "events": 41, "user states": users, "app states": 1}


def test_the_thread_that_changed_last_comes_first():
    with opened(SQLITE) as rows:
        threads = [thread_id for thread_id, _ in READER.positions(rows)]
    with opened(DATABASE) as rows:
        other = [thread_id for thread_id, _ in READER.positions(rows)]

    assert threads == [REWOUND, SECOND, FIRST, "demo_app", "demo_app/user-1"]
    # Its states of apps and users have whole seconds.
    assert other == [REWOUND, SECOND, FIRST, "demo_app/user-2", "demo_app/user-1", "demo_app"]


@pytest.mark.parametrize("name", [SQLITE, DATABASE])
def test_the_changes_of_events_are_folded_into_steps(name):
    with opened(name) as rows:
        history = whole(READER.read(rows, REWOUND))
        stored = _stored_state(rows, "user-1", "rewound")

    steps = list(history.steps)
    assert [step.reason for step in steps] == [reason for reason, _ in CHANGES]
    # ADK's own rewind wrote null over `tenant`: what it was at the start stands nowhere.
    state: dict[str, Json] = {}
    for step, (_, change) in zip(steps, CHANGES, strict=True):
        assert step.before == state
        state = {**state, **change}
        assert step.after == state
    assert history.thread.state == stored == state


@pytest.mark.parametrize("name", [SQLITE, DATABASE])
def test_values_that_no_event_touched_were_there_from_the_start(name):
    with opened(name) as rows:
        history = whole(READER.read(rows, FIRST))
        stored = _stored_state(rows, "user-1", "s1")

    steps = list(history.steps)
    assert steps[0].before == {"tenant": "acme", "nested": {"a": [1, 2, {"b": None}]}}
    assert steps[-1].after == history.thread.state == stored
    # One for each of the seven answers, and one for each of the five values that the tool wrote.
    assert [step.reason for step in steps].count("helper: last_answer") == 7
    assert len(steps) == 12


@pytest.mark.parametrize("name", [SQLITE, DATABASE])
def test_the_states_of_apps_and_users_have_no_steps(name):
    with opened(name) as rows:
        app, user = whole(READER.read(rows, "demo_app")), whole(READER.read(rows, "demo_app/user-1"))

    assert (app.thread.state, app.steps, app.events) == ({"version": "4"}, [], [])
    assert (user.thread.state, user.steps, user.events) == ({"lang": "fr"}, [], [])


def test_values_of_the_app_the_user_and_of_the_moment_are_not_the_sessions():
    with copied(SQLITE) as rows:
        delta = {"app:a": 1, "user:b": 2, "temp:c": 3, "d": None}
        _append(rows, "e1", {"author": "x", "actions": {"state_delta": delta}})
        _append(rows, "e2", {"author": "x", "actions": {"state_delta": {"user:b": 4}}})
        *_, last = READER.read(rows, SECOND).steps

        assert (last.key, last.reason) == ("e1", "x: d")
        assert last.after == {**object_of(last.before), "d": None}


def test_times_are_the_events_own_to_the_last_digit():
    with opened(DATABASE) as rows:
        history = whole(READER.read(rows, REWOUND))

    assert history.thread.created_at == 1795713245.809889
    assert next(iter(history.events)).at == 1795713245.8411868
    assert next(iter(history.steps)).at == 1795713246.0487084


def test_an_event_says_who_said_what():
    with opened(SQLITE) as rows:
        events = list(READER.read(rows, FIRST).events)

    assert [(event.actor, event.kind, event.content) for event in events[2:6]] == [
        ("User", "message", "set mode=work"),
        ("Agent", "function_call", '{"key": "mode", "value": "work"}'),
        ("Tool", "function_response", '{"done": "mode"}'),
        ("Agent", "message", "ok, I see 5 contents 🌞"),
    ]
    assert len(events) == 24


def test_events_that_a_rewind_took_back_are_marked():
    with opened(SQLITE) as rows:
        events = list(READER.read(rows, REWOUND).events)

    # The invocations after the first one, up to the rewind, which is the 13th of 15 events.
    rewind = events[12]
    assert (rewind.actor, rewind.kind, rewind.content) == ("System", "rewind", "back to before “set a=2”")
    marked = [event.metadata.get("rewound_by") for event in events]
    assert marked == [None] * 4 + [rewind.key] * 8 + [None] * 3


def test_a_rewind_that_changes_no_value_is_a_step_too():
    with copied(SQLITE) as rows:
        _append(rows, "e", {"author": "user", "actions": {"rewind_before_invocation_id": "unknown"}})
        *_, last = READER.read(rows, SECOND).steps

    assert (last.key, last.reason, last.before == last.after) == ("e", "back to before unknown", True)


@pytest.mark.parametrize("name", [SQLITE, DATABASE])
@pytest.mark.parametrize("thread_id", [REWOUND, FIRST, SECOND])
def test_reading_after_a_step_gives_exactly_the_later_ones(name, thread_id):
    with opened(name) as rows:
        assert steps_after(READER, rows, thread_id)


def test_events_of_one_time_are_in_the_order_in_which_they_were_written():
    with copied(SQLITE) as rows:
        for place, key in enumerate("zay"):
            _append(rows, key, _setting("v", place))

        assert [step.key for step in READER.read(rows, SECOND).steps][1:] == ["z", "a", "y"]


def test_a_position_differs_once_a_state_changes_within_its_second():
    with copied(DATABASE) as rows:
        before = dict(READER.positions(rows))
        rows.execute("""UPDATE user_states SET state = '{"lang": "de"}' WHERE user_id = 'user-1'""")
        _append(rows, "e", _setting("a", 1), at="2026-11-26 17:14:05.567603")
        after = dict(READER.positions(rows))

    assert {thread_id for thread_id in before if before[thread_id] != after[thread_id]} == {"demo_app/user-1", SECOND}


def test_names_with_slashes_and_percents_make_ids_of_their_own():
    parts = [("a/b", "c", "d"), ("a", "b/c", "d"), ("a", "b", "c/d"), ("a%2Fb", "c", "d"), ("", "", "🌞 %25/")]
    with copied(SQLITE) as rows:
        rows.execute("DELETE FROM sessions")
        for number, names in enumerate(parts):
            rows.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, 0, 0)", (*names, json.dumps({"n": number})))
        found = {thread_id for thread_id, _ in READER.positions(rows) if thread_id.count("/") == 2}
        read = {thread_id: READER.read(rows, thread_id).thread for thread_id in found}

    assert {"a%2Fb/c/d", "a/b%2Fc/d", "a/b/c%2Fd", "a%252Fb/c/d", "//🌞 %2525%2F"} == found
    assert sorted(str(thread.state) for thread in read.values()) == [f"{{'n': {number}}}" for number in range(5)]
    assert read["a%252Fb/c/d"].metadata["app"] == "a%2Fb"


@pytest.mark.parametrize("event", [DEEP, "NaN", "[]", "7", '{"actions": []}', '{"content": {"parts": 7}}', "{"])
def test_any_data_of_an_event_give_an_event(event):
    with copied(SQLITE) as rows:
        _append(rows, "e", event)
        history = whole(READER.read(rows, SECOND))

    assert [one.key for one in history.events][-1] == "e"
    assert len(list(history.steps)) == 1


def test_a_state_that_is_no_json_is_opaque():
    with copied(SQLITE) as rows:
        rows.execute("UPDATE sessions SET state = '{'")
        history = whole(READER.read(rows, SECOND))

    assert history.thread.state == opaque("text that is not JSON", b"{")
    assert [step.after for step in history.steps] == [{"last_answer": "ok, I see 1 contents 🌞"}]


class _Trap:
    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def test_pickled_actions_of_the_first_version_stay_opaque():
    trap = pickle.dumps(_Trap())
    with empty() as rows:
        rows.execute("CREATE TABLE sessions (app_name, user_id, id, state TEXT, create_time, update_time)")
        rows.execute("CREATE TABLE app_states (app_name, state TEXT, update_time)")
        rows.execute("CREATE TABLE user_states (app_name, user_id, state TEXT, update_time)")
        rows.execute(
            "CREATE TABLE events (id, app_name, user_id, session_id, invocation_id, author, actions BLOB, timestamp,"
            " content TEXT)"
        )
        rows.execute("INSERT INTO sessions VALUES ('a', 'u', 's', '{\"n\": 1}', 1.5, '2026-11-26 17:14:05.809889')")
        rows.execute(
            "INSERT INTO events VALUES ('e', 'a', 'u', 's', 'i', 'user', ?, '2026-11-26 17:14:05', ?)",
            (trap, '{"parts": [{"text": "hi"}], "role": "user"}'),
        )
        assert READER.recognises(rows.tables())
        history = whole(READER.read(rows, "a/u/s"))

    (event,) = history.events
    assert (event.actor, event.content, event.at) == ("User", "hi", 1795713245.0)
    assert event.metadata["actions"] == opaque("pickled Python object", trap)
    assert (history.thread.state, history.steps) == ({"n": 1}, [])


@pytest.mark.parametrize("thread_id", ["gone", "gone/user", "gone/user/session", "a/b/c/d", ""])
def test_a_thread_that_is_gone_is_empty(thread_id):
    with opened(SQLITE) as rows:
        history = whole(READER.read(rows, thread_id))

    assert (history.thread.state, history.steps, history.events) == ({}, [], [])


@pytest.mark.parametrize("name", [SQLITE, DATABASE])
def test_damaged_values_give_a_history_or_an_error_of_sqlites(name):
    assert survives(READER, name)
