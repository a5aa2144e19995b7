"""Retention policies on their pages and by API: errors at the field, the simulation before the switch."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import models, retention
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.models import RetentionPolicy
from statestore.retention import Limits
from statestore.views import policies
from tests.api.conftest import Script, script_of
from tests.builders import make_agent, make_event, make_snapshot
from tests.conftest import signed_in
from tests.views.test_errors_in_place import field, post
from tests.views.test_upkeep import words

pytestmark = pytest.mark.django_db

DAY = 24 * 3600
NEW = "/upkeep/policies/new/"
FIELDS = {"table": "snapshots", "namespace": "*", "keep_days": "", "keep_count": "", "keep_mb": ""}


@pytest.fixture
def administrator(people: dict[str, User]) -> Client:
    return signed_in(people["administrator"])


@pytest.fixture
def script(people: dict[str, User]) -> Script:
    return script_of(people["administrator"])


def make_policy(table: str = "snapshots", namespace: str | None = None, **limits: Any) -> RetentionPolicy:
    return retention.create(store_alias(), table, namespace, Limits(**limits or {"keep_count": 1}), by=SYSTEM)


def with_snapshots(agent_id: str, count: int) -> None:
    now = models.now()
    agent = make_agent(agent_id, name=f"Agent {agent_id}", updated_at=now)
    for number in range(count):
        make_snapshot(agent, {"n": number}, created_at=now - number * DAY)


def page(client: Client, policy: RetentionPolicy) -> str:
    answer = client.get(policy.get_absolute_url())
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize(("namespace", "stored"), [("*", None), ("", ""), ("build", "build")])
def test_a_policy_is_made_off_for_all_namespaces_one_or_none(administrator: Client, namespace: str, stored: str | None):
    make_agent(namespace="build")
    fields = {**FIELDS, "namespace": namespace, "keep_days": "30", "keep_mb": "5", "is_tiered": "on"}
    answer = administrator.post(NEW, fields)
    policy = RetentionPolicy.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/upkeep/policies/{policy.pk}/")
    assert (policy.namespace, policy.is_on, policy.actor) == (stored, False, "administrator")
    assert (policy.keep_seconds, policy.keep_count, policy.keep_bytes, policy.is_tiered) == (
        30 * DAY, None, 5 * 1024 * 1024, True,
    )  # fmt: skip


def test_the_namespaces_in_use_are_offered(administrator: Client):
    make_agent(namespace="build")
    html = administrator.get(NEW).content.decode()
    values = re.findall(r'<option value="([^"]*)"', html[html.index('name="namespace"') :])
    assert values == ["*", "", "build"]


@pytest.mark.parametrize(
    ("fields", "name", "said"),
    [
        ({}, "keep_days", "A policy needs a limit"),
        ({"table": "events", "keep_count": "5"}, "keep_days", "The events can be limited by age alone."),
        ({"table": "audit log", "namespace": "", "keep_days": "5"}, "namespace", "its policy has no namespace"),
        ({"keep_days": "1", "is_tiered": "on"}, "keep_days", "These limits contradict each other"),
        ({"keep_days": "0"}, "keep_days", "The age must be positive."),
        ({"keep_days": "-1"}, "keep_days", "greater than or equal to 0"),
        ({"keep_count": "many"}, "keep_count", "Enter a whole number"),
        ({"table": "tasks", "keep_days": "1"}, "table", "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_told_at_its_field_and_what_was_typed_is_kept(
    administrator: Client, fields: dict[str, str], name: str, said: str
):
    answer = post(administrator, NEW, NEW, **{**FIELDS, "keep_mb": "77" if "table" not in fields else "", **fields}
                  if fields else FIELDS)  # fmt: skip
    html = answer.content.decode()
    assert answer.status_code == 422
    assert said in field(html, name)
    if fields.get("keep_days") == "1" and "is_tiered" in fields:
        assert 'value="77"' in field(html, "keep_mb")
        assert "checked" in field(html, "is_tiered")
    assert not RetentionPolicy.objects.exists()


def test_a_second_policy_for_the_same_rows_is_refused(administrator: Client):
    make_policy()
    answer = post(administrator, NEW, NEW, **{**FIELDS, "keep_days": "9"})
    assert answer.status_code == 409
    assert "There is a policy for the snapshots of all namespaces already." in answer.content.decode()
    assert RetentionPolicy.objects.count() == 1


def test_the_page_shows_what_would_go_of_which_agents_and_what_they_keep(viewer: Client):
    with_snapshots("a2", 5)
    with_snapshots("a1", 2)
    html = page(viewer, make_policy(keep_count=1))
    text = words(html)
    assert "deletes what is beyond an agent's newest 1" in text
    assert re.search(r"5 rows, \d+ B ?, 2 agents", text)
    assert html.index('href="/agents/a2/"') < html.index('href="/agents/a1/"'), "who loses most comes first"
    assert re.search(r"Agent a2 4 \d+ B \S+ \S+ \S+ \S+ 1\b", text), "one snapshot is left"
    assert models.Snapshot.objects.count() == 7, "nothing was deleted"


def test_a_simulation_that_took_too_long_says_so(administrator: Client, monkeypatch: pytest.MonkeyPatch):
    with_snapshots("a1", 3)
    monkeypatch.setattr(policies, "_SECONDS", -1.0)
    text = words(page(administrator, make_policy()))
    assert "more may go than is shown" in text
    assert "at least 0 rows" in text
    assert "manage.py housekeeping --dry-run" in text
    assert "All rows are within the limits" not in text
    assert "Nothing would be deleted" not in text


def test_a_policy_of_events_shows_the_time_of_what_goes(viewer: Client):
    make_event(timestamp=models.now() - 9 * DAY)
    text = words(page(viewer, make_policy("events", keep_seconds=DAY)))
    assert "1 row From 9d ago to 9d ago" in text


def test_the_switch_says_what_would_go_and_the_audit_log_keeps_it(administrator: Client):
    with_snapshots("a1", 3)
    policy = make_policy()
    html = page(administrator, policy)
    assert "Within an hour, this deletes: 2 rows" in words(html)
    (seen,) = re.findall(r'name="would_delete" value="(\d+)"', html)
    administrator.post(f"{policy.get_absolute_url()}on/", {"would_delete": seen})
    policy.refresh_from_db()
    assert policy.is_on
    assert '"would_delete": 2' in str(models.AuditEntry.objects.newest_first()[0].detail)
    html = page(administrator, policy)
    assert "Switch off" in html
    assert "would_delete" not in html
    administrator.post(f"{policy.get_absolute_url()}off/")
    policy.refresh_from_db()
    assert not policy.is_on


def test_a_policy_is_switched_on_only_after_the_password_and_off_without(administrator: Client):
    policy = make_policy()
    session = administrator.session
    session["proved_at"] = 0
    for name in list(session.keys()):
        if "prove" in name:
            session[name] = 0
    session.save()
    assert administrator.post(f"{policy.get_absolute_url()}on/").status_code == 403
    policy.refresh_from_db()
    assert not policy.is_on
    assert administrator.post(f"{policy.get_absolute_url()}off/").status_code == 302


def test_limits_are_changed_on_a_page_which_switches_the_policy_off(administrator: Client):
    policy = make_policy(keep_seconds=3 * 3600, keep_count=4)
    retention.switch(store_alias(), policy.pk, on=True, by=SYSTEM)
    address = f"{policy.get_absolute_url()}edit/"
    assert f'href="{address}"' in page(administrator, policy)
    html = administrator.get(address).content.decode()
    fields = {name: value for name in ("keep_days", "keep_count", "keep_mb", "etag") for value in values_of(html, name)}
    assert (fields["keep_days"], fields["keep_count"], fields["keep_mb"]) == ("0.125", "4", "")
    answer = administrator.post(address, {**fields, "keep_count": "9"}, follow=True)
    assert "It was switched off: see what it would delete now" in words(answer.content.decode())
    policy.refresh_from_db()
    assert (policy.is_on, policy.keep_seconds, policy.keep_count) == (False, 3 * 3600, 9)


def values_of(html: str, name: str) -> list[str]:
    (element,) = re.findall(rf'<input[^>]*name="{name}"[^>]*>', html)
    return re.findall(r'value="([^"]*)"', element) or [""]


def test_limits_that_another_person_changed_meanwhile_are_not_overwritten(administrator: Client):
    policy = make_policy(keep_count=4)
    seen = models.row_hash(policy)
    retention.change(store_alias(), policy.pk, {"keep_count": 5}, by=SYSTEM)
    answer = administrator.post(f"{policy.get_absolute_url()}edit/", {"keep_count": "9", "etag": seen})
    assert answer.status_code == 409
    policy.refresh_from_db()
    assert policy.keep_count == 5


@pytest.mark.parametrize(
    ("fields", "words_of_error"),
    [({"keep_count": ""}, "A policy needs a limit"), ({"keep_days": "0.01"}, "keeps at least the last hour")],
)
def test_limits_that_cannot_be_are_told_at_the_field(
    administrator: Client, fields: dict[str, str], words_of_error: str
):
    policy = make_policy(keep_count=4)
    answer = administrator.post(f"{policy.get_absolute_url()}edit/", fields)
    assert answer.status_code == 422
    assert words_of_error in words(answer.content.decode())


def test_a_deleted_policy_is_gone(administrator: Client):
    policy = make_policy()
    address = policy.get_absolute_url()
    assert administrator.post(f"{address}delete/")["Location"] == "/upkeep/#policies"
    assert administrator.get(address).status_code == 404
    assert administrator.post(f"{address}on/").status_code == 404


def test_who_may_not_manage_sees_policies_and_no_buttons(viewer: Client):
    policy = make_policy()
    html = page(viewer, policy)
    assert "Switch on" not in html
    assert "Delete policy" not in html
    assert f'href="{policy.get_absolute_url()}"' in viewer.get("/upkeep/").content.decode()


def test_upkeep_lists_policies_and_asks_for_their_figures_afterwards(viewer: Client):
    with_snapshots("a1", 3)
    policy = make_policy("snapshots", "", keep_seconds=20 * DAY, keep_count=7, keep_bytes=1024, is_tiered=True)
    html = viewer.get("/upkeep/").content.decode()
    text = words(html)
    assert "snapshots of agents without a namespace older than 20 d, or beyond an agent's newest 7" in text
    assert "or beyond 1.0 KB of an agent's newest, or more than tiers keep ○ off Simulate" in text
    assert f'hx-get="{policy.get_absolute_url()}"' in html
    fragment = viewer.get(policy.get_absolute_url(), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert re.search(r'<span class="number">0</span>\s*rows', fragment)


def test_the_number_of_queries_of_upkeep_does_not_grow_with_policies_and_agents(viewer: Client):
    def asked() -> int:
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            assert viewer.get("/upkeep/").status_code == 200
        return len(queries)

    make_policy()
    asked()
    first = asked()
    for number in range(5):
        with_snapshots(f"a{number}", 3)
        make_policy("snapshots", f"n{number}")
    assert asked() == first


def test_a_policy_whose_id_another_program_wrote_breaks_no_page(viewer: Client, script: Script):
    RetentionPolicy.objects.create(id="odd/one", table="events", keep_seconds=DAY, created_at=1, actor="eve")
    assert "events of all namespaces" in words(viewer.get("/upkeep/").content.decode())
    (row,) = script.get("/policies").json()["items"]
    assert row["page"] is None
    assert script.get(row["url"].removeprefix("/api/v1")).json()["id"] == "odd/one"


def test_scripts_make_read_switch_change_and_delete_policies(script: Script):
    with_snapshots("a1", 4)
    made = script.post("/policies", {"table": "snapshots", "keep_count": 1, "keep_seconds": 3600})
    assert made.status_code == 201
    policy = made.json()
    path = f"/policies/{policy['id']}"
    assert made["Location"] == f"/api/v1{path}"
    assert (policy["is_on"], policy["keep_seconds"], policy["namespace"]) == (False, 3600, None)
    assert policy["page"] == f"/upkeep{path}/"
    simulated = script.get(f"{path}/simulation").json()
    assert (simulated["rows"], simulated["agents"], simulated["is_complete"]) == (3, 1, True)
    (loss,) = simulated["largest"]
    assert (loss["agent_id"], loss["restore_points_left"], loss["page"]) == ("a1", 1, "/agents/a1/")
    switched = script.patch(path, {"is_on": True, "would_delete": 3}, if_match=made["ETag"])
    assert (switched.status_code, switched.json()["is_on"]) == (200, True)
    assert script.patch(path, {"is_on": False}, if_match=made["ETag"]).status_code == 412
    both = script.patch(path, {"is_on": True, "keep_count": 2})
    assert (both.status_code, both.json()["errors"][0]["pointer"]) == (422, "/is_on")
    assert script.patch(path, {}).status_code == 422
    switched = script.patch(path, {"keep_count": 2}, if_match=switched["ETag"])
    assert [switched.json()[name] for name in ("is_on", "keep_count", "keep_seconds")] == [False, 2, 3600]
    assert script.patch(path, {"is_on": True}).status_code == 200
    switched = script.get(path)
    assert script.delete(path, if_match=made["ETag"]).status_code == 412
    assert RetentionPolicy.objects.get().is_on
    assert script.delete(path, if_match=switched["ETag"]).status_code == 204
    assert script.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"table": "snapshots"}, "/keep_seconds"),
        ({"table": "events", "keep_count": 3}, "/keep_seconds"),
        ({"table": "audit log", "namespace": "n", "keep_seconds": DAY}, "/namespace"),
        ({"table": "tasks", "keep_count": 3}, "/table"),
        ({"table": "snapshots", "keep_count": 0}, "/keep_count"),
        ({"table": "snapshots", "keep_count": 3, "namespace": "a\0b"}, "/namespace"),
    ],
)
def test_what_a_policy_cannot_be_is_told_by_its_place(script: Script, body: dict[str, Any], pointer: str):
    answer = script.post("/policies", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert not RetentionPolicy.objects.exists()
