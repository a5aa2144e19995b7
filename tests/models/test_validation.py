"""What the columns may hold: the same for the Python API, the JSON API, the admin and the import."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from statestore import models
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError, ValidationError
from statestore.import_export.importer import import_lines
from statestore.restore import fork
from statestore.sessions import service as session_service
from statestore.store import StateStore
from tests.api.conftest import Script, script_of
from tests.builders import NOW, make_agent, make_session, make_snapshot, make_task
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db
LONE = "a\udc80"
EVENT = {"event_type": "note", "session_id": "s1", "actor_type": "Agent", "actor_id": "a1", "content": "x"}
Write = Callable[[StateStore, Any], object]


def agent(column: str) -> Write:
    return lambda store, value: store.save_agent_state("a1", {}, **{column: value})


def task(column: str) -> Write:
    return lambda store, value: store.save_task({"title": "t", column: value})


def event(column: str) -> Write:
    return lambda store, value: store.save_event({**EVENT, column: value})


def transition(column: str) -> Write:
    given = {"state_before": "{}", "state_after": "{}"}
    return lambda store, value: store.record_state_transition("a1", **{**given, column: value})


TEXTS: dict[str, tuple[str, Write]] = {
    "agent id": ("agent_id", lambda store, value: store.save_agent_state(value, {})),
    "agent state": ("state_data", lambda store, value: store.save_agent_state("a1", value)),
    "agent state as JSON": ("state_data", lambda store, value: store.save_agent_state("a1", {"x": value})),
    **{f"agent {name}": (name, agent(name)) for name in ("name", "status", "reason")},
    "agent metadata": ("metadata", lambda store, value: store.save_agent_state("a1", {}, metadata={"x": value})),
    "agent metadata with an escape": ("metadata", lambda store, _: agent("metadata")(store, '{"x": "\\udc80"}')),
    "status": ("status", lambda store, value: store.update_agent_status("there", value)),
    "reason of a status": ("reason", lambda store, value: store.update_agent_status("there", "paused", reason=value)),
    "reason of a deletion": ("reason", lambda store, value: store.delete_agent("there", reason=value)),
    "transition's agent": ("agent_id", lambda store, value: store.record_state_transition(value, {}, {})),
    **{
        f"transition {name}": (name, transition(name)) for name in ("state_before", "state_after", "reason")
    },
    "transition metadata": ("metadata", lambda store, value: transition("metadata")(store, [value])),
    "snapshot": ("description", lambda store, value: store.create_snapshot("there", value)),
    "reason of a restore": (
        "reason",
        lambda store, value: store.restore_snapshot(str(models.Snapshot.objects.get().pk), reason=value),
    ),
    "fork": ("agent_id", lambda store, value: fork("there", "now", value, by=SYSTEM)),
    "name of a fork": ("name", lambda store, value: fork("there", "now", "b1", by=SYSTEM, name=value)),
    "reason of a fork": ("reason", lambda store, value: fork("there", "now", "b1", by=SYSTEM, reason=value)),
    **{
        f"event {name}": (name, event(name))
        for name in ("id", "event_type", "session_id", "actor_type", "actor_id", "content", "git_commit")
    },
    "event metadata": ("metadata", lambda store, value: event("metadata")(store, {"x": value})),
    **{
        f"task {name}": (name, task(name))
        for name in ("id", "title", "description", "status", "priority", "complexity", "assigned_to")
    },
    "task metadata": ("metadata", lambda store, value: task("metadata")(store, {"x": value})),
    "task dependencies": ("dependencies", lambda store, value: task("dependencies")(store, [value])),
    "session": ("id", lambda store, value: store.start_session("a1", session_id=value)),
    "session's agent": ("agent_id", lambda store, value: store.start_session(value)),
    "session metadata": ("metadata", lambda store, value: store.start_session("a1", metadata={"x": value})),
    "end of a session": ("status", lambda store, value: store.end_session("open", value)),
}  # fmt: skip


def rows() -> list[tuple[object, ...]]:
    """Return all rows of the orchestrator's tables."""
    tables = (models.AgentState, models.Transition, models.Snapshot, models.Event, models.Task, models.Session)
    return [row for table in tables for row in table.objects.order_by("pk").values_list()]


@pytest.fixture
def store() -> StateStore:
    make_snapshot(make_agent("there"))
    make_session("a1", id="open", ended_at=None, status="active")
    return StateStore()


@pytest.mark.parametrize("name", TEXTS)
def test_a_lone_surrogate_is_refused_and_nothing_is_written(store: StateStore, name: str):
    field, write = TEXTS[name]
    before = rows()
    with pytest.raises(ValidationError, match="lone surrogate") as refused:
        write(store, LONE)
    assert (refused.value.field, rows()) == (field, before)


@pytest.mark.parametrize(
    "name",
    # As JSON it is an escape, which any column holds; states are any text.
    [name for name, (field, _) in TEXTS.items() if not field.startswith(("state_", "metadata", "dependencies"))],
)
def test_a_nul_character_is_refused_on_both_databases_but_in_states(store: StateStore, name: str):
    field, write = TEXTS[name]
    before = rows()
    with pytest.raises(ValidationError, match="NUL") as refused:
        write(store, "a\0")
    assert (refused.value.field, rows()) == (field, before)


VALUES: list[tuple[str, Write, Sequence[object]]] = [
    ("version", agent("version"), [2**31, -(2**31) - 1, 1.5, "1", True]),
    *(
        ("metadata", write("metadata"), ["no JSON", "", "NaN", '{"x": 1e999}', "[" * 100_000])
        for write in (agent, task, event, transition)
    ),
    ("metadata", lambda store, value: store.start_session("a1", metadata=value), ["no JSON"]),
    *(("metadata", write("metadata"), [{"x": float("nan")}, object()]) for write in (agent, task, event, transition)),
    *(
        (name, write(name), ["2026-01-01", 1.5, True, -1, 2**63])
        for write, name in ((task, "created_at"), (task, "updated_at"), (event, "timestamp"))
        if name != "updated_at"
    ),
    ("expires_at", lambda store, value: store.create_snapshot("there", expires_at=value), ["2099-01-01", 1e12, 2**63]),
    ("title", task("title"), [None, 5]),
    ("name", agent("name"), [5]),
    ("status", agent("status"), [5]),
    ("status", lambda store, value: store.end_session("open", value), [None, 5]),
    ("id", task("id"), [None, 5]),
    ("content", event("content"), [None, 5]),
]


@pytest.mark.parametrize(("field", "write", "values"), VALUES)
def test_a_value_that_the_orchestrator_could_not_read_is_refused_by_field(
    store: StateStore, field: str, write: Write, values: Sequence[object]
):
    before = rows()
    for value in values:
        with pytest.raises(ValidationError) as refused:
            write(store, value)
        assert (refused.value.field, rows()) == (field, before)


@pytest.mark.parametrize("column", ["started_at", "ended_at"])
@pytest.mark.parametrize("value", ["2026-01-01", 1.5, -1, 2**63])
def test_a_session_is_edited_with_whole_seconds_only(store: StateStore, column: str, value: object):
    session = models.Session.objects.get(pk="open")
    setattr(session, column, value)
    with pytest.raises(ValidationError) as refused:
        session_service.save_session(store_alias(), session, by=SYSTEM)
    assert refused.value.field == column


def test_what_a_caller_does_not_change_stays_whatever_it_is(store: StateStore, on_sqlite: bool, manager_script: Script):
    odd = LONE if on_sqlite else "\ufffd"
    make_agent("odd", name=odd, metadata="no JSON", version=2**40)
    make_task(id="odd", title=odd, metadata="no JSON")
    assert store.update_agent_status("odd", "paused") is not None
    assert store.save_agent_state("odd", {"step": 2}, name=odd, version=2**40).state_data == '{"step":2}'
    assert manager_script.patch("/agents/odd", {"status": "idle"}).status_code == 200
    assert manager_script.patch("/tasks/odd", {"status": "Done"}).status_code == 200
    assert store.save_task({"id": "odd", "title": odd, "priority": "high"}).priority == "high"
    agent = models.AgentState.objects.get(agent_id="odd")
    assert (agent.name, agent.metadata, agent.version) == (odd, "no JSON", 2**40)


@pytest.mark.sqlite
def test_an_old_state_of_any_bytes_is_restored_and_the_sentences_about_it_are_valid_text(store: StateStore):
    snapshot = make_snapshot("there", LONE, description=LONE)
    store.restore_snapshot(str(snapshot.pk))
    assert store.load_agent_state("there").state_data == LONE
    make_agent("odd", status=LONE)
    store.update_agent_status("odd", "paused")
    for transition in models.Transition.objects.all():
        assert "\ufffd" in str(transition.reason)
        f"{transition.reason}{transition.metadata}".encode()
    models.Snapshot.objects.latest("rowid").description.encode()


JSON_CALLS = [
    ("PUT", "/agents/a1", {"state": {}, "version": 2**31}, "/version"),
    ("PUT", "/agents/a1", {"state": {}, "metadata": "no JSON"}, "/metadata"),
    ("PATCH", "/agents/there", {"metadata": "no JSON"}, "/metadata"),
    ("POST", "/agents/there/transitions", {"state_before": 1, "state_after": 2, "metadata": "x"}, "/metadata"),
    ("POST", "/events", {**EVENT, "metadata": "no JSON"}, "/metadata"),
    ("POST", "/events", {**EVENT, "timestamp": "2026-01-01"}, "/timestamp"),
    ("POST", "/tasks", {"title": "t", "metadata": "no JSON"}, "/metadata"),
    ("POST", "/tasks", {"title": "t", "status": "todo"}, "/status"),
    ("POST", "/sessions", {"agent_id": "a1", "metadata": "no JSON"}, "/metadata"),
    ("PATCH", "/sessions/open", {"metadata": '{"x": "\\ud800"}'}, "/metadata"),
    ("PATCH", "/sessions/open", {"ended_at": 1}, "/ended_at"),
]


@pytest.fixture
def manager_script(people: dict[str, User]) -> Script:
    return script_of(people["manager"])


@pytest.mark.parametrize(("method", "path", "body", "pointer"), JSON_CALLS)
def test_the_json_api_refuses_the_same_and_points_to_the_field(
    store: StateStore, manager_script: Script, method: str, path: str, body: dict[str, object], pointer: str
):
    before = rows()
    refused = manager_script(method, path, body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"], rows()) == (422, pointer, before)


def test_a_batch_of_events_tells_of_each_that_cannot_be(manager_script: Script):
    bad = [{**EVENT, "metadata": "no JSON"}, {**EVENT, "content": "\ud800"}, EVENT]
    report = manager_script.post("/events/batch", {"events": bad}).json()
    assert (report["saved"], [one["position"] for one in report["refused"]]) == (1, [0, 1])


def test_the_admin_refuses_the_same_beside_the_field(people: dict[str, User]):
    manager, row = signed_in(people["manager"]), make_task(metadata="no JSON")
    address = f"/admin/statestore/task/{row.pk}/change/"
    form = {
        "etag": models.row_hash(row), "title": "t", "status": "Todo", "priority": "low", "complexity": "simple",
        "metadata": "{",
    }  # fmt: skip
    assert "This is not JSON (line 1, column 2)." in manager.post(address, form).content.decode()
    assert manager.post(address, {**form, "metadata": "no JSON"}).status_code == 302
    assert models.Task.objects.get(pk=row.pk).metadata == "no JSON"


@pytest.mark.parametrize(
    ("column", "value"),
    [("version", "1"), ("version", 2**63), ("name", 5), ("created_at", {"real": "0x1p+0"}), ("name", {"odd": "x"}),
     ("name", "a\ud800")],
)  # fmt: skip
def test_an_import_refuses_what_no_store_holds(column: str, value: object):
    row = {
        "key": "a1", "agent_id": "a1", "name": "n", "status": "idle", "metadata": "{}", "state_data": "{}",
        "version": 1, "created_at": NOW, "updated_at": NOW, "is_deleted": 0,
    }  # fmt: skip
    lines = [{"statestore_export": 1}, {"table": "agent_states", "row": {**row, column: value}}]
    report = import_lines([json.dumps(line).encode() for line in lines], using=store_alias(), by=SYSTEM)
    assert (report.refused_count, models.AgentState.objects.count()) == (1, 0)


def test_every_refusal_is_an_error_of_the_state_store(store: StateStore):
    for value in ("2026-01-01", 1.5, [], object(), b"x"):
        with pytest.raises(StateStoreError):
            store.save_task({"title": "t", "created_at": value})
    assert connections[store_alias()].is_usable()
