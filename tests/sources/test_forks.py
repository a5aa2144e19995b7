"""A fork in the framework's own store: a new thread from a moment, and the old one as it was."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import history, models
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.db.ids import to_address
from statestore.db.routers import store_alias
from statestore.errors import Conflict, ValidationError
from statestore.jsondiff.parsing import Json
from statestore.models.sources import Source, SourceThread
from statestore.sources import adding, files, forking, locations, mirror
from statestore.sources.batches import Batch
from statestore.sources.readers import google_adk, known_readers
from statestore.sources.readers.columns import list_of, object_of
from statestore.sources.state_texts import state_text
from tests.api.conftest import script_of
from tests.sources.conftest import Opener
from tests.sources.servers import Server
from tests.sources.test_openai_agents_restore import CALL, USER, run, say

pytestmark = pytest.mark.django_db

ADA = Actor("ada")
# Of each file a thread, and what its framework calls the fork of it.
THREADS = {
    "langgraph/forks.sqlite": ("fork-thread", "new 🌱/1"),
    "langgraph/interrupt_subgraph.sqlite": (None, "new"),
    "langgraph/delta.sqlite": (None, "new"),
    "langgraph/encrypted.sqlite": (None, "new"),
    "openai_agents/small.sqlite": ("conversation-1", "new 🌱/1"),
    "google_adk/sqlite_service.sqlite": (None, "new"),
    "google_adk/database_service_v1.sqlite": (None, "new"),
}


def thread_of(source: Source, wanted: str | None) -> SourceThread:
    """Return the named thread, or the one with most steps."""
    threads = source.threads.select_related("source")
    found = list(threads.filter(thread_id=wanted) if wanted else threads)
    return max(found, key=lambda thread: models.Transition.objects.of_agent(thread.agent_id).count())


def dump(source: Source) -> list[str]:
    with closing(sqlite3.connect(source.path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = [(name, row) for (name,) in tables for row in connection.execute(f'SELECT * FROM "{name}"')]
    return [repr(found) for found in rows if found[0] != "sqlite_sequence"]


def state_there(source: Source, reader: str, thread_id: str) -> Json:
    with locations.of(source.path).opened() as rows:
        return known_readers()[reader].read(rows, thread_id).thread.state


def fork(thread: SourceThread, row: models.Transition, new_id: str) -> models.AgentState:
    agent = models.AgentState.objects.get(agent_id=thread.agent_id)
    return forking.fork(agent, f"transition:{row.pk}:after", new_id, by=ADA, reason="try it", scope=Scope())


def steps_of(thread: SourceThread) -> list[models.Transition]:
    return [row for row in models.Transition.objects.of_agent(thread.agent_id).oldest_first() if row.metadata]


@pytest.mark.parametrize("name", THREADS)
def test_each_moment_becomes_a_thread_and_the_others_stay(opened: Opener, name: str):
    source = opened(name)
    wanted, new_id = THREADS[name]
    thread, before, made = thread_of(source, wanted), dump(source), 0
    for number, row in enumerate(steps_of(thread)):
        with suppress(Conflict):
            child = fork(thread, row, f"{new_id} {number}")
            forked = SourceThread.objects.get(agent_id=child.agent_id)
            assert child.state_data == row.state_after
            assert state_text(state_there(source, thread.reader, forked.thread_id)) == row.state_after
            made += 1
    assert made >= 2
    assert set(before) <= set(dump(source)), "a row that was there was changed"


def test_the_fork_is_mirrored_with_its_lineage_and_audit(opened: Opener):
    source = opened("langgraph/forks.sqlite")
    thread = thread_of(source, "fork-thread")
    row = steps_of(thread)[2]
    child = fork(thread, row, "new")
    assert child.agent_id == "forks/new"
    lineage = models.Fork.objects.get(pk="forks/new")
    assert (lineage.parent_id, lineage.moment, lineage.reason) == (
        thread.agent_id,
        f"transition:{row.pk}:after",
        "try it",
    )
    entry = models.AuditEntry.objects.newest_first()[0]
    assert (entry.action, entry.actor, entry.row_id) == ("fork", "ada", "forks/new")
    source.refresh_from_db()
    count = models.Transition.objects.of_agent("forks/new").count()
    assert mirror.sync(source, using=store_alias()).is_complete
    assert models.Transition.objects.of_agent("forks/new").count() == count, "it is mirrored once"


def test_an_id_that_the_framework_has_is_refused(opened: Opener):
    source = opened("openai_agents/small.sqlite")
    thread, before = thread_of(source, "conversation-1"), dump(source)
    with pytest.raises(Conflict, match="There is a session with this id already"):
        fork(thread, steps_of(thread)[0], "user:42")
    with pytest.raises(ValidationError, match="needs an id"):
        fork(thread, steps_of(thread)[0], " ")
    assert dump(source) == before


def test_a_tool_call_keeps_its_output(opened: Opener):
    source = opened("openai_agents/small.sqlite")
    say(source, USER, CALL)
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    thread = thread_of(source, "conversation-1")
    with pytest.raises(Conflict, match="a tool call has no output yet"):
        fork(thread, steps_of(thread)[-1], "new")


def test_formats_without_a_fork_say_so(opened: Opener):
    source = opened("agno/small.sqlite")
    thread = thread_of(source, None)
    with pytest.raises(Conflict, match=r"cannot be forked in their own store\. Nothing was created\. Fork it here\."):
        fork(thread, steps_of(thread)[0], "new")


def test_a_file_that_cannot_be_written_stays_and_is_named(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened("langgraph/forks.sqlite")
    thread, before = thread_of(source, "fork-thread"), dump(source)

    def fail(*_: object) -> object:
        raise ValidationError("forks.sqlite cannot be written: the disk is full. It was not changed.")

    monkeypatch.setattr(files, "writing", fail)
    with pytest.raises(ValidationError, match="the disk is full"):
        fork(thread, steps_of(thread)[0], "new")
    assert dump(source) == before
    assert not models.Fork.objects.exists()


def test_the_page_says_what_it_does_and_forks_there(opened: Opener, operator: Client):
    source = opened("langgraph/forks.sqlite")
    thread = thread_of(source, "fork-thread")
    row = steps_of(thread)[2]
    address = f"/agents/{to_address(thread.agent_id)}/fork/"
    page = operator.get(address, {"moment": f"transition:{row.pk}:after"}).content.decode()
    assert "are copied to a new thread in forks.sqlite" in page
    values = {"moment": f"transition:{row.pk}:after", "agent_id": "new", "in_source": "on"}
    assert operator.post(address, values).headers["Location"] == f"/agents/{to_address('forks/new')}/"
    assert state_text(state_there(source, "langgraph", "new")) == row.state_after
    refused = operator.post(address, values)
    assert refused.status_code == 422
    assert "There is a thread with this id already" in refused.content.decode()


def test_an_agent_of_our_own_is_not_offered_a_fork_elsewhere(operator: Client):
    from tests.builders import make_agent

    make_agent("planner")
    assert "in_source" not in operator.get("/agents/planner/fork/").content.decode()


def test_the_call_forks_there(opened: Opener, people: dict[str, User]):
    source = opened("openai_agents/small.sqlite")
    thread = thread_of(source, "conversation-1")
    row = steps_of(thread)[0]
    body = {"agent_id": "new", "moment": f"transition:{row.pk}:after", "in_source": True}
    answer = script_of(people["administrator"]).post(f"/agents/{to_address(thread.agent_id)}/fork", body)
    assert answer.status_code == 201, answer.content
    assert models.Fork.objects.get(pk="small/new").parent_id == thread.agent_id
    assert len(list_of(object_of(state_there(source, thread.reader, "new"))["items"])) == 4


# Interrupted


class Killed(BaseException):
    """The process ends: nothing after it runs."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def look(source: Source) -> None:
    source.refresh_from_db()
    assert mirror.sync(source, using=store_alias()).is_complete, source.problem


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[SourceThread, models.Transition], None]:
    """Return what makes a fork named "new" up to the moment between the framework's commit and our record."""

    def run(thread: SourceThread, row: models.Transition) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(mirror, "read_thread", kill)
            with pytest.raises(Killed):
                fork(thread, row, "new")

    return run


@pytest.mark.parametrize("name", THREADS)
def test_one_that_was_written_is_recorded_by_the_next_look(
    opened: Opener, killed_after: Callable[[SourceThread, models.Transition], None], name: str
):
    source = opened(name)
    thread = thread_of(source, THREADS[name][0])
    row = next(row for row in steps_of(thread) if can_be_forked(thread, row))
    killed_after(thread, row)
    written = dump(source)
    assert not models.Fork.objects.exists()
    with pytest.raises(Conflict, match="with this id already"):
        fork(thread, row, "new")
    look(source)
    lineage = models.Fork.objects.get()
    assert (lineage.parent_id, lineage.actor, lineage.reason) == (thread.agent_id, "ada", "try it")
    child = models.AgentState.objects.get(agent_id=lineage.pk)
    assert child.state_data == row.state_after
    assert lineage.state_hash == child.state_hash()
    assert not models.IntendedFork.objects.exists()
    look(source)
    assert models.AuditEntry.objects.filter(action="fork").count() == 1, "it is recorded once"
    assert dump(source) == written


def can_be_forked(thread: SourceThread, row: models.Transition) -> bool:
    """Return whether there is a fork from a step: effects are said of those alone."""
    agent = models.AgentState.objects.get(agent_id=thread.agent_id)
    known = history.state_at(thread.agent_id, history.moments.AtTransition(row.pk, "after"))
    return bool(forking.effects(agent, known, store_alias()))


def test_one_that_was_not_written_is_forgotten(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened("langgraph/forks.sqlite")
    thread, before = thread_of(source, "fork-thread"), dump(source)
    with monkeypatch.context() as patch:
        patch.setattr(files, "writing", kill)
        with pytest.raises(Killed):
            fork(thread, steps_of(thread)[0], "new")
    assert models.IntendedFork.objects.count() == 1
    look(source)
    assert not models.IntendedFork.objects.exists()
    assert not models.Fork.objects.exists()
    assert dump(source) == before


def test_a_thread_of_the_program_s_own_with_the_id_is_no_fork(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened("openai_agents/small.sqlite")
    thread = thread_of(source, "conversation-1")
    with monkeypatch.context() as patch:
        patch.setattr(files, "writing", kill)
        with pytest.raises(Killed):
            fork(thread, steps_of(thread)[0], "new")
    run(source, "INSERT INTO agent_sessions (session_id) VALUES ('new')")
    say(source, USER, thread="new")
    look(source)
    assert models.AgentState.objects.filter(agent_id="small/new").exists()
    assert not models.Fork.objects.exists()
    assert not models.IntendedFork.objects.exists()


def test_one_that_another_process_reads_first_is_recorded_once(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened("openai_agents/small.sqlite")
    thread, read = thread_of(source, "conversation-1"), mirror.read_thread

    def read_second(*about: Any, **keywords: Any) -> SourceThread:
        look(source)
        return read(*about, **keywords)

    monkeypatch.setattr(mirror, "read_thread", read_second)
    child = fork(thread, steps_of(thread)[0], "new")
    assert child.agent_id == "small/new"
    assert models.Fork.objects.count() == 1
    assert models.AuditEntry.objects.filter(action="fork").count() == 1
    assert SourceThread.objects.filter(source=source, thread_id="new").count() == 1


def test_a_thread_that_another_process_wrote_meanwhile_is_the_same(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened("openai_agents/small.sqlite")
    run(source, "INSERT INTO agent_sessions (session_id) VALUES ('new')")
    say(source, USER, thread="new")
    write = Batch.write

    def write_second(batch: Batch, **keywords: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Batch, "write", write)
            look(source)
        write(batch, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "write", write_second)
        look(source)
    assert SourceThread.objects.filter(source=source, thread_id="new").count() == 1
    assert models.Transition.objects.of_agent("small/new").count() == 1


def test_a_removed_source_leaves_no_note(
    opened: Opener, killed_after: Callable[[SourceThread, models.Transition], None]
):
    source = opened("langgraph/forks.sqlite")
    thread = thread_of(source, "fork-thread")
    killed_after(thread, steps_of(thread)[0])
    adding.remove_source(source.pk, using=store_alias(), by=ADA)
    assert not models.IntendedFork.objects.exists()


def test_the_state_of_an_app_is_not_forked(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    threads = {thread.thread_id: thread for thread in source.threads.select_related("source")}
    app = next(thread for key, thread in threads.items() if len(google_adk.parts_of(key)) == 1)
    with pytest.raises(Conflict, match="The states of apps and users are read here"):
        forking.fork(models.AgentState.objects.get(agent_id=app.agent_id), "now", "new", by=ADA, scope=Scope())


# Beside a program that writes

WRITES = {
    "langgraph/forks.sqlite": (
        "INSERT INTO checkpoints SELECT thread_id, checkpoint_ns, substr(checkpoint_id, 1, 24) || printf('%012x', ?),"
        " parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints WHERE thread_id = 'fork-thread'"
        " ORDER BY checkpoint_id DESC LIMIT 1"
    ),
    "openai_agents/small.sqlite": (
        "INSERT INTO agent_messages (session_id, message_data) VALUES ('conversation-1', json_object('role', 'user',"
        " 'content', 'message ' || ?))"
    ),
    "google_adk/sqlite_service.sqlite": (
        "INSERT INTO events SELECT 'new ' || ?1, app_name, user_id, session_id, 'new ' || ?1, timestamp + 1000 + ?1,"
        " json_set(event_data, '$.content.parts[0].text', 'message ' || ?1) FROM events"
        " WHERE user_id = 'user-1' AND session_id = 's1' ORDER BY timestamp LIMIT 1"
    ),
}
WRITE_ON_A_SERVER = (
    "INSERT INTO checkpoints SELECT thread_id, checkpoint_ns, overlay(checkpoint_id placing %s from 25 for 12),"
    " parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints WHERE thread_id = 'pg-thread'"
    " AND checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1"
)
WAITS_SECONDS = 5.0


@contextmanager
def writing_meanwhile(write: Callable[[int], object]) -> Iterator[list[float]]:
    """Let a program write all the time, and give how long each write took."""
    ended, waits = threading.Event(), list[float]()

    def program() -> None:
        while not ended.is_set():
            began = time.monotonic()
            write(len(waits) + 1)
            waits.append(time.monotonic() - began)
            ended.wait(0.005)

    with ThreadPoolExecutor() as executor:
        written = executor.submit(program)
        try:
            yield waits
        finally:
            ended.set()
        written.result()


def forked_beside(write: Callable[[int], object], thread: SourceThread) -> list[float]:
    """Fork a thread again and again beside a program, and return how long each of its writes took."""
    row = next(row for row in steps_of(thread) if can_be_forked(thread, row))
    with writing_meanwhile(write) as waits:
        children = [fork(thread, row, f"new {number}") for number in range(20)]
    assert len(waits) > 20, "the program wrote nothing meanwhile"
    assert {child.state_data for child in children} == {row.state_after}
    assert len({child.agent_id for child in children}) == 20
    look(thread.source)
    return waits


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("name", WRITES)
def test_a_program_that_writes_meanwhile_loses_nothing_and_waits_for_milliseconds(opened: Opener, name: str, mode: str):
    source = opened(name)
    with closing(sqlite3.connect(source.path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    with closing(
        sqlite3.connect(source.path, isolation_level=None, timeout=WAITS_SECONDS, check_same_thread=False)
    ) as program:
        waits = forked_beside(
            lambda number: program.execute(WRITES[name], [number]), thread_of(source, THREADS[name][0])
        )
    assert max(waits) < WAITS_SECONDS
    kept = models.Event.objects.filter(content__startswith="message ").count()
    assert name.startswith("langgraph") or kept == len(waits), "what the program said is in the mirror"
    with closing(sqlite3.connect(source.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_program_that_writes_to_a_server_meanwhile_loses_nothing(embedded: None, server: Server):
    database = server.made("langgraph/postgres.sql")
    source = adding.add_source(database.url, name="agents", using=store_alias())
    look(source)
    thread = thread_of(source, "pg-thread")
    count = len(steps_of(thread))
    with server.connected(database.name) as program:
        program.execute(f"SET lock_timeout = '{WAITS_SECONDS}s'")
        waits = forked_beside(lambda number: program.execute(WRITE_ON_A_SERVER, [f"{number:012x}"]), thread)
    assert max(waits) < WAITS_SECONDS
    written = "SELECT count(*) FROM checkpoints WHERE thread_id = 'pg-thread' AND checkpoint_ns = ''"
    assert database.rows(written) == [(count + len(waits),)]
    assert len(steps_of(thread)) == count + len(waits), "what the program wrote is in the mirror"
