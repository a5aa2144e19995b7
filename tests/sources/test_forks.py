"""A fork in the framework's own store: a new thread from a moment, and the old one as it was."""

import sqlite3
from contextlib import closing, suppress

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import models
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.db.ids import to_address
from statestore.db.routers import store_alias
from statestore.errors import Conflict, ValidationError
from statestore.jsondiff.parsing import Json
from statestore.models.sources import Source
from statestore.sources import files, forking, locations, mirror
from statestore.sources.readers import known_readers
from statestore.sources.readers.columns import list_of, object_of
from statestore.sources.state_texts import state_text
from tests.api.conftest import script_of
from tests.sources.conftest import Opener
from tests.sources.test_openai_agents_restore import CALL, USER, say

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


def thread_of(source: Source, wanted: str | None) -> models.SourceThread:
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


def fork(thread: models.SourceThread, row: models.Transition, new_id: str) -> models.AgentState:
    agent = models.AgentState.objects.get(agent_id=thread.agent_id)
    return forking.fork(agent, f"transition:{row.pk}:after", new_id, by=ADA, reason="try it", scope=Scope())


def steps_of(thread: models.SourceThread) -> list[models.Transition]:
    return [row for row in models.Transition.objects.of_agent(thread.agent_id).oldest_first() if row.metadata]


@pytest.mark.parametrize("name", THREADS)
def test_each_moment_becomes_a_thread_and_the_others_stay(opened: Opener, name: str):
    source = opened(name)
    wanted, new_id = THREADS[name]
    thread, before, made = thread_of(source, wanted), dump(source), 0
    for number, row in enumerate(steps_of(thread)):
        with suppress(Conflict):
            child = fork(thread, row, f"{new_id} {number}")
            forked = models.SourceThread.objects.get(agent_id=child.agent_id)
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
