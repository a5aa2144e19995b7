"""Approval is a person's: by a login, or by a token of another user that may do nothing but that with restores."""

import json
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from statestore import models, restore
from statestore.access import tokens
from statestore.access.audit import Actor
from statestore.errors import Conflict, NeedsApproval, ValidationError
from statestore.models.audit import Action
from statestore.store import StateStore
from tests.api.conftest import APPROVING, ROOT, Script, script_of
from tests.builders import NOW, make_agent, make_snapshot
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _two_must_agree(settings: Any) -> None:
    settings.RESTORES_NEED_APPROVAL = True


@pytest.fixture
def snapshot() -> models.Snapshot:
    return make_snapshot(make_agent("a1", state={"step": 2}), {"step": 1})


@pytest.fixture
def script(people: dict[str, User]) -> Script:
    return script_of(people["operator"])


def planned(script: Script, snapshot: models.Snapshot) -> str:
    """Return the path of a new plan."""
    made = script.post("/restores", {"agent_id": "a1", "moment": f"snapshot:{snapshot.pk}"})
    return f"/restores/{made.json()['address']}"


def prepared(script: Script) -> str:
    """Return the path of a new batch."""
    etag = models.AgentState.objects.get().etag()
    made = script.post("/batches", {"at": NOW, "agents": [{"agent": "a1", "etag": etag}]})
    return str(made["Location"]).removeprefix(ROOT)


def means() -> str:
    entry = models.AuditEntry.objects.with_action(Action.APPROVE).newest_first()[0]
    return str(json.loads(entry.detail)["means"])


def test_a_script_with_the_tokens_of_two_users_approves_nothing(
    script: Script, people: dict[str, User], snapshot: models.Snapshot
):
    other = script_of(people["manager"])
    for path in (planned(script, snapshot), prepared(script)):
        answer = other.post(f"{path}/approve")
        assert answer.status_code == 403
        assert "requires the scope approve" in answer.json()["detail"]
        assert script.post(f"{path}/apply").json()["type"].endswith("needs-approval")
    assert json.loads(models.AgentState.objects.get().state_data) == {"step": 2}


def test_a_person_approves_on_the_page_what_a_script_planned(
    script: Script, people: dict[str, User], snapshot: models.Snapshot
):
    for path, page in ((planned(script, snapshot), "/restores/"), (prepared(script), "/fleet/")):
        address = f"{page}{path.rpartition('/')[2]}/approve/"
        assert signed_in(people["operator"]).post(address).status_code == 409
        assert signed_in(people["manager"]).post(address).status_code == 302
        assert means() == "session"
    assert script.post(f"{planned(script, snapshot)}/apply").status_code == 409


def test_a_login_approves_by_the_api(script: Script, people: dict[str, User], snapshot: models.Snapshot):
    path = planned(script, snapshot)
    answer = signed_in(people["manager"]).post(f"{ROOT}{path}/approve", {}, content_type="application/json")
    assert (answer.status_code, means()) == (200, "session")
    assert script.post(f"{path}/apply").status_code == 200


def test_a_token_with_the_scope_of_another_user_approves_and_is_named(
    script: Script, people: dict[str, User], snapshot: models.Snapshot
):
    approver = script_of(people["manager"], "approve")
    prefix = approver.secret.rpartition(".")[0]
    for path in (planned(script, snapshot), prepared(script)):
        assert approver.post(f"{path}/approve").status_code == 200
        assert means() == f"token {prefix}"
        assert approver.post(f"{path}/apply").status_code == 403


def test_the_owner_of_the_token_that_made_a_plan_approves_it_by_no_means(
    script: Script, people: dict[str, User], snapshot: models.Snapshot
):
    own, login = script_of(people["operator"], *APPROVING), signed_in(people["operator"])
    for path in (planned(script, snapshot), prepared(script)):
        assert own.post(f"{path}/approve").status_code == 409
        answer = login.post(f"{ROOT}{path}/approve", {}, content_type="application/json")
        assert "cannot approve your own" in answer.json()["detail"]


def test_a_plan_made_on_the_page_is_not_approved_by_its_makers_token(
    people: dict[str, User], snapshot: models.Snapshot
):
    plan = restore.save(restore.plan("a1", f"snapshot:{snapshot.pk}"), by=Actor("operator", means="session"))
    assert script_of(people["operator"], "approve").post(f"/restores/{plan.pk}/approve").status_code == 409


def test_code_that_approves_is_named_as_such(snapshot: models.Snapshot):
    plan = restore.save(restore.plan("a1", f"snapshot:{snapshot.pk}"), by=Actor("anna"))
    restore.approve(plan, by=Actor("bert"))
    assert means() == "Python API"


def test_a_restore_in_one_call_needs_a_plan_first(script: Script, people: dict[str, User], snapshot: models.Snapshot):
    answer = script.post(f"/snapshots/{snapshot.pk}/restore")
    assert (answer.status_code, answer.json()["type"]) == (409, f"{ROOT}/problems/needs-approval")
    approver = script_of(people["manager"], *APPROVING)
    assert approver.post(f"/snapshots/{snapshot.pk}/restore").status_code == 403
    with pytest.raises(NeedsApproval):
        StateStore().restore_snapshot(snapshot.pk)


def test_an_undo_needs_no_approval(script: Script, people: dict[str, User], snapshot: models.Snapshot):
    path, batch = planned(script, snapshot), prepared(script)
    approver = script_of(people["manager"], "approve")
    assert approver.post(f"{path}/approve").status_code == 200
    assert script.post(f"{path}/apply").status_code == 200
    assert script.post(f"{path}/undo").status_code == 201
    assert approver.post(f"{batch}/approve").status_code == 200


def test_a_batch_that_was_applied_or_has_expired_is_not_approved(settings: Any):
    etag = make_agent("a1").etag()
    with time_machine.travel(NOW, tick=False) as clock:
        batch = restore.prepare([("a1", etag)], NOW, by=Actor("anna"))
        clock.shift(86_400)
        with pytest.raises(Conflict, match="has expired"):
            restore.approve_batch(batch, by=Actor("bert"))
    settings.RESTORES_NEED_APPROVAL = False
    done = restore.prepare([("a1", etag)], NOW, by=Actor("anna"))
    restore.apply_batch(done, by=Actor("anna"))
    with pytest.raises(Conflict, match="already been applied"):
        restore.approve_batch(done, by=Actor("bert"))
    assert not models.AuditEntry.objects.with_action(Action.APPROVE).exists()


# No token restores and approves


def test_no_token_has_both_scopes(people: dict[str, User]):
    with pytest.raises(ValidationError, match="cannot have both"):
        tokens.create(people["operator"], "t", ["restore", "approve"])
    out, fields = StringIO(), {"name": "t", "scopes": ["read", "restore", "approve"], "days": 7}
    with pytest.raises(CommandError, match="cannot have both"):
        call_command("token", "create", "t", "--user", "operator", "--scopes", "restore,approve", stdout=out)
    client = signed_in(people["operator"])
    page = client.post("/tokens/", fields)
    assert page.status_code == 422
    assert "cannot have both" in page.content.decode()
    body = {"name": "t", "scopes": ["restore", "approve"]}
    answer = client.post(f"{ROOT}/tokens", body, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/scopes")
    assert not models.ApiToken.objects.exists()


def test_a_token_approves_only_if_that_was_asked_for(people: dict[str, User], client: Client):
    call_command("token", "create", "t", "--user", "operator", stdout=StringIO(), stderr=StringIO())
    assert models.ApiToken.objects.get().scopes == "read"
    assert not models.ApiToken.objects.get().may("approve")
    token, _ = tokens.create(people["operator"], "t", ["approve", "read"])
    assert token.scopes == "read approve"
