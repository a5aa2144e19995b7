"""A restore that is in the framework's store and not in ours: the next look records it, with its undo, or drops it."""

import sqlite3
import sys
from contextlib import closing, suppress
from typing import Any

import pytest

from statestore import models, restore
from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.errors import Conflict
from statestore.models.sources import Source
from statestore.sources import interrupted, mirror
from statestore.sources.readers.columns import json_of
from statestore.sources.state_texts import state_text
from statestore.sources.writers import steps
from tests.sources.conftest import Opener
from tests.sources.test_openai_agents_restore import USER, say

pytestmark = pytest.mark.django_db

# Of each format a file with a thread that can be put back.
FILES = {
    "langgraph/forks.sqlite": "forks/fork-thread",
    "openai_agents/small.sqlite": "small/conversation-1",
    "google_adk/sqlite_service.sqlite": None,
    "crewai/flow_states.db": None,
    "crewai/checkpoints.db": None,
    "agno/small.sqlite": None,
}
ADA = Actor("ada", "192.0.2.1")


class Killed(BaseException):
    """The process ends: nothing after it runs."""


def kill(*_: object) -> None:
    raise Killed


@pytest.fixture
def killed_between(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what runs a restore up to the moment between the framework's commit and ours."""

    def run(work: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(steps, "note_written", kill)
            with pytest.raises(Killed):
                work()

    return run


def agent_of(source: Source, wanted: str | None) -> str:
    """Return the agent of a source that has most steps, unless one is named."""
    ids = [wanted] if wanted else list(source.threads.values_list("agent_id", flat=True))
    return max(ids, key=lambda agent_id: models.Transition.objects.of_agent(agent_id).count())


def plans(agent_id: str) -> list[restore.RestorePlan]:
    """Return the plans of the steps that can be put back, the oldest first, that change something."""
    found = []
    for row in models.Transition.objects.of_agent(agent_id).oldest_first():
        with suppress(Conflict):
            planned = restore.plan(agent_id, f"transition:{row.pk}:after")
            found += [] if planned.changes_nothing else [planned]
    return found


def look(source: Source) -> None:
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    assert source.problem == ""


def state_of(agent_id: str) -> str:
    return str(models.AgentState.objects.get(agent_id=agent_id).state_data)


@pytest.mark.parametrize("name", FILES)
def test_it_is_recorded_by_the_next_look_and_can_be_undone(opened: Opener, killed_between: Any, name: str):
    source = opened(name)
    agent_id = agent_of(source, FILES[name])
    before, planned = state_of(agent_id), plans(agent_id)[0]
    killed_between(lambda: restore.apply(planned, by=ADA, reason="it went wrong"))
    assert not models.Restore.objects.exists()
    look(source)
    done = models.Restore.objects.get()
    assert (done.actor, done.reason, done.moment) == ("ada", "it went wrong", str(planned.target.moment))
    assert state_of(agent_id) == planned.text
    assert not models.IntendedRestore.objects.exists()
    count = models.Transition.objects.of_agent(agent_id).count()
    look(source)
    assert models.Transition.objects.of_agent(agent_id).count() == count, "the step is in the mirror once"
    restore.undo(done, by=ADA)
    assert state_text(json_of(state_of(agent_id))) == state_text(json_of(before))


@pytest.mark.parametrize("name", FILES)
def test_an_undo_is_recorded_by_the_next_look(opened: Opener, killed_between: Any, name: str):
    source = opened(name)
    agent_id = agent_of(source, FILES[name])
    before = state_of(agent_id)
    done = restore.apply(plans(agent_id)[0], by=ADA)
    killed_between(lambda: restore.undo(done, by=ADA))
    look(source)
    undone = models.Restore.objects.exclude(pk=done.pk).get()
    assert undone.undoes_id == done.pk
    assert state_text(json_of(state_of(agent_id))) == state_text(json_of(before))


@pytest.mark.parametrize("name", FILES)
def test_one_that_was_not_written_is_dropped(opened: Opener, monkeypatch: pytest.MonkeyPatch, name: str):
    source = opened(name)
    agent_id = agent_of(source, FILES[name])
    before, count = state_of(agent_id), models.Transition.objects.of_agent(agent_id).count()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["statestore.restore.apply"], "_write_there", kill)
        with pytest.raises(Killed):
            restore.apply(plans(agent_id)[0], by=ADA)
    assert models.IntendedRestore.objects.count() == 1
    look(source)
    assert not models.IntendedRestore.objects.exists()
    assert not models.Restore.objects.exists()
    assert (state_of(agent_id), models.Transition.objects.of_agent(agent_id).count()) == (before, count)


def test_what_the_framework_wrote_later_follows_it(opened: Opener, killed_between: Any):
    source = opened("openai_agents/small.sqlite")
    planned = plans("small/conversation-1")[0]
    killed_between(lambda: restore.apply(planned, by=ADA))
    say(source, USER)
    look(source)
    assert models.Restore.objects.count() == 1
    newest, restored, *_ = models.Transition.objects.of_agent("small/conversation-1").order_by("-rowid")
    assert restored.state_after == newest.state_before == planned.text
    assert len(newest.state_after) > len(newest.state_before)


def test_one_that_the_framework_s_own_steps_stand_for_is_dropped(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    """The process was killed before it wrote, and the framework went on."""
    source = opened("openai_agents/small.sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["statestore.restore.apply"], "_write_there", kill)
        with pytest.raises(Killed):
            restore.apply(plans("small/conversation-1")[0], by=ADA)
    say(source, USER)
    look(source)
    assert not models.Restore.objects.exists()
    assert not models.IntendedRestore.objects.exists()


def test_another_restore_waits_until_it_is_known(opened: Opener, killed_between: Any):
    source = opened("openai_agents/small.sqlite")
    first, second, *_ = plans("small/conversation-1")
    killed_between(lambda: restore.apply(first, by=ADA))
    with pytest.raises(Conflict, match="A restore of this agent was interrupted"):
        restore.apply(second, by=ADA)
    look(source)
    assert models.Restore.objects.count() == 1


def test_a_refused_restore_leaves_no_intention(opened: Opener):
    source = opened("openai_agents/small.sqlite")
    planned = plans("small/conversation-1")[0]
    with closing(sqlite3.connect(source.path, isolation_level=None)) as framework:
        framework.execute("DELETE FROM agent_messages WHERE id = (SELECT max(id) FROM agent_messages)")
        framework.execute("UPDATE agent_sessions SET updated_at = 'later'")
    with pytest.raises(Conflict):
        restore.apply(planned, by=ADA)
    assert not models.IntendedRestore.objects.exists()


def test_one_that_is_recorded_already_is_not_recorded_again(opened: Opener):
    source = opened("openai_agents/small.sqlite")
    restore.apply(plans("small/conversation-1")[0], by=ADA)
    assert models.IntendedRestore.objects.exists(), "a test's transaction does not end"
    assert interrupted.has_restores(source, store_alias())
    look(source)
    assert models.Restore.objects.count() == 1
    assert not models.IntendedRestore.objects.exists()
