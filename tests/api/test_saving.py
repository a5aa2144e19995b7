"""Who saved a state: in the transition, in the audit log if it was not their own; and who may at all."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from statestore import models
from statestore.access.audit import Actor
from statestore.store import StateStore
from tests.api.conftest import ROOT, Script, script_of
from tests.builders import make_agent, make_snapshot, make_transition
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db
REFUSED = "saving a state requires the permission save_state"


@pytest.fixture
def operator_script(people: dict[str, User]) -> Script:
    return script_of(people["operator"])


@pytest.fixture
def manager_script(people: dict[str, User]) -> Script:
    return script_of(people["manager"])


def entries() -> list[tuple[str, str]]:
    """Return (actor, action) of each entry of the audit log, oldest first; making a token is none of these tests."""
    return list(models.AuditEntry.objects.exclude(noun="api token").order_by("pk").values_list("actor", "action"))


def authors() -> list[str]:
    return [transition.by for transition in models.Transition.objects.order_by("rowid")]


def test_a_transition_that_a_put_records_says_who(operator_script: Script, manager_script: Script):
    operator_script.put("/agents/a1", {"state": 1, "reason": "started"})
    operator_script.put("/agents/a1", {"state": 2})
    manager_script.put("/agents/a1", {"state": 3})
    manager_script.patch("/agents/a1", {"state": 4})
    operator_script.patch("/agents/a1", {"status": "paused"})
    assert authors() == ["operator", "operator", "manager", "manager", "operator"]
    assert json.loads(str(models.Transition.objects.earliest("rowid").metadata)) == {"by": "operator"}


def test_the_audit_log_has_the_puts_that_overwrite_what_another_one_wrote(
    operator_script: Script, manager_script: Script
):
    operator_script.put("/agents/a1", {"state": 1})
    for step in (2, 3):
        operator_script.put("/agents/a1", {"state": step, "reason": "next step"})
    assert entries() == []
    before = models.AgentState.objects.get().etag()
    manager_script.put("/agents/a1", {"state": 9, "reason": "corrected"})
    entry = models.AuditEntry.objects.latest("pk")
    assert (entry.actor, entry.action, entry.row_id, entry.hash_before) == ("manager", "change", "a1", before)
    assert entry.hash_after == models.AgentState.objects.get().etag()
    assert json.loads(entry.detail) == {"columns": "state_data", "reason": "corrected"}
    manager_script.put("/agents/a1", {"state": 10})
    operator_script.put("/agents/a1", {"state": 10, "name": "the same state"})
    operator_script.put("/agents/a1", {"state": 11})
    assert entries() == [("manager", "change"), ("operator", "change")]


def test_a_state_that_an_orchestrator_or_a_restore_wrote_is_not_the_callers_own(operator_script: Script):
    make_agent("a1", state="1")
    operator_script.put("/agents/a1", {"state": 2})
    models.AgentState.objects.update(state_data="3")
    operator_script.put("/agents/a1", {"state": 4})
    operator_script.post(f"/snapshots/{make_snapshot('a1', '5').pk}/restore")
    operator_script.put("/agents/a1", {"state": 6})
    operator_script.put("/agents/a1", {"state": 7})
    assert [action for _, action in entries()] == ["change", "change", "restore", "change"]


def test_another_ones_change_of_status_leaves_the_state_the_callers_own(
    operator_script: Script, manager_script: Script
):
    operator_script.put("/agents/a1", {"state": 1})
    manager_script.patch("/agents/a1", {"status": "paused"})
    operator_script.put("/agents/a1", {"state": 2})
    assert entries() == [("manager", "status")]


@pytest.mark.parametrize("metadata", ["null", "[1]", '"operator"', "not JSON", '{"by": null}', None])
def test_metadata_that_does_not_say_who_names_no_author(operator_script: Script, metadata: str | None):
    make_agent("a1", state="1")
    make_transition("a1", "0", "1", metadata=metadata)
    operator_script.put("/agents/a1", {"state": 2})
    assert entries() == [("operator", "change")]


def test_the_python_api_records_an_actor_that_it_was_given():
    StateStore().save_agent_state("a1", {}, reason="by the system")
    StateStore(actor=Actor("anna")).save_agent_state("a1", {"n": 1}, reason="by hand")
    assert authors() == ["", "anna"]
    assert models.Transition.objects.earliest("rowid").metadata is None


@pytest.mark.parametrize("role", ["operator", "manager", "administrator"])
@pytest.mark.parametrize(
    ("method", "body"),
    [("PUT", {"state": 2}), ("PUT", {"state_data": "2"}), ("PATCH", {"state": 2}), ("PATCH", {"state_data": "2"})],
)
def test_while_restores_need_approval_states_are_saved_by_managers_only(
    people: dict[str, User], settings: Any, role: str, method: str, body: dict[str, object]
):
    make_agent("a1", state="1")
    settings.RESTORES_NEED_APPROVAL = True
    answer = script_of(people[role])(method, "/agents/a1", body)
    if role == "operator":
        assert (answer.status_code, REFUSED in answer.json()["detail"]) == (403, True)
        assert models.AgentState.objects.get().state_data == "1"
        assert not models.Transition.objects.exists()
    else:
        assert answer.status_code == 200
        assert models.AgentState.objects.get().state_data == "2"


def test_a_person_who_is_signed_in_is_refused_alike(people: dict[str, User], settings: Any):
    settings.RESTORES_NEED_APPROVAL = True
    client: Client = signed_in(people["operator"])
    answer = client.put(f"{ROOT}/agents/a1", json.dumps({"state": 1}), content_type="application/json")
    assert (answer.status_code, REFUSED in answer.json()["detail"]) == (403, True)
    assert not models.AgentState.objects.exists()


def test_without_the_permission_everything_but_the_state_is_still_changed(operator_script: Script, settings: Any):
    make_agent("a1", state="1")
    settings.RESTORES_NEED_APPROVAL = True
    assert operator_script.patch("/agents/a1", {"status": "paused", "name": "A"}).status_code == 200
    settings.RESTORES_NEED_APPROVAL = False
    assert operator_script.put("/agents/a1", {"state": 2}).status_code == 200


def test_a_user_who_was_granted_the_permission_saves_by_a_token(
    operator_script: Script, people: dict[str, User], settings: Any
):
    settings.RESTORES_NEED_APPROVAL = True
    assert operator_script.put("/agents/a1", {"state": 1}).status_code == 403
    people["operator"].user_permissions.add(Permission.objects.get(codename="save_state"))
    assert operator_script.put("/agents/a1", {"state": 1}).status_code == 201
