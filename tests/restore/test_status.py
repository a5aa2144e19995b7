"""The status that a restore sets beside the state: one transaction, one undo, and only where it is asked for."""

import json

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from statestore import models, restore
from statestore.access.audit import Actor
from statestore.errors import ValidationError
from statestore.models import AgentState, Restore, Snapshot, Transition
from statestore.store import StateStore
from tests.api.conftest import script_of
from tests.builders import make_agent, make_snapshot
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

ADA = Actor("ada")


@pytest.fixture
def agent() -> AgentState:
    """Return an agent that has failed."""
    return make_agent("a", state={"step": 9}, status="failed")


@pytest.fixture
def good(agent: AgentState) -> Snapshot:
    """Return a snapshot of when it was well."""
    return make_snapshot(agent, {"step": 7}, description="before")


def status() -> str:
    return str(AgentState.objects.get(agent_id="a").status)


def restored(good: Snapshot, new_status: str = "") -> Restore:
    return restore.apply(restore.setting(restore.plan("a", f"snapshot:{good.pk}"), new_status), by=ADA)


def test_a_restore_leaves_the_status_alone_unless_one_is_named(good: Snapshot):
    done = restored(good)
    assert status() == "failed"
    assert (done.status_before, done.status_after) == (None, None)


def test_it_sets_the_status_with_the_state_and_says_so_everywhere(good: Snapshot):
    done = restored(good, "idle")
    assert status() == "idle"
    assert (done.status_before, done.status_after) == ("failed", "idle")
    transition = Transition.objects.get(pk=done.transition_id)
    assert json.loads(transition.metadata or "{}") == {"status": {"before": "failed", "after": "idle"}, "by": "ada"}
    entry = models.AuditEntry.objects.with_action("status").get()
    assert (json.loads(entry.before or ""), json.loads(entry.after or "")) == ({"status": "failed"}, {"status": "idle"})
    assert Transition.objects.count() == 1, "State and status are one change."


def test_the_undo_sets_it_back(good: Snapshot):
    undone = restore.undo(restored(good, "idle"), by=ADA)
    assert status() == "failed"
    assert (undone.status_before, undone.status_after) == ("idle", "failed")
    again = restore.undo(undone, by=ADA)
    assert status() == "idle", "An undo is undone in turn."
    assert json.loads(AgentState.objects.get(agent_id="a").state_data) == {"step": 7}
    assert again.undoes_id == undone.pk


def test_the_undo_leaves_a_status_that_was_changed_since(good: Snapshot):
    done = restored(good, "idle")
    StateStore(actor=ADA).update_agent_status("a", "paused")
    restore.undo(done, by=ADA)
    assert status() == "paused"


def test_a_status_that_it_has_already_is_no_change(good: Snapshot):
    done = restored(good, "failed")
    assert done.status_after is None
    assert not models.AuditEntry.objects.with_action("status").exists()


def test_a_status_the_orchestrator_could_not_read_is_refused(good: Snapshot):
    with pytest.raises(ValidationError):
        restored(good, "idle\udc80")
    assert status() == "failed"
    assert not Restore.objects.exists()


def test_a_plan_keeps_it(good: Snapshot):
    kept = restore.save(restore.setting(restore.plan("a", f"snapshot:{good.pk}"), "paused"), by=ADA)
    done = restore.apply_saved(models.SavedPlan.objects.get(pk=kept.pk), by=ADA)
    assert (status(), done.status_after) == ("paused", "paused")


def test_the_python_api_sets_it_in_one_call(good: Snapshot):
    done = StateStore(actor=ADA).restore_snapshot(good.pk, status="idle")
    assert (status(), done.status_after) == ("idle", "idle")


def test_a_deleted_agent_is_created_with_it(good: Snapshot):
    AgentState.objects.filter(agent_id="a").delete()
    restored(good, "paused")
    assert status() == "paused"


def test_the_form_offers_it_and_the_result_says_what_is_left_to_do(good: Snapshot, operator: Client):
    page = f"/agents/a/restore/?moment=snapshot:{good.pk}"
    html = operator.get(page).content.decode()
    assert '<option value="">leave failed</option>' in html
    etag = AgentState.objects.get(agent_id="a").etag()
    fields = {"moment": f"snapshot:{good.pk}", "etag": etag, "confirmed": "1"}
    left = operator.post("/agents/a/restore/", fields, follow=True).content.decode()
    assert "still marked as failed" in left
    assert 'action="/agents/a/status/"' in left, "The status can be set from here."

    etag = AgentState.objects.get(agent_id="a").etag()
    make_agent("b")
    set_too = operator.post(
        "/agents/a/restore/", {**fields, "moment": "now", "etag": etag, "status": "idle"}, follow=True
    )
    text = " ".join(set_too.content.decode().split())
    assert "status failed → idle" in text
    assert "The agent is idle. Its orchestrator continues from this state" in text


def test_a_status_of_no_list_is_refused_at_its_field(good: Snapshot, operator: Client):
    fields = {"moment": f"snapshot:{good.pk}", "etag": AgentState.objects.get(agent_id="a").etag(), "status": "gone"}
    answer = operator.post("/agents/a/restore/", fields)
    assert answer.status_code == 422
    assert not Restore.objects.exists()


def test_the_json_api_takes_it_for_a_plan_and_for_one_call(good: Snapshot, people: dict[str, User]):
    api = script_of(people["administrator"])
    plan = api.post("/restores", {"agent_id": "a", "moment": f"snapshot:{good.pk}", "status": "idle"}).json()
    assert plan["status"] == "idle"
    applied = api.post(f"/restores/{plan['address']}/apply", {}).json()
    assert (applied["status_before"], applied["status_after"]) == ("failed", "idle")
    once = api.post(f"/snapshots/{good.pk}/restore", {"status": "paused"}).json()
    assert (once["status_before"], once["status_after"]) == ("idle", "paused")


@pytest.fixture
def restorer(people: dict[str, User]) -> User:
    """Return a user who may restore agents, but not change their status."""
    user = people["nobody"]
    names = ("view_agentstate", "view_restore", "view_snapshot", "restore_agent")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


def test_a_page_sets_a_status_only_for_those_who_may_change_one(restorer: User, good: Snapshot):
    client, address = signed_in(restorer), f"/agents/a/restore/?moment=snapshot:{good.pk}"
    page = client.get(address)
    assert '<select name="status">' not in page.content.decode()
    context = page.context
    sent = {
        "moment": f"snapshot:{good.pk}", "etag": context["etag"], "state_hash": context["state_hash"],
        "confirmed": 1, "step": "apply",
    }  # fmt: skip
    for step in ("apply", "plan", "preview"):
        assert client.post("/agents/a/restore/", sent | {"step": step, "status": "idle"}).status_code == 403
    assert (status(), models.SavedPlan.objects.count()) == ("failed", 0)
    assert client.post("/agents/a/restore/", sent).status_code == 302, "Without a status it is allowed."
    assert json.loads(AgentState.objects.get(agent_id="a").state_data) == {"step": 7}


def test_a_plan_and_an_undo_that_set_a_status_need_the_right_too(restorer: User, good: Snapshot):
    client, script = signed_in(restorer), script_of(restorer, "restore")
    kept = restore.save(restore.setting(restore.plan("a", f"snapshot:{good.pk}"), "idle"), by=ADA)
    assert "Apply this plan" not in client.get(f"/restores/{kept.pk}/").content.decode()
    assert client.post(f"/restores/{kept.pk}/apply/").status_code == 403
    assert script.post(f"/restores/{kept.pk}/apply").status_code == 403
    done = restored(good, "idle")
    assert '<button data-kind="primary">Undo</button>' not in client.get(f"/restores/{done.pk}/").content.decode()
    assert client.post(f"/restores/{done.pk}/undo/", {"etag": "x"}).status_code == 403
    assert script.post(f"/restores/{done.pk}/undo").status_code == 403
    assert status() == "idle"


def test_a_script_sets_a_status_only_with_the_right(restorer: User, good: Snapshot):
    script = script_of(restorer, "restore")
    assert script.post(f"/snapshots/{good.pk}/restore", {"status": "idle"}).status_code == 403
    plan = {"agent_id": "a", "moment": f"snapshot:{good.pk}", "status": "idle"}
    for dry_run in (True, False):
        assert script.post("/restores", plan | {"dry_run": dry_run}).status_code == 403
    assert (status(), models.SavedPlan.objects.count()) == ("failed", 0)
    assert script.post(f"/snapshots/{good.pk}/restore").status_code == 201
