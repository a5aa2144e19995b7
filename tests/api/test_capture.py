"""Capture by script: asked, measured, switched on and off."""

import pytest
from django.contrib.auth.models import User

from statestore import models
from statestore.store import StateStore
from tests.api.conftest import Script, script_of
from tests.builders import make_agent

pytestmark = pytest.mark.django_db


def test_capture_is_switched_on_keeps_changes_and_is_switched_off(script: Script):
    assert script.get("/capture").json()["is_on"] is False
    assert script.post("/capture/on").json()["is_on"] is True
    for state in ("one", "two"):
        StateStore().save_agent_state("a1", state)
    found = script.get("/capture")
    assert (found.json()["kept"], found.json()["skipped"]) == (1, 0)
    assert found.json()["oldest_at"].endswith("Z")
    off = script.post("/capture/off")
    assert (off.json()["is_on"], off.json()["kept"]) == (False, 1)
    assert off["ETag"] == script.get("/capture")["ETag"] != found["ETag"]
    verbs = [(entry.action, entry.actor) for entry in models.AuditEntry.objects.order_by("id")]
    assert verbs == [("capture on", "administrator"), ("capture off", "administrator")]


def test_a_captured_change_stands_in_the_timeline_and_can_be_read(script: Script, people: dict[str, User]):
    make_agent("a1", state=1)
    script.post("/capture/on")
    models.AgentState.objects.update(state_data="2")
    (entry,) = script.get("/agents/a1/timeline").json()["items"]
    assert (entry["kind"], entry["captured"]["size_after"]) == ("captured", 1)
    path = entry["captured"]["url"].removeprefix("/api/v1")
    read = script.get(path)
    assert (read.status_code, read.json()["state_before"], read.json()["state_after"]) == (200, 1, 2)
    assert script_of(people["administrator"], namespaces=["m"]).get(path).status_code == 404
    models.CapturedChange.objects.update(state_before=None, state_after=None)
    assert script.get(path).status_code == 404


def test_a_repeated_switch_switches_once(script: Script):
    answers = [script.post("/capture/on", idempotency_key="k") for _ in range(2)]
    assert [answer.get("Idempotency-Replayed") for answer in answers] == [None, "true"]
    assert models.AuditEntry.objects.with_action("capture on").count() == 1


def test_what_it_costs_is_measured(script: Script):
    found = script.get("/capture/costs").json()
    assert [one["size_bytes"] for one in found["items"]] == [10 * 1024, 1024 * 1024, 10 * 1024 * 1024]
    assert all(one["with_ms"] > 0 for one in found["items"])


def test_who_sees_some_namespaces_switches_nothing_for_all(people: dict[str, User], script: Script):
    own = script_of(people["administrator"], namespaces=["n"])
    refused = own.post("/capture/on")
    assert (refused.status_code, "whole store" in refused.json()["detail"]) == (403, True)
    assert script.get("/capture").json()["is_on"] is False
