"""The audit log: what people did, each entry as a sentence."""

from typing import Final

from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_safe

from statestore import history, models
from statestore.access.scope import Scope
from statestore.forms import AuditFilterForm
from statestore.models.audit import BY_AUDIT_TIME
from statestore.views.access import require, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin

ACTIVITY_ROWS: Final = 50
FILTERS: Final = ("person", "action", "start", "end", "row")


@require_safe
@require("view_auditentry")
@json_twin("list_audit", "person", "start", "end", "row", action="verb", times=["start", "end"])
def audit_log(request: HttpRequest) -> HttpResponse:
    """Show what people did, newest first, filtered by the query string."""
    form, seen = AuditFilterForm(request.GET), scope(request)
    page = form.page(form.entries(seen), BY_AUDIT_TIME)
    told = history.sentences(page.rows, seen)
    filters = QueryDict(mutable=True)
    filters.update({name: request.GET[name] for name in FILTERS if request.GET.get(name)})
    context = {
        "place": "audit",
        "form": form,
        "page": page,
        "entries": list(zip(page.rows, told, strict=True)),
        "filters": filters,
        "row_id": getattr(form.cleaned_data["row"], "prefix", form.cleaned_data["row"]),
    }
    return render_page(request, "audit/list.html", context, fragment="audit/_rows.html")


def activity(seen: Scope, noun: str, row_id: str) -> list[tuple[models.AuditEntry, history.Sentence]]:
    """Return what people did to a row last, newest first, each entry with its sentence."""
    entries = list(seen.audit().about(row_id).filter(noun=noun).newest_first()[:ACTIVITY_ROWS])
    return list(zip(entries, history.sentences(entries, seen), strict=True))
