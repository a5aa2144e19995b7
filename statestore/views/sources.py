"""Sources: the stores of other frameworks that are mirrored here."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import sources
from statestore.views.access import require_viewer, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin


@require_safe
@require_viewer
@json_twin("list_sources")
def source_list(request: HttpRequest) -> HttpResponse:
    """Show what was opened, how far it was read, and how to open more."""
    seen = scope(request)
    seen.require_whole_store("Sources")
    return render_page(request, "sources/list.html", {"place": "sources", "sources": sources.standing(seen.using)})
