"""Growth: where the bytes are, from samples that housekeeping keeps."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import growth
from statestore.growth import Measured, Report
from statestore.views.access import require_viewer, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.svg import sparkline, treemap
from statestore.views.svg.treemap import Part

# Smaller parts of a state are told by the JSON call alone.
SHOWN_SHARE: Final = 1
_TABLES: Final = {
    "agent_states": "Agents", "state_transitions": "Transitions", "state_snapshots": "Snapshots",
    "dash_frame": "Archive",
    "dash_capture": "Captured changes", "events": "Events", "tasks": "Tasks", "sessions": "Sessions",
    "dash_audit": "Audit log",
}  # fmt: skip


@require_safe
@require_viewer
@json_twin("get_growth")
def growth_page(request: HttpRequest) -> HttpResponse:
    """Show where the bytes are, how fast they grow, and when the disk is full."""
    seen = scope(request)
    seen.require_whole_store("Growth")
    found = growth.report(seen.using)
    parts = _parts(found)
    context = {
        "place": "growth",
        "report": found,
        "cells": treemap.draw(parts),
        "height": treemap.HEIGHT,
        "used": found.places.get("used"),
        "disk_free": _bytes(found.places.get("disk free")),
        "free_pages": _bytes(found.places.get("free pages")),
        "parts": sorted((part for part in parts if part.bytes), key=lambda part: -part.bytes),
        "total": sum(part.bytes for part in parts),
        "tables": [(_TABLES.get(one.name, one.name), one) for one in found.tables],
        "agents": [(one, found.repeated.get(one.name)) for one in found.agents],
        "line": sparkline.steps([size for _, size in found.used[-200:]]),
        "paths": [path for path in found.paths if path.share >= SHOWN_SHARE],
        "largest": next((path for path in found.paths if path.share >= 50), None),
    }
    return render_page(request, "growth/page.html", context)


def _parts(found: Report) -> list[Part]:
    """Return what the disk is used for; the store's own bytes are those of its texts, free pages, and the rest."""
    places = found.places
    tables = [Part(_TABLES.get(one.name, one.name), "table", one.bytes) for one in found.tables]
    free = _bytes(places.get("free pages"))
    rest = _bytes(places.get("store")) - free - sum(part.bytes for part in tables)
    return [
        *tables,
        Part("Indexes, overhead", "rest", max(rest, 0)),
        Part("Free pages", "free", free),
        *(Part(label, "other", _bytes(places.get(name))) for name, label in
          (("index", "Search index"), ("backups", "Backups"), ("dashboard", "Dashboard's database"))),
    ]  # fmt: skip


def _bytes(measured: Measured | None) -> int:
    return measured.bytes if measured else 0
