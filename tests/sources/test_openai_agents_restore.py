"""A restore of an OpenAI Agents session: later items are removed, and an undo puts them back with their ids."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Conflict, DatabaseError, Moved
from statestore.models.sources import Source
from statestore.sources import files, mirror
from statestore.sources.contract import History
from statestore.sources.readers.openai_agents import OpenAIAgentsReader
from statestore.sources.row_ids import row_id
from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db

FILE, THREAD = "openai_agents/small.sqlite", "conversation-1"
AGENT = f"small/{THREAD}"


def run(source: Source, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(source.path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def items(source: Source, thread: str = THREAD) -> list[tuple[object, ...]]:
    return run(source, "SELECT * FROM agent_messages WHERE session_id = ? ORDER BY id", thread)


def structure(source: Source) -> list[tuple[object, ...]]:
    return run(source, "SELECT * FROM message_structure ORDER BY id")


def read(source: Source, thread: str = THREAD) -> History:
    with files.opened(Path(source.path)) as rows:
        return OpenAIAgentsReader().read(rows, thread)


def moment(source: Source, key: str, thread: str = THREAD, side: str = "after") -> str:
    mirrored = source.threads.select_related("source").get(thread_id=thread)
    return f"transition:{row_id(mirrored, 'transition', key)}:{side}"


def restored(source: Source, key: str, thread: str = THREAD, side: str = "after") -> models.Restore:
    planned = restore.plan(f"{source.name}/{thread}", moment(source, key, thread, side))
    return restore.apply(planned, by=SYSTEM, reason="it went wrong")


def transitions(source: Source, thread: str = THREAD) -> int:
    """Return the number of transitions after a sync."""
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    return models.Transition.objects.of_agent(f"{source.name}/{thread}").count()


def say(source: Source, *said: object, thread: str = THREAD) -> None:
    for item in said:
        run(source, "INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)", thread, json.dumps(item))


USER = {"role": "user", "content": "go on"}
CALL = {"type": "function_call", "call_id": "call_new", "name": "weather", "arguments": "{}"}


def test_later_items_are_removed_and_others_stay(opened: Opener):
    source = opened(FILE)
    before, other = items(source), items(source, "user:42")
    restored(source, "4")
    assert items(source) == before[:4]
    assert items(source, "user:42") == other
    assert read(source).thread.state == {"items": [json.loads(str(row[2])) for row in before[:4]]}


def test_undo_puts_the_items_back_with_their_ids(opened: Opener):
    source = opened(FILE)
    before = items(source)
    done = restored(source, "4")
    again = restore.undo(restore.undo(done, by=SYSTEM), by=SYSTEM)
    assert items(source) == before[:4]
    restore.undo(again, by=SYSTEM)
    assert items(source) == before


@pytest.mark.parametrize(("name", "thread"), [("small", THREAD), ("small", "user:42"), ("encrypted", "enc")])
def test_every_step_can_be_put_back_and_undone(opened: Opener, name: str, thread: str):
    source = opened(f"openai_agents/{name}.sqlite")
    before = items(source, thread)
    for step in read(source, thread).steps:
        for side, state in (("before", step.before), ("after", step.after)):
            done = restored(source, step.key, thread, side)
            assert read(source, thread).thread.state == state
            restore.undo(done, by=SYSTEM)
            assert items(source, thread) == before


def test_the_mirror_has_the_restore_once_and_what_follows_as_one_step(opened: Opener):
    source = opened(FILE)
    done = restored(source, "4")
    count = models.Transition.objects.of_agent(AGENT).count()
    assert transitions(source) == count
    restore.undo(done, by=SYSTEM)
    assert transitions(source) == count + 1
    restored(source, "4", side="before")
    say(source, USER)
    assert transitions(source) == count + 3
    newest = models.Transition.objects.of_agent(AGENT).newest_first().first()
    assert newest is not None
    assert newest.state_before == '{"items":[]}'


def test_undo_is_refused_once_the_session_went_on(opened: Opener):
    source = opened(FILE)
    done = restored(source, "4")
    say(source, USER)
    now = items(source)
    with pytest.raises(Conflict, match="cannot be put back behind others"):
        restore.undo(done, by=SYSTEM)
    transitions(source)
    with pytest.raises(Conflict, match="cannot be put back behind others"):
        restore.undo(done, by=SYSTEM)
    assert items(source) == now


def test_a_session_that_went_on_is_left_alone(opened: Opener):
    source = opened(FILE)
    planned = restore.plan(AGENT, moment(source, "4"))
    say(source, USER)
    now = items(source)
    with pytest.raises(Moved, match="The thread went on"):
        restore.apply(planned, by=SYSTEM)
    assert items(source) == now
    assert models.Restore.objects.count() == 0


def test_a_removed_turn_comes_back_from_the_timeline(opened: Opener):
    source = opened(FILE)
    before = items(source)
    restored(source, "4")
    restored(source, "12")
    assert items(source) == before
    restored(source, "4")
    with pytest.raises(Conflict, match="undo the restore that removed it"):
        restored(source, "8")


def test_a_tool_call_without_its_output_is_refused_with_the_nearest_good_moment(opened: Opener):
    source = opened(FILE)
    say(source, USER, CALL)
    transitions(source)
    say(source, {"type": "function_call_output", "call_id": "call_new", "output": "sunny"})
    transitions(source)
    key = next(str(row[0]) for row in items(source) if row[2] == json.dumps(CALL))
    before = items(source)
    with pytest.raises(Conflict, match=r"After 14 items a tool call has no output.*after 13 items"):
        restored(source, key)
    assert items(source) == before
    done = restored(source, "12")
    restore.undo(done, by=SYSTEM)
    assert items(source) == before


def test_a_part_is_refused(opened: Opener):
    source = opened(FILE)
    with pytest.raises(Conflict, match="only whole moments can be put back"):
        restore.plan(AGENT, moment(source, "8"), edits=[("/items/0/content", '"other"')])


def test_in_a_file_with_branches_only_the_order_of_messages_changes(opened: Opener):
    source = opened("openai_agents/advanced_branches.sqlite")
    say_on_main = structure(source)
    # Without the branches that were written later, main is the one in use.
    run(source, "DELETE FROM message_structure WHERE branch_id <> 'main'")
    transitions(source, "conv")
    before, messages = structure(source), items(source, "conv")
    assert len(before) < len(say_on_main)
    done = restored(source, "12", "conv")
    assert structure(source) == before[:12]
    assert items(source, "conv") == messages
    count = models.Transition.objects.of_agent("advanced_branches/conv").count()
    assert transitions(source, "conv") == count
    restore.undo(done, by=SYSTEM)
    assert structure(source) == before
    assert transitions(source, "conv") == count + 1


def test_a_moment_before_another_branch_was_written_is_refused(opened: Opener):
    source = opened("openai_agents/advanced_branches.sqlite")
    before = structure(source)
    *earlier, newest = read(source, "conv").steps
    for step in earlier:
        with pytest.raises(Conflict, match="was written after this moment"):
            restored(source, step.key, "conv")
    restored(source, newest.key, "conv")
    assert structure(source) == before


def test_ids_that_would_be_given_again_are_not_removed(opened: Opener):
    """SQLAlchemySession's table gives the ids of removed rows to new ones."""
    source = opened(FILE)
    run(source, "CREATE TABLE kept AS SELECT * FROM agent_messages")
    run(source, "DROP TABLE agent_messages")
    run(
        source,
        "CREATE TABLE agent_messages (id INTEGER NOT NULL PRIMARY KEY, session_id VARCHAR NOT NULL"
        " REFERENCES agent_sessions (session_id), message_data TEXT NOT NULL, created_at TIMESTAMP)",
    )
    run(source, "INSERT INTO agent_messages SELECT * FROM kept")
    run(source, "DROP TABLE kept")
    transitions(source)
    before = items(source), items(source, "user:42")
    restore.undo(restored(source, "4"), by=SYSTEM)
    last = next(iter(read(source, "user:42").steps)).key
    with pytest.raises(Conflict, match="gives the ids of removed items to new ones"):
        restored(source, last, "user:42", side="before")
    assert (items(source), items(source, "user:42")) == before


def test_ids_that_were_taken_since_fail_as_a_whole(opened: Opener):
    source = opened(FILE)
    done = restored(source, "4")
    run(source, "INSERT INTO agent_messages VALUES (6, 'user:42', '{}', '2026-11-26')")
    now = items(source)
    with pytest.raises(DatabaseError, match="Nothing was changed"):
        restore.undo(done, by=SYSTEM)
    assert items(source) == now


def test_the_preview_says_what_is_removed(opened: Opener):
    source = opened(FILE)
    planned = restore.plan(AGENT, moment(source, "4"))
    said = [warning.text for warning in planned.warnings if warning.kind == "source"]
    assert said[0] == (
        "The last 8 items are removed from small.sqlite. An undo puts them back, while the session has not gone on."
    )
