"""Every page with data links to that data as JSON, filtered as the page is."""

import re
import uuid
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver, reverse

from statestore import models, retention
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.retention import Limits
from statestore.tasks import service as task_service
from tests.builders import NOW, make_agent, make_event, make_session, make_snapshot, make_task, make_transition
from tests.conftest import signed_in
from tests.views.test_access import named_urls

pytestmark = pytest.mark.django_db

# Pages without data of the store: forms, settings, what machines ask.
WITHOUT = {
    "connect",
    "login", "confirm", "browsers", "sign-ins", "admin_password_change", "password_change", "password_change_done",
    "tokens", "healthz", "readyz", "metrics",
}  # fmt: skip


def link(client: Client, address: str) -> str:
    found = re.search(r'<footer class="json-link">\s*<a href="([^"]+)"', client.get(address).content.decode())
    return unescape(found[1]) if found else ""


def test_each_page_links_to_a_call_that_answers(operator: Client):
    agent = make_agent("a/1", state={"step": 2})
    ids = {
        "agent_id": "a/1",
        "snapshot_id": make_snapshot(agent, {"step": 1}).pk,
        "transition_id": make_transition(agent, {"step": 1}, {"step": 2}).pk,
        "restore_id": "none",
        "public_id": "none",
        "started_at": 1,
        "group": uuid.UUID(int=1),
        "event_id": make_event(git_commit="a41f").pk,
        "session_id": make_session(agent).pk,
        "task_id": make_task().pk,
        "sha": "a41f",
        "view_id": 1,
        "batch_id": "none",
        "entry_id": 0,
        "source_id": 0,
        "policy_id": retention.create(store_alias(), "snapshots", None, Limits(keep_count=1), by=SYSTEM).pk,
    }
    # Whether a page works at all is told by the tests of the page.
    operator.raise_request_exception = False
    queries = {"restore-agent": f"?moment=snapshot:{ids['snapshot_id']}", "bisect": "?condition=%2Fstep%20%3E%201"}
    seen = set()
    for pattern in named_urls(get_resolver().url_patterns):
        name = str(pattern.name)
        address = reverse(name, kwargs={part: ids[part] for part in pattern.pattern.converters}) + queries.get(name, "")
        answer = operator.get(address)
        if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html") or name in WITHOUT:
            continue
        url = link(operator, address)
        if b"json-link" not in answer.content and b"<html" not in answer.content:
            continue  # a fragment
        assert url, f"{name} leads to no JSON"
        assert operator.get(url).status_code == 200, (name, url)
        seen.add(name)
    assert {"overview", "agents", "agent", "transition", "snapshot", "events", "trash", "audit"} <= seen


@pytest.mark.parametrize(
    ("page", "call"),
    [
        ("/agents/?q=x&status=failed&sort=id", "/api/v1/agents?q=x&status=failed&sort=id"),
        ("/agents/?namespace=", "/api/v1/agents?namespace="),
        ("/agents/?namespace=*", "/api/v1/agents"),
        ("/events/?q=type:commit", "/api/v1/events/search?q=type%3Acommit"),
        ("/commits/a41f/", "/api/v1/events?commit=a41f"),
        ("/trash/", "/api/v1/agents?trash=true"),
        ("/compare/", "/api/v1/agents"),
        ("/fleet/", "/api/v1/batches"),
        ("/fleet/?at=1790000000&status=failed", "/api/v1/batches/preview?status=failed&at=1790000000"),
        ("/fleet/b1/", "/api/v1/batches/b1"),
    ],
)
def test_the_link_is_filtered_as_the_page_is(operator: Client, page: str, call: str):
    make_event(git_commit="a41f")
    models.Batch.objects.create(id="b1", created_at=NOW, actor="anna", moment=f"at:{NOW}")
    assert link(operator, page) == call
    assert operator.get(call).status_code == 200


def test_the_page_of_capture_leads_to_what_it_says(people: dict[str, User]):
    administrator = signed_in(people["administrator"])
    assert administrator.get(link(administrator, "/capture/")).json()["is_on"] is False


def test_the_page_of_an_edit_leads_to_it(viewer: Client):
    task_service.save_task(store_alias(), {"title": "made"}, by=SYSTEM)
    entry = models.AuditEntry.objects.get()
    assert link(viewer, f"/audit/{entry.pk}/") == f"/api/v1/edits/{entry.pk}"
    assert viewer.get(f"/api/v1/edits/{entry.pk}").json()["after"]["title"] == "made"


def test_each_call_that_a_view_names_exists():
    for pattern in named_urls(get_resolver().url_patterns):
        for twin in getattr(pattern.callback, "json_twins", ()):
            ids = [name for name in pattern.pattern.converters if name not in twin.params]
            assert reverse(f"api:{twin.call}", args=["1"] if ids or twin.row else []), pattern.name


def test_a_comparison_links_to_its_diff(viewer: Client):
    make_agent("a b", state={"n": 1})
    make_agent("other", state={"n": 2})
    url = link(viewer, "/compare/?left=~YSBi&before=now&after=now&right=other")
    assert url == "/api/v1/agents/~YSBi/diff?from=now&to=now&other=other"
    assert [change["kind"] for change in viewer.get(url).json()["changes"]] == ["replaced"]


@pytest.mark.parametrize("names", ["left=gone&right=other", "left=other&right=gone", "left=gone"])
def test_a_comparison_with_an_agent_in_the_trash_links_to_a_call_that_finds_it(viewer: Client, names: str):
    make_agent("other", state={"n": 2})
    make_agent("gone", state={"n": 1}, is_deleted=1)
    url = link(viewer, f"/compare/?{names}&before=now&after=now")
    assert "trash=true" in url
    assert viewer.get(url).status_code == 200


def test_a_comparison_without_moments_links_to_a_call_that_answers(viewer: Client):
    make_agent("a1")
    assert viewer.get(link(viewer, "/compare/?left=a1")).status_code == 200


def test_a_comparison_of_what_is_no_address_is_refused_in_words(viewer: Client):
    viewer.raise_request_exception = False
    answer = viewer.get("/compare/?left=~a")
    assert answer.status_code == 422
    assert "No agent has the id or the name “~a”" in answer.content.decode()
