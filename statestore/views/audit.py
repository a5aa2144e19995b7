"""The audit log: what people did."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore.db.ids import from_address
from statestore.forms import PageForm
from statestore.views.access import require, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin


@require_safe
@require("view_auditentry")
@json_twin("list_audit", "row")
def audit_log(request: HttpRequest) -> HttpResponse:
    """Show what people did, newest first; `row` keeps the entries about one row."""
    row = request.GET.get("row", "")
    try:
        entries = scope(request).audit()
        entries = entries.about(from_address(row)) if row else entries
    except ValueError:
        raise Http404("No audit entries for this row.") from None
    context = {"place": "audit", "page": PageForm(request.GET).page(entries, ("-id",)), "row": row}
    return render_page(request, "audit/list.html", context, fragment="audit/_rows.html")
