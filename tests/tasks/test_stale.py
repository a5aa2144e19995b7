"""A task that changed since it was seen is refused alike on the board, in the admin and by the API."""

import pytest
from django.test import Client

from statestore import models
from statestore.errors import Moved
from statestore.models import row_hash
from tests.api.conftest import Script, script_of
from tests.builders import make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def script(people: dict[str, object]) -> Script:
    return script_of(people["manager"])  # type: ignore[arg-type]


def admin_form(client: Client, task: models.Task) -> dict[str, str]:
    """Return what the admin's form would send back unchanged."""
    form = client.get(f"/admin/statestore/task/{task.pk}/change/").context["adminform"].form
    return {name: form[name].value() or "" for name in form.fields}


def test_a_stale_task_is_refused_on_the_board_in_the_admin_and_by_the_api(manager: Client, script: Script):
    task = make_task(id="t1", title="Parse", status="Todo")
    stale, form = row_hash(task), admin_form(manager, task)
    models.Task.objects.filter(pk="t1").update(title="Parse again")
    board = manager.post("/tasks/t1/move/", {"status": "Done", "etag": stale})
    admin = manager.post("/admin/statestore/task/t1/change/", {**form, "status": "Done"})
    api = script.patch("/tasks/t1", {"status": "Done"}, if_match=f'"{stale}"')
    assert (board.status_code, admin.status_code, api.status_code) == (409, 200, 412)
    for answer in (board, admin, api):
        assert "The row has changed since you read it. Nothing was changed. Read it again." in answer.content.decode()
    assert models.Task.objects.get().status == "Todo"
    assert not models.AuditEntry.objects.exists()


def test_the_admin_is_refused_too_where_the_task_changes_while_it_is_saved(
    manager: Client, monkeypatch: pytest.MonkeyPatch
):
    """The form has been checked already: only the transaction that writes can tell."""
    task = make_task(id="t1", title="Parse", status="Todo")
    form = admin_form(manager, task)
    models.Task.objects.filter(pk="t1").update(title="Parse again")
    monkeypatch.setattr("statestore.forms.rows.RowForm.clean", lambda self: self.cleaned_data)
    manager.raise_request_exception = False
    answer = manager.post("/admin/statestore/task/t1/change/", {**form, "status": "Done"})
    assert answer.status_code == Moved.status
    assert models.Task.objects.get().status == "Todo"


def test_a_change_of_status_alone_is_one_deed_wherever_it_is_done(manager: Client, script: Script):
    for number, task_id in enumerate(("t1", "t2", "t3")):
        task = make_task(id=task_id, title="Parse", status="Todo")
        if number == 0:
            manager.post(f"/tasks/{task_id}/move/", {"status": "Done", "etag": row_hash(task)})
        elif number == 1:
            manager.post(f"/admin/statestore/task/{task_id}/change/", {**admin_form(manager, task), "status": "Done"})
        else:
            script.patch(f"/tasks/{task_id}", {"status": "Done"})
    entries = models.AuditEntry.objects.order_by("id")
    moves = [(entry.action, entry.before, entry.after) for entry in entries]
    assert moves == [("move", '{"status": "Todo"}', '{"status": "Done"}')] * 3
