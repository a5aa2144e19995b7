"""A user limited to namespaces: no page, call, export, search or list shows or tells anything of the others."""

import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import get_resolver, reverse

from statestore import models, restore
from statestore.access import audit, rights, tokens
from statestore.access.audit import Actor
from statestore.access.scope import scope_of
from statestore.db.routers import store_alias
from statestore.errors import Forbidden, ValidationError
from statestore.models.audit import Action
from statestore.store import StateStore
from statestore.tasks import service as task_service
from tests.api.conftest import ROOT, Script, script_of
from tests.builders import make_agent, make_event, make_session, make_snapshot, make_task, make_transition
from tests.conftest import signed_in
from tests.views.test_access import named_urls

pytestmark = pytest.mark.django_db

SECRET = "s3cret"
OTHER = Actor(f"{SECRET}-person")


def limit(user: User, *namespaces: str) -> User:
    """Limit a user to namespaces, and return them as a new request finds them."""
    models.UserAccess.objects.update_or_create(user=user, defaults={"namespaces": list(namespaces)})
    return User.objects.get(pk=user.pk)


@pytest.fixture
def ada(people: dict[str, User]) -> User:
    """Someone with every permission but a superuser's, who sees the namespace m."""
    user = people["administrator"]
    return limit(user, "m")


@pytest.fixture
def client(ada: User) -> Client:
    return signed_in(ada)


def fill(agent_id: str, namespace: str, by: Actor) -> dict[str, Any]:
    """Make one of everything around an agent, all named after it, and return the ids."""
    now = models.now()
    agent = make_agent(
        agent_id, namespace=namespace, name=f"{agent_id} name", status=f"{agent_id}-status", updated_at=now - 60,
        state={"note": f"{agent_id} state", "step": 2},
    )  # fmt: skip
    session = make_session(agent, id=f"{agent_id}-session", started_at=now - 50, status=f"{agent_id}-kind")
    event = make_event(
        id=f"{agent_id}-event", actor_id=agent_id, session_id=session.pk, event_type=f"{agent_id}-type",
        content=f"hello from {agent_id}", git_commit="a41f", timestamp=now - 40,
    )  # fmt: skip
    make_event(actor_id=agent_id, session_id=f"{agent_id}-unrecorded", content=f"{agent_id} talks", timestamp=now - 30)
    task = make_task(f"{agent_id} title", id=f"{agent_id}-task", assigned_to=agent_id)
    task_service.save_task(store_alias(), {"id": task.pk, "description": f"{agent_id} text"}, by=by)
    snapshot = make_snapshot(
        agent, {"step": 1}, id=f"{agent_id}-snapshot", description=f"{agent_id} snapshot", created_at=now - 80
    )
    models.SnapshotExpiry.objects.create(snapshot_id=snapshot.pk, expires_at=now + 3600)
    transition = make_transition(
        agent, {"step": 1}, {"step": 2}, id=f"{agent_id}-step", reason=f"{agent_id} moved", timestamp=now - 60
    )
    done = StateStore(actor=by).restore_snapshot(snapshot.pk, reason=f"{agent_id} again")
    plan = restore.save(restore.plan(agent_id, f"snapshot:{done.safety_snapshot_id}"), by=by, reason=f"{agent_id} plan")
    batch = restore.prepare([(agent_id, "0" * 64)], now, by=by, reason=f"{agent_id} batch", scope=f"q {agent_id}")
    restore.fork(agent_id, "now", f"{agent_id}-fork", by=by, name=f"{agent_id} forked", reason=f"{agent_id} tries")
    trashed = make_agent(f"{agent_id}-trashed", namespace=namespace, updated_at=now)
    StateStore(actor=by).delete_agent(trashed.agent_id, reason=f"{agent_id} is done")
    revived = make_agent(f"{agent_id}-revived", namespace=namespace, updated_at=now)
    models.Tombstone.objects.create(agent_id=revived.agent_id, at=now, actor=by.name, reason=f"{agent_id} came back")
    audit.record(Action.SNAPSHOT, agent, by=by, detail={"about": f"{agent_id} audit"})
    (entry,) = models.AuditEntry.objects.about(task.pk)[:1]
    return {
        "agent_id": agent_id, "session_id": session.pk, "event_id": event.pk, "task_id": task.pk,
        "snapshot_id": snapshot.pk, "transition_id": transition.pk, "restore_id": done.pk, "plan_id": plan.pk,
        "batch_id": batch.pk, "entry_id": entry.pk,
    }  # fmt: skip


@pytest.fixture
def hidden() -> dict[str, Any]:
    """Fill a store with what is hers and what is not, tangled by dependencies, and return what is not."""
    fill("own", "m", Actor("bob"))
    ids = fill(SECRET, f"{SECRET}-space", OTHER)
    fill(f"{SECRET}-plain", "", OTHER)
    make_task(f"{SECRET} behind", id=f"{SECRET}-behind")
    edges = [("own-task", f"{SECRET}-task"), (f"{SECRET}-task", f"{SECRET}-behind"), (f"{SECRET}-behind", "own-task")]
    for task, depends_on in edges[1:]:
        models.TaskDependency.objects.create(task_id=task, depends_on_id=depends_on)
    make_transition(f"{SECRET}-gone", {}, {"a": 1})
    return ids


def texts(answer: Any) -> bytes:
    """Return all that an answer says: its headers and its body."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body + repr(dict(answer.headers)).encode()


_LINK = re.compile(r'(?:href|action|hx-get|src)="([^"#]+)')


def crawled(client: Client, *starts: str) -> Iterator[tuple[str, Any, bytes]]:
    """Yield each page that can be reached from some, with the JSON that they link to; of each path three queries."""
    front, seen, queries = list(starts), set(starts), Counter[str]()
    while front:
        address = front.pop(0)
        answer = client.get(address)
        said = texts(answer)
        yield address, answer, said
        links = _LINK.findall(said.decode("utf-8", "replace"))
        links += [answer.headers["Location"]] if "Location" in answer.headers else []
        for link in links:
            target = urlsplit(urljoin(address, unescape(link)))
            path = target.path + (f"?{target.query}" if target.query else "")
            if target.netloc or path in seen or _is_elsewhere(target.path) or queries[target.path] == 3:
                continue
            seen.add(path)
            queries[target.path] += 1
            front.append(path)


def _is_elsewhere(path: str) -> bool:
    return path.startswith("/static/") or "logout" in path


STARTS = (
    "/", "/agents/", "/agents/?namespace=*", "/changes/?start=0&end=9999999999",
    "/events/", "/events/?q=hello", "/events/?q=type:x", "/sessions/",
    "/tasks/", "/tasks/?layout=board", "/tasks/?status=Todo", "/restores/", "/snapshots/", "/trash/", "/audit/",
    "/tokens/", "/fleet/", "/fleet/?at=2030-01-01", "/compare/", "/commits/a41f/", "/admin/", "/admin/auth/user/",
    "/admin/statestore/agentstate/", "/admin/statestore/task/own-task/change/",
    "/admin/statestore/task/own-task/delete/", "/admin/statestore/session/own-session/change/",
    "/agents/own/", "/agents/own/timeline/", "/agents/own/fork/", "/tasks/own-task/", "/sessions/own-session/",
    "/search/live/?q=", "/search/live/?q=&cursor=0.0", "/search/complete/?q=agent:", "/search/complete/?q=session:",
    "/search/complete/?q=type:", "/search/complete/?q=actor:", "/search/complete/?q=commit:",
    "/search/export/?q=", "/search/export/?q=&format=ndjson", "/capture/", "/upkeep/", "/metrics/", "/nowhere/",
    f"/find/?q={SECRET[:-1]}", "/find/?q=own",
    "/compare/?left=own", f"/search/agents/?of=q&q={SECRET[:-1]}", "/search/agents/",
    "/tasks/?layout=board&edit=own-task", "/audit/?action=snapshot&start=0", "/export/audit/",
    "/export/audit/?format=ndjson",
)  # fmt: skip
CALLS = (
    "/agents", "/agents?trash=true", "/agents?namespace=", "/agents/own", "/agents/own/timeline", "/snapshots",
    "/agents/own/snapshots", "/agents/own/transitions", "/agents/own/blame", "/restores", "/restores?state=planned",
    "/batches", "/batches/preview?at=2030-01-01T00:00:00Z", "/events", "/events/search?q=hello",
    "/events/search/facets?q=", "/events/search/histogram?q=", "/events/search/complete?q=agent:",
    "/events/search/complete?q=session:", "/views", "/tasks", "/tasks/own-task", "/sessions", "/sessions?open=false",
    "/sessions/own-session", "/edits", "/audit",
    "/changes?start=0&end=9999999999", "/export", "/export?audit=true", "/health", "/me", "/migrations",
    "/processes", "/tokens", "/capture", "/upkeep/runs", "/backups", "/policies",
    f"/find?q={SECRET[:-1]}", "/find?q=own", "/find?q=a41f",
)  # fmt: skip


@pytest.mark.slow
def test_nothing_that_can_be_reached_tells_of_another_namespace(client: Client, hidden: dict[str, Any]):
    visited = set()
    for address, answer, said in crawled(client, *STARTS, *(ROOT + call for call in CALLS)):
        assert answer.status_code < 500, (address, answer.status_code)
        assert SECRET.encode() not in said, (address, said[max(0, said.index(SECRET.encode()) - 300) :][:600])
        visited.add(address)
    assert {"/agents/own/", "/tasks/own-task/", "/snapshots/own-snapshot/", "/transitions/own-step/"} <= visited
    assert len(visited) > 150


@pytest.mark.slow
def test_the_same_pages_tell_of_it_to_others(people: dict[str, User], hidden: dict[str, Any]):
    client = signed_in(people["administrator"])
    shown = [address for address in STARTS if SECRET.encode() in texts(client.get(address))]
    assert {"/", "/agents/", "/tasks/", "/audit/", "/restores/", "/commits/a41f/"} <= set(shown)


def test_a_token_of_hers_tells_no_more(ada: User, hidden: dict[str, Any]):
    script = script_of(ada)
    for call in CALLS:
        answer = script.get(call)
        said = texts(answer)
        assert SECRET.encode() not in said, (call, said[:400])


def pages_of(ids: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the pages about rows: the URL's name, its address for some ids."""
    for pattern in named_urls(get_resolver().url_patterns):
        names = set(pattern.pattern.converters)
        if names and names <= set(ids):
            yield str(pattern.name), reverse(str(pattern.name), kwargs={name: ids[name] for name in names})


def test_each_address_of_a_row_of_another_namespace_is_not_found(client: Client, hidden: dict[str, Any]):
    kinds = [hidden, hidden | {"restore_id": hidden["plan_id"]}, hidden | {"agent_id": f"{SECRET}-gone"}]
    kinds.append(hidden | {"agent_id": f"{SECRET}-trashed", "session_id": f"{SECRET}-unrecorded"})
    before = {model: model._default_manager.count() for model in (models.AuditEntry, models.AgentState)}
    for name, address in {pair for ids in kinds for pair in pages_of(ids)}:
        got, posted = client.get(address).status_code, client.post(address).status_code
        assert {got, posted} <= {404, 405}, (name, address, got, posted)
    assert before == {model: model._default_manager.count() for model in before}


def test_each_page_of_the_admin_about_a_foreign_row_is_not_found(client: Client, hidden: dict[str, Any]):
    rows = {"agentstate": f"{SECRET}-space:{SECRET}", "transition": hidden["transition_id"],
            "snapshot": hidden["snapshot_id"], "event": hidden["event_id"], "task": hidden["task_id"],
            "session": hidden["session_id"]}  # fmt: skip
    for model, pk in rows.items():
        for page in ("change", "history", "delete"):
            status = client.get(reverse(f"admin:statestore_{model}_{page}", args=[pk])).status_code
            assert status == (403 if page == "delete" and model not in ("task", "session") else 404), (model, page)
        assert SECRET not in client.get(reverse(f"admin:statestore_{model}_changelist")).content.decode()


def test_bulk_actions_and_batches_take_no_foreign_agent(client: Client, hidden: dict[str, Any]):
    snapshots, batches = models.Snapshot.objects.count(), models.Batch.objects.count()
    assert client.post("/agents/bulk/", {"agent": [SECRET], "action": "snapshot"}).status_code == 404
    prepared = {"agent": [f"{'0' * 64}:{SECRET}"], "at": "2030-01-01T00:00", "reason": "", "scope": "all"}
    assert client.post("/fleet/", prepared).status_code == 404
    assert (models.Snapshot.objects.count(), models.Batch.objects.count()) == (snapshots, batches)


@pytest.mark.parametrize("moment", [f"snapshot:{SECRET}-snapshot", f"transition:{SECRET}-step:after"])
def test_a_moment_of_a_foreign_agent_is_none_of_an_own_one(
    client: Client, ada: User, hidden: dict[str, Any], moment: str
):
    for page in ("state/", "branch/", "restore/", "fork/"):
        answer = client.get(f"/agents/own/{page}", {"moment": moment})
        assert (answer.status_code, f"{SECRET} state" in answer.content.decode()) == (404, False), page
    answer = client.get("/compare/", {"left": "own", "before": moment})
    assert (answer.status_code, f"{SECRET} state" in answer.content.decode()) == (422, False)
    script = script_of(ada)
    assert script.get(f"/agents/own/state?moment={moment}").status_code == 404
    assert script.post("/restores", {"agent_id": "own", "moment": moment}).status_code == 404
    assert script.post("/restores", {"agent_id": "own", "revert": f"{SECRET}-step"}).status_code == 404


def test_a_comparison_with_a_foreign_agent_says_the_same_as_with_one_that_does_not_exist(
    client: Client, hidden: dict[str, Any]
):
    for query in ("left=own&right={}", "left={}"):
        for name in (SECRET, "missing"):
            answer = client.get(f"/compare/?{query.format(name)}")
            assert answer.status_code == 422, query
            said = unescape(answer.content.decode())
            assert f"No agent has the id or the name “{name}”. Enter an agent's id or its name." in said, query


@pytest.mark.parametrize(
    "path",
    [
        "/capture/",
        "/upkeep/",
        "/upkeep/policies/new/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        "/admin/auth/group/",
    ],
)
def test_what_concerns_the_whole_store_is_refused(client: Client, path: str):
    assert client.get(path).status_code == 403


def test_a_refusal_of_what_concerns_the_whole_store_says_why(client: Client):
    page = client.get("/capture/").content.decode()
    assert "Capture concerns the whole store, but this account is limited to namespaces." in page
    assert "/capture/" not in client.get("/").content.decode()


def test_a_limited_administrator_widens_nobody(client: Client, ada: User):
    fields = {"username": ada.username, "is_superuser": "on", "access-TOTAL_FORMS": 0, "access-INITIAL_FORMS": 0}
    assert client.post(f"/admin/auth/user/{ada.pk}/change/", fields).status_code == 403
    ada.refresh_from_db()
    assert not ada.is_superuser


def test_counts_are_of_what_is_seen(client: Client, hidden: dict[str, Any]):
    context = client.get("/agents/").context
    assert context["total"] == 3
    assert context["namespaces"] == ["m"]
    assert client.get("/tasks/").context["total"] == 1
    chart = client.get("/").context["chart"]
    assert (chart.totals["events"], chart.totals["restores"]) == (2, 1)
    assert client.get(ROOT + "/events/search/facets?q=").json()["total"] == 2


def test_the_chart_of_one_user_is_not_that_of_another(client: Client, people: dict[str, User], hidden: dict[str, Any]):
    everything = signed_in(people["viewer"]).get("/").context["chart"]
    own = client.get("/").context["chart"]
    assert everything.totals["events"] > own.totals["events"]


def test_the_live_tail_gives_her_own_events(client: Client):
    make_agent("own", namespace="m")
    make_agent("other", namespace="n")
    make_event(actor_id="own", session_id="s")
    cursor = client.get("/search/live/?q=")["X-Cursor"]
    make_event(actor_id="other", content="not hers", session_id="t")
    make_event(actor_id="own", content="hers", session_id="s")
    answer = client.get("/search/live/", {"q": "", "cursor": cursor})
    assert "hers" in answer.content.decode()
    assert "not hers" not in answer.content.decode()
    assert answer["X-Count"] == "2"


def test_search_pages_in_both_directions(client: Client):
    make_agent("own", namespace="m")
    for number in range(30):
        make_event(actor_id="own", content=f"word {number:02}", timestamp=1_790_000_000 + number)
        make_event(actor_id="other", content=f"word of others {number:02}", timestamp=1_790_000_000 + number)
    first = client.get("/events/?q=word&size=25").context["found"]
    second = client.get("/events/", {"q": "word", "size": 25, "cursor": first.older}).context["found"]
    assert (len(first), len(second), second.older) == (25, 5, None)
    assert [event.pk for event in client.get("/events/", {"q": "word", "size": 25, "cursor": second.newer}).context[
        "found"]] == [event.pk for event in first]  # fmt: skip
    rows = client.get("/search/export/?q=word&format=ndjson")
    assert len(b"".join(rows.streaming_content).splitlines()) == 30


def test_a_task_of_another_namespace_is_as_if_it_did_not_exist_in_the_graph(client: Client, hidden: dict[str, Any]):
    models.TaskDependency.objects.create(task_id="own-task", depends_on_id=f"{SECRET}-task")
    page = client.get("/tasks/own-task/").context
    assert [node.is_missing for node in page["dependencies"]] == [True]
    assert page["dependents"] == []
    assert f"{SECRET}-behind" not in page["graph"].nodes


def test_a_circle_through_foreign_tasks_is_not_described(client: Client, ada: User, hidden: dict[str, Any]):
    own = make_task("second", id="second", assigned_to="own")
    models.TaskDependency.objects.create(task_id=f"{SECRET}-behind", depends_on_id=own.pk)
    models.TaskDependency.objects.create(task_id="own-task", depends_on_id=f"{SECRET}-task")
    answer = script_of(ada).patch("/tasks/second", {"dependencies": ["own-task"]})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Circular dependency. Nothing was saved."


def task_form(**fields: str) -> dict[str, str]:
    return {"title": "T", "description": "", "status": "Todo", "priority": "low", "complexity": "simple",
            "assigned_to": "own", "dependencies": "", "metadata": "", "etag": "", **fields}  # fmt: skip


def test_the_admin_assigns_no_task_across_namespaces(client: Client, hidden: dict[str, Any]):
    for field, value in (("assigned_to", SECRET), ("assigned_to", ""), ("dependencies", f"{SECRET}-task")):
        answer = client.post("/admin/statestore/task/add/", task_form(**{field: value}))
        assert answer.status_code == 200, field
        assert "errorlist" in answer.content.decode()
    assert client.post("/admin/statestore/task/add/", task_form()).status_code == 302


def test_the_admin_gives_no_session_to_a_foreign_agent(client: Client, hidden: dict[str, Any]):
    session = models.Session.objects.get(pk="own-session")
    fields = {"etag": models.row_hash(session), "agent_id": SECRET, "status": "active", "metadata": "",
              "started_at": session.started_at, "ended_at": ""}  # fmt: skip
    answer = client.post("/admin/statestore/session/own-session/change/", fields)
    assert "in your account" in unescape(answer.content.decode())
    session.refresh_from_db()
    assert session.agent_id == "own"


def test_an_edit_that_would_take_a_task_out_of_scope_is_not_undone(client: Client, hidden: dict[str, Any]):
    task_service.save_task(store_alias(), {"id": f"{SECRET}-task", "assigned_to": "own"}, by=OTHER)
    entry = models.AuditEntry.objects.about(f"{SECRET}-task").newest_first()[0]
    assert client.post(f"/audit/{entry.pk}/revert/").status_code == 403
    assert models.Task.objects.get(pk=f"{SECRET}-task").assigned_to == "own"


def test_a_fork_under_an_id_that_hidden_rows_name_is_refused(client: Client, hidden: dict[str, Any]):
    answer = client.post("/agents/own/fork/", {"agent_id": f"{SECRET}-gone", "moment": "now"})
    assert answer.status_code == 422
    assert "already in use" in answer.content.decode()


def test_a_user_limited_to_nothing_sees_nothing(people: dict[str, User], hidden: dict[str, Any]):
    client = signed_in(limit(people["viewer"]))
    assert client.get("/agents/").context["total"] == 0
    assert client.get("/agents/own/").status_code == 404


def test_what_is_no_list_of_namespaces_hides_everything(people: dict[str, User]):
    models.UserAccess.objects.create(user=people["viewer"], namespaces={"all": True})
    assert rights.namespaces_of(people["viewer"]) == ()


def test_agents_without_a_namespace_can_be_what_a_user_sees(people: dict[str, User]):
    make_agent("plain")
    make_agent("spaced", namespace="m")
    client = signed_in(limit(people["viewer"], ""))
    assert [agent.agent_id for agent in client.get("/agents/").context["page"]] == ["plain"]


def test_a_superuser_sees_the_whole_store(people: dict[str, User]):
    user = limit(people["administrator"], "m")
    user.is_superuser = True
    assert rights.namespaces_of(user) is None


# Tokens


@pytest.mark.parametrize(
    ("users", "tokens_own", "seen", "holder"),
    [
        (["m"], None, ("m",), "account"),
        (["m", "n"], ["m"], ("m",), "token"),
        (["m"], ["m", "n"], ("m",), "account"),
        (["m"], ["n"], (), "token"),
        (["m"], [], (), "token"),
    ],
)
def test_a_token_is_never_wider_than_its_user(
    people: dict[str, User], users: list[str], tokens_own: list[str] | None, seen: tuple[str, ...], holder: str
):
    token, _ = tokens.create(people["operator"], "t", ["read"], namespaces=tokens_own)
    scope = scope_of(limit(people["operator"], *users), token)
    assert (scope.namespaces, scope.holder) == (seen, holder)


def test_narrowing_a_user_narrows_their_tokens_at_once(people: dict[str, User]):
    make_agent("m1", namespace="m")
    make_agent("n1", namespace="n")
    script = script_of(people["operator"])
    assert script.get("/agents/n1").status_code == 200
    limit(people["operator"], "m")
    assert script.get("/agents/n1").status_code == 404
    assert script.get("/agents/m1").status_code == 200
    assert script.get("/me").json()["namespaces"] == ["m"]


def test_a_replay_shows_nothing_that_the_user_sees_no_more(people: dict[str, User]):
    make_agent("n1", namespace="n")
    script = script_of(people["operator"])
    assert script.post("/agents/n1/snapshots", {"description": "mine"}, idempotency_key="k").status_code == 201
    limit(people["operator"], "m")
    assert script.post("/agents/n1/snapshots", {"description": "mine"}, idempotency_key="k").status_code == 404


def test_figures_are_not_for_the_token_of_a_limited_user(people: dict[str, User]):
    script = script_of(people["viewer"])
    assert script.client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {script.secret}").status_code == 200
    limit(people["viewer"], "m")
    assert script.client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {script.secret}").status_code == 401


def test_a_limited_user_makes_no_token_for_another_namespace(people: dict[str, User]):
    user = limit(people["operator"], "m")
    with pytest.raises(Forbidden, match="has no access to “n”"):
        tokens.create(user, "t", ["read"], namespaces=["m", "n"])
    answer = signed_in(user).post("/tokens/", {"name": "t", "scopes": ["read"], "days": 7, "namespaces": "n"})
    assert answer.status_code == 422
    assert not models.ApiToken.objects.exists()


def test_a_limited_administrator_sees_their_own_tokens_and_of_these_their_own_namespaces(
    ada: User, client: Client, people: dict[str, User]
):
    tokens.create(people["viewer"], f"{SECRET} token", ["read"], namespaces=[SECRET])
    models.UserAccess.objects.all().delete()
    mine, _ = tokens.create(User.objects.get(pk=ada.pk), "mine", ["read"], namespaces=["m", SECRET])
    limit(ada, "m")
    page = client.get("/tokens/").content.decode()
    assert (mine.prefix in page, SECRET in page) == (True, False)
    assert [item["namespaces"] for item in client.get(ROOT + "/tokens").json()["items"]] == [["m"]]
    other = models.ApiToken.objects.exclude(pk=mine.pk).get()
    assert client.post(f"/tokens/{other.public_id}/revoke/").status_code == 404


def test_messages_say_whose_limits_they_are(people: dict[str, User]):
    user = limit(people["operator"], "m", "n")
    answer = script_of(user, namespaces=["m"]).put("/agents/a", {"state": 1, "namespace": "x"})
    assert answer.json()["detail"] == "Your token has no access to this namespace. Nothing was changed."
    answer = script_of(user).put("/agents/a", {"state": 1, "namespace": "x"})
    assert answer.json()["detail"] == "Your account has no access to this namespace. Nothing was changed."
    answer = script_of(user).put("/agents/a", {"state": 1})
    assert answer.json()["detail"] == "Your account has several namespaces. Name one of them. Nothing was changed."


def test_saved_searches_are_for_the_account_and_not_for_a_narrower_token(people: dict[str, User]):
    user = limit(people["viewer"], "m", "n")
    assert script_of(user).get("/views").status_code == 200
    assert script_of(user, namespaces=["m"]).get("/views").status_code == 403


# The admin's page of a user


def user_fields(user: User, **fields: Any) -> dict[str, Any]:
    prefix = {"access-TOTAL_FORMS": 1, "access-INITIAL_FORMS": 0, "access-MIN_NUM_FORMS": 0, "access-MAX_NUM_FORMS": 1,
              "access-0-id": "", "access-0-user": user.pk}  # fmt: skip
    if access := models.UserAccess.objects.filter(user=user).first():
        prefix |= {"access-INITIAL_FORMS": 1, "access-0-id": access.pk}
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "is_active": "on"}
    return {
        "username": user.username,
        **dates,
        **prefix,
        **{f"access-0-{name}": value for name, value in fields.items()},
    }


def test_an_administrator_limits_a_user_and_lifts_the_limit(people: dict[str, User]):
    boss, viewer = signed_in(people["administrator"]), people["viewer"]
    address = f"/admin/auth/user/{viewer.pk}/change/"
    fields = user_fields(viewer, is_limited="on", names="ops\r\n build \r\n\r\nops")
    assert boss.post(address, fields).status_code == 302
    assert models.UserAccess.objects.get(user=viewer).namespaces == ["build", "ops"]
    page = boss.get(address).content.decode()
    assert "build\nops" in page
    assert "build, ops" in boss.get("/admin/auth/user/").content.decode()
    assert boss.post(address, user_fields(viewer)).status_code == 302
    assert rights.namespaces_of(User.objects.get(pk=viewer.pk)) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"is_limited": "on"}, "Name at least one namespace"),
        ({"names": "ops"}, "Check “Limited to namespaces”"),
        ({"is_limited": "on", "names": "\n".join(map(str, range(60)))}, "at most 50 namespaces"),
        ({"is_limited": "on", "names": "x" * 501}, "is not a valid namespace"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(people: dict[str, User], fields: dict[str, str], words: str):
    boss, viewer = signed_in(people["administrator"]), people["viewer"]
    answer = boss.post(f"/admin/auth/user/{viewer.pk}/change/", user_fields(viewer, **fields))
    assert words in unescape(answer.content.decode())
    assert not models.UserAccess.objects.exists()


def test_who_may_edit_users_but_not_their_access_sees_no_form_for_it(people: dict[str, User]):
    viewer, clerk = people["viewer"], User.objects.create(username="clerk", is_staff=True)
    clerk.user_permissions.add(*Permission.objects.filter(codename__in=["view_user", "change_user"]))
    clerk.groups.set(viewer.groups.all())
    client = signed_in(clerk)
    address = f"/admin/auth/user/{viewer.pk}/change/"
    assert "is_limited" not in client.get(address).content.decode()
    assert client.post(address, user_fields(viewer, is_limited="on", names="m")).status_code == 302
    assert not models.UserAccess.objects.exists()


def test_names_of_namespaces_are_checked_for_tokens_too(people: dict[str, User]):
    for names in (["x" * 501], ["a\0b"], [str(number) for number in range(51)]):
        with pytest.raises(ValidationError):
            tokens.create(people["viewer"], "t", ["read"], namespaces=names)


def test_roles_and_limits_are_read_by_one_statement(people: dict[str, User], django_assert_num_queries: Any):
    user = limit(people["viewer"], "m")
    with django_assert_num_queries(1, using="default"):
        assert rights.may(user, "view_agentstate")
        assert not rights.may(user, "restore_agent")
        assert scope_of(user).namespaces == ("m",)
    assert {group.name for group in Group.objects.filter(user=user)} == {"viewer"}


def test_a_page_costs_a_limited_user_a_constant_number_of_queries(client: Client, django_assert_max_num_queries: Any):
    for size in (2, 20):
        for _ in range(size):
            make_transition(make_agent(namespace="m"), {}, {})
        with django_assert_max_num_queries(12, using=store_alias()):
            client.get("/agents/")


def test_a_script_is_refused_what_concerns_the_whole_store(ada: User):
    script: Script = script_of(ada)
    for call in ("/capture", "/capture/costs"):
        answer = script.get(call)
        assert (answer.status_code, "this account is limited" in answer.json()["detail"]) == (403, True)
    answer = script("POST", "/import", b"", content_type="application/x-ndjson")
    assert (answer.status_code, "An import concerns the whole store" in answer.json()["detail"]) == (403, True)
