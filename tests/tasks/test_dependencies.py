"""Dependencies of tasks: checked where they change, and their edges changed by the difference, on every face."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from statestore import models
from statestore.access import audited_rows
from statestore.access.audit import SYSTEM
from statestore.access.scope import Scope
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.import_export.exporter import Wanted, export_lines
from statestore.import_export.importer import import_lines
from statestore.models import row_hash
from statestore.store import StateStore
from statestore.tasks import edits
from statestore.tasks import service as task_service
from tests.api.conftest import Script, script_of
from tests.builders import NOW, make_agent, make_task
from tests.foreign.orchestrator import task_statements
from tests.tasks.test_stale import admin_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def script(people: dict[str, User]) -> Script:
    return script_of(people["manager"])


def edges() -> set[tuple[str, str]]:
    return set(models.TaskDependency.objects.values_list("task_id", "depends_on_id"))


def edge_rows() -> list[tuple[object, ...]]:
    return list(models.TaskDependency.objects.order_by("pk").values_list())


def wait(owner: str, *dependencies: str) -> None:
    """Let a task wait for others, as the list and the table say."""
    StateStore().save_task({"id": owner, "dependencies": list(dependencies)})


def make_tasks(*ids: str) -> None:
    for task_id in ids:
        make_task(id=task_id, title=task_id.upper())


def latest() -> models.AuditEntry:
    return models.AuditEntry.objects.latest("pk")


def delete(task_id: str) -> models.AuditEntry:
    """Delete a task and return the audit entry of that."""
    audited_rows.delete(store_alias(), models.Task.objects.get(pk=task_id), by=SYSTEM)
    return latest()


FACES: dict[str, Callable[[Client, Script], int]] = {
    "the Python API": lambda manager, script: 200 if StateStore().save_task({"id": "t1", "status": "Done"}) else 500,
    "PUT": lambda manager, script: script.put("/tasks/t1", {"title": "T1", "status": "Done"}).status_code,
    "PATCH": lambda manager, script: script.patch("/tasks/t1", {"status": "Done"}).status_code,
    "the board": lambda manager, script: (
        manager.post(
            "/tasks/t1/move/", {"status": "Done", "etag": row_hash(models.Task.objects.get(pk="t1"))}
        ).status_code
    ),
    "the admin": lambda manager, script: (
        manager.post(
            "/admin/statestore/task/t1/change/",
            {**admin_form(manager, models.Task.objects.get(pk="t1")), "status": "Done"},
        ).status_code
    ),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "listed", ['["gone"]', '["gone", "t2"]', "not JSON", " {} ", '{"a": 1}', "[1]", "", None, '[ "t2" ]']
)
def test_a_task_is_changed_whatever_its_list_of_dependencies_is(
    manager: Client, script: Script, face: str, listed: str | None
):
    make_tasks("t2")
    make_task(id="t1", title="T1", dependencies=listed)
    models.TaskDependency.objects.create(task_id="t1", depends_on_id="t2", created_at=NOW)
    before = edge_rows()
    assert FACES[face](manager, script) in (200, 302)
    task = models.Task.objects.get(pk="t1")
    assert (task.status, task.dependencies, edge_rows()) == ("Done", listed, before)


def test_an_edit_of_such_a_task_is_taken_back(script: Script):
    make_task(id="t1", title="T1", dependencies="not JSON")
    StateStore().save_task({"id": "t1", "title": "T2"})
    edits.revert(latest(), by=SYSTEM)
    make_tasks("t2", "t3")
    wait("t3", "t2")
    StateStore().save_task({"id": "t3", "title": "other"})
    entry = latest()
    delete("t2")
    assert script.post(f"/edits/{entry.pk}/revert").status_code == 201
    assert [task.title for task in models.Task.objects.order_by("pk")] == ["T1", "T3"]


@pytest.mark.parametrize("listed", ["not JSON", '{"a": 1}'])
def test_a_list_that_is_not_json_is_repaired_by_giving_another(script: Script, manager: Client, listed: str):
    make_tasks("t2")
    for task_id in ("t1", "t3"):
        make_task(id=task_id, title="T1", dependencies=listed)
    assert script.patch("/tasks/t1", {"dependencies": ["t2"]}).status_code == 200
    form = admin_form(manager, models.Task.objects.get(pk="t3"))
    assert manager.post("/admin/statestore/task/t3/change/", {**form, "dependencies": "t2"}).status_code == 302
    assert edges() == {("t1", "t2"), ("t3", "t2")}


def test_a_deleted_dependency_may_stay_in_a_list_that_is_changed_and_a_new_one_must_exist(
    script: Script, manager: Client
):
    make_tasks("t1", "t2", "t3", "gone")
    wait("t1", "gone")
    delete("gone")
    assert script.patch("/tasks/t1", {"dependencies": ["gone", "t2"]}).status_code == 200
    assert edges() == {("t1", "t2")}
    form = admin_form(manager, models.Task.objects.get(pk="t1"))
    page = "/admin/statestore/task/t1/change/"
    assert manager.post(page, {**form, "dependencies": "gone\r\nt2\r\nt3"}).status_code == 302
    assert edges() == {("t1", "t2"), ("t1", "t3")}
    refused = script.patch("/tasks/t1", {"dependencies": ["gone", "nowhere"]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/dependencies")
    form = admin_form(manager, models.Task.objects.get(pk="t1"))
    assert "does not exist" in manager.post(page, {**form, "dependencies": "nowhere"}).content.decode()
    assert edges() == {("t1", "t2"), ("t1", "t3")}


def test_a_change_of_dependencies_touches_only_the_edges_that_differ(script: Script, manager: Client):
    make_tasks("t1", "t2", "t3", "t4")
    wait("t1", "t2", "t3")
    kept = models.TaskDependency.objects.filter(depends_on_id="t2").values().get()
    assert script.put("/tasks/t1", {"title": "T1", "dependencies": ["t2", "t4"]}).status_code == 200
    assert edges() == {("t1", "t2"), ("t1", "t4")}
    form = admin_form(manager, models.Task.objects.get(pk="t1"))
    assert manager.post("/admin/statestore/task/t1/change/", {**form, "dependencies": "t2\nt3"}).status_code == 302
    edits.revert(latest(), by=SYSTEM)
    assert edges() == {("t1", "t2"), ("t1", "t4")}
    assert models.TaskDependency.objects.filter(depends_on_id="t2").values().get() == kept


@pytest.mark.parametrize("listed", ['["t2","t3"]', '[ "t2", "t3" ]', '["t2", "t3", "t2"]'])
def test_the_same_list_in_another_spelling_is_no_change(script: Script, listed: str):
    make_tasks("t2", "t3")
    make_task(id="t1", title="T1", dependencies=listed)
    assert script.put("/tasks/t1", {"title": "T1", "dependencies": ["t2", "t3"]}).status_code == 200
    assert (models.Task.objects.get(pk="t1").dependencies, edges()) == (listed, set())


def test_a_deletion_taken_back_brings_the_edges_back_those_of_waiting_tasks_too():
    make_tasks("t1", "t2", "t3", "t4", "t5")
    wait("t2", "t1")
    wait("t3", "t2", "t1")
    for owner, dependency in (("t4", "t2"), ("t2", "t5")):  # edges that only the table has
        models.TaskDependency.objects.create(task_id=owner, depends_on_id=dependency, created_at=NOW)
    before = edges()
    entry = delete("t2")
    assert edges() == {("t3", "t1")}
    edits.revert(entry, by=SYSTEM)
    assert edges() == before
    edits.revert(latest_deletion := delete("t2"), by=SYSTEM)
    assert (edges(), latest_deletion.action) == (before, "delete")


def test_an_edge_that_a_task_gave_up_meanwhile_does_not_come_back():
    make_tasks("t1", "t2", "t3")
    wait("t2", "t1")
    wait("t3", "t1")
    entry = delete("t1")
    wait("t2")
    delete("t3")
    edits.revert(entry, by=SYSTEM)
    assert edges() == set()


def test_deleted_tasks_come_back_in_any_order():
    make_tasks("t1", "t2", "t3")
    wait("t2", "t1")
    wait("t3", "t2")
    before = edges()
    entries = [delete("t1"), delete("t2")]
    for entry in reversed(entries):
        edits.revert(entry, by=SYSTEM)
    assert edges() == before
    entries = [delete("t2"), delete("t1")]
    for entry in reversed(entries):
        edits.revert(entry, by=SYSTEM)
    assert edges() == before


def test_a_deletion_that_would_come_back_as_a_circle_is_refused():
    make_tasks("t1", "t2", "t3")
    wait("t1", "t2")
    wait("t3", "t1")
    entry = delete("t1")
    wait("t2", "t3")
    with pytest.raises(ValidationError, match="Circular dependency"):
        edits.revert(entry, by=SYSTEM)
    assert (edges(), models.Task.objects.filter(pk="t1").exists()) == ({("t2", "t3")}, False)


def test_a_deletion_of_an_early_release_is_taken_back_by_what_lists_say():
    make_tasks("t1", "t2", 'a"\u00e9')
    wait("t2", 'a"\u00e9', "t1")
    make_task(id="t3", title="T3", dependencies='["a\\"\\u00e9"]')
    deleted = delete('a"\u00e9')
    columns = {field.attname: getattr(deleted, field.attname) for field in deleted._meta.concrete_fields}
    early = models.AuditEntry.objects.create(**{**columns, "id": None, "detail": ""})
    edits.revert(early, by=SYSTEM)
    assert edges() == {("t2", 'a"\u00e9'), ("t2", "t1"), ("t3", 'a"\u00e9')}


def taken(lines: list[bytes]) -> None:
    report = import_lines(lines, using=store_alias(), by=SYSTEM)
    assert (report.refused_count, report.problem) == (0, "")


def test_an_import_removes_the_edges_that_a_changed_list_gave_up_and_no_others():
    make_tasks("t1", "t2", "t3", "t4")
    wait("t1", "t2")
    wait("t4", "t2")
    lines = list(export_lines(Wanted()))
    wait("t1", "t2", "t3")
    models.TaskDependency.objects.create(task_id="t1", depends_on_id="t4", created_at=NOW)
    kept = edge_rows()
    taken(lines)
    assert edges() == {("t1", "t2"), ("t4", "t2"), ("t1", "t4")}
    assert json.loads(str(models.Task.objects.get(pk="t1").dependencies)) == ["t2"]
    unchanged = [row for row in kept if row[1:3] != ("t1", "t3")]
    assert [row[:3] for row in edge_rows()] == [row[:3] for row in unchanged]
    taken(lines)
    assert [row[:3] for row in edge_rows()] == [row[:3] for row in unchanged]


def test_a_token_of_a_namespace_may_keep_a_dependency_that_is_gone():
    make_agent("own", namespace="n")
    make_task(id="t1", title="T1", dependencies='["gone"]', assigned_to="own")
    edit = {"id": "t1", "title": "T2", "dependencies": ["gone"]}
    assert task_service.save_task(store_alias(), edit, by=SYSTEM, scope=Scope(("n",))).title == "T2"


def test_a_task_without_an_id_is_a_new_one_though_there_is_one_with_an_empty_id():
    make_task(id="", title="empty")
    assert task_service.save_task(store_alias(), {"title": "new"}, by=SYSTEM).pk
    assert models.Task.objects.count() == 2


EDITS: dict[str, Callable[[Client, Script], int]] = {
    **FACES,
    "a new dependency": lambda manager, script: (
        script.patch("/tasks/t1", {"dependencies": ["t2", "t3", "t4"]}).status_code
    ),
    "a dependency fewer": lambda manager, script: script.patch("/tasks/t1", {"dependencies": ["t2"]}).status_code,
}


def between(statements: list[tuple[str, Sequence[Any]]], done: int, edit: Callable[[], object]) -> None:
    """Run the statements of an orchestrator's save, and an edit of ours after some of them."""
    orchestrator = connections[store_alias()].connection
    for sql, parameters in statements[:done]:
        orchestrator.execute(sql, parameters)
    edit()
    for sql, parameters in statements[done:]:
        orchestrator.execute(sql, parameters)


def saved_anew() -> list[tuple[str, Sequence[Any]]]:
    row = ("t1", "saved anew", None, "Todo", "medium", "moderate", None, '["t2", "t3"]', NOW, NOW, None)
    return task_statements(row, ["t2", "t3"])


@pytest.fixture
def waiting() -> None:
    make_tasks("t1", "t2", "t3", "t4")
    StateStore().save_task({"id": "t1", "dependencies": ["t2", "t3"]})


after_each_statement = pytest.mark.parametrize("done", range(1, 4), ids="after {} statements".format)


@pytest.mark.sqlite
@after_each_statement
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_between_the_statements_of_the_orchestrators_save_does_not_make_it_fail(
    waiting: None, manager: Client, script: Script, edit: str, done: int
):
    statuses: list[int] = []
    between(saved_anew(), done, lambda: statuses.append(EDITS[edit](manager, script)))
    assert statuses[0] < 400
    assert {("t1", "t2")} <= edges() <= {("t1", "t2"), ("t1", "t3"), ("t1", "t4")}


@pytest.mark.sqlite
@after_each_statement
def test_an_undo_between_the_statements_of_the_orchestrators_save_does_not_make_it_fail(waiting: None, done: int):
    def edit_and_undo() -> None:
        StateStore().save_task({"id": "t1", "description": "new"})
        edits.revert(latest(), by=SYSTEM)

    between(saved_anew(), done, edit_and_undo)
    assert edges() == {("t1", "t2"), ("t1", "t3")}


@pytest.mark.sqlite
@after_each_statement
def test_an_import_between_the_statements_of_the_orchestrators_save_does_not_make_it_fail(
    waiting: None, settings: Any, done: int
):
    settings.STORE_IS_EMBEDDED = False
    models.Adoption.objects.create(at=NOW, layout="version 5", schema="{}")
    lines = list(export_lines(Wanted()))
    between(saved_anew(), done, lambda: taken(lines))
    assert edges() == {("t1", "t2"), ("t1", "t3")}
    models.Task.objects.filter(pk="t1").update(dependencies="[]")
    models.TaskDependency.objects.all().delete()
    taken(lines)
    assert edges() == {("t1", "t2"), ("t1", "t3")}, "edges of a list that the import changed were left out"
