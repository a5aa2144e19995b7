"""What a text finds: rows of each kind by name and id, a few of each, only those that one may see."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from statestore import lookup, models, restore, search
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.db.routers import store_alias
from statestore.events import saved_searches
from statestore.lookup import limits
from statestore.store import StateStore
from tests.builders import NOW, make_agent, make_event, make_session, make_snapshot, make_task, make_transition

pytestmark = pytest.mark.django_db

UUID = "c0ffee00-1111-4222-8333-444455556666"


@pytest.fixture
def user(people: dict[str, User]) -> User:
    return people["administrator"]


def found(text: str, user: User, scope: Scope | None = None) -> dict[str, list[str]]:
    """Return {kind: ids in their order}."""
    matches = lookup.look_up(text, scope or Scope(), user)
    return {one.kind: [row.row_id for row in one.rows] for one in matches}


def one_of_each(name: str, namespace: str = "") -> dict[str, str]:
    """Make a row of each kind whose names hold the given one, and return {kind: id}."""
    agent = make_agent(f"{name}-agent", namespace=namespace, state={"step": 2})
    snapshot = make_snapshot(agent, {"step": 1}, id=f"{name}-snapshot", description=f"before {name}")
    by = Actor("ada")
    done = StateStore(actor=by).restore_snapshot(snapshot.pk, reason=f"{name} again")
    plan = restore.save(restore.plan(agent.agent_id, f"snapshot:{done.safety_snapshot_id}"), by=by, reason=name)
    batch = restore.prepare([(agent.agent_id, "0" * 64)], NOW, by=by, reason=name)
    return {
        "agent": agent.agent_id,
        "session": make_session(agent, id=f"{name}-session").pk,
        "task": make_task(f"The {name} task", assigned_to=agent.agent_id).pk,
        "snapshot": snapshot.pk,
        "restore": done.pk,
        "plan": plan.pk,
        "batch": batch.pk,
        "transition": make_transition(agent, id=f"{name}-transition").pk,
        "event": make_event(actor_id=agent.agent_id, id=f"{name}-event").pk,
    }


def test_nothing_is_found_for_nothing(user: User, django_assert_num_queries: Any):
    make_agent()
    with django_assert_num_queries(0, using=store_alias()):
        assert lookup.look_up(" ", Scope(), user) == [], "a blank text finds every row"


def test_each_kind_is_found_by_its_name(user: User):
    ids = one_of_each("lexer")
    answer = found("lexer", user)
    for kind in ("agent", "session", "task", "snapshot", "restore", "batch", "transition"):
        assert ids[kind] in answer[kind], f"no {kind} by its name"
    assert "event" not in answer, "an event is found by its exact id alone"


def test_each_kind_is_found_by_its_id_and_comes_first_then(user: User):
    ids = one_of_each("lexer")
    make_task("about lexer-agent")
    for kind, row_id in ids.items():
        answer = found(row_id, user)
        assert next(iter(answer)) == kind, f"{kind} {row_id} does not come first: {answer}"
        assert answer[kind][0] == row_id, f"the {kind} with the id is not the first of its kind"


@pytest.mark.parametrize("kind", ["task", "snapshot", "transition"])
def test_an_id_is_found_by_its_beginning_but_not_by_one_that_fits_many(user: User, kind: str):
    agent = make_agent("a1")
    make = {
        "task": lambda: make_task("x", id=UUID),
        "snapshot": lambda: make_snapshot(agent, id=UUID, description=None),
        "transition": lambda: make_transition(agent, id=UUID),
    }[kind]
    make()
    assert found(UUID[:4], user)[kind] == [UUID], "four characters are not enough"
    assert (kind in found(UUID[:3], user)) == (kind == "task"), "three characters of an id find what begins so"
    assert kind not in found(UUID[5:13], user) or kind == "task", "the middle of an id finds it"


def test_wildcards_of_the_database_are_plain_characters(user: User):
    make_agent("plain")
    make_task("plain")
    assert found("%", user) == {}, "a percent sign finds every name"
    assert found("p_ain", user) == {}, "an underscore finds any character"


def test_a_few_of_each_kind_are_shown_and_that_there_are_more_is_said(user: User):
    for number in range(limits.SHOWN + 3):
        make_agent(f"coder-{number}", updated_at=NOW + number)
    (agents,) = lookup.look_up("coder", Scope(), user)
    assert [row.row_id for row in agents.rows] == [f"coder-{number}" for number in range(8, 2, -1)], "not the newest"
    assert agents.has_more, "more agents match than are shown, which is not said"
    make_task("one")
    (tasks,) = lookup.look_up("one", Scope(), user)
    assert not tasks.has_more, "one task is said to be one of more"


def test_the_agent_with_the_very_id_comes_before_those_that_changed_later(user: User):
    make_agent("coder", updated_at=NOW)
    for number in range(limits.SHOWN + 3):
        make_agent(f"coder-{number}", updated_at=NOW + 1 + number)
    assert found("coder", user)["agent"][0] == "coder", "the exact id is not shown"


def test_an_agent_in_the_trash_is_found_by_its_id_and_said_to_be_there(user: User):
    make_agent("gone", is_deleted=1)
    (agents,) = lookup.look_up("gone", Scope(), user)
    assert [(row.row_id, row.status, row.is_in_trash) for row in agents.rows] == [("gone", "in trash", True)]
    assert found("gon", user) == {}, "an agent in the trash is found by a part of its name"


def test_a_session_that_only_events_name_is_found(user: User):
    make_event(session_id="unrecorded-1", actor_id="a1")
    assert found("unrecorded-1", user) == {"session": ["unrecorded-1"]}
    (sessions,) = lookup.look_up("unrecorded-1", Scope(), user)
    assert sessions.rows[0].status == "not recorded"


@pytest.mark.usefixtures("index_file")
def test_sessions_and_commits_that_events_name_are_found_by_their_beginning(user: User):
    agent = make_agent("a1")
    make_session(agent, id="build-1")
    make_event(session_id="build-1", git_commit="a41f00d")
    make_event(session_id="build-2", git_commit="b52e")
    search.index_all(store_alias())
    assert found("build-", user)["session"] == ["build-1", "build-2"], "a session is missing, or there twice"
    assert found("a41f", user) == {"commit": ["a41f00d"]}
    assert found("a41", user) == {}, "three characters are a commit"


def test_a_plan_that_was_applied_is_found_as_the_restore_that_it_became(user: User):
    agent = make_agent("a1", state={"step": 2})
    snapshot = make_snapshot(agent, {"step": 1})
    plan = restore.save(restore.plan("a1", f"snapshot:{snapshot.pk}"), by=Actor("ada"))
    assert found(plan.pk, user) == {"plan": [plan.pk]}
    done = restore.apply_saved(plan, by=Actor("ada"))
    assert found(plan.pk, user) == {"restore": [done.pk]}, "the applied plan is still offered"


def test_saved_searches_are_ones_own(people: dict[str, User]):
    saved_searches.save(people["viewer"].pk, "my errors", "type:error")
    (matches,) = lookup.look_up("errors", Scope(), people["viewer"])
    assert (matches.kind, matches.rows[0].note) == ("saved_search", "type:error")
    assert matches.rows[0].page == "/events/?q=type%3Aerror"
    assert found("errors", people["operator"]) == {}, "another user's saved search is found"
    limited = Scope(("m",), holder="token")
    assert found("errors", people["viewer"], limited) == {}, "a limited token finds its user's saved searches"


def test_a_user_finds_no_kind_that_their_role_may_not_see(people: dict[str, User]):
    one_of_each("lexer")
    assert found("lexer", people["nobody"]) == {}, "a user without a role finds something"
    assert found("lexer-event", people["nobody"]) == {}


def test_rows_of_another_namespace_are_not_found_by_name_or_id(user: User):
    own, other = one_of_each("own", "m"), one_of_each("other", "n")
    make_event(session_id="of-nobody-known")
    scope = Scope(("m",))
    for kind, row_id in other.items():
        assert found(row_id, user, scope) == {}, f"the {kind} of another namespace is found"
    assert found("other", user, scope) == {}
    assert found("of-nobody-known", user, scope) == {}, "a session of unknown namespace is found"
    for kind, row_id in own.items():
        assert found(row_id, user, scope)[kind] == [row_id], f"the own {kind} is not found"


@pytest.mark.parametrize("scope", [Scope(), Scope(("m",))], ids=["whole store", "namespace"])
def test_the_number_of_queries_does_not_grow_with_the_store(user: User, scope: Scope):
    def queries() -> int:
        with connections[store_alias()].execute_wrapper(count):
            asked.clear()
            lookup.look_up("lexer", scope, user)
        return len(asked)

    asked: list[str] = []

    def count(execute: Any, sql: str, *how: Any) -> Any:
        asked.append(sql)
        return execute(sql, *how)

    one_of_each("lexer", "m")
    few = queries()
    for number in range(20):
        one_of_each(f"lexer-{number}", "m")
    assert queries() <= few, "more rows take more queries"
    assert few <= 30, f"{few} queries for one keystroke"


def test_states_are_not_loaded(user: User):
    one_of_each("lexer")

    def refuse(execute: Any, sql: str, *how: Any) -> Any:
        assert "state_data" not in sql, sql
        assert "state_before" not in sql, sql
        return execute(sql, *how)

    with connections[store_alias()].execute_wrapper(refuse):
        lookup.look_up("lexer", Scope(), user)


def test_only_the_rows_inserted_last_are_looked_through(user: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "TASKS", 2)
    for number in range(4):
        make_task(f"lexer {number}", id=f"t{number}")
    assert sorted(found("lexer", user)["task"]) == ["t2", "t3"], "more tasks are looked through than the bound"
    assert found("t0", user)["task"] == ["t0"], "an older task is not found by its id"


def test_only_the_newest_restores_and_batches_are_looked_through(user: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "RESTORES", 2)
    monkeypatch.setattr(limits, "BATCHES", 1)
    for number in range(4):
        columns = {"agent_id": "a", "moment": "now", "actor": "ada", "reason": "lost its goal"}
        hashes = {"hash_before": "", "hash_after": "", "safety_snapshot_id": "s", "transition_id": "t"}
        models.Restore.objects.create(id=f"r{number}", at=NOW + number, **columns, **hashes)
        columns = {"moment": f"at:{NOW}", "actor": "ada", "reason": "lost its goal"}
        models.Batch.objects.create(id=f"b{number}", created_at=NOW + number, **columns)
    answer = found("its goal", user)
    assert (answer["restore"], answer["batch"]) == (["r3", "r2"], ["b3"])
    assert found("r0", user)["restore"] == ["r0"], "an older one is found by its id"


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "x" * 200, "ünï\u202ecode", "'; --", "\\"])
def test_any_text_is_looked_for_as_it_is(user: User, text: str):
    make_agent(text, name=text)
    make_task(text)
    answer = found(text, user)
    assert answer["agent"] == [text]
    assert len(answer["task"]) == 1


def test_a_row_leads_to_its_page():
    assert lookup.Match("plan", "p 1", "x").page == "/restores/~cCAx/"
    assert lookup.Match("commit", "a41f", "x").page == "/commits/a41f/"
    assert models.Task(id="t1").get_absolute_url() == lookup.Match("task", "t1", "x").page
