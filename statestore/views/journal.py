"""Trash, audit and events: plain lists of what was thrown away, what people did, and what was said and done."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import models, paging
from statestore.addresses import from_address
from statestore.forms import EventFilterForm, PageForm
from statestore.querysets import BY_CHANGE, BY_TIME
from statestore.views.access import may, sees
from statestore.views.htmx import render_page


@require_safe
@sees
def trash(request: HttpRequest) -> HttpResponse:
    """Show the agents in the trash, with who put them there and why."""
    form = PageForm(request.GET)
    cursor, size = (form.cleaned_data["cursor"], form.cleaned_data["size"]) if form.is_valid() else ("", 50)
    page = paging.page(
        models.AgentState.objects.in_trash().without_state().with_size(), BY_CHANGE, cursor=cursor, size=size
    )
    found = models.Tombstone.objects.filter(pk__in=[agent.agent_id for agent in page])
    tombstones = {tombstone.pk: tombstone for tombstone in found}
    context = {
        "place": "trash",
        "page": page,
        "rows": [(agent, tombstones.get(agent.agent_id)) for agent in page],
        "revived": models.Tombstone.objects.revived()[:20],
    }
    return render_page(request, "trash.html", context)


@require_safe
@may("view_auditentry")
def audit_log(request: HttpRequest) -> HttpResponse:
    """Show what people did, newest first; `row` keeps the entries about one row."""
    form = PageForm(request.GET)
    cursor, size = (form.cleaned_data["cursor"], form.cleaned_data["size"]) if form.is_valid() else ("", 50)
    row = request.GET.get("row", "")
    try:
        entries = models.AuditEntry.objects.about(from_address(row)) if row else models.AuditEntry.objects.all()
    except ValueError:
        raise Http404("No row has this id.") from None
    context = {"place": "audit", "page": paging.page(entries, ("-id",), cursor=cursor, size=size), "row": row}
    return render_page(request, "audit.html", context, fragment="_audit_rows.html")


@require_safe
@may("view_event")
def event_list(request: HttpRequest) -> HttpResponse:
    """Show events, newest first, narrowed by the query string."""
    form = EventFilterForm(request.GET)
    context = {"place": "events", "form": form, "page": None}
    if form.is_valid():
        values = form.cleaned_data
        order = BY_TIME if values["type"] or values["session"] else ("-rowid",)
        context["page"] = paging.page(form.events(), order, cursor=values["cursor"], size=values["size"])
    return render_page(request, "event_list.html", context, fragment="_event_rows.html")
