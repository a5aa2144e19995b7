"""Edits of tasks and sessions: what one changed, and its undo."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from statestore import history, models
from statestore.access import rights
from statestore.tasks import edits
from statestore.views.access import actor, require, scope
from statestore.views.audit import activity
from statestore.views.diff_view import ComparisonView
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.own_addresses import is_own


@require_safe
@require("view_auditentry")
@json_twin("get_edit")
def edit_detail(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Show what one edit changed, column by column."""
    seen = scope(request)
    entry = edits.find(entry_id, scope=seen)
    edit = edits.edit_of(entry)
    if edit is None:
        raise Http404("This audit entry is not an edit of a task or session.")
    context = {
        "place": "audit",
        "entry": entry,
        "sentence": history.sentences([entry], seen)[0],
        "edit": edit,
        "comparison": ComparisonView(*edit.texts),
        "can_revert": edit.is_revertible and rights.may(request.user, f"change_{entry.noun}"),
        "others": [
            (other, sentence) for other, sentence in activity(seen, entry.noun, entry.row_id) if other.pk != entry.pk
        ],
    }
    return render_page(request, "audit/edit.html", context)


@require_POST
@require("view_auditentry")
def revert_edit(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Undo one edit and keep later ones."""
    seen = scope(request)
    entry = edits.find(entry_id, scope=seen)
    acting = require(f"change_{entry.noun}")(actor)(request)
    row = edits.revert(entry, by=acting, scope=seen)
    messages.success(request, "Edit undone. Its fields have their previous values again.")
    back = request.POST.get("next", "")
    if row is not None and is_own(request, back):
        return redirect(back)
    # Whose a deleted row was is no longer known: in a limited scope its entries go with it.
    return redirect("audit") if row is None and not seen.is_unrestricted else redirect("edit", entry_id=entry.pk)


def say_edited(request: HttpRequest, entry: models.AuditEntry) -> None:
    """Say on the next page what an edit did, with a button that undoes it for those who may."""
    (sentence,) = history.sentences([entry], scope(request))
    said = sentence.predicate
    undo = str(entry.pk) if rights.may(request.user, "view_auditentry") else ""
    messages.success(request, f"{said[0].upper()}{said[1:]}.", extra_tags=undo)
