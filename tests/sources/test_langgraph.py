"""The reader of LangGraph's checkpoints gives what LangGraph says of its own history."""

import descartes_site  # noqa: F401, I001  chooses the SQLite library

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from statestore.errors import ValidationError
from statestore.jsondiff.parsing import Json
from statestore.sources import files
from statestore.sources.contract import History, Step
from statestore.sources.readers import msgpack_values
from statestore.sources.readers.columns import list_of, object_of
from statestore.sources.readers.langgraph import Graph, LangGraphReader
from statestore.sources.readers.langgraph_channels import next_nodes
from tests.sources.conftest import FILES

READER = LangGraphReader()
ThreadReader = Callable[..., tuple[History, list[Step]]]


@pytest.fixture
def read() -> ThreadReader:
    """Return what reads a thread of one of the files."""

    def read_thread(name: str, thread: str, after: str = "") -> tuple[History, list[Step]]:
        with files.opened(FILES / "langgraph" / name) as rows:
            history = READER.read(rows, thread, after)
            return history, list(history.steps)

    return read_thread


def test_threads_come_with_the_one_that_changed_last_first():
    with files.opened(FILES / "langgraph/small.sqlite") as rows:
        threads = [thread for thread, _ in READER.positions(rows)]
        assert READER.count(rows) == {"threads": 2, "checkpoints": 20}
    assert threads == ["thread-2", "thread-1"]


def test_each_checkpoint_is_a_step_from_its_parent(read):
    _, steps = read("small.sqlite", "thread-1")
    connection = sqlite3.connect(f"file:{FILES}/langgraph/small.sqlite?mode=ro&immutable=1", uri=True)
    ids = connection.execute(
        "SELECT checkpoint_id FROM checkpoints WHERE thread_id = 'thread-1' ORDER BY checkpoint_id"
    ).fetchall()
    assert [step.key for step in steps] == [row[0] for row in ids]
    assert all(later.before == earlier.after for earlier, later in pairwise(steps))
    assert [step.reason for step in steps[:4]] == [
        "step -1 input", "step 0 loop", "step 1 loop: model", "step 2 loop: tools",
    ]  # fmt: skip
    assert steps[2].metadata["customer"] == "demo", "what the caller noted with the run"


@pytest.mark.parametrize("thread", ["joins", "functions"])
def test_states_and_what_comes_next_are_what_langgraph_says(thread: str):
    """Nodes that wait for several or are sent to, and a program without a graph: joins.json is what LangGraph says."""
    said = json.loads((FILES / "langgraph/joins.json").read_text())[thread]
    with files.opened(FILES / "langgraph/joins.sqlite") as rows:
        graph = Graph(rows, thread, "")
        # Before its first step a graph has nothing stored, where LangGraph shows empty lists.
        for checkpoint_id, values, nodes in said[:-1]:
            found = graph.find(checkpoint_id)
            assert found is not None
            returned = (
                found.state["returned"] if isinstance(found.state, dict) and thread == "functions" else found.state
            )
            assert returned == values
            # The interface of functions names the program, which its checkpoints do not.
            assert [
                name.replace("__start__", "flow" if thread == "functions" else name) for name in found.next_nodes
            ] == nodes


def test_random_programs_are_what_langgraph_says():
    """Loops, joins, sends, commands, interrupts and errors; random.json is LangGraph's own answer."""
    said = json.loads((FILES / "langgraph/random.json").read_text())
    with files.opened(FILES / "langgraph/random.sqlite") as rows:
        assert {thread for thread, _ in READER.positions(rows) if "▸" not in thread} == set(said)
        for thread, steps in said.items():
            graph = Graph(rows, thread, "")
            for checkpoint_id, values, nodes in steps:
                found = graph.find(checkpoint_id)
                assert found is not None
                assert found.state == {name: value for name, value in values.items() if value != []}, checkpoint_id
                assert sorted(found.next_nodes) == sorted(nodes), checkpoint_id


def test_what_the_javascript_package_sends_to_comes_next():
    tasks: Json = [{"node": "tools", "args": {"n": 0}}, {"node": "tools", "args": {"n": 1}}, {"args": {}}, "odd"]
    assert next_nodes({"log": [], "__pregel_tasks": tasks}, {}, {}) == ("tools", "tools")


def test_what_a_program_without_a_graph_saved_is_shown_where_it_is_not_what_it_returned(read):
    history, steps = read("joins.sqlite", "functions")
    assert [step.after for step in steps] == [
        {}, 10, 10, {"returned": 10, "saved": 20},
    ]  # fmt: skip
    assert history.thread.state == {"returned": 10, "saved": 20}


def test_channels_by_which_an_older_graph_knew_what_came_next_are_not_shown(read):
    _, steps = read("version_0_2.sqlite", "t1")
    assert [sorted(step.after) for step in steps] == [[], *[["messages"]], *[["messages", "n"]] * 9]


def test_a_file_of_the_javascript_package_is_what_it_says():
    """Its messages are written as LangChain's dumps write them; javascript.json is LangGraph's own answer."""
    said = json.loads((FILES / "langgraph/javascript.json").read_text())["history"]
    with files.opened(FILES / "langgraph/javascript.sqlite") as rows:
        graph = Graph(rows, "js1", "")
        for checkpoint_id, values, nodes in said[:-1]:
            found = graph.find(checkpoint_id)
            assert found is not None
            state = object_of(found.state)
            texts = [
                object_of(object_of(message)["kwargs"])["content"] for message in list_of(state.pop("messages", []))
            ]
            assert ({**state, "said": texts}, sorted(found.next_nodes)) == (values, sorted(nodes))
        history = READER.read(rows, "js1")
        events = [event for step in history.steps for event in step.events]
    assert [(event.actor, event.content) for event in events] == [
        ("User", "hello"), ("Agent", "answer 0"), ("Tool", "done"), ("User", "again"), ("Agent", "answer 1"),
        ("Tool", "done"),
    ]  # fmt: skip
    assert history.thread.status == "paused"


def test_a_branch_is_a_step_back_to_where_it_began(read):
    _, steps = read("forks.sqlite", "fork-thread")
    assert [(step.reason, step.back) for step in steps if step.back] == [
        ("step 4 update", "back to step 3"),
        ("step 4 update", "back to step 3"),
        ("step 4 fork: model", "back to step 2"),
        ("step 8 fork", "back to step 7"),
    ]


@pytest.mark.parametrize(
    ("thread", "name", "shown"),
    [
        ("one-dec", "dec", {"$type": "decimal.Decimal", "$": "1E-7"}),
        ("one-nan", "nan", {"$float": "nan"}),
        ("one-set", "set", {"$type": "builtins.set", "$": [1, 2, 3]}),
        ("one-intkeys", "intkeys", {"$map": [[1, "one"], [[1, 2], "tup"]]}),
        ("one-enum", "enum", {"$type": "__main__.Mood", "$": "bad"}),
    ],
)
def test_values_that_json_lacks_say_what_they_were(read, thread: str, name: str, shown: Json):
    history, _ = read("custom.sqlite", thread)
    match history.thread.state:
        case {"x": {**values}}:
            assert values[name] == shown
        case other:
            pytest.fail(f"no values in {other}")


def test_messages_are_events_once():
    with files.opened(FILES / "langgraph/small.sqlite") as rows:
        events = [event for step in READER.read(rows, "thread-1").steps for event in step.events]
    assert [event.actor for event in events[:3]] == ["User", "Agent", "Tool"]
    assert len({event.key for event in events}) == len(events)
    assert events[0].content == "How much do we owe ACME?"


@pytest.mark.parametrize(("thread", "status"), [("waiting", "paused"), ("error", "failed"), ("resumed", "idle")])
def test_interrupts_and_errors_are_seen_in_the_status(read, thread: str, status: str):
    history, _ = read("interrupt_subgraph.sqlite", thread)
    assert history.thread.status == status


def test_an_interrupt_is_worth_coming_back_to(read):
    history, steps = read("interrupt_subgraph.sqlite", "waiting")
    assert history.marks == {steps[-1].key: "interrupted"}


def test_what_is_encrypted_or_pickled_stays_opaque(read):
    for name, thread, kind in (
        ("encrypted.sqlite", "enc", "msgpack+aes"),
        ("pickle_fallback.sqlite", "pickle", "pickle"),
    ):
        history, steps = read(name, thread)
        assert isinstance(history.thread.state, dict)
        assert history.thread.state["$opaque"] == kind
        assert history.thread.updated_at > 1_700_000_000, "its id says when it was made"
        assert len({json.dumps(step.after) for step in steps}) == len(steps), "equal ones can be told from others"


def test_a_channel_that_holds_changes_shows_since_when(read):
    _, steps = read("delta.sqlite", "delta")
    assert steps[4].after == {"log": ["first", "d0", "d1", "d2"], "i": 3}
    assert steps[5].after == {"i": 4, "log": {"$delta": {"since": ["first", "d0", "d1", "d2"], "writes": [["d3"]]}}}


def test_reading_goes_on_after_a_step(read):
    _, steps = read("forks.sqlite", "fork-thread")
    _, later = read("forks.sqlite", "fork-thread", after=steps[9].key)
    assert later == steps[10:]


def test_damaged_values_give_a_value_or_are_named():
    dice = random.Random(20261126)
    connection = sqlite3.connect(f"file:{FILES}/langgraph/custom.sqlite?mode=ro&immutable=1", uri=True)
    blobs = [row[0] for row in connection.execute("SELECT checkpoint FROM checkpoints")]
    refused = 0
    for _ in range(3_000):
        data = bytearray(dice.choice(blobs))
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            json.dumps(msgpack_values.unpack(bytes(data[: dice.randint(1, len(data))])), allow_nan=False)
        except msgpack_values.Damaged:
            refused += 1
    assert 1_000 < refused < 3_000, f"{refused} of 3,000 were refused"


@pytest.mark.parametrize(
    "data", [b"\x91" * 100_000 + b"\xc0", b"\xc7\x04\x00" * 10, b"\xdd\xff\xff\xff\xff", b"\x81" * 5000]
)
def test_nesting_and_false_lengths_are_refused(data: bytes):
    with pytest.raises(msgpack_values.Damaged):
        msgpack_values.unpack(data)


def test_reading_changes_no_byte_and_leaves_nothing_beside(tmp_path: Path, framework_file):
    path = framework_file("langgraph/small.sqlite")
    before = path.read_bytes()
    with files.opened(path) as rows:
        list(READER.read(rows, "thread-1").steps)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_log_left_by_a_crash_is_read_and_stays(tmp_path: Path, framework_file):
    path = framework_file("langgraph/small.sqlite")
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("INSERT INTO checkpoints SELECT 'new', '', checkpoint_id, NULL, type, checkpoint, metadata"
                   " FROM checkpoints LIMIT 1")  # fmt: skip
    writer.commit()
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in (path.name, f"{path.name}-wal"):
        (crashed / name).write_bytes((tmp_path / name).read_bytes())
    writer.close()
    with files.opened(crashed / path.name) as rows:
        assert "new" in dict(READER.positions(rows))
    assert sorted(found.name for found in crashed.iterdir()) == [path.name, f"{path.name}-wal"]


def test_ids_with_broken_bytes_are_left_out_and_the_rest_is_read(framework_file):
    path = framework_file("langgraph/small.sqlite")
    writer = sqlite3.connect(path)
    writer.execute("UPDATE checkpoints SET thread_id = CAST(x'74ff31' AS TEXT) WHERE thread_id = 'thread-1'")
    writer.execute(
        "UPDATE checkpoints SET parent_checkpoint_id = CAST(x'ff' AS TEXT) WHERE parent_checkpoint_id IS NULL"
    )
    writer.commit()
    writer.close()
    with files.opened(path) as rows:
        assert [thread for thread, _ in READER.positions(rows)] == ["thread-2"]
        assert len(list(READER.read(rows, "thread-2").steps)) == 10


def test_a_thread_that_is_deleted_while_it_is_read_is_no_failure(framework_file):
    with files.opened(framework_file("langgraph/small.sqlite")) as rows, pytest.raises(LookupError):
        READER.read(rows, "deleted")


@pytest.mark.parametrize("damage", [b"\x02\x01", b"\x01\x02"])
def test_a_header_that_half_says_log_makes_no_files(tmp_path: Path, framework_file, damage: bytes):
    path = framework_file("langgraph/small.sqlite")
    content = bytearray(path.read_bytes())
    content[18:20] = damage
    path.write_bytes(content)
    with suppress(ValidationError), files.opened(path) as rows:
        READER.count(rows)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_that_is_its_own_ancestor_does_not_hang(framework_file):
    path = framework_file("langgraph/delta.sqlite")
    writer = sqlite3.connect(path)
    writer.execute("UPDATE checkpoints SET parent_checkpoint_id = checkpoint_id")
    writer.commit()
    writer.close()
    with files.opened(path) as rows:
        assert len(list(READER.read(rows, "delta").steps)) == 12


def test_a_long_line_of_changes_is_followed_to_its_beginning(framework_file):
    path = framework_file("langgraph/delta.sqlite")
    writer = sqlite3.connect(path)
    # One checkpoint that holds only changes, 600 times in a row.
    writer.execute(
        "DELETE FROM checkpoints WHERE checkpoint_id > (SELECT checkpoint_id FROM checkpoints LIMIT 1 OFFSET 1)"
    )
    for number in range(600):
        writer.execute(
            "INSERT INTO checkpoints SELECT thread_id, checkpoint_ns, ?, max(checkpoint_id), type, checkpoint, metadata"
            " FROM checkpoints",
            [f"f{number:06d}"],
        )
    writer.commit()
    writer.close()
    with files.opened(path) as rows:
        assert READER.read(rows, "delta").thread.state


def test_json_that_no_state_can_hold_is_opaque(framework_file):
    path = framework_file("langgraph/small.sqlite")
    writer = sqlite3.connect(path)
    writer.execute("UPDATE checkpoints SET type = 'json', checkpoint = '{\"channel_values\": {\"a\": NaN}}'")
    writer.execute("UPDATE checkpoints SET metadata = '{\"step\": NaN}'")
    writer.commit()
    writer.close()
    with files.opened(path) as rows:
        history = READER.read(rows, "thread-1")
        assert "$opaque" in str(history.thread.state)
        json.dumps([dict(step.metadata) for step in history.steps], allow_nan=False)
