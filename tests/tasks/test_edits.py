"""Edits of tasks and sessions: kept before and after, shown as a difference, taken back."""

import pytest
from django.test import Client

from statestore import models
from statestore.access import audited_rows
from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.errors import Conflict, Moved, NotFound, ValidationError
from statestore.sessions import service as session_service
from statestore.store import StateStore
from statestore.tasks import edits
from statestore.tasks import service as task_service
from tests.builders import make_agent, make_session, make_task

pytestmark = pytest.mark.django_db
ANNA = Actor("anna")


def save(**columns: object) -> models.AuditEntry:
    """Save a task and return the audit entry of that."""
    task_service.save_task(store_alias(), columns, by=ANNA)
    return last()


def last() -> models.AuditEntry:
    entry = models.AuditEntry.objects.newest_first().first()
    assert entry is not None
    return entry


def test_an_edit_is_taken_back_and_a_later_one_of_another_column_stays():
    task = make_task("Parser")
    entry = save(id=task.pk, title="Lexer", description="new")
    save(id=task.pk, status="Done")
    edits.revert(entry, by=ANNA)
    task.refresh_from_db()
    assert (task.title, task.description, task.status) == ("Parser", None, "Done")
    assert last().reverts == entry.pk


def test_an_edit_of_a_column_that_changed_again_is_refused_by_name():
    task = make_task("Parser")
    entry = save(id=task.pk, title="Lexer")
    save(id=task.pk, title="Scanner")
    with pytest.raises(Conflict, match="Later edits changed the same fields: title"):
        edits.revert(entry, by=ANNA)
    task.refresh_from_db()
    assert task.title == "Scanner"


def test_a_deleted_task_comes_back_with_its_dependencies():
    first, second = make_task("first"), make_task("second")
    save(id=second.pk, dependencies=[first.pk])
    audited_rows.delete(store_alias(), models.Task.objects.get(pk=second.pk), by=ANNA)
    edits.revert(last(), by=ANNA)
    assert models.Task.objects.get(pk=second.pk).dependencies == f'["{first.pk}"]'
    assert models.TaskDependency.objects.filter(task_id=second.pk, depends_on_id=first.pk).exists()


def test_what_comes_back_is_the_row_that_was_deleted_not_one_seen_before():
    stale = make_task("first")
    save(id=stale.pk, title="second")
    audited_rows.delete(store_alias(), stale, by=ANNA)
    edits.revert(last(), by=ANNA)
    assert models.Task.objects.get().title == "second"


def test_what_is_gone_is_deleted_by_nobody():
    task = make_task()
    models.Task.objects.all().delete()
    with pytest.raises(NotFound, match="already been deleted"):
        audited_rows.delete(store_alias(), task, by=ANNA)
    assert not models.AuditEntry.objects.exists()


def test_a_created_task_is_deleted_again_but_not_after_an_edit():
    entry = save(id="t1", title="made")
    save(id="t1", title="kept")
    with pytest.raises(Conflict, match="title"):
        edits.revert(entry, by=ANNA)
    save(id="t1", title="made")
    edits.revert(entry, by=ANNA)
    assert not models.Task.objects.filter(pk="t1").exists()
    with pytest.raises(NotFound, match="The task was deleted"):
        edits.revert(entry, by=ANNA)


def test_a_session_is_taken_back_too():
    session = make_session(make_agent("a1"), status="completed")
    session.status = "failed"
    session_service.save_session(store_alias(), session, by=ANNA)
    edits.revert(last(), by=ANNA)
    session.refresh_from_db()
    assert session.status == "completed"


def test_the_end_of_a_session_is_taken_back_and_so_is_its_start():
    store = StateStore(actor=ANNA)
    session = store.start_session("a1", session_id="s1", metadata={"n": 1})
    started = last()
    store.end_session("s1", "failed")
    ended = last()
    assert (ended.action, ended.actor) == ("end", "anna")
    with pytest.raises(Conflict, match="ended_at"):
        edits.revert(started, by=ANNA)
    edits.revert(ended, by=ANNA)
    assert models.row_hash(models.Session.objects.get()) == models.row_hash(session)
    edits.revert(started, by=ANNA)
    assert not models.Session.objects.exists()


def test_the_end_of_a_session_that_moved_is_refused_with_what_it_is_now():
    session = make_session(make_agent("a1"), ended_at=None, status="active")
    with pytest.raises(Moved) as refused:
        StateStore().end_session(session.pk, if_match="0" * 64)
    assert refused.value.etag == models.row_hash(session)
    assert not models.AuditEntry.objects.exists()


def test_an_entry_that_is_no_edit_is_refused():
    make_agent("a1")
    StateStore().create_snapshot("a1")
    with pytest.raises(ValidationError, match="cannot be undone"):
        edits.revert(last(), by=ANNA)


def test_the_page_of_an_edit_shows_the_columns_and_takes_it_back(manager: Client):
    task = make_task("Parser")
    entry = save(id=task.pk, title="<script>alert(1)</script>")
    page = manager.get(f"/audit/{entry.pk}/").content.decode()
    assert f"/audit/{entry.pk}/revert/" in page
    assert "<script>alert" not in page
    assert manager.post(f"/audit/{entry.pk}/revert/").status_code == 302
    task.refresh_from_db()
    assert task.title == "Parser"


def test_a_viewer_sees_an_edit_and_may_not_take_it_back(viewer: Client):
    entry = save(id="t1", title="made")
    assert "/revert/" not in viewer.get(f"/audit/{entry.pk}/").content.decode()
    assert viewer.post(f"/audit/{entry.pk}/revert/").status_code == 403


def test_other_audit_entries_have_no_page_of_an_edit(viewer: Client):
    assert viewer.get("/audit/99999/").status_code == 404
