"""LangGraph's checkpoints in PostgreSQL: read as in SQLite, and put back in place."""

import json
from typing import Any

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Busy, Conflict, Moved
from statestore.jsondiff.parsing import Json
from statestore.models.sources import Source
from statestore.sources import adding, mirror, servers
from statestore.sources.readers.langgraph_postgresql import LangGraphPostgreSQLReader, VersionedGraph
from statestore.sources.row_ids import row_id
from statestore.sources.state_texts import state_text
from tests.sources.servers import Database, Server
from tests.sources.stores import whole

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("embedded")]

THREAD = "pg-thread"
CHECKPOINTS = """
SELECT checkpoint_id, parent_checkpoint_id, checkpoint, metadata FROM checkpoints WHERE checkpoint_ns = ''
ORDER BY checkpoint_id
"""


@pytest.fixture
def database(server: Server) -> Database:
    """Return a database of a PostgresSaver: a thread with a fork."""
    return server.made("langgraph/postgres.sql")


@pytest.fixture
def source(database: Database) -> Source:
    """Return its mirror."""
    made = adding.add_source(database.url, name="agents", using=store_alias())
    assert mirror.sync(made, using=store_alias()).is_complete, made.problem
    return made


def state_of(database: Database, thread: str = THREAD) -> Json:
    with servers.opened(servers.keep_secrets_of(database.url)) as rows:
        return LangGraphPostgreSQLReader().read(rows, thread).thread.state


def moment_of(checkpoint_id: str) -> str:
    mirrored = models.SourceThread.objects.select_related("source").get(thread_id=THREAD)
    return f"transition:{row_id(mirrored, 'transition', checkpoint_id)}:after"


def restored_to(checkpoint_id: str) -> models.Restore:
    return restore.apply(restore.plan(f"agents/{THREAD}", moment_of(checkpoint_id)), by=SYSTEM)


def test_a_state_has_the_values_in_the_checkpoint_and_those_beside_it(database: Database):
    state: Any = state_of(database)
    assert isinstance(state["messages"][0], dict), "from a blob"
    inline = database.rows("SELECT checkpoint -> 'channel_values' FROM checkpoints ORDER BY checkpoint_id DESC LIMIT 1")
    for name, value in inline[0][0].items():
        if not name.startswith(("__", "branch:to:")):
            assert state[name] == value, "from the checkpoint itself"


def test_the_page_size_changes_nothing_of_what_is_read(database: Database, monkeypatch: pytest.MonkeyPatch):
    from statestore.sources.readers import langgraph

    with servers.opened(servers.keep_secrets_of(database.url)) as rows:
        reader = LangGraphPostgreSQLReader()
        at_once = whole(reader.read(rows, THREAD))
        monkeypatch.setattr(langgraph, "_PAGE", 2)
        assert whole(reader.read(rows, THREAD)) == at_once
        for place, step in enumerate(at_once.steps):
            later = whole(reader.read(rows, THREAD, step.key))
            assert later.steps == list(at_once.steps)[place + 1 :]


def test_the_fork_is_a_step_back_and_each_checkpoint_one_step(database: Database, source: Source):
    rows = models.Transition.objects.of_agent(f"agents/{THREAD}")
    keys = [json.loads(row.metadata or "{}").get("key") for row in rows.oldest_first()]
    assert [key for key in keys if key] == [row[0] for row in database.rows(CHECKPOINTS)]
    assert any(row.reason.startswith("back to step") for row in rows)


def test_the_newest_checkpoint_is_a_copy_of_the_old_one_beside_it(database: Database, source: Source):
    before = database.rows(CHECKPOINTS)
    blobs = database.rows("SELECT count(*) FROM checkpoint_blobs")
    old = before[4]
    restored_to(old[0])
    after = database.rows(CHECKPOINTS)
    assert after[:-1] == before, "a row was changed or removed"
    made = after[-1]
    assert made[0] > before[-1][0]
    assert made[1] == old[1], "its parent is the old one's"
    assert {**made[2], "id": "", "ts": ""} == {**old[2], "id": "", "ts": ""}
    assert made[2]["id"] == made[0]
    assert made[3] == {
        **old[3], "source": "fork", "restored_from": old[0], "restored_over": before[-1][0],
        "restored_by": SYSTEM.name,
    }  # fmt: skip
    assert database.rows("SELECT count(*) FROM checkpoint_blobs") == blobs


def test_every_step_can_be_put_back_and_undone(database: Database, source: Source):
    for row in database.rows(CHECKPOINTS):
        was = state_of(database)
        done = restored_to(row[0])
        agent = models.AgentState.objects.get(agent_id=f"agents/{THREAD}")
        assert state_text(state_of(database)) == agent.state_data
        restore.undo(done, by=SYSTEM)
        assert state_text(state_of(database)) == state_text(was)


def test_the_mirror_has_the_restore_once(database: Database, source: Source):
    restored_to(database.rows(CHECKPOINTS)[4][0])
    rows = models.Transition.objects.count()
    source.refresh_from_db()
    assert mirror.sync(source, using=store_alias()).steps == 0
    assert models.Transition.objects.count() == rows


def test_a_graph_that_went_on_since_the_preview_is_left_alone(database: Database, source: Source):
    planned = restore.plan(f"agents/{THREAD}", moment_of(database.rows(CHECKPOINTS)[4][0]))
    database.execute(GOES_ON)
    before = database.rows(CHECKPOINTS)
    with pytest.raises(Moved):
        restore.apply(planned, by=SYSTEM)
    assert database.rows(CHECKPOINTS) == before
    assert models.Restore.objects.count() == 0


GOES_ON = """
INSERT INTO checkpoints
SELECT thread_id, checkpoint_ns, replace(checkpoint_id, '1f1', '1f2'), checkpoint_id, type, checkpoint, metadata
FROM checkpoints ORDER BY checkpoint_id DESC LIMIT 1
"""


def test_a_program_in_the_middle_of_its_write_is_waited_for_and_then_refused(
    database: Database, source: Source, monkeypatch: pytest.MonkeyPatch
):
    planned = restore.plan(f"agents/{THREAD}", moment_of(database.rows(CHECKPOINTS)[4][0]))
    monkeypatch.setattr(servers, "_BUSY_SECONDS", 0.2)
    before = database.rows(CHECKPOINTS)
    with database.server.connected(database.name) as writer:
        writer.execute("BEGIN")
        writer.execute(GOES_ON)
        with pytest.raises(Busy, match="Nothing was changed"):
            restore.apply(planned, by=SYSTEM)
        writer.execute("ROLLBACK")
    assert database.rows(CHECKPOINTS) == before


def test_graphs_that_last_within_the_thread_go_back_with_it(database: Database, source: Source):
    rows = database.rows(CHECKPOINTS)
    database.execute(
        "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)"
        f" SELECT thread_id, 'child', checkpoint_id, checkpoint, metadata FROM checkpoints"
        f" WHERE checkpoint_id IN ('{rows[2][0]}', '{rows[8][0]}')"
    )
    database.execute(
        "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)"
        f" SELECT thread_id, 'late', checkpoint_id, checkpoint, metadata FROM checkpoints"
        f" WHERE checkpoint_id = '{rows[8][0]}' AND checkpoint_ns = ''"
    )
    mirror.sync(source, using=store_alias())
    restored_to(rows[4][0])
    made = (
        "SELECT checkpoint -> 'channel_versions' FROM checkpoints WHERE checkpoint_ns = '{}'"
        " ORDER BY checkpoint_id DESC"
    )
    assert database.rows(made.format("child"))[0] == (rows[2][2]["channel_versions"],)
    assert database.rows(made.format("late"))[0] == ({},), "it goes on with what it did later"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE checkpoint_blobs SET blob = substr(blob, 1, 3)",
        "UPDATE checkpoint_blobs SET blob = NULL",
        "UPDATE checkpoint_blobs SET type = 'pickle'",
        "UPDATE checkpoint_blobs SET blob = decode(repeat('91', 100000), 'hex')",
        "DELETE FROM checkpoint_blobs",
        "UPDATE checkpoints SET checkpoint = '[]'",
        'UPDATE checkpoints SET checkpoint = \'{"channel_versions": [1], "channel_values": 7, "ts": {}}\'',
        "UPDATE checkpoints SET metadata = '\"x\"'",
        "UPDATE checkpoints SET parent_checkpoint_id = checkpoint_id",
        "UPDATE checkpoint_writes SET blob = '\\xc1', type = NULL",
    ],
)
def test_damaged_values_are_shown_as_such(database: Database, sql: str):
    database.execute(sql)
    source = adding.add_source(database.url, using=store_alias())
    assert mirror.sync(source, using=store_alias()).is_complete, source.problem
    assert models.Transition.objects.count() >= 13


def test_a_thread_that_is_deleted_while_it_is_read_is_left_to_the_next_look(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    execute = servers.ServerRows.execute

    def deleting(rows: servers.ServerRows, sql: str, *values: Any) -> Any:
        if "FROM checkpoint_blobs" in sql:
            database.execute("DELETE FROM checkpoints; DELETE FROM checkpoint_blobs; DELETE FROM checkpoint_writes")
        return execute(rows, sql, *values)

    monkeypatch.setattr(servers.ServerRows, "execute", deleting)
    source = adding.add_source(database.url, using=store_alias())
    mirror.sync(source, using=store_alias())
    assert not source.problem
    assert models.AgentState.objects.count() == 0, "a state without its values was taken for whole"


def test_what_langgraph_deletes_stays_here_and_is_noted(database: Database, source: Source):
    database.execute("DELETE FROM checkpoints; DELETE FROM checkpoint_blobs; DELETE FROM checkpoint_writes")
    mirror.sync(source, using=store_alias())
    assert source.threads.get().gone_at is not None
    assert models.Transition.objects.count() >= 13


def test_checkpoints_of_an_older_form_are_read_and_not_restored(database: Database, source: Source):
    old = database.rows(CHECKPOINTS)[4][0]
    database.execute("UPDATE checkpoints SET checkpoint = checkpoint || '{\"v\": 3}'")
    with pytest.raises(Conflict, match="in which no restore was tried"):
        restore.plan(f"agents/{THREAD}", moment_of(old))


def test_only_whole_moments_are_put_back(database: Database, source: Source):
    rows = database.rows(CHECKPOINTS)
    with pytest.raises(Conflict, match="only whole moments can be put back into LangGraph"):
        restore.plan(f"agents/{THREAD}", moment_of(rows[2][0]), paths=["/notes"])
    assert database.rows(CHECKPOINTS) == rows


_NUMBERS = """
SELECT c.checkpoint_id, v.key, CAST(v.value AS int)
FROM checkpoints AS c, jsonb_each_text(c.checkpoint -> 'channel_versions') AS v ORDER BY 1
"""


def test_a_copy_of_the_javascript_packages_numbers_its_values_above_all_others(server: Server):
    """It counts, and PostgresSaver keeps an old value where a number is taken: a graph would go on with that."""
    database = server.made("langgraph/javascript_postgres.sql")
    made = adding.add_source(database.url, name="agents", using=store_alias())
    assert mirror.sync(made, using=store_alias()).is_complete
    thread = models.SourceThread.objects.select_related("source").get(thread_id="js1")
    ids = [row[0] for row in database.rows(CHECKPOINTS)]
    states = {key: state_of(database, "js1") for key in ids[-1:]}
    for checkpoint_id in ids[2:-1]:
        known = database.rows("SELECT channel, version, blob FROM checkpoint_blobs")
        highest = max(number for _, _, number in database.rows(_NUMBERS))
        moment = f"transition:{row_id(thread, 'transition', checkpoint_id)}:after"
        planned = restore.plan("agents/js1", moment)
        done = restore.apply(planned, by=SYSTEM)
        newest = database.rows(CHECKPOINTS)[-1][0]
        numbers = {name: number for key, name, number in database.rows(_NUMBERS) if key == newest}
        old = {name: number for key, name, number in database.rows(_NUMBERS) if key == checkpoint_id}
        assert numbers == {name: number + highest for name, number in old.items()}
        assert set(known) <= set(database.rows("SELECT channel, version, blob FROM checkpoint_blobs"))
        assert state_text(state_of(database, "js1")) == planned.text
        restore.undo(done, by=SYSTEM)
        assert state_of(database, "js1") == states[ids[-1]]


def test_what_a_node_has_seen_is_numbered_with_the_values(server: Server):
    database = server.made("langgraph/javascript_postgres.sql")
    made = adding.add_source(database.url, name="agents", using=store_alias())
    mirror.sync(made, using=store_alias())
    thread = models.SourceThread.objects.select_related("source").get(thread_id="js1")
    with servers.opened(servers.keep_secrets_of(database.url)) as rows:
        graph = VersionedGraph(rows, "js1", "")
        wanted = [graph.find(row[0]) for row in database.rows(CHECKPOINTS)]
    for checkpoint in filter(None, wanted):
        moment = f"transition:{row_id(thread, 'transition', checkpoint.id)}:after"
        restore.apply(restore.plan("agents/js1", moment), by=SYSTEM)
        with servers.opened(servers.keep_secrets_of(database.url)) as rows:
            copied = VersionedGraph(rows, "js1", "").newest()
        assert copied.next_nodes == checkpoint.next_nodes
