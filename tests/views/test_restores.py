"""Restore in the browser: one click where nothing warns, the preview where something does, proof, undo."""

import pytest
from django.test import Client

from statestore import models
from tests.builders import make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db


def moment(snapshot: models.Snapshot) -> str:
    return f"snapshot:{snapshot.pk}"


def restore(client: Client, agent: models.AgentState, snapshot: models.Snapshot, **fields: str):
    data = {"moment": moment(snapshot), "etag": agent.etag(), **fields}
    return client.post(f"/agents/{agent.agent_id}/restore/", data)


def test_one_click_restores_at_once_where_nothing_warns(operator: Client):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    response = restore(operator, agent, snapshot)
    done = models.Restore.objects.get()
    assert (response.status_code, response["Location"]) == (302, done.get_absolute_url())
    assert models.AgentState.objects.get().state_data == '{"step": 1}'
    assert done.actor == "operator"


def test_one_click_leads_to_the_preview_where_something_warns(operator: Client):
    agent = make_agent(state={"step": 9}, status="running")
    snapshot = make_snapshot(agent, {"step": 1})
    response = restore(operator, agent, snapshot)
    assert response["Location"] == f"/agents/{agent.agent_id}/restore/?moment=snapshot%3A{snapshot.pk}"
    assert models.AgentState.objects.get().state_data == '{"step": 9}'
    page = operator.get(response["Location"]).content.decode()
    page = " ".join(page.split())
    assert "may overwrite the restored state" in page
    assert "Restore 1 field " in page


def test_a_confirmed_restore_is_done_although_something_warns(operator: Client):
    agent = make_agent(state={"step": 9}, status="running")
    snapshot = make_snapshot(agent, {"step": 1})
    restore(operator, agent, snapshot, confirmed="1", reason="lost its goal")
    assert models.AgentState.objects.get().state_data == '{"step": 1}'
    assert models.Restore.objects.get().reason == "lost its goal"


def test_an_agent_that_moved_is_a_conflict_that_shows_what_moved(operator: Client):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    etag, state_hash = agent.etag(), agent.state_hash()
    models.AgentState.objects.update(state_data='{"step": 10, "mode": "busy"}')
    make_transition(agent, {"step": 9}, {"step": 10, "mode": "busy"})
    response = operator.post(
        f"/agents/{agent.agent_id}/restore/",
        {"moment": moment(snapshot), "etag": etag, "state_hash": state_hash, "confirmed": "1"},
    )
    page = response.content.decode()
    assert response.status_code == 409
    assert "has changed since your preview. Nothing was written" in page
    assert "Changes since your preview" in page
    assert "mode" in page
    assert "New preview" in page
    assert models.AgentState.objects.get().state_data == '{"step": 10, "mode": "busy"}'
    assert not models.Restore.objects.exists()


def test_a_preview_writes_nothing(operator: Client):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    assert operator.get(f"/agents/{agent.agent_id}/restore/?moment={moment(snapshot)}").status_code == 200
    assert models.Snapshot.objects.count() == 1
    assert not models.AuditEntry.objects.exists()


def test_the_result_shows_the_proof_and_undo_puts_it_back(operator: Client):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    page = operator.get(restore(operator, agent, snapshot)["Location"]).content.decode()
    done = models.Restore.objects.get()
    assert "● Active" in page
    assert done.safety_snapshot_id in page
    etag = models.AgentState.objects.get().etag()
    response = operator.post(f"/restores/{done.pk}/undo/", {"etag": etag})
    assert response.status_code == 302
    assert models.AgentState.objects.get().state_data == '{"step": 9}'
    assert "Undone" in operator.get(f"/restores/{done.pk}/").content.decode()


def test_an_undo_of_an_agent_that_moved_is_a_conflict(operator: Client):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    restore(operator, agent, snapshot)
    done = models.Restore.objects.get()
    etag = models.AgentState.objects.get().etag()
    models.AgentState.objects.update(state_data="{}")
    assert operator.post(f"/restores/{done.pk}/undo/", {"etag": etag}).status_code == 409
    assert models.AgentState.objects.get().state_data == "{}"


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 422), ("moment=nonsense", 422), ("moment=snapshot:nowhere", 404), ("moment=at:1000-01-01", 422)],
)
def test_a_moment_that_is_none_is_said_in_words(operator: Client, query: str, status: int):
    agent = make_agent()
    response = operator.get(f"/agents/{agent.agent_id}/restore/?{query}")
    assert response.status_code == status
    assert "<h1>" in response.content.decode()


def test_a_restore_with_a_field_missing_changes_nothing(operator: Client):
    agent = make_agent()
    response = operator.post(f"/agents/{agent.agent_id}/restore/", {"moment": "now"})
    assert response.status_code == 422
    assert "Nothing was changed" in response.content.decode()


def test_a_viewer_sees_the_preview_without_the_button_and_is_refused_when_forcing_it(viewer: Client):
    agent = make_agent(state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1})
    page = viewer.get(f"/agents/{agent.agent_id}/restore/?moment={moment(snapshot)}").content.decode()
    assert "Resulting changes" in page
    assert '<button data-kind="primary"' not in page
    assert restore(viewer, agent, snapshot).status_code == 403
    assert models.AgentState.objects.get().state_data == '{"step": 9}'


def test_restores_are_listed_with_whether_they_stand(operator: Client):
    first, second = make_agent(state={"step": 9}), make_agent(state={"step": 9})
    for agent in (first, second):
        restore(operator, agent, make_snapshot(agent, {"step": 1}))
    models.AgentState.objects.filter(pk=second.pk).update(state_data="{}")
    page = " ".join(operator.get("/restores/").content.decode().split())
    assert page.count("● Active") == 1
    assert page.count("○ Superseded") == 1


def test_the_preview_of_a_deleted_agent_promises_no_safety_snapshot(operator: Client):
    snapshot = make_snapshot("a1", {"step": 1})
    page = operator.get(f"/agents/a1/restore/?moment={moment(snapshot)}").content.decode()
    assert "You can undo the restore." in page
    assert "safety snapshot" not in page
