"""The fleet by script: previewed, prepared, approved, applied, undone; and seen by nobody who may not see all of it."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from statestore import models
from statestore.restore import limits as restore_limits
from tests.api.conftest import APPROVING, Script, script_of
from tests.builders import NOW, make_agent, make_transition

pytestmark = pytest.mark.django_db


def make_fleet() -> None:
    """Make agents of which each would fare differently when put back to NOW."""
    for name, status, namespace in (("moved", "idle", "n"), ("runs", "running", "n"), ("other", "idle", "m")):
        agent = make_agent(name, state={"n": 2}, status=status, namespace=namespace, updated_at=NOW + 50)
        make_transition(agent, {"n": 0}, {"n": 1}, timestamp=NOW)
    make_agent("odd/id", state={"n": 2}, namespace="n", updated_at=NOW + 50)


def chosen(script: Script, query: str = "") -> list[dict[str, str]]:
    found = script.get(f"/batches/preview?at={NOW}{query}").json()
    kinds = ("change", "running")
    return [{"agent": one["address"], "etag": one["etag"]} for one in found["items"] if one["kind"] in kinds]


def prepared(script: Script, query: str = "") -> Any:
    answer = script.post("/batches", {"at": NOW, "agents": chosen(script, query), "reason": "bad deploy"})
    assert answer.status_code == 201, answer.content
    return answer


def states() -> dict[str, str]:
    return dict(models.AgentState.objects.values_list("agent_id", "state_data"))


def test_the_preview_says_what_would_become_of_each_and_writes_nothing(script: Script):
    make_fleet()
    found = script.get(f"/batches/preview?at={NOW}&namespace=n").json()
    assert [(one["agent_id"], one["kind"]) for one in found["items"]] == [
        ("moved", "change"), ("runs", "running"), ("odd/id", "unknown"),
    ]  # fmt: skip
    assert (found["counts"], found["scope"]) == ({"change": 1, "running": 1, "unknown": 1}, "namespace n")
    assert (found["at"], found["at_seconds"]) == ("2026-09-21T14:13:20Z", NOW)
    assert not models.Batch.objects.exists()
    assert script.get("/batches/preview?at=2026-09-21T14:13:20Z").json()["at_seconds"] == NOW


def test_a_batch_is_prepared_applied_and_undone_as_one(script: Script):
    make_fleet()
    before = states()
    made = prepared(script)
    url = made["Location"].removeprefix("/api/v1")
    assert (made.json()["waiting"], made.json()["results"]) == (3, {"waiting": 3})
    assert script.get(url)["ETag"] == made["ETag"]
    done = script.post(f"{url}/apply", if_match=made["ETag"])
    assert (done.status_code, done.json()["results"]) == (200, {"done": 3})
    assert states() == before | dict.fromkeys(("moved", "runs", "other"), '{"n": 1}')
    undone = script.post(f"{url}/undo", {"reason": "it was not the deploy"})
    assert (undone.status_code, undone.json()["undoes"], undone.json()["done"]) == (201, made.json()["id"], 3)
    assert states() == before
    assert script.get(url).json()["undone_by"] == undone.json()["id"]
    assert script.post(f"{url}/undo").status_code == 409
    listed = script.get("/batches").json()["items"]
    assert {row["id"] for row in listed} == {undone.json()["id"], made.json()["id"]}


def test_an_agent_that_moved_is_left_alone_and_named(script: Script):
    make_fleet()
    url = prepared(script)["Location"].removeprefix("/api/v1")
    models.AgentState.objects.filter(agent_id="moved").update(state_data="{}")
    assert script.post(f"{url}/apply").json()["results"] == {"done": 2, "moved": 1}
    (item,) = script.get(f"{url}/agents?result=moved").json()["items"]
    assert (item["agent_id"], item["restore_id"]) == ("moved", None)
    assert "has changed since your preview" in item["note"]
    restored = script.get(f"{url}/agents?result=done&limit=1").json()
    assert restored["next"]
    assert script.get(restored["items"][0]["restore"].removeprefix("/api/v1")).json()["state"] == "applied"


def test_a_batch_that_is_not_what_was_seen_is_not_applied(script: Script, people: dict[str, User]):
    make_fleet()
    approver = script_of(people["operator"], *APPROVING)
    made = prepared(script)
    url = made["Location"].removeprefix("/api/v1")
    script.post(f"{url}/apply")
    for verb in ("apply", "approve", "undo"):
        refused = (approver if verb == "approve" else script).post(f"{url}/{verb}", if_match=made["ETag"])
        assert (refused.status_code, refused["ETag"]) == (412, script.get(url)["ETag"])
    assert models.Batch.objects.count() == 1


def test_a_repeated_call_does_nothing_more(script: Script):
    make_fleet()
    body = {"at": NOW, "agents": chosen(script)}
    first, again = (script.post("/batches", body, idempotency_key="k1") for _ in range(2))
    assert (first.content, again["Idempotency-Replayed"]) == (again.content, "true")
    url = first["Location"].removeprefix("/api/v1")
    answers = [script.post(f"{url}/apply", idempotency_key="k2").content for _ in range(2)]
    assert answers[0] == answers[1]
    undone = [script.post(f"{url}/undo", idempotency_key="k3") for _ in range(2)]
    assert [answer.status_code for answer in undone] == [201, 201]
    assert models.Batch.objects.count() == 2


def test_where_two_must_agree_the_second_approves(script: Script, people: dict[str, User], settings: Any):
    settings.RESTORES_NEED_APPROVAL = True
    make_fleet()
    made = prepared(script)
    url = made["Location"].removeprefix("/api/v1")
    refused = script.post(f"{url}/apply")
    assert (refused.status_code, refused.json()["type"]) == (409, "/api/v1/problems/needs-approval")
    assert script_of(people["administrator"], *APPROVING).post(f"{url}/approve").status_code == 409  # one's own
    assert script_of(people["operator"], "approve").post(f"{url}/approve").json()["approved_by"] == "operator"
    assert script.post(f"{url}/apply").json()["done"] == 3


def test_a_token_of_a_namespace_sees_only_batches_that_lie_within(script: Script, people: dict[str, User]):
    make_fleet()
    own = script_of(people["administrator"], namespaces=["n"])
    mixed, inside = prepared(script), prepared(own)
    assert [one["agent"] for one in chosen(own)] == ["moved", "runs"]
    assert [row["id"] for row in own.get("/batches").json()["items"]] == [inside.json()["id"]]
    url = mixed["Location"].removeprefix("/api/v1")
    assert own.get(url).status_code == own.get(f"{url}/agents").status_code == 404
    assert {own.post(f"{url}/{verb}").status_code for verb in ("apply", "undo")} == {404}
    approver = script_of(people["administrator"], *APPROVING, namespaces=["n"])
    assert approver.post(f"{url}/approve").status_code == 404
    etag = "0" * 64
    refused = own.post("/batches", {"at": NOW, "agents": [{"agent": "other", "etag": etag}]})
    assert (refused.status_code, "other" in refused.json()["detail"]) == (404, True)
    assert models.Batch.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"agents": []}, 422), ({"at": "noon"}, 422), ({"at": -1}, 422), ({"at": " "}, 422), ({"colour": "red"}, 422),
        ({"agents": [{"agent": "nowhere", "etag": "0" * 64}]}, 404),
        ({"agents": [{"agent": "~a", "etag": "0" * 64}]}, 404),
        ({"agents": [{"agent": "moved", "etag": "x"}]}, 422),
        ({"agents": [{"agent": "moved", "etag": "0" * 64}] * (restore_limits.MAX_AGENTS + 1)}, 422),
    ],
)  # fmt: skip
def test_a_batch_that_cannot_be_is_refused(script: Script, change: dict[str, Any], status: int):
    make_fleet()
    answer = script.post("/batches", {"at": NOW, "agents": [{"agent": "moved", "etag": "0" * 64}], **change})
    assert answer.status_code == status, answer.content
    assert not models.Batch.objects.exists()


@pytest.mark.parametrize("query", ["", "?at=noon", "?at=%20", "?at=-5", "?at=5&size=25"])
def test_a_preview_of_no_time_is_refused(script: Script, query: str):
    assert script.get(f"/batches/preview{query}").status_code == 422
