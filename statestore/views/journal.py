"""Trash and audit: plain lists of what was thrown away, and of what people did."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import models
from statestore.db.ids import from_address
from statestore.forms import PageForm
from statestore.models.querysets import BY_CHANGE
from statestore.views.access import require, require_viewer
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin


@require_safe
@require_viewer
@json_twin("list_agents", fixed={"trash": "true"})
def trash(request: HttpRequest) -> HttpResponse:
    """Show the agents in the trash, with who put them there and why."""
    page = PageForm(request.GET).page(models.AgentState.objects.in_trash().without_state().with_size(), BY_CHANGE)
    found = models.Tombstone.objects.filter(pk__in=[agent.agent_id for agent in page])
    tombstones = {tombstone.pk: tombstone for tombstone in found}
    context = {
        "place": "trash",
        "page": page,
        "rows": [(agent, tombstones.get(agent.agent_id)) for agent in page],
        "revived": models.Tombstone.objects.revived()[:20],
    }
    return render_page(request, "trash/list.html", context)


@require_safe
@require("view_auditentry")
@json_twin("list_audit", "row")
def audit_log(request: HttpRequest) -> HttpResponse:
    """Show what people did, newest first; `row` keeps the entries about one row."""
    row = request.GET.get("row", "")
    try:
        entries = models.AuditEntry.objects.about(from_address(row)) if row else models.AuditEntry.objects.all()
    except ValueError:
        raise Http404("No audit entries for this row.") from None
    context = {"place": "audit", "page": PageForm(request.GET).page(entries, ("-id",)), "row": row}
    return render_page(request, "audit/list.html", context, fragment="audit/_rows.html")
