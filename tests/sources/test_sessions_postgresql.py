"""Sessions of ADK, OpenAI Agents and Agno, and LangGraph's memories, in PostgreSQL: read and put back as in SQLite."""

import json
from contextlib import suppress
from typing import Any

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Busy, Conflict, Moved, ValidationError
from statestore.jsondiff.parsing import Json
from statestore.models.sources import Source
from statestore.sources import adding, locations, mirror, servers
from statestore.sources.readers import known_readers
from statestore.sources.row_ids import row_id
from statestore.sources.state_texts import state_text
from tests.sources.servers import Database, Server
from tests.sources.stores import everything

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("embedded")]

# The folder of the dump with its framework's words, and the thread that is put back.
STORES = {
    "google_adk": ("Google ADK sessions, PostgreSQL, 2 threads", "app/user/s1"),
    "openai_agents": ("OpenAI Agents sessions, PostgreSQL, 2 threads, 16 items", "s1"),
    "agno": ("Agno sessions, PostgreSQL, 2 threads, 4 runs", "s1"),
}
# What the framework does when it goes on, as far as the restore has to see it.
GOES_ON = {
    "google_adk": "UPDATE sessions SET update_time = update_time + interval '1 second' WHERE id = 's1'",
    "openai_agents": "INSERT INTO agent_messages (session_id, message_data) VALUES ('s1', '{\"role\": \"user\"}')",
    # Within the same second.
    "agno": "UPDATE agno_sessions SET session_data = '{\"session_state\": {\"cart\": []}}' WHERE session_id = 's1'",
}
TABLES = {
    "google_adk": ("sessions", "events"),
    "openai_agents": ("agent_messages", "agent_sessions"),
    "agno": ("agno_sessions", "agno_runs"),
}


@pytest.fixture(params=sorted(STORES))
def framework(request: pytest.FixtureRequest) -> str:
    """Return the framework."""
    return str(request.param)


@pytest.fixture
def database(server: Server, framework: str) -> Database:
    """Return a database with two of its sessions."""
    return server.made(f"{framework}/postgres.sql")


@pytest.fixture
def source(database: Database) -> Source:
    """Return its mirror."""
    made = adding.add_source(database.url, name="agents", using=store_alias())
    assert mirror.sync(made, using=store_alias()).is_complete, made.problem
    return made


def thread_of(framework: str) -> models.SourceThread:
    return models.SourceThread.objects.select_related("source").get(thread_id=STORES[framework][1])


def steps_of(source: Source, framework: str) -> list[str]:
    thread = thread_of(framework)
    with locations.of(source.path).opened() as rows:
        return [step.key for step in known_readers()[thread.reader].read(rows, thread.thread_id).steps]


def state_of(source: Source, framework: str) -> Json:
    thread = thread_of(framework)
    with locations.of(source.path).opened() as rows:
        return known_readers()[thread.reader].read(rows, thread.thread_id).thread.state


def planned_to(framework: str, key: str) -> Any:
    thread = thread_of(framework)
    return restore.plan(thread.agent_id, f"transition:{row_id(thread, 'transition', key)}:after")


def held(database: Database, framework: str) -> dict[str, list[Any]]:
    return {table: sorted(map(str, database.rows(f"SELECT * FROM {table}"))) for table in TABLES[framework]}


def test_what_a_database_holds_is_named_and_mirrored(source: Source, framework: str):
    words, thread = STORES[framework]
    name, _, counts = words.partition(", PostgreSQL, ")
    assert source.formats == name
    assert " ".join(json.loads(source.counts)).startswith("threads")
    assert json.loads(source.counts)["threads"] == int(counts[0])
    assert models.AgentState.objects.count() >= 2
    assert models.Event.objects.count() >= 8
    assert source.threads.filter(thread_id=thread).exists()


def test_each_step_is_put_back_and_undone(source: Source, database: Database, framework: str):
    keys = steps_of(source, framework)
    was = state_of(source, framework)
    put_back = 0
    for key in keys:
        try:
            planned = planned_to(framework, key)
        except Conflict:
            # In the middle of an invocation of ADK's.
            continue
        done = restore.apply(planned, by=SYSTEM)
        agent = models.AgentState.objects.get(agent_id=thread_of(framework).agent_id)
        assert state_text(state_of(source, framework)) == agent.state_data
        restore.undo(done, by=SYSTEM)
        assert state_of(source, framework) == was
        put_back += 1
    assert put_back == 3, "the end of each turn, invocation or run"


# ADK's restores remove nothing.
@pytest.mark.parametrize("framework", ["agno", "openai_agents"], indirect=True)
def test_rows_that_were_removed_come_back_as_they_were(source: Source, database: Database, framework: str):
    before = held(database, framework)
    done = restore.apply(planned_to(framework, steps_of(source, framework)[0]), by=SYSTEM)
    log = TABLES[framework][framework == "agno"]
    assert len(held(database, framework)[log]) < len(before[log])
    restore.undo(done, by=SYSTEM)
    assert held(database, framework)[log] == before[log]


def test_the_mirror_has_a_restore_once(source: Source, framework: str):
    restore.apply(planned_to(framework, steps_of(source, framework)[-2 if framework != "google_adk" else 1]), by=SYSTEM)
    rows = models.Transition.objects.count()
    source.refresh_from_db()
    assert mirror.sync(source, using=store_alias()).is_complete, source.problem
    assert models.Transition.objects.count() == rows


def test_a_session_that_went_on_since_the_preview_is_left_alone(source: Source, database: Database, framework: str):
    planned = planned_to(framework, steps_of(source, framework)[1 if framework == "google_adk" else 0])
    database.execute(GOES_ON[framework])
    before = held(database, framework)
    with pytest.raises(Moved):
        restore.apply(planned, by=SYSTEM)
    assert held(database, framework) == before


def test_a_write_under_way_is_waited_for_and_then_named(
    source: Source, database: Database, framework: str, monkeypatch: pytest.MonkeyPatch
):
    planned = planned_to(framework, steps_of(source, framework)[1 if framework == "google_adk" else 0])
    monkeypatch.setattr(servers, "_BUSY_SECONDS", 0.1)
    before = held(database, framework)
    with database.server.connected(database.name) as writer:
        writer.execute("BEGIN")
        writer.execute(GOES_ON[framework])
        with pytest.raises(Busy):
            restore.apply(planned, by=SYSTEM)
        writer.execute("ROLLBACK")
    assert held(database, framework) == before


def test_a_role_that_may_only_read_is_told_so_before_anything_is_written(
    source: Source, database: Database, framework: str
):
    planned = planned_to(framework, steps_of(source, framework)[1 if framework == "google_adk" else 0])
    database.execute("CREATE ROLE reader LOGIN")
    for table in TABLES[framework]:
        database.execute(f"GRANT SELECT ON {table} TO reader")
    Source.objects.update(path=source.path.replace("postgres@", "reader@"))
    before = held(database, framework)
    try:
        with pytest.raises(ValidationError, match=r"permission denied .* by GRANT SELECT, INSERT, UPDATE, DELETE"):
            restore.apply(planned, by=SYSTEM)
    finally:
        database.execute("DROP OWNED BY reader")
        database.execute("DROP ROLE reader")
    assert held(database, framework) == before


def test_a_part_of_a_moment_is_written_into_the_state_alone(server: Server):
    database = server.made("google_adk/postgres.sql")
    source = adding.add_source(database.url, name="agents", using=store_alias())
    mirror.sync(source, using=store_alias())
    thread = thread_of("google_adk")
    moment = f"transition:{row_id(thread, 'transition', steps_of(source, 'google_adk')[1])}:after"
    restore.apply(restore.plan(thread.agent_id, moment, paths=["/last"]), by=SYSTEM)
    ((state,),) = database.rows("SELECT state FROM sessions WHERE id = 's1'")
    assert (state["last"], state["has_three"]) == ("one", True)
    newest = "SELECT event_data -> 'actions' FROM events WHERE session_id = 's1' ORDER BY timestamp DESC LIMIT 1"
    assert database.rows(newest) == [({"state_delta": {"last": "one"}},)], "an event was rewound"


def test_memories_are_agents_by_prefix(server: Server):
    database = server.made("langgraph/store_postgres.sql")
    source = adding.add_source(database.url, name="agents", using=store_alias())
    assert mirror.sync(source, using=store_alias()).is_complete, source.problem
    assert source.formats == "LangGraph memories"
    states = {agent.agent_id: json.loads(agent.state_data) for agent in models.AgentState.objects.all()}
    assert states == {
        "agents/users.ada": {"likes": {"drink": "tea", "level": 1.5}, "name": {"value": "Ada"}},
        "agents/team": {"plan": {"steps": [1, 2]}},
    }
    database.execute("UPDATE store SET value = '{\"steps\": []}', updated_at = now() WHERE prefix = 'team'")
    mirror.sync(source, using=store_alias())
    assert json.loads(models.AgentState.objects.get(agent_id="agents/team").state_data) == {"plan": {"steps": []}}


@pytest.mark.parametrize("column", ["id", "state", "event_data", "update_time", "message_data", "run_data"])
def test_columns_of_other_types_are_read_as_far_as_they_go_or_refused_in_words(
    database: Database, framework: str, column: str
):
    for table in TABLES[framework]:
        if database.rows(f"SELECT 1 FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = '{column}'"):
            database.execute(
                f"ALTER TABLE {table} DROP COLUMN {column} CASCADE, ADD COLUMN {column} int[] DEFAULT '{{1,2}}'"
            )
    with suppress(ValidationError), servers.opened(servers.keep_secrets_of(database.url)) as rows:
        for reader in servers.readers_of(rows, "postgresql:///agents").values():
            everything(reader, rows)
