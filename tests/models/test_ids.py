"""Ids of tasks and events: UUIDs on a store that an orchestrator shares, any on one of our own."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from statestore import models
from statestore.access import audited_rows
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.events import ingest
from statestore.store import StateStore
from statestore.tasks import edits
from tests.api.conftest import script_of
from tests.builders import NOW, make_event, make_task

pytestmark = pytest.mark.django_db
EVENT = {"event_type": "note", "session_id": "s1", "actor_type": "Agent", "actor_id": "a1", "content": "x"}
GOOD = "0b0e6c5e-7a51-4d5e-8f57-1d6a2f3b4c5d"
ODD = ["t1", "", GOOD.upper(), GOOD.replace("-", ""), f"{{{GOOD}}}", f"{GOOD}\n"]


@pytest.fixture
def shared(settings: Any) -> None:
    """Let the store be an orchestrator's, which was adopted."""
    settings.STORE_IS_EMBEDDED = False
    models.Adoption.objects.create(at=NOW, layout="version 5", schema="{}")


@pytest.mark.parametrize("row_id", ODD)
def test_a_new_task_or_event_of_an_orchestrators_store_needs_a_uuid(shared: None, row_id: str):
    for write in (
        lambda: StateStore().save_task({"id": row_id, "title": "t"}),
        lambda: StateStore().save_events([EVENT, {**EVENT, "id": row_id}]),
        lambda: ingest.ingest(store_alias(), [EVENT, {**EVENT, "id": row_id}], whole=True),
    ):
        with pytest.raises(ValidationError) as refused:
            write()
        assert refused.value.field == "id"
    assert not models.Task.objects.exists()
    assert not models.Event.objects.exists()


def test_of_many_events_only_those_with_an_odd_id_are_refused(shared: None):
    outcome = ingest.ingest(store_alias(), [EVENT, {**EVENT, "id": "e1"}, {**EVENT, "id": GOOD}])
    assert (outcome.saved, [(one.position, one.field) for one in outcome.refused]) == (2, [(1, "id")])
    assert outcome.ids[1] is None
    assert "new random one" in outcome.refused[0].reason


def test_a_row_that_has_an_odd_id_already_is_still_written(shared: None):
    make_task(id="t1")
    make_event(id="e1")
    assert StateStore().save_task({"id": "t1", "status": "Done"}).status == "Done"
    StateStore().save_event({**EVENT, "id": "e1"})
    assert ingest.ingest(store_alias(), [{**EVENT, "id": "e1", "content": "y"}]).saved == 1
    assert models.Event.objects.get().content == "y"
    audited_rows.delete(store_alias(), models.Task.objects.get(), by=SYSTEM)
    entry = models.AuditEntry.objects.newest_first().first()
    assert entry is not None
    row = edits.revert(entry, by=SYSTEM)
    assert row is not None
    assert row.pk == "t1"


def test_ids_that_are_made_here_are_uuids_in_lower_case(shared: None):
    store = StateStore()
    store.save_event(EVENT)
    seeded = ingest.ingest(store_alias(), [EVENT, EVENT], seed="again")
    made = [store.save_task({"title": "t"}).pk, *models.Event.objects.values_list("pk", flat=True), *seeded.ids]
    assert all(models.is_uuid(str(row_id)) for row_id in made)
    assert len(models.Event.objects.all()) == 3


def test_a_store_of_our_own_takes_any_id():
    assert StateStore().save_task({"id": "t1", "title": "t"}).pk == "t1"
    StateStore().save_event({**EVENT, "id": "e1"})
    assert ingest.ingest(store_alias(), [{**EVENT, "id": "e2"}]).saved == 1


def test_the_json_api_refuses_an_odd_id_and_points_to_it(shared: None, people: dict[str, User]):
    script = script_of(people["manager"])
    for refused in (
        script.post("/tasks", {"id": "t1", "title": "t"}),
        script.put("/tasks/t1", {"title": "t"}),
        script.post("/events", {**EVENT, "id": "e1"}),
    ):
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/id")
    assert script.put(f"/tasks/{GOOD}", {"title": "t"}).status_code == 201
    assert script.post("/tasks", {"title": "t"}).status_code == 201
