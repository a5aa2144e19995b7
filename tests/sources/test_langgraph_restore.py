"""A restore in place: LangGraph's own file has the old checkpoint again as its newest one, and nothing was removed."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.test import Client

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Conflict, DatabaseError, Moved
from statestore.jsondiff.parsing import Json
from statestore.models.sources import Source
from statestore.sources import files, mirror
from statestore.sources.readers.langgraph import LangGraphReader
from statestore.sources.row_ids import row_id
from statestore.sources.state_texts import state_text
from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db

Row = tuple[str, str | None, str, bytes, bytes]


def checkpoints(source: Source, thread: str, space: str = "") -> list[Row]:
    with closing(sqlite3.connect(f"file:{source.path}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints"
            " WHERE thread_id = ? AND checkpoint_ns = ? ORDER BY checkpoint_id",
            [thread, space],
        ).fetchall()


def state_of(source: Source, thread: str) -> Json:
    with files.opened(Path(source.path)) as rows:
        return LangGraphReader().read(rows, thread).thread.state


def moment_of(source: Source, thread: str, checkpoint_id: str) -> str:
    mirrored = source.threads.select_related("source").get(thread_id=thread)
    return f"transition:{row_id(mirrored, 'transition', str(checkpoint_id))}:after"


def restored_to(source: Source, thread: str, checkpoint_id: str) -> models.Restore:
    planned = restore.plan(f"{source.name}/{thread}", moment_of(source, thread, checkpoint_id))
    return restore.apply(planned, by=SYSTEM, reason="it went wrong")


def test_the_newest_checkpoint_is_a_copy_of_the_old_one_beside_it(opened: Opener):
    source = opened("langgraph/small.sqlite")
    before = checkpoints(source, "thread-1")
    old = before[3]
    restored_to(source, "thread-1", old[0])
    after = checkpoints(source, "thread-1")
    assert after[:-1] == before, "a row was changed or removed"
    made = after[-1]
    assert made[0] > before[-1][0]
    assert made[1] == old[1], "its parent is the old one's"
    assert made[2] == old[2]
    assert len(made[3]) == len(old[3]), "only the id and the time are others"
    assert b'"source": "fork"' in made[4]
    assert old[0].encode() in made[4]


def test_the_state_and_what_comes_next_are_those_of_the_moment(opened: Opener):
    source = opened("langgraph/small.sqlite")
    old = checkpoints(source, "thread-1")[3]
    done = restored_to(source, "thread-1", old[0])
    agent = models.AgentState.objects.get(agent_id="small/thread-1")
    assert state_text(state_of(source, "thread-1")) == agent.state_data
    assert restore.verify(done).in_force


def test_the_mirror_has_the_restore_once(opened: Opener):
    source = opened("langgraph/small.sqlite")
    restored_to(source, "thread-1", checkpoints(source, "thread-1")[3][0])
    rows = models.Transition.objects.of_agent("small/thread-1").count()
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    assert models.Transition.objects.of_agent("small/thread-1").count() == rows


def test_the_mirror_leaves_a_restored_agent_as_it_is_so_that_one_click_undoes_it(opened: Opener):
    source = opened("langgraph/small.sqlite")
    restored_to(source, "thread-1", checkpoints(source, "thread-1")[3][0])
    etag = models.AgentState.objects.get(agent_id="small/thread-1").etag()
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    assert models.AgentState.objects.get(agent_id="small/thread-1").etag() == etag


def test_undo_puts_the_former_newest_back(opened: Opener):
    source = opened("langgraph/small.sqlite")
    former = checkpoints(source, "thread-1")[-1]
    was = state_of(source, "thread-1")
    done = restored_to(source, "thread-1", checkpoints(source, "thread-1")[3][0])
    assert state_of(source, "thread-1") != was
    restore.undo(done, by=SYSTEM)
    assert state_of(source, "thread-1") == was
    assert checkpoints(source, "thread-1")[-1][1] == former[1]


def test_two_checkpoints_of_one_state_are_told_apart(opened: Opener):
    """A state may be that of two checkpoints, from which other nodes come next."""
    source = opened("langgraph/forks.sqlite")
    old = next(row for row in checkpoints(source, "fork-thread") if b'"source": "input", "step": 4' in row[4])
    restored_to(source, "fork-thread", old[0])
    assert checkpoints(source, "fork-thread")[-1][1] == old[1]


def test_a_thread_that_went_on_is_left_alone(opened: Opener):
    source = opened("langgraph/small.sqlite")
    rows = checkpoints(source, "thread-1")
    planned = restore.plan("small/thread-1", moment_of(source, "thread-1", rows[3][0]))
    with closing(sqlite3.connect(source.path)) as connection:
        connection.execute(
            "INSERT INTO checkpoints SELECT thread_id, checkpoint_ns, replace(checkpoint_id, '1f1e', '1f1f'),"
            " checkpoint_id, type, checkpoint, metadata FROM checkpoints WHERE checkpoint_id = ?",
            [rows[-1][0]],
        )
        connection.commit()
    now = checkpoints(source, "thread-1")
    with pytest.raises(Moved, match="The thread went on"):
        restore.apply(planned, by=SYSTEM)
    assert checkpoints(source, "thread-1") == now
    assert models.Restore.objects.count() == 0


def test_a_lasting_graph_within_goes_back_with_its_thread(opened: Opener):
    source = opened("langgraph/interrupt_subgraph.sqlite")
    root, child = checkpoints(source, "resumed"), checkpoints(source, "resumed", "child")
    restored_to(source, "resumed", root[2][0])
    made = checkpoints(source, "resumed", "child")
    assert made[:-1] == child
    assert made[-1][0] == checkpoints(source, "resumed")[-1][0]
    assert b"channel_values\x80" in made[-1][3], "it had not begun, and begins anew"


def test_a_graph_within_a_thread_is_not_put_back_alone(opened: Opener):
    source = opened("langgraph/interrupt_subgraph.sqlite")
    row = checkpoints(source, "resumed", "child")[1]
    with pytest.raises(Conflict, match="goes back with it"):
        restored_to(source, "resumed ▸ child", row[0])


@pytest.mark.parametrize(("name", "thread"), [("encrypted", "enc"), ("pickle_fallback", "pickle")])
def test_what_cannot_be_read_is_put_back_byte_for_byte(opened: Opener, name: str, thread: str):
    source = opened(f"langgraph/{name}.sqlite")
    old = checkpoints(source, thread)[1]
    restored_to(source, thread, old[0])
    assert checkpoints(source, thread)[-1][3] == old[3]


@pytest.mark.parametrize("name", ["custom", "delta", "forks"])
def test_every_step_of_every_thread_can_be_put_back(opened: Opener, name: str):
    source = opened(f"langgraph/{name}.sqlite")
    for thread in source.threads.all():
        for row in checkpoints(source, thread.thread_id):
            done = restored_to(source, thread.thread_id, row[0])
            agent = models.AgentState.objects.get(agent_id=thread.agent_id)
            assert state_text(state_of(source, thread.thread_id)) == agent.state_data, f"{thread} {row[0]}"
            assert checkpoints(source, thread.thread_id)[-1][1] == row[1]
            assert done.kind == "whole"


def test_a_part_of_a_state_is_refused_before_anything_is_written(opened: Opener):
    source = opened("langgraph/small.sqlite")
    rows = checkpoints(source, "thread-1")
    with pytest.raises(Conflict, match="only whole moments can be put back into LangGraph"):
        restore.plan("small/thread-1", moment_of(source, "thread-1", rows[3][0]), paths=["/notes"])
    assert checkpoints(source, "thread-1") == rows


def test_the_preview_says_what_runs_again(opened: Opener):
    source = opened("langgraph/small.sqlite")
    planned = restore.plan("small/thread-1", moment_of(source, "thread-1", checkpoints(source, "thread-1")[3][0]))
    said = [warning.text for warning in planned.warnings if warning.kind == "source"]
    assert said[0] == "A copy of step 2 becomes the newest checkpoint in small.sqlite. No checkpoint is removed."
    assert said[1] == "What comes next runs again once the graph is invoked: model."


def test_the_preview_names_what_is_sent_and_what_waited_for_several(opened: Opener):
    source = opened("langgraph/joins.sqlite")
    said = []
    for row in checkpoints(source, "joins")[3:5]:
        planned = restore.plan("joins/joins", moment_of(source, "joins", row[0]))
        said += [warning.text for warning in planned.warnings if "runs again" in warning.text]
    assert said == [
        "What comes next runs again once the graph is invoked: join.",
        "What comes next runs again once the graph is invoked: send (3 times).",
    ]


def test_a_checkpoint_of_the_javascript_package_is_copied_letter_by_letter_but_for_its_id_and_time(opened: Opener):
    source = opened("langgraph/javascript.sqlite")
    before = checkpoints(source, "js1")
    done = restore.apply(restore.plan("javascript/js1", moment_of(source, "js1", before[4][0])), by=SYSTEM)
    sql = "SELECT type, checkpoint FROM checkpoints WHERE thread_id = 'js1' AND checkpoint_id = ?"
    with closing(sqlite3.connect(source.path)) as connection:
        ((_, old),) = connection.execute(sql, [before[4][0]])
        ((kind, new),) = connection.execute(sql, [checkpoints(source, "js1")[-1][0]])
    made = json.loads(new)
    assert kind == "json"
    assert new.decode().replace(made["id"], before[4][0]).replace(made["ts"], json.loads(old)["ts"]) == old.decode()
    assert checkpoints(source, "js1")[:-1] == before
    restore.undo(done, by=SYSTEM)
    assert json.loads(models.AgentState.objects.get(agent_id="javascript/js1").state_data)["rounds"] == 2


def test_a_checkpoint_that_is_stored_as_text_is_copied_too(opened: Opener):
    source = opened("langgraph/javascript.sqlite")
    with closing(sqlite3.connect(source.path, isolation_level=None)) as connection:
        connection.execute("UPDATE checkpoints SET checkpoint = CAST(checkpoint AS TEXT)")
    mirror.sync(source, using=store_alias())
    wanted = checkpoints(source, "js1")[4]
    planned = restore.plan("javascript/js1", moment_of(source, "js1", wanted[0]))
    restore.apply(planned, by=SYSTEM)
    assert state_text(state_of(source, "js1")) == planned.text


def test_a_write_that_fails_leaves_both_stores_as_they_were(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened("langgraph/small.sqlite")
    rows = checkpoints(source, "thread-1")
    state = models.AgentState.objects.get(agent_id="small/thread-1").state_data
    planned = restore.plan("small/thread-1", moment_of(source, "thread-1", rows[3][0]))
    monkeypatch.setattr(files, "writable", lambda path: sqlite3.connect(f"file:{path}?mode=ro", uri=True))
    with pytest.raises(DatabaseError, match="cannot be written"):
        restore.apply(planned, by=SYSTEM)
    assert checkpoints(source, "thread-1") == rows
    assert models.AgentState.objects.get(agent_id="small/thread-1").state_data == state
    assert models.Restore.objects.count() == 0


def test_other_formats_say_that_they_are_only_read(opened: Opener):
    opened("langgraph/store.sqlite")
    agent = models.AgentState.objects.first()
    assert agent is not None
    with pytest.raises(Conflict, match="LangGraph memories can be read here, but not be restored in place"):
        restore.plan(agent.agent_id, "now")


def test_the_preview_offers_no_status_since_the_framework_says_it(opened: Opener, operator: Client):
    source = opened("langgraph/small.sqlite")
    moment = moment_of(source, "thread-1", checkpoints(source, "thread-1")[3][0])
    agent = models.AgentState.objects.get(agent_id="small/thread-1")
    page = operator.get(f"{agent.get_absolute_url()}restore/", {"moment": moment})
    assert page.status_code == 200
    assert 'name="status"' not in page.content.decode()
