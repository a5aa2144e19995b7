"""Who may call what: every call for every kind of caller, against one table. A call without a row fails.

A row says which scope a token needs, which role its user needs at least, what the call answers when both are there, and
what it answers to a token, or to a user, of another namespace. Callers without a login, with an expired or a revoked
token get 401, all others 403.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from statestore import models, restore, retention
from statestore.access import tokens
from statestore.access.audit import SYSTEM, Actor
from statestore.agents import capture
from statestore.api.site import site, urlpatterns
from statestore.db.routers import store_alias
from statestore.import_export.codec import FORMAT, line
from statestore.retention import Limits
from statestore.tasks import service as task_service
from tests.api.conftest import APPROVING, ROOT, Script
from tests.builders import NOW, make_agent, make_event, make_session, make_snapshot, make_task, make_transition
from tests.conftest import signed_in, undone
from tests.views.test_access import PLACES
from tests.views.test_access import TABLE as PAGES

pytestmark = pytest.mark.django_db

Send = Callable[..., Any]

ROLES = ("nobody", "viewer", "operator", "manager", "administrator")
NOT_THERE, NO, NOBODY = 404, 403, 401

# call: (scope, least role, answer, answer to a token of another namespace)
TABLE: dict[str, tuple[str, str, int, int]] = {
    "GET /agents": ("read", "viewer", 200, 200),
    "GET /agents/{agent_id}": ("read", "viewer", 200, NOT_THERE),
    "GET /agents/{agent_id}/case": ("read", "viewer", 200, NOT_THERE),
    "PUT /agents/{agent_id}": ("write", "operator", 200, 409),
    "PATCH /agents/{agent_id}": ("write", "operator", 200, NOT_THERE),
    "DELETE /agents/{agent_id}": ("write", "operator", 204, NOT_THERE),
    "POST /agents/{agent_id}/undelete": ("write", "operator", 200, NOT_THERE),
    "POST /agents/{agent_id}/purge": ("admin", "manager", 409, NOT_THERE),
    "POST /agents/{agent_id}/fork": ("restore", "operator", 201, NOT_THERE),
    "POST /bulk/snapshots": ("write", "operator", 200, NOT_THERE),
    "POST /bulk/status": ("write", "operator", 200, NOT_THERE),
    "GET /agents/{agent_id}/state": ("read", "viewer", 200, NOT_THERE),
    "GET /agents/{agent_id}/diff": ("read", "viewer", 200, NOT_THERE),
    "GET /agents/{agent_id}/history": ("read", "viewer", 200, NOT_THERE),
    "GET /agents/{agent_id}/blame": ("read", "viewer", 200, NOT_THERE),
    "GET /agents/{agent_id}/bisect": ("read", "viewer", 200, NOT_THERE),
    "GET /agents/{agent_id}/timeline": ("read", "viewer", 200, NOT_THERE),
    "GET /agents/{agent_id}/transitions": ("read", "viewer", 200, NOT_THERE),
    "POST /agents/{agent_id}/transitions": ("write", "operator", 201, NOT_THERE),
    "GET /transitions/{transition_id}": ("read", "viewer", 200, NOT_THERE),
    "GET /transitions/{transition_id}/case": ("read", "viewer", 200, NOT_THERE),
    "GET /agents/{agent_id}/snapshots": ("read", "viewer", 200, NOT_THERE),
    "POST /agents/{agent_id}/snapshots": ("write", "operator", 201, NOT_THERE),
    "GET /snapshots": ("read", "viewer", 200, 200),
    "POST /snapshots/delete-expired": ("admin", "operator", 200, 200),
    "GET /snapshots/{snapshot_id}": ("read", "viewer", 200, NOT_THERE),
    "DELETE /snapshots/{snapshot_id}": ("write", "operator", 204, NOT_THERE),
    "POST /snapshots/{snapshot_id}/restore": ("restore", "operator", 201, NOT_THERE),
    "GET /restores": ("read", "viewer", 200, 200),
    "POST /restores": ("restore", "operator", 201, NOT_THERE),
    "GET /restores/{restore_id}": ("read", "viewer", 200, NOT_THERE),
    "POST /restores/{restore_id}/apply": ("restore", "operator", 200, NOT_THERE),
    "POST /restores/{restore_id}/approve": ("approve", "operator", 200, NOT_THERE),
    "POST /restores/{restore_id}/undo": ("restore", "operator", NOT_THERE, NOT_THERE),
    "GET /batches": ("read", "viewer", 200, 200),
    "POST /batches": ("restore", "operator", 201, NOT_THERE),
    "GET /batches/preview": ("read", "operator", 200, 200),
    "GET /batches/{batch_id}": ("read", "viewer", 200, NOT_THERE),
    "GET /batches/{batch_id}/agents": ("read", "viewer", 200, NOT_THERE),
    "POST /batches/{batch_id}/apply": ("restore", "operator", 200, NOT_THERE),
    "POST /batches/{batch_id}/approve": ("approve", "operator", 200, NOT_THERE),
    "POST /batches/{batch_id}/undo": ("restore", "operator", 409, NOT_THERE),
    "GET /events": ("read", "viewer", 200, 200),
    "POST /events": ("write", "operator", 201, 422),
    "POST /events/batch": ("write", "operator", 200, 200),
    "GET /events/search": ("read", "viewer", 200, 200),
    "GET /events/search/facets": ("read", "viewer", 200, 200),
    "GET /events/search/histogram": ("read", "viewer", 200, 200),
    "GET /events/search/complete": ("read", "viewer", 200, 200),
    "GET /find": ("read", "nobody", 200, 200),
    "GET /views": ("read", "viewer", 200, NO),
    "POST /views": ("write", "viewer", 201, NO),
    "GET /views/{view_id}": ("read", "viewer", NOT_THERE, NO),
    "DELETE /views/{view_id}": ("write", "viewer", NOT_THERE, NO),
    "GET /events/{event_id}": ("read", "viewer", 200, NOT_THERE),
    "GET /tasks": ("read", "viewer", 200, 200),
    "POST /tasks": ("write", "manager", 201, NO),
    "GET /tasks/{task_id}": ("read", "viewer", 200, NOT_THERE),
    "PUT /tasks/{task_id}": ("write", "manager", 200, 409),
    "PATCH /tasks/{task_id}": ("write", "manager", 200, NOT_THERE),
    "DELETE /tasks/{task_id}": ("write", "manager", 204, NOT_THERE),
    "GET /sessions": ("read", "viewer", 200, 200),
    "POST /sessions": ("write", "manager", 201, NO),
    "POST /sessions/{session_id}/end": ("write", "manager", 200, NOT_THERE),
    "GET /sessions/{session_id}": ("read", "viewer", 200, NOT_THERE),
    "PUT /sessions/{session_id}": ("write", "manager", 200, 409),
    "PATCH /sessions/{session_id}": ("write", "manager", 200, NOT_THERE),
    "DELETE /sessions/{session_id}": ("write", "manager", 204, NOT_THERE),
    "GET /edits": ("read", "viewer", 200, 200),
    "GET /edits/{entry_id}": ("read", "viewer", 200, NOT_THERE),
    "POST /edits/{entry_id}/revert": ("write", "manager", 201, NOT_THERE),
    "GET /export": ("read", "viewer", 200, 200),
    "POST /import": ("admin", "administrator", 200, NO),
    "GET /growth": ("read", "viewer", 200, NO),
    "GET /sources": ("read", "viewer", 200, NO),
    "POST /sources": ("admin", "administrator", NO, NO),
    "POST /uploads": ("admin", "administrator", 422, NO),
    "DELETE /sources/{source_id}": ("admin", "administrator", NOT_THERE, NO),
    "GET /capture": ("read", "administrator", 200, NO),
    "GET /capture/costs": ("read", "administrator", 200, NO),
    "POST /capture/on": ("admin", "administrator", 200, NO),
    "POST /capture/off": ("admin", "administrator", 200, NO),
    "GET /upkeep/runs": ("read", "viewer", 200, NO),
    "GET /backups": ("read", "viewer", 200, NO),
    "GET /policies": ("read", "viewer", 200, NO),
    "POST /policies": ("admin", "administrator", 201, NO),
    "GET /policies/{policy_id}": ("read", "viewer", 200, NO),
    "PATCH /policies/{policy_id}": ("admin", "administrator", 200, NO),
    "DELETE /policies/{policy_id}": ("admin", "administrator", 204, NO),
    "GET /policies/{policy_id}/simulation": ("read", "viewer", 200, NO),
    "GET /holds": ("read", "viewer", 200, NO),
    "POST /holds": ("write", "operator", 200, NOT_THERE),
    "DELETE /holds/{noun}/{row_id}": ("admin", "administrator", 204, NOT_THERE),
    "POST /audit/verify": ("admin", "administrator", 200, NO),
    "GET /tokens": ("read", "nobody", 200, NO),
    "POST /tokens": ("admin", "nobody", 201, NO),
    "GET /tokens/{token_id}": ("read", "nobody", 404, NO),
    "POST /tokens/{token_id}/revoke": ("admin", "nobody", 404, NO),
    "GET /me": ("read", "nobody", 200, 200),
    "GET /health": ("read", "viewer", 200, 200),
    "GET /changes": ("read", "viewer", 200, 200),
    "GET /audit": ("read", "viewer", 200, 200),
    "GET /migrations": ("read", "viewer", 200, 200),
    "GET /processes": ("read", "viewer", 200, 200),
}
# The addresses that are no calls: name, and what they answer to nobody and to a viewer.
OTHERS = {"openapi": (401, 200), "docs": (302, 200), "problem": (200, 200), "unknown": (404, 404)}

EVENT = {"event_type": "note", "session_id": "s1", "actor_type": "Agent", "actor_id": "a1", "content": "x"}
BODIES: dict[str, Any] = {
    "PUT /agents/{agent_id}": {"state": 1},
    "PATCH /agents/{agent_id}": {"name": "A"},
    "POST /agents/{agent_id}/fork": {"agent_id": "a2"},
    "POST /agents/{agent_id}/transitions": {"state_before": 1, "state_after": 2},
    "POST /bulk/snapshots": {"agents": ["a1"]},
    "POST /bulk/status": {"agents": ["a1"], "status": "paused"},
    "POST /restores": {"agent_id": "a1", "moment": "now"},
    "POST /batches": {"at": NOW, "agents": [{"agent": "a1", "etag": "0" * 64}]},
    "POST /views": {"name": "mine", "q": "type:x"},
    "POST /events": EVENT,
    "POST /events/batch": {"events": [EVENT]},
    "POST /tasks": {"title": "T", "assigned_to": "a1"},
    "PUT /tasks/{task_id}": {"title": "T"},
    "PATCH /tasks/{task_id}": {"title": "T"},
    "POST /sessions": {"agent_id": "a1"},
    "PUT /sessions/{session_id}": {"agent_id": "a1"},
    "PATCH /sessions/{session_id}": {"status": "s"},
    "POST /import": line(FORMAT),
    "POST /sources": {"path": "/nowhere"},
    "POST /uploads": b"x",
    "POST /tokens": {"name": "t", "scopes": ["read"]},
    "POST /policies": {"table": "transitions", "keep_count": 5},
    "PATCH /policies/{policy_id}": {"is_on": True},
    "POST /holds": {"noun": "agent", "id": "a1"},
}
MEDIA = {"POST /import": "application/x-ndjson", "POST /uploads": "application/octet-stream"}
QUERIES = {
    "GET /agents/{agent_id}/diff": "?from=now",
    "GET /agents/{agent_id}/history": "?path=/step",
    "GET /agents/{agent_id}/bisect": "?condition=/step%20%3E%201",
    "GET /batches/preview": f"?at={NOW}",
    "GET /events/search": "?q=hello",
    "POST /uploads": "?name=a.db",
}


def declared() -> set[str]:
    return {
        f"{method} {path}"
        for router in site._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }


def test_every_call_has_a_row_in_the_table():
    assert declared() == set(TABLE)


def test_a_method_that_is_none_of_a_calls_does_nothing(script: Script, ids: dict[str, str]):
    methods = {path: {call.split(" ")[0] for call in TABLE if call.endswith(f" {path}")} for path in
               {call.split(" ")[1] for call in TABLE}}  # fmt: skip
    for path, declared_ones in methods.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - declared_ones:
            answer = script(method, path.format(**ids), {})
            assert (answer.status_code, "Allow" in answer) == (405, True), (method, path)


def test_every_address_is_a_call_or_known():
    calls = {operation.view_func.__name__ for router in site._get_bound_routers()
             for view in router.path_operations.values() for operation in view.operations}  # fmt: skip
    assert {pattern.name for pattern in urlpatterns} - calls == set(OTHERS)
    under_api = [p for p in get_resolver().url_patterns if isinstance(p, URLResolver) and p.app_name == "api"]
    assert len(under_api) == 1


@pytest.fixture
def ids() -> dict[str, str]:
    agent = make_agent("a1", namespace="n", state={"step": 2})
    snapshot = make_snapshot(agent, {"step": 1})
    plan = restore.save(restore.plan("a1", f"snapshot:{snapshot.pk}"), by=Actor("cannot approve your own"))
    batch = restore.prepare([("a1", agent.etag())], NOW, by=Actor("cannot approve your own"))
    session = make_session(agent, id="s1", ended_at=None, status="active")
    task = make_task(assigned_to="a1")
    task_service.save_task(store_alias(), {"id": task.pk, "title": "Edited"}, by=SYSTEM)
    return {
        "view_id": "1", "source_id": "1",
        "token_id": "0" * 12,
        "entry_id": str(models.AuditEntry.objects.newest_first()[0].pk),
        "agent_id": "a1", "snapshot_id": snapshot.pk, "transition_id": make_transition(agent).pk,
        "restore_id": plan.pk, "batch_id": batch.pk, "event_id": make_event(actor_id="a1", session_id="s1").pk,
        "task_id": task.pk, "session_id": session.pk,
        "noun": "agent", "row_id": "a1",
        "policy_id": retention.create(store_alias(), "snapshots", None, Limits(keep_count=1), by=SYSTEM).pk,
    }  # fmt: skip


def callers(people: dict[str, User]) -> Iterator[tuple[str, Send]]:
    """Yield each kind of caller: its name, and what sends its requests."""
    yield "anonymous", _with(Client())
    for role in ROLES:
        yield f"login of a {role}", _with(signed_in(people[role]))
        yield f"token of a {role}", _script(people[role])
        yield f"approving token of a {role}", _script(people[role], *APPROVING)
    for scope in tokens.ALL_SCOPES:
        yield f"scope {scope}", _script(people["administrator"], scope)
    for state, change in (("expired", {"expires_at": 1}), ("revoked", {"revoked_at": 1})):
        script = _script(people["administrator"])
        models.ApiToken.objects.filter(public_id=script.secret.split(".")[1]).update(**change)
        yield f"{state} token", script
    gone = User.objects.create_superuser("gone")
    script = _script(gone)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    yield "token of who left", script
    yield "other namespace", _script(people["administrator"], namespaces=["m"])
    yield "approving from another namespace", _script(people["administrator"], *APPROVING, namespaces=["m"])
    limited = User.objects.create(username="limited")
    limited.groups.set(people["administrator"].groups.all())
    models.UserAccess.objects.create(user=limited, namespaces=["m"])
    yield "login of a user of another namespace", _with(signed_in(limited))
    yield "token of a user of another namespace", _script(limited)
    yield "wrong secret", Script(_script(people["administrator"]).secret[:-1] + "~", Client())


def _with(client: Client) -> Send:
    def send(method: str, path: str, body: Any, *, content_type: str) -> Any:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return client.generic(method, ROOT + path, raw, content_type=content_type)

    return send


def _script(user: User, *scopes: str, namespaces: list[str] | None = None) -> Script:
    return Script(tokens.create(user, "t", scopes or tokens.SCOPES, namespaces=namespaces)[1], Client())


def wanted(call: str, who: str) -> int:
    scope, least, answer, elsewhere = TABLE[call]
    if who in {"anonymous", "expired token", "revoked token", "token of who left", "wrong secret"}:
        return NOBODY
    if who.startswith("scope ") and who != f"scope {scope}":
        return NO
    if not who.startswith(("login", "scope")) and scope == ("restore" if who.startswith("approving") else "approve"):
        return NO
    if call == "POST /tokens" and not who.startswith("login"):
        return NO
    if who.endswith("namespace"):
        # A limited user's tokens and saved searches are the user's own; a limited token sees none of its user's.
        is_own = " user of " in who and call.split(" ")[1].startswith(("/tokens", "/views"))
        return answer if is_own else elsewhere
    if who.startswith("scope "):
        return answer
    return answer if ROLES.index(who.split()[-1]) >= ROLES.index(least) else NO


GROUPS = sorted({call.split("/")[1] for call in TABLE})


@pytest.mark.parametrize("group", GROUPS)
def test_the_table_holds(
    people: dict[str, User], ids: dict[str, str], group: str, monkeypatch: pytest.MonkeyPatch, settings: Any
):
    settings.STORE_IS_EMBEDDED = True  # Sources are mirrored into a store of our own alone.
    # What it answers takes seconds, for each caller; who may ask is all that matters here.
    monkeypatch.setattr(capture, "measure", list)
    everyone = list(callers(people))
    for call in TABLE:
        method, path = call.split(" ")
        if path.split("/")[1] != group:
            continue
        address = path.format(**ids) + QUERIES.get(call, "")
        body = BODIES.get(call, {} if method == "POST" else None)
        media = MEDIA.get(call, "application/json")
        for who, send in everyone:
            with undone():
                answer = send(method, address, body, content_type=media)
                if answer.streaming:
                    b"".join(answer.streaming_content)
            assert answer.status_code == wanted(call, who), (who, call, answer.status_code, _text(answer))


def _text(answer: Any) -> bytes:
    return b"" if answer.streaming else bytes(answer.content[:300])


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_call_answers_as_the_table_says(people: dict[str, User], name: str):
    address = (
        "/api/v1/nothing/here" if name == "unknown" else reverse(f"api:{name}", args=["moved"] * (name == "problem"))
    )
    for client, status in zip((Client(), signed_in(people["viewer"])), OTHERS[name], strict=True):
        assert client.get(address).status_code == status


@pytest.mark.parametrize("name", sorted(name for name, (get, _) in PAGES.items() if get != 405))
def test_a_token_opens_no_page(people: dict[str, User], name: str):
    pattern = next(p for p in get_resolver().url_patterns if isinstance(p, URLPattern | URLResolver))
    assert pattern
    arguments = {part: PLACES.get(part, "a1") for part in _converters(name)}
    address, script = reverse(name, kwargs=arguments), _script(people["administrator"])
    with_token = Client().get(address, HTTP_AUTHORIZATION=f"Bearer {script.secret}")
    assert (with_token.status_code, with_token.get("Location")) == (
        Client().get(address).status_code, Client().get(address).get("Location"),
    )  # fmt: skip


def _converters(name: str) -> list[str]:
    from tests.views.test_access import named_urls

    found = next(pattern for pattern in named_urls(get_resolver().url_patterns) if pattern.name == name)
    return list(found.pattern.converters)


def test_a_login_without_its_csrf_token_writes_nothing(people: dict[str, User]):
    make_agent("a1")
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["operator"], "django.contrib.auth.backends.ModelBackend")
    answer = client.generic("POST", "/api/v1/agents/a1/snapshots", b"{}", content_type="application/json")
    assert answer.status_code == 403
    assert "X-CSRFToken" in answer.json()["detail"]
    assert not models.Snapshot.objects.exists()
    client.get("/api/v1/docs")
    token = client.cookies["csrftoken"].value
    answer = client.generic(
        "POST", "/api/v1/agents/a1/snapshots", b"{}", content_type="application/json", HTTP_X_CSRFTOKEN=token
    )
    assert answer.status_code == 201


def test_a_cookie_does_not_help_a_wrong_token(people: dict[str, User]):
    client = signed_in(people["administrator"])
    assert client.get("/api/v1/agents", HTTP_AUTHORIZATION="Bearer dss.1.2").status_code == 401
    assert client.get("/api/v1/agents?token=dss.1.2").status_code == 422
