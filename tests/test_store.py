"""The Python API: each verb that the orchestrator's own store has, and every kind of error."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from statestore import models
from statestore.db.routers import store_alias
from statestore.errors import (
    Conflict,
    MigrationError,
    NotFound,
    SerializationError,
    StateStoreError,
    ValidationError,
)
from statestore.store import StateStore
from tests.builders import make_agent, make_snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def store() -> StateStore:
    return StateStore()


EVENT = {
    "id": "e1",
    "event_type": "tool_use",
    "timestamp": 1_790_000_000,
    "session_id": "s1",
    "actor_type": "Agent",
    "actor_id": "a1",
    "content": "Searchable content",
}


# Creation and migration tracking


def test_initialize_twice_is_harmless_and_the_orchestrators_migrations_are_noted(store: StateStore):
    store.initialize()
    assert [migration.version for migration in store.get_migration_history()] == [1, 2, 3, 4, 5]


# Agents


def test_save_and_load_keep_the_text_as_it_is(store: StateStore):
    text = '{"b": 1e400,  "a": -0}'
    store.save_agent_state("a1", text, name="Coder", status="running", metadata={"model": "opal"}, version=3)
    agent = store.load_agent_state("a1")
    assert (agent.state_data, agent.name, agent.status, agent.version) == (text, "Coder", "running", 3)
    assert (agent.key, agent.metadata) == ("a1", '{"model":"opal"}')


def test_saving_again_keeps_what_is_not_given(store: StateStore):
    first = store.save_agent_state("a1", {"step": 1}, name="Coder", status="running")
    again = store.save_agent_state("a1", {"step": 2})
    assert (again.name, again.status, again.state_data) == ("Coder", "running", '{"step":2}')
    assert again.created_at == first.created_at


def test_saving_with_a_reason_records_the_transition_and_without_one_does_not(store: StateStore):
    store.save_agent_state("a1", {"step": 1})
    store.save_agent_state("a1", {"step": 2}, reason="next step")
    (transition,) = store.get_state_history("a1")
    assert (transition.state_before, transition.state_after) == ('{"step":1}', '{"step":2}')
    assert transition.reason == "next step"


def test_saving_over_an_agent_that_moved_is_a_conflict(store: StateStore):
    etag = store.save_agent_state("a1", {"step": 1}).etag()
    store.save_agent_state("a1", {"step": 2})
    with pytest.raises(Conflict, match="Read it again"):
        store.save_agent_state("a1", {"step": 3}, if_match=etag)
    assert store.load_agent_state("a1").state_data == '{"step":2}'


def test_agents_are_listed_last_changed_first_without_their_states(store: StateStore, django_assert_num_queries: Any):
    make_agent("old", updated_at=1)
    make_agent("new", updated_at=2)
    make_agent("gone", is_deleted=1)
    with django_assert_num_queries(1, using=store_alias()):
        agents = store.list_agents()
    assert [agent.agent_id for agent in agents] == ["new", "old"]
    assert "state_data" in agents[0].get_deferred_fields()


def test_agents_are_listed_with_their_states_in_one_query(store: StateStore, django_assert_num_queries: Any):
    make_agent("old", updated_at=1, state={"step": 1})
    make_agent("new", updated_at=2, state={"step": 2})
    make_agent("gone", is_deleted=1)
    with django_assert_num_queries(1, using=store_alias()):
        states = [agent.state_data for agent in store.list_agents(with_states=True)]
    assert states == ['{"step": 2}', '{"step": 1}']
    assert StateStore(prefix="build").list_agents(with_states=True) == []


def test_a_change_of_status_is_recorded_and_audited(store: StateStore):
    make_agent("a1", state={"step": 1})
    transition = store.update_agent_status("a1", "paused", reason="lunch")
    assert transition is not None
    assert (transition.state_before, transition.state_after) == ('{"step": 1}', '{"step": 1}')
    assert transition.reason == "status: idle → paused (lunch)"
    assert store.load_agent_state("a1").status == "paused"
    assert models.AuditEntry.objects.get().action == "status"


def test_the_same_status_again_changes_nothing(store: StateStore):
    make_agent("a1")
    assert store.update_agent_status("a1", "idle") is None
    assert not models.AuditEntry.objects.exists()


def test_a_deleted_agent_is_kept_and_comes_back(store: StateStore):
    make_agent("a1", state={"step": 1})
    etag = models.AgentState.objects.get().etag()
    store.delete_agent("a1", reason="no longer needed")
    entry = models.AuditEntry.objects.get()
    assert (entry.hash_before, entry.hash_after) == (etag, models.AgentState.objects.get().etag())
    with pytest.raises(NotFound, match="in the trash"):
        store.load_agent_state("a1")
    assert models.Tombstone.objects.get().reason == "no longer needed"
    assert store.undelete_agent("a1").state_data == '{"step": 1}'
    assert store.load_agent_state("a1").is_deleted == 0
    assert not models.Tombstone.objects.exists()


def test_saving_a_deleted_agent_revives_it(store: StateStore):
    make_agent("a1")
    store.delete_agent("a1")
    store.save_agent_state("a1", {"step": 2})
    assert store.load_agent_state("a1").state_data == '{"step":2}'
    assert models.Tombstone.objects.revived().get().pk == "a1"


def test_only_an_agent_in_the_trash_can_be_purged(store: StateStore):
    agent = make_agent("a1")
    make_snapshot(agent)
    with pytest.raises(Conflict, match="not in the trash"):
        store.purge_agent("a1")
    assert models.Snapshot.objects.count() == 1
    store.delete_agent("a1")
    store.purge_agent("a1")
    assert not models.AgentState.objects.exists()
    assert not models.Snapshot.objects.exists()
    assert [entry.action for entry in models.AuditEntry.objects.order_by("id")] == ["delete", "purge"]


# Transitions and snapshots


def test_transitions_of_one_second_keep_their_order(store: StateStore):
    for step in range(5):
        store.record_state_transition("a1", {"step": step}, {"step": step + 1}, f"step {step}")
    assert [t.reason for t in store.get_state_history("a1", limit=3)] == ["step 4", "step 3", "step 2"]


def test_a_snapshot_keeps_the_state_and_can_be_restored(store: StateStore):
    store.save_agent_state("a1", '{"x": 1e400}')
    snapshot = store.create_snapshot("a1", "before refactor")
    store.save_agent_state("a1", {"x": 0})
    restored = store.restore_snapshot(snapshot.pk, reason="lost")
    assert store.load_agent_state("a1").state_data == '{"x": 1e400}'
    assert restored.reason == "lost"
    listed = store.list_snapshots("a1")
    assert [row.description for row in listed] == [
        "Safety snapshot before restore to snapshot “before refactor” — lost",
        "before refactor",
    ]


def test_expired_snapshots_are_deleted_and_audited(store: StateStore):
    agent = make_agent("a1")
    make_snapshot(agent, expires_at=1)
    kept = make_snapshot(agent)
    assert store.delete_expired_snapshots() == 1
    assert store.delete_expired_snapshots() == 0
    assert models.Snapshot.objects.get() == kept
    assert models.AuditEntry.objects.get().action == "expire"


def test_a_snapshot_that_would_expire_at_once_is_refused(store: StateStore):
    make_agent("a1")
    with pytest.raises(ValidationError, match="expire in the future"):
        store.create_snapshot("a1", expires_at=1)


# Events


def test_events_are_found_by_session_by_type_and_by_text(store: StateStore):
    store.save_event(EVENT)
    store.save_events([{**EVENT, "id": f"o{n}", "session_id": "s2", "event_type": "error"} for n in range(3)])
    assert [event.pk for event in store.get_events("s1")] == ["e1"]
    assert len(store.get_events_by_type("error")) == 3
    assert len(store.get_events_by_type("error", limit=2)) == 2
    assert [event.pk for event in store.search_events("s1")] == ["e1"]
    assert len(store.search_events("SEARCHABLE")) == 4
    assert store.search_events("100%") == []


def test_an_event_of_the_same_id_is_saved_over_the_earlier_one(store: StateStore):
    store.save_event(EVENT)
    store.save_event({**EVENT, "content": "second"})
    assert [event.content for event in store.get_events("s1")] == ["second"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"content": None}, "Event 1 has no content"),
        ({"colour": "red"}, "Event 1 has an unknown field colour"),
        ({"actor_type": "Robot"}, "Use User, Agent or System"),
    ],
)
def test_one_bad_event_saves_none(store: StateStore, change: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        store.save_events([EVENT, {**EVENT, "id": "e2", **change}])
    assert not models.Event.objects.exists()


# Tasks and sessions


def test_a_task_is_saved_fetched_and_listed_with_its_edges(store: StateStore):
    store.save_task({"id": "t1", "title": "First"})
    store.save_task({"id": "t2", "title": "Second", "dependencies": ["t1"], "priority": "high"})
    task = store.get_task("t2")
    assert task is not None
    assert (task.title, task.priority, task.dependencies) == ("Second", "high", '["t1"]')
    assert [(e.task_id, e.depends_on_id) for e in models.TaskDependency.objects.all()] == [("t2", "t1")]
    store.save_task({"id": "t2", "title": "Second", "dependencies": []})
    assert not models.TaskDependency.objects.exists()
    assert {task.pk for task in store.get_tasks()} == {"t1", "t2"}
    assert store.get_task("t3") is None


def test_a_new_task_takes_no_edges_away(store: StateStore):
    with CaptureQueriesContext(connections[store_alias()]) as asked:
        store.save_task({"title": "First"})
    assert not [query["sql"] for query in asked if "task_dependencies" in query["sql"]]
    with CaptureQueriesContext(connections[store_alias()]) as asked:
        store.save_task({"id": "t1", "title": "Perhaps with edges of an earlier one"})
    assert [query["sql"] for query in asked if "task_dependencies" in query["sql"]]


def test_dependencies_in_a_circle_are_refused_with_the_circle(store: StateStore):
    store.save_task({"id": "t1", "title": "1"})
    store.save_task({"id": "t2", "title": "2", "dependencies": ["t1"]})
    store.save_task({"id": "t3", "title": "3", "dependencies": ["t2"]})
    with pytest.raises(ValidationError, match="Circular dependency: t1 → t3 → t2 → t1"):
        store.save_task({"id": "t1", "title": "1", "dependencies": ["t3"]})
    with pytest.raises(ValidationError, match="Circular dependency: t1 → t1"):
        store.save_task({"id": "t1", "title": "1", "dependencies": ["t1"]})
    assert models.TaskDependency.objects.count() == 2


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"title": ""}, "needs a title"),
        ({"title": "x", "status": "todo"}, "Use one of Todo, InProgress, Done, Blocked"),
        ({"title": "x", "dependencies": ["nowhere"]}, "Task “nowhere” does not exist"),
        ({"title": "x", "dependencies": {"a": 1}}, "JSON list of task ids"),
        ({"title": "x", "owner": "me"}, "Unknown task field owner"),
    ],
)
def test_a_task_that_cannot_be_is_refused(store: StateStore, task: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        store.save_task(task)
    assert not models.Task.objects.exists()


def test_a_session_starts_and_ends_once(store: StateStore):
    session = store.start_session("a1", session_id="s1")
    with pytest.raises(Conflict, match="already"):
        store.start_session("a1", session_id="s1")
    assert store.end_session("s1").status == "completed"
    with pytest.raises(Conflict, match="already ended"):
        store.end_session("s1")
    assert store.list_sessions("a1") == [session]
    with pytest.raises(NotFound):
        store.get_session("s2")


# Prefix


def test_an_empty_prefix_is_the_namespace_of_keys_without_one(store: StateStore):
    bare = StateStore(prefix="")
    assert bare.save_agent_state("a1", {"step": 1}).key == "a1"
    assert bare.save_agent_state("a1", {"step": 2}).key == "a1"
    assert bare.load_agent_state("a1").state_data == '{"step":2}'
    StateStore(prefix="build").save_agent_state("b1", {"step": 1})
    with pytest.raises(NotFound):
        bare.load_agent_state("b1")


def test_a_store_with_a_prefix_sees_and_changes_only_its_own_namespace(store: StateStore):
    build, ops = StateStore(prefix="build"), StateStore(prefix="ops")
    build.save_agent_state("a1", {"step": 1})
    ops.save_agent_state("a2", {"step": 1})
    snapshot = ops.create_snapshot("a2")
    assert [agent.agent_id for agent in build.list_agents()] == ["a1"]
    assert build.load_agent_state("a1").key == "build:a1"
    for forbidden in (
        lambda: build.load_agent_state("a2"),
        lambda: build.update_agent_status("a2", "failed"),
        lambda: build.delete_agent("a2"),
        lambda: build.create_snapshot("a2"),
        lambda: build.restore_snapshot(snapshot.pk),
        lambda: build.record_state_transition("a2", {}, {}),
        lambda: build.start_session("a2"),
    ):
        with pytest.raises(NotFound):
            forbidden()
    assert build.list_snapshots("a2") == []
    assert {agent.agent_id for agent in store.list_agents()} == {"a1", "a2"}


def test_an_id_taken_in_another_namespace_is_a_conflict_and_deletes_nobody(store: StateStore):
    StateStore(prefix="build").save_agent_state("a1", {"step": 1})
    with pytest.raises(Conflict, match="already in use in another namespace"):
        StateStore(prefix="ops").save_agent_state("a1", {"step": 2})
    assert models.AgentState.objects.get().state_data == '{"step":1}'


# Transactions, coroutines, threads


def test_a_transaction_applies_all_or_nothing(store: StateStore):
    def fail() -> None:
        with store.transaction():
            store.save_agent_state("a1", {"step": 1})
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert not models.AgentState.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_every_verb_has_its_coroutine():
    async def walk() -> list[str]:
        store = StateStore()
        await store.asave_agent_state("a1", {"step": 1})
        await store.atransaction(lambda store: store.create_snapshot("a1", "kept"))
        await asyncio.gather(*(store.asave_event({**EVENT, "id": f"e{n}"}) for n in range(8)))
        assert len(await store.aget_events("s1")) == 8
        kept = [snapshot.description for snapshot in await store.alist_snapshots("a1")]
        await sync_to_async(connections.close_all)()
        return kept

    assert asyncio.run(walk()) == ["kept"]
    verbs = {name for name in vars(StateStore) if not name.startswith("_") and name not in {"agents"}}
    sync = {name for name in verbs if not (name.startswith("a") and name[1:] in verbs)}
    assert {f"a{name}" for name in sync} <= verbs


@pytest.mark.django_db(transaction=True)
def test_eight_threads_save_at_once_and_none_is_lost():
    failures: list[BaseException] = []

    def save(number: int) -> None:
        try:
            for turn in range(5):
                StateStore().save_agent_state(f"a{number}", {"turn": turn}, reason=f"turn {turn}")
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert models.Transition.objects.count() == 40


# Values that cannot be held


@pytest.mark.parametrize("state", [{"x": float("nan")}, {"x": {1, 2}}, object()])
def test_a_state_that_is_no_json_is_refused(store: StateStore, state: Any):
    with pytest.raises(SerializationError, match="cannot be written as JSON"):
        store.save_agent_state("a1", state)
    assert not models.AgentState.objects.exists()


def test_what_the_database_cannot_hold_is_refused_in_words(store: StateStore, on_sqlite: bool):
    with pytest.raises(SerializationError, match="state_data contains a lone surrogate"):
        store.save_agent_state("a1", "a\udcff")
    if on_sqlite:
        store.save_agent_state("a1", "a\0b")
        assert store.load_agent_state("a1").state_data == "a\0b"
    else:
        with pytest.raises(SerializationError, match="PostgreSQL cannot hold NUL"):
            store.save_agent_state("a1", "a\0b")
        with pytest.raises(NotFound):
            store.load_agent_state("a\0")


def test_an_agent_needs_an_id_and_a_status(store: StateStore):
    with pytest.raises(ValidationError, match="needs an id"):
        store.save_agent_state("", {})
    make_agent("a1")
    with pytest.raises(ValidationError, match="a word"):
        store.update_agent_status("a1", " ")


def test_every_error_is_a_state_store_error():
    for kind in (Conflict, MigrationError, NotFound, SerializationError, ValidationError):
        assert issubclass(kind, StateStoreError)


def test_the_audit_log_refuses_to_be_changed(store: StateStore):
    make_agent("a1")
    store.create_snapshot("a1")
    with pytest.raises(Exception, match="append-only"):
        models.AuditEntry.objects.update(actor="cannot approve your own")
    assert connection.alias == "default"
