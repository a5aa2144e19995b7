"""What is written late into a log, below what was mirrored: the state is right, and a late item is an event."""

import json
import sqlite3
from contextlib import closing

import pytest

from statestore import models
from statestore.db.routers import store_alias
from statestore.models.sources import Source
from statestore.sources import adding, locations, mirror
from statestore.sources.readers import known_readers
from statestore.sources.row_ids import row_id
from statestore.sources.state_texts import state_text
from tests.sources.conftest import FileMaker
from tests.sources.servers import Server

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("embedded")]

# Of each format: the file, and the table, the key and the thread of its log.
LOGS = {
    "openai-agents": ("openai_agents/small.sqlite", "agent_messages", "id", "conversation-1"),
    "google-adk": ("google_adk/sqlite_service.sqlite", "events", "id", ""),
    "agno": ("agno/small.sqlite", "agno_runs", "run_id", ""),
}


def synced(source: Source) -> mirror.Synced:
    source.refresh_from_db()
    done = mirror.sync(source, using=store_alias())
    assert source.problem == ""
    return done


def expect_as_there(source: Source, thread: models.SourceThread) -> None:
    """Expect the mirror to have the framework's state, at the end of a line of states."""
    with locations.of(source.path).opened() as rows:
        state = known_readers()[thread.reader].read(rows, thread.thread_id).thread.state
    agent = models.AgentState.objects.get(agent_id=thread.agent_id)
    assert agent.state_data == state_text(state)
    *_, newest = models.Transition.objects.of_agent(thread.agent_id).order_by("rowid")
    assert newest.state_after == agent.state_data


@pytest.mark.parametrize("key", LOGS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_state_is_right_whichever_row_is_late(framework_file: FileMaker, key: str, place: int):
    name, table, column, wanted = LOGS[key]
    path = framework_file(name)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        where = f"WHERE session_id = '{wanted}'" if wanted else ""
        row = connection.execute(f"SELECT * FROM {table} {where} ORDER BY rowid LIMIT 1 OFFSET ?", [place]).fetchone()
        names = [found[1] for found in connection.execute(f"PRAGMA table_info({table})")]
        late = row[names.index(column)]
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", [late])
        source = adding.add_source(path, using=store_alias())
        synced(source)
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)
    synced(source)
    for thread in source.threads.filter(reader=key):
        if models.Transition.objects.of_agent(thread.agent_id).exists():
            expect_as_there(source, thread)
    count = models.Transition.objects.count()
    source.stamp = ""
    source.save()
    synced(source)
    assert models.Transition.objects.count() == count, "it is mirrored once"


def test_a_late_item_of_a_session_is_an_event_and_deleted_ones_stay_deleted(framework_file: FileMaker):
    path = framework_file("openai_agents/small.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        row = connection.execute("SELECT * FROM agent_messages WHERE id = 6").fetchone()
        connection.execute("DELETE FROM agent_messages WHERE id = 6")
        source = adding.add_source(path, using=store_alias())
        synced(source)
        events = models.Event.objects.filter(session_id=_session(source))
        known = events.count()
        events.filter(pk=events.order_by("rowid")[0].pk).delete()
        connection.execute("INSERT INTO agent_messages VALUES (?, ?, ?, ?)", row)
        synced(source)
    assert events.count() == known, "one was deleted here, and one came late"
    thread = source.threads.select_related("source").get(thread_id="conversation-1")
    late = models.Event.objects.get(pk=row_id(thread, "event", "6"))
    assert late.content
    assert json.loads(models.AgentState.objects.get(agent_id=thread.agent_id).state_data)["items"]


def test_what_is_said_late_in_an_earlier_run_is_an_event_and_deleted_ones_stay_deleted(framework_file: FileMaker):
    """Two runs go on at once, and the one that began first ends last."""
    path = framework_file("agno/small.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        sql = "SELECT session_id FROM agno_runs GROUP BY session_id ORDER BY count(*) DESC LIMIT 1"
        ((session,),) = connection.execute(sql)
        first, data = connection.execute(
            "SELECT run_id, run_data FROM agno_runs WHERE session_id = ? ORDER BY run_index LIMIT 1", [session]
        ).fetchone()
        connection.execute("UPDATE agno_runs SET status = 'RUNNING' WHERE run_id = ?", [first])
        source = adding.add_source(path, using=store_alias())
        synced(source)
        thread = source.threads.select_related("source").get(thread_id=session)
        events = models.Event.objects.filter(session_id=row_id(thread, "session", ""))
        known = events.count()
        # Of a later run, which is not written again.
        events.filter(pk=events.order_by("-rowid")[0].pk).delete()
        run = json.loads(data)
        run["messages"].append({"role": "assistant", "content": "said late", "created_at": 1_795_000_000})
        connection.execute(
            "UPDATE agno_runs SET run_data = ?, status = 'COMPLETED', updated_at ="
            " (SELECT max(coalesce(updated_at, created_at)) + 1 FROM agno_runs) WHERE run_id = ?",
            [json.dumps(run), first],
        )  # fmt: skip
        synced(source)
    assert events.filter(content="said late").count() == 1
    assert events.count() == known, "one was deleted here, and one came late"
    expect_as_there(source, thread)


def test_a_transaction_that_ends_late_on_a_server_is_not_missed(server: Server):
    database = server.made("openai_agents/postgres.sql")
    source = adding.add_source(database.url, name="agents", using=store_alias())
    synced(source)
    known = models.Event.objects.count()
    insert = "INSERT INTO agent_messages (session_id, message_data) VALUES ('s1', %s)"
    with server.connected(database.name) as slow, server.connected(database.name) as quick:
        slow.execute("BEGIN")
        slow.execute(insert, ['{"role": "user", "content": "slow"}'])
        quick.execute(insert, ['{"role": "user", "content": "quick"}'])
        synced(source)
        slow.execute("COMMIT")
        synced(source)
    assert models.Event.objects.count() == known + 2
    assert {"slow", "quick"} <= set(models.Event.objects.values_list("content", flat=True))
    expect_as_there(source, source.threads.get(thread_id="s1"))


def _session(source: Source) -> str:
    thread = source.threads.select_related("source").get(thread_id="conversation-1")
    return row_id(thread, "session", "")
