"""Idempotency-Key: the same is answered the same, and done once."""

from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User

from statestore import models
from statestore.api.site import site
from statestore.errors import Busy
from statestore.events import ingest
from statestore.import_export.codec import FORMAT, line
from tests.api.conftest import Script, script_of
from tests.builders import make_agent

pytestmark = pytest.mark.django_db
EVENT = {"event_type": "note", "session_id": "s", "actor_type": "Agent", "actor_id": "a1", "content": "x"}


def test_the_same_request_is_done_once_and_answered_the_same(script: Script):
    make_agent("a1")
    first = script.post("/agents/a1/snapshots", {"description": "d"}, idempotency_key="k1")
    again = script.post("/agents/a1/snapshots", {"description": "d"}, idempotency_key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.content, first["ETag"], first["Location"]) == (again.content, again["ETag"], again["Location"])
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert models.Snapshot.objects.count() == 1


def test_another_request_under_the_key_is_refused(script: Script):
    make_agent("a1")
    script.post("/agents/a1/snapshots", {"description": "d"}, idempotency_key="k1")
    for path, body in (("/agents/a1/snapshots", {"description": "e"}), ("/agents/a1/undelete", {})):
        answer = script.post(path, body, idempotency_key="k1")
        assert answer.status_code == 422
        assert answer.json()["type"] == "/api/v1/problems/key-reused"
    assert models.Snapshot.objects.count() == 1


def test_a_failure_is_not_kept(script: Script):
    assert script.post("/agents/a1/snapshots", {}, idempotency_key="k1").status_code == 404
    assert not models.IdempotentResponse.objects.exists()
    make_agent("a1")
    assert script.post("/agents/a1/snapshots", {}, idempotency_key="k1").status_code == 201


def test_a_key_is_its_callers_own(script: Script, people: dict[str, User]):
    make_agent("a1")
    other = script_of(people["operator"])
    for who in (script, other):
        assert who.post("/agents/a1/snapshots", {}, idempotency_key="k1").status_code == 201
    assert models.Snapshot.objects.count() == 2


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "é"])
def test_a_key_that_is_none_is_refused(script: Script, key: str):
    make_agent("a1")
    answer = script.post("/agents/a1/snapshots", idempotency_key=key)
    assert (answer.status_code, "Idempotency-Key" in answer.json()["detail"]) == (422, True)
    assert not models.Snapshot.objects.exists()


def test_a_key_is_free_again_after_a_day(script: Script):
    make_agent("a1")
    with time_machine.travel(1_795_000_000, tick=False):
        token = models.ApiToken.objects.get()
        models.ApiToken.objects.update(expires_at=1_796_000_000)
        script.post("/agents/a1/snapshots", {"description": "d"}, idempotency_key="k1")
    with time_machine.travel(1_795_000_000 + 24 * 3600, tick=False):
        assert script.post("/agents/a1/snapshots", {"description": "e"}, idempotency_key="k1").status_code == 201
    assert models.IdempotentResponse.objects.count() == 1
    assert token.pk


def killed_before_its_answer_was_kept(**also: Any) -> None:
    """Leave the last call as a server does that was killed after the work and before the answer was kept."""
    models.IdempotentResponse.objects.update(status=0, busy_until=0, **also)


def test_events_without_ids_get_the_same_ones_each_time(script: Script):
    body = {"events": [EVENT, EVENT]}
    first = script.post("/events/batch", body, idempotency_key="k1")
    assert first.json()["saved"] == 2
    killed_before_its_answer_was_kept()
    assert script.post("/events/batch", body, idempotency_key="k1").json()["ids"] == first.json()["ids"]
    assert models.Event.objects.count() == 2


@pytest.mark.parametrize("path", ["/events", "/events/batch"])
def test_a_key_that_is_free_again_overwrites_nothing(script: Script, path: str):
    body = EVENT if path == "/events" else {"events": [EVENT]}
    with time_machine.travel(1_795_000_000, tick=False):
        models.ApiToken.objects.update(expires_at=1_796_000_000)
        script.post(path, body, idempotency_key="turn-17")
    with time_machine.travel(1_795_000_000 + 24 * 3600, tick=False):
        script.post(path, body, idempotency_key="turn-17")
    assert models.Event.objects.count() == 2


def test_of_many_agents_none_gets_a_second_snapshot(script: Script):
    make_agent("a1")
    first = script.post("/bulk/snapshots", {"agents": ["a1"]}, idempotency_key="k1").json()
    killed_before_its_answer_was_kept()
    assert script.post("/bulk/snapshots", {"agents": ["a1"]}, idempotency_key="k1").json() == first
    assert models.Snapshot.objects.count() == 1


def test_while_a_call_is_at_work_the_same_is_told_so_and_does_nothing(script: Script):
    make_agent("a1")
    script.post("/bulk/status", {"agents": ["a1"], "status": "paused"}, idempotency_key="k1")
    models.IdempotentResponse.objects.update(status=0, busy_until=models.now() + 30)
    again = script.post("/bulk/status", {"agents": ["a1"], "status": "paused"}, idempotency_key="k1")
    assert (again.status_code, again.json()["type"]) == (409, "/api/v1/problems/in-progress")
    assert 0 < int(again["Retry-After"]) <= 30
    other = script.post("/bulk/status", {"agents": ["a1"], "status": "running"}, idempotency_key="k1")
    assert (other.status_code, other.json()["type"]) == (422, "/api/v1/problems/key-reused")
    assert models.AgentState.objects.get().status == "paused"


def test_what_failed_half_way_is_finished_and_not_done_again(script: Script, monkeypatch: pytest.MonkeyPatch):
    for limit in ("CHUNK_ROWS", "COPIED_CHUNK_ROWS"):
        monkeypatch.setattr(f"statestore.events.limits.{limit}", 2)
    write, chunks = ingest.write_rows, iter(range(10))

    def busy_at_the_second(using: str, rows: Any, **options: Any) -> None:
        if next(chunks) == 1:
            raise Busy("Store is busy.")
        write(using, rows, **options)

    monkeypatch.setattr("statestore.events.ingest.write_rows", busy_at_the_second)
    body = {"events": [EVENT] * 3}
    assert script.post("/events/batch", body, idempotency_key="k1").status_code == 503
    assert models.Event.objects.count() == 2
    assert script.post("/events/batch", body, idempotency_key="k1").json()["saved"] == 3
    assert models.Event.objects.count() == 3


def test_a_failure_of_several_steps_leaves_the_key_free_for_another_body(script: Script):
    path = "/agents/a1/purge"
    assert script.post(path, {}, idempotency_key="k1").status_code == 404
    make_agent("a1", is_deleted=1)
    assert script("POST", path, idempotency_key="k1").status_code == 204
    assert script.post(path, {}, idempotency_key="k2").status_code == 404


def test_another_import_under_the_key_is_refused(script: Script):
    def imported(name: str, **headers: str) -> Any:
        row = {"key": name, "agent_id": name, "name": "n", "status": "idle", "metadata": "{}", "state_data": "1"}
        numbers = dict.fromkeys(("version", "created_at", "updated_at"), 1) | {"is_deleted": 0}
        body = line(FORMAT) + line({"table": "agent_states", "row": row | numbers})
        return script("POST", "/import", body, content_type="application/x-ndjson", idempotency_key="k1", **headers)

    first, again, other = imported("a1"), imported("a1"), imported("a2")
    assert (first.status_code, first.json()["inserted"]) == (200, {"agent_states": 1})
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    assert other.json()["type"] == "/api/v1/problems/key-reused"
    assert models.AgentState.objects.get().agent_id == "a1"


def test_every_post_takes_a_key(description: dict[str, Any]):
    for path, operations in description["paths"].items():
        if "post" in operations:
            names = {parameter["name"] for parameter in operations["post"]["parameters"]}
            assert "Idempotency-Key" in names, path


def test_every_post_keeps_its_answer():
    """A call that writes outside of `once` would be done twice."""
    import inspect

    for router in site._get_bound_routers():
        for view in router.path_operations.values():
            for operation in view.operations:
                if "POST" in operation.methods:
                    view_func = inspect.unwrap(operation.view_func)
                    source = inspect.getsource(view_func)
                    kept = "run_in_transaction(request" in source or "run_resumable(request" in source
                    assert kept, view_func.__name__
