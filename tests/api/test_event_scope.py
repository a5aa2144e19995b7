"""Who may write which events: actor and session must be the sender's own."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from statestore import models
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.import_export.exporter import Wanted, export_lines
from statestore.import_export.importer import import_lines
from statestore.store import StateStore
from tests.api.conftest import ROOT, Script, script_of
from tests.builders import make_agent, make_event, make_session
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


def event(**columns: str) -> dict[str, str]:
    return {"event_type": "note", "session_id": "own-session", "actor_type": "Agent", "actor_id": "own",
            "content": "x", **columns}  # fmt: skip


@pytest.fixture
def limited(people: dict[str, User]) -> Script:
    """A script of an operator that sees the namespace m, beside an agent and a session of another."""
    make_session(make_agent("own", namespace="m"), id="own-session")
    make_session(make_agent("other", namespace="n"), id="other-session")
    make_agent("operator-twin", namespace="n")
    make_event(actor_id="other", session_id="other-talk")
    return script_of(people["operator"], namespaces=["m"])


@pytest.mark.parametrize("actor_type", ["Agent", "System", "User"])
@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"actor_id": "other"}, "actor_id"),
        ({"session_id": "other-session"}, "session_id"),
        ({"session_id": "other-talk"}, "session_id"),
        ({"actor_id": "other", "session_id": "new"}, "actor_id"),
        ({"actor_id": "unknown"}, "actor_id"),
        ({"actor_id": "unknown", "session_id": "new"}, "actor_id"),
    ],
)
def test_an_actor_or_a_session_of_another_namespace_is_refused(
    limited: Script, columns: dict[str, str], field: str, actor_type: str
):
    sent = event(actor_type=actor_type, **columns)
    if actor_type == "User" and field == "session_id":
        sent["actor_id"] = "operator"
    before = models.Event.objects.count()
    answer = limited.post("/events", sent)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{field}"
    batch = limited.post("/events/batch", {"events": [sent, event()]}).json()
    assert (batch["saved"], len(batch["refused"])) == (1, 1)
    lines = f"{json.dumps(sent)}\n".encode()
    assert limited.post("/events/batch", lines, content_type="application/x-ndjson").json()["saved"] == 0
    assert limited.post("/events/batch", {"events": [sent, event()], "all_or_nothing": True}).status_code == 422
    assert models.Event.objects.count() == before + 1


@pytest.mark.parametrize("columns", [{}, {"session_id": "new"}, {"actor_type": "System"}])
def test_an_agents_event_in_its_own_session_or_a_new_one_is_saved(limited: Script, columns: dict[str, str]):
    for _ in range(2):
        assert limited.post("/events", event(**columns)).status_code == 201


def test_users_speak_for_themselves_in_their_sessions(limited: Script):
    said = event(actor_type="User", actor_id="operator")
    for session in ("own-session", "new", "new"):
        assert limited.post("/events", said | {"session_id": session}).status_code == 201
    assert limited.post("/events", event(session_id="new")).status_code == 201


def test_a_user_whose_name_is_that_of_a_hidden_agent_does_not_speak_as_it(limited: Script):
    twin = script_of(User.objects.create_superuser("operator-twin"), namespaces=["m"])
    answer = twin.post("/events", event(actor_type="User", actor_id="operator-twin"))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/actor_id")


def test_no_caller_speaks_for_another_user(people: dict[str, User]):
    script = script_of(people["administrator"])
    said = event(actor_type="User", actor_id="operator")
    answer = script.post("/events", said)
    assert answer.status_code == 422
    assert "other than your user name “administrator”" in answer.json()["detail"]
    assert script.post("/events/batch", {"events": [said]}).json()["saved"] == 0
    login = signed_in(people["administrator"])
    assert login.post(ROOT + "/events", said, content_type="application/json").status_code == 422
    assert script.post("/events", said | {"actor_id": "administrator"}).status_code == 201
    assert [row.actor_id for row in models.Event.objects.all()] == ["administrator"]


def test_an_import_brings_what_other_users_said():
    make_event(id="e1", actor_type="User", actor_id="ada")
    lines = list(export_lines(Wanted()))
    models.Event.objects.all().delete()
    assert import_lines(lines, using=store_alias(), by=SYSTEM).refused_count == 0
    assert models.Event.objects.get().actor_id == "ada"


@pytest.mark.parametrize(
    "columns",
    [
        {"actor_id": "other", "session_id": "own-session"},
        {"actor_id": "own", "session_id": "other-session"},
        {"actor_id": "other", "session_id": "other-session"},
        {"actor_id": "ada", "actor_type": "User", "session_id": "own-session"},
    ],
)
def test_an_event_that_is_not_wholly_in_scope_is_not_overwritten(limited: Script, columns: dict[str, str]):
    make_event(id="e1", content="theirs", **columns)
    answer = limited.post("/events", event(id="e1"))
    assert (answer.status_code, "already in use" in answer.json()["detail"]) == (422, True)
    assert models.Event.objects.get(pk="e1").content == "theirs"


def test_an_event_of_its_own_is_overwritten(limited: Script):
    make_event(id="e1", actor_id="own", session_id="own-session", content="old")
    assert limited.post("/events", event(id="e1")).status_code == 201
    assert models.Event.objects.get(pk="e1").content == "x"


def test_a_repeated_batch_saves_each_event_once(limited: Script):
    batch = {"events": [event(), event(actor_id="other"), event(session_id="new")]}
    answers = [limited.post("/events/batch", batch, idempotency_key="k").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0]["saved"], models.Event.objects.filter(actor_id="own").count()) == (2, 2)


def test_a_limited_user_writes_no_more_by_a_login(people: dict[str, User], limited: Script):
    models.UserAccess.objects.create(user=people["operator"], namespaces=["m"])
    client = signed_in(people["operator"])
    for columns, status in (({}, 201), ({"actor_id": "other"}, 422), ({"session_id": "other-session"}, 422)):
        sent = event(**columns)
        assert client.post(ROOT + "/events", sent, content_type="application/json").status_code == status
    answer = client.post(ROOT + "/events", event(actor_id="other"), content_type="application/json")
    assert "not an agent in your account's namespaces" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/tasks", {"title": "T", "assigned_to": "other"}, 403),
        ("/tasks", {"title": "T"}, 403),
        ("/sessions", {"agent_id": "other"}, 403),
        ("/sessions", {"agent_id": "other", "id": "own-session"}, 403),
        ("/agents/other/fork", {"agent_id": "mine"}, 404),
        ("/restores", {"agent_id": "other", "moment": "now"}, 404),
        ("/bulk/snapshots", {"agents": ["own", "other"]}, 404),
    ],
)
def test_other_writes_stay_in_scope(people: dict[str, User], limited: Script, path: str, body: Any, status: int):
    script = script_of(people["manager"], namespaces=["m"])
    before = [model._default_manager.count() for model in (models.Task, models.Session, models.AgentState)]
    assert script.post(path, body).status_code == status
    assert before == [model._default_manager.count() for model in (models.Task, models.Session, models.AgentState)]


def test_a_session_is_not_given_to_an_agent_of_another_namespace(people: dict[str, User], limited: Script):
    script = script_of(people["manager"], namespaces=["m"])
    assert script.patch("/sessions/own-session", {"agent_id": "other"}).status_code == 403
    assert models.Session.objects.get(pk="own-session").agent_id == "own"


@pytest.mark.parametrize("columns", [{"actor_id": "other"}, {"session_id": "other-session"}])
def test_a_store_of_a_namespace_takes_no_events_of_another(limited: Script, columns: dict[str, str]):
    store = StateStore(prefix="m")
    with pytest.raises(ValidationError, match="in your store's namespaces"):
        store.save_event(event(**columns))
    assert store.save_events([event(), event(actor_type="User", actor_id="ada")]) == 2
    StateStore().save_event(event(**columns))
