"""Edits of tasks and sessions: list, read, revert."""

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query

from statestore import history, models
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction
from statestore.api.resources import entries_of, id_of, not_found
from statestore.api.responses import if_match, tagged, written
from statestore.api.schemas.common import Listed
from statestore.api.schemas.edits import EditOut, EditsIn, EntryId
from statestore.db import transactions
from statestore.tasks import edits

calls = Calls("tasks and sessions")


@calls.call("GET", "/edits", {200: Listed[EditOut]}, may="view_auditentry", fails=(404,))
def list_edits(request: HttpRequest, params: Query[EditsIn]) -> HttpResponse:
    """List edits of tasks and sessions, newest first."""
    rows = edits.entries(caller(request).scope.audit())
    if params.row:
        rows = rows.about(id_of(params.row, "row"))
    if params.noun:
        rows = rows.filter(noun=params.noun)
    return entries_of(request, rows, params, EditOut.of)


@calls.call("GET", "/edits/{entry_id}", {200: EditOut}, may="view_auditentry", tagged=True)
def get_edit(request: HttpRequest, entry_id: Path[EntryId]) -> HttpResponse:
    """Read an edit: the changed columns of the task or session, before and after."""
    return tagged(request, _out(request, _find(request, entry_id)))


@calls.action("/edits/{entry_id}/revert", {201: EditOut}, scope="write", may="view_auditentry")
def revert_edit(request: HttpRequest, entry_id: Path[EntryId]) -> HttpResponse:
    """Revert one edit and keep the later ones. The response is the edit that this creates.

    If a later edit changed the same columns the response is 409 and nothing is written. `If-Match` takes the ETag of
    the task or session. Also requires the permission `change_task` or `change_session`.
    """
    who = caller(request)

    def write() -> HttpResponse:
        with transactions.writing(who.scope.using):
            entry = _find(request, entry_id)
            who.require_permission(f"change_{entry.noun}")
            edits.revert(entry, by=who.actor, if_match=if_match(request), scope=who.scope)
            (revert,) = edits.history_of(entry.noun, entry.row_id, limit=1)
        return written(_out(request, revert.entry), is_new=True)

    return run_in_transaction(request, write)


def _out(request: HttpRequest, entry: models.AuditEntry) -> EditOut:
    (sentence,) = history.sentences([entry], caller(request).scope)
    return EditOut.of(entry, summary=str(sentence))


def _find(request: HttpRequest, entry_id: int) -> models.AuditEntry:
    entry: models.AuditEntry | None = edits.entries(caller(request).scope.audit()).filter(pk=entry_id).first()
    if entry is None:
        raise not_found("edit", str(entry_id))
    return entry
