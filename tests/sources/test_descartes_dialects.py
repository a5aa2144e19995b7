"""Files of `descartes init`, and agent histories: mirrored without moving in. What is expected is written here."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from statestore import models
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.jsondiff.parsing import dump
from statestore.models.sources import Source
from statestore.sources import adding, mirror
from statestore.sources.contract import Reader
from statestore.sources.readers import known_readers
from tests.faults.scale import times
from tests.foreign import schema
from tests.import_export.test_agent_history import EVENT, ROWS, TABLES
from tests.sources.stores import STRANGE, Database
from tests.stores import execute

pytestmark = pytest.mark.django_db

NOW = 1_790_000_000
INIT_ROWS = (
    f"INSERT INTO agents VALUES ('a/1', 'Ada', 'running', 'opus', {NOW}, NULL, 'write a parser', NULL)",
    f"INSERT INTO agents VALUES ('a2', 'Bob', 'Failed', 'haiku', {NOW - 9}, {NOW - 5}, 'read', NULL)",
    f"INSERT INTO events VALUES ('e1', 'tool_use', {NOW + 1}, 's1', 'Agent', 'a/1', 'ls', '{{\"n\": 1}}', 'abc')",
    f"INSERT INTO events VALUES ('e2', 'message', {NOW + 2}, 's1', 'User', 'demo', 'hello', NULL, NULL)",
    f"INSERT INTO tasks VALUES ('t1', 'Parse', 'all of it', 'InProgress', 'a/1', {NOW}, {NOW}, NULL)",
    f"INSERT INTO tasks VALUES ('t2', 'Think', NULL, 'Todo', NULL, {NOW}, {NOW}, NULL)",
)


@pytest.fixture(autouse=True)
def _embedded(settings: Any, tmp_path: Path) -> None:
    settings.STORE_IS_EMBEDDED = True
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def init(tmp_path: Path) -> Path:
    path = schema.create_init(tmp_path / "init.db")
    execute(path, *INIT_ROWS)
    return path


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "history.db"
    execute(path, *TABLES, *ROWS)
    return path


def opened(path: Path) -> Source:
    source = adding.add_source(path, using=store_alias())
    done = mirror.sync(source, using=store_alias())
    assert done.is_complete, source.problem
    assert not source.problem
    return source


def again(source: Source) -> None:
    source.refresh_from_db()
    assert mirror.sync(source, using=store_alias()).is_complete
    assert not source.problem


def agent(agent_id: str) -> models.AgentState:
    return models.AgentState.objects.get(agent_id=agent_id)


def test_agents_of_init_are_what_their_rows_say(init: Path):
    before = init.read_bytes()
    source = opened(init)
    assert source.formats == "Descartes agents, of init"
    assert json.loads(source.counts) == {"agents": 2, "events": 2, "tasks": 2}
    ada, bob = agent("init/a/1"), agent("init/a2")
    assert (ada.name, bob.name, bob.status) == ("Ada", "Bob", "failed")
    assert json.loads(ada.state_data) == {
        "status": "running", "model_backend": "opus", "task": "write a parser", "started_at": NOW, "completed_at": None
    }  # fmt: skip
    (event,) = models.Event.objects.filter(actor_id="init/a/1")
    assert (event.content, json.loads(str(event.metadata))["n"]) == ("ls", 1)
    assert [task.title for task in models.Task.objects.filter(assigned_to="init/a/1")] == ["Parse"]
    loose = agent("init/without an agent")
    assert json.loads(loose.state_data) == {"tasks": 1, "events": 1}
    assert init.read_bytes() == before


def test_an_agent_of_init_that_ends_is_seen_to_end(init: Path):
    source = opened(init)
    execute(init, f"UPDATE agents SET status = 'completed', completed_at = {NOW + 60} WHERE id = 'a/1'")
    again(source)
    assert agent("init/a/1").status == "completed"
    (row,) = models.Transition.objects.of_agent("init/a/1")
    assert json.loads(row.state_before)["completed_at"] is None
    assert json.loads(row.state_after)["completed_at"] == NOW + 60


def test_a_file_of_version_5_is_not_taken_for_one_of_init(tmp_path: Path):
    path = schema.create(tmp_path / "five.db")
    execute(path, "CREATE TABLE agents (id TEXT, name TEXT, status TEXT, model_backend TEXT, started_at INTEGER,"
            " completed_at INTEGER, task TEXT)")  # fmt: skip
    assert opened(path).formats == "Descartes agents"


def test_an_agent_s_history_has_its_states_and_events(history: Path):
    source = opened(history)
    assert source.formats == "Descartes agent history"
    assert json.loads(source.counts) == {"history events": 2, "history snapshots": 2}
    assert agent("history/coder").state_data == '{"a":1}'
    (step,) = models.Transition.objects.of_agent("history/coder")
    assert (step.state_before, step.state_after, step.reason) == ("{}", '{"a":1}', "before")
    (snapshot,) = models.Snapshot.objects.of_agent("history/coder")
    assert (snapshot.state_data, snapshot.description) == ('{"a":1}', "before")
    event, later, bare = models.Event.objects.order_by("timestamp")
    assert (event.event_type, event.content, event.actor_id) == ("tool_use", '{"tool": "ls"}', "history/coder")
    noted = json.loads(str(event.metadata))
    assert (noted["git_commit"], noted["tags"], noted["metadata"]) == ("abc123", ["slow"], {"n": 1})
    assert json.loads(later.content)["$opaque"] == "bytes that are not text"
    assert json.loads(str(later.metadata))["parent_event_id"] == EVENT
    assert (bare.event_type, bare.content) == ("snapshot", "events")
    assert models.Session.objects.filter(agent_id="history/coder", status="completed").count() == 1


def test_what_is_added_to_a_history_follows_it_once(history: Path):
    source = opened(history)
    execute(
        history, f"INSERT INTO history_snapshots VALUES ('next', 'coder', {NOW + 50}, NULL, 'after', NULL, '[2]', 1)"
    )
    again(source)
    first, second = models.Transition.objects.of_agent("history/coder").oldest_first()
    assert (first.state_after, second.state_before, second.state_after) == ('{"a":1}', '{"a":1}', "[2]")
    execute(history, "DELETE FROM history_snapshots", "DELETE FROM agent_history_events")
    again(source)
    assert models.SourceThread.objects.get(agent_id="history/coder").gone_at is not None
    assert models.Transition.objects.of_agent("history/coder").count() == 2


def test_a_history_in_the_file_of_init_is_read_beside_it(init: Path):
    execute(init, *TABLES, *ROWS)
    source = opened(init)
    assert source.formats == "Descartes agents, of init, Descartes agent history"
    assert {thread.agent_id for thread in source.threads.all()} >= {"init/a/1", "init/coder"}


@pytest.mark.parametrize(("key", "name"), [("descartes-init", "init"), ("descartes-history", "history")])
def test_strange_values_are_read_as_far_as_they_can_be(key: str, name: str, request: pytest.FixtureRequest):
    path, chance = request.getfixturevalue(name), Random(17)
    reader = known_readers()[key]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        columns = [
            (table, column)
            for table in ("agents", "events", "tasks", *known_readers_tables(connection))
            for (column,) in connection.execute(f"SELECT name FROM pragma_table_info('{table}')")
        ]
        for _ in range(times(100, 2_000)):
            table, column = chance.choice(columns)
            connection.execute("BEGIN")
            try:
                connection.execute(f'UPDATE "{table}" SET "{column}" = ?', [chance.choice(STRANGE)])
                read_whole(reader, Database(connection))
            except (sqlite3.IntegrityError, StateStoreError, LookupError):
                pass
            finally:
                connection.execute("ROLLBACK")


def read_whole(reader: Reader, rows: Database) -> None:
    """Read all there is. Who acts is the orchestrator's own word, whatever that is."""
    reader.count(rows)
    for thread_id, _ in reader.positions(rows):
        found = reader.read(rows, thread_id)
        dump([found.thread.state, *(step.after for step in found.steps), *(event.content for event in found.events)])


def known_readers_tables(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%history%'")]


@pytest.mark.parametrize("name", ["init", "history"])
def test_a_truncated_file_is_named(name: str, request: pytest.FixtureRequest, tmp_path: Path):
    path = request.getfixturevalue(name)
    cut = tmp_path / "cut.db"
    cut.write_bytes(path.read_bytes()[:6_000])
    with pytest.raises(StateStoreError):
        adding.add_source(cut, using=store_alias())
