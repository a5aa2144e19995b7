"""A checkpoint that is written late, below the newest one that was mirrored, is added in its place."""

import sqlite3
from contextlib import closing
from itertools import pairwise

import pytest

from statestore import history, models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.models.sources import Source
from statestore.sources import adding, mirror
from statestore.sources.row_ids import row_id
from statestore.sources.writers.steps import noted_of
from tests.sources.conftest import FileMaker, Opener
from tests.sources.servers import Server

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("embedded")]

AGENT = "small/thread-1"


def synced(source: Source) -> mirror.Synced:
    source.refresh_from_db()
    done = mirror.sync(source, using=store_alias())
    assert source.problem == ""
    return done


def run(source: Source, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(source.path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def ids(source: Source) -> list[str]:
    sql = "SELECT checkpoint_id FROM checkpoints WHERE thread_id = 'thread-1' ORDER BY checkpoint_id"
    return [str(found) for (found,) in run(source, sql)]


def mirrored() -> list[str]:
    rows = models.Transition.objects.of_agent(AGENT)
    return sorted(key for row in rows if (key := mirror_key(row)))


def mirror_key(row: models.Transition) -> str:
    return str(noted_of(row).get("key") or "")


def expect_one_line() -> None:
    """Expect the past of the agent to be one line of states, with its present one at the end."""
    rows = list(models.Transition.objects.of_agent(AGENT).oldest_first())
    agent = models.AgentState.objects.get(agent_id=AGENT)
    by_time: dict[int, list[models.Transition]] = {}
    for row in rows:
        by_time.setdefault(row.timestamp, []).append(row)
    for before, after in pairwise(by_time.values()):
        assert {row.state_after for row in before} & {row.state_before for row in after}
    assert history.state_at(AGENT, history.moments.parse("now")).text == agent.state_data


@pytest.mark.parametrize("place", [0, 3, 8])
def test_it_is_added_whichever_place_it_has(opened: Opener, framework_file: FileMaker, place: int):
    path = framework_file("langgraph/small.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        sql = "SELECT * FROM checkpoints WHERE thread_id = 'thread-1' ORDER BY checkpoint_id LIMIT 1 OFFSET ?"
        row = connection.execute(sql, [place]).fetchone()
        connection.execute("DELETE FROM checkpoints WHERE thread_id = 'thread-1' AND checkpoint_id = ?", [row[2]])
    source = adding.add_source(path, using=store_alias())
    synced(source)
    before = models.AgentState.objects.get(agent_id=AGENT).state_data
    assert row[2] not in mirrored()
    run(source, "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
    assert synced(source).steps == 1
    assert mirrored() == ids(source)
    assert models.AgentState.objects.get(agent_id=AGENT).state_data == before, "the thread is where it was"
    expect_one_line()
    assert synced(source).steps == 0


def test_a_thread_that_was_written_in_the_reverse_order_is_mirrored_whole(framework_file: FileMaker):
    path = framework_file("langgraph/small.sqlite")
    source = adding.add_source(path, using=store_alias())
    rows = run(source, "SELECT * FROM checkpoints WHERE thread_id = 'thread-1' ORDER BY checkpoint_id DESC")
    run(source, "DELETE FROM checkpoints WHERE thread_id = 'thread-1'")
    for number, row in enumerate(rows, 1):
        run(source, "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
        synced(source)
        assert mirrored() == ids(source)
        assert len(mirrored()) == number
    expect_one_line()


def test_a_late_one_and_a_new_one_come_together(opened: Opener, framework_file: FileMaker):
    source = opened("langgraph/small.sqlite")
    newest, third = ids(source)[-1], ids(source)[2]
    copy = (
        "INSERT INTO checkpoints SELECT thread_id, checkpoint_ns, ?, checkpoint_id, type, checkpoint, metadata"
        " FROM checkpoints WHERE thread_id = 'thread-1' AND checkpoint_id = ?"
    )
    run(source, copy, f"{newest[:-1]}z", newest)
    run(source, copy, f"{third[:-1]}z", third)
    assert synced(source).steps == 2
    assert mirrored() == ids(source)


def add_late(source: Source, before: str) -> None:
    """Copy a checkpoint under an id that comes right after its own."""
    run(
        source,
        "INSERT INTO checkpoints SELECT thread_id, checkpoint_ns, ?, checkpoint_id, type, checkpoint, metadata"
        " FROM checkpoints WHERE thread_id = 'thread-1' AND checkpoint_id = ?",
        f"{before[:-1]}z",
        before,
    )


def test_what_was_deleted_here_does_not_come_back_with_it(opened: Opener):
    source = opened("langgraph/small.sqlite")
    first, third = ids(source)[0], ids(source)[2]
    thread = source.threads.select_related("source").get(thread_id="thread-1")
    models.Transition.objects.filter(pk=row_id(thread, "transition", first)).delete()
    add_late(source, third)
    assert synced(source).steps == 1
    assert mirrored() == ids(source)[1:]


def test_what_a_restore_wrote_is_not_late(opened: Opener):
    source = opened("langgraph/small.sqlite")
    thread = source.threads.select_related("source").get(thread_id="thread-1")
    third = ids(source)[2]
    moment = f"transition:{row_id(thread, 'transition', third)}:after"
    restore.apply(restore.plan(AGENT, moment), by=SYSTEM)
    add_late(source, third)
    assert synced(source).steps == 1
    assert mirrored() == ids(source)


def test_a_transaction_that_ends_late_on_a_server_is_not_missed(server: Server):
    """Ids are made when a program writes, and rows are seen when its transaction ends."""
    database = server.made("langgraph/postgres.sql")
    source = adding.add_source(database.url, using=store_alias())
    synced(source)
    (thread, third), *_ = database.rows(
        "SELECT thread_id, checkpoint_id FROM checkpoints WHERE checkpoint_ns = ''"
        " ORDER BY thread_id, checkpoint_id OFFSET 2"
    )
    copy = (
        "INSERT INTO checkpoints SELECT thread_id, checkpoint_ns, overlay(checkpoint_id placing 'f' from 36),"
        " checkpoint_id, type, checkpoint, metadata FROM checkpoints WHERE thread_id = %s AND checkpoint_id = %s"
    )
    with server.connected(database.name) as slow:
        slow.execute("BEGIN")
        slow.execute(copy, [thread, third])
        database.execute(
            "INSERT INTO checkpoints SELECT thread_id, checkpoint_ns,"
            " overlay(checkpoint_id placing '1f2e0000' from 1 for 8), checkpoint_id, type, checkpoint, metadata"
            f" FROM checkpoints WHERE thread_id = '{thread}'"
            " AND checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1"
        )
        assert synced(source).steps == 1
        slow.execute("COMMIT")
    assert synced(source).steps == 1
    agent = models.SourceThread.objects.get(thread_id=thread, source=source).agent_id
    keys = {mirror_key(row) for row in models.Transition.objects.of_agent(agent)}
    assert f"{third[:-1]}f" in keys
    assert synced(source).steps == 0
