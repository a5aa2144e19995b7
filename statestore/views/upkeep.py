"""Upkeep: housekeeping's runs, backups, policies, the archive, the chain of the audit log."""

from typing import Final

from django.conf import settings
from django.contrib import messages
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from descartes_site.locations import COMMAND
from statestore import models, retention
from statestore.access import audit_chain
from statestore.access.audit_chain import Verification
from statestore.db import shell, vendor
from statestore.db.routers import backup_directory, store_alias
from statestore.errors import DatabaseError
from statestore.operations import housekeeping, upkeep
from statestore.views.access import require, require_viewer, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin

_RUNS: Final = 20
_BACKUPS: Final = 20
_HOLDS: Final = 50
_FAULTS: Final = 100


@require_safe
@require_viewer
@json_twin("list_runs")
def upkeep_page(request: HttpRequest) -> HttpResponse:
    """Show how the store is kept. Nothing is written."""
    seen = scope(request)
    seen.require_whole_store("Upkeep")
    return render_page(request, "upkeep/page.html", _context(seen.using))


@require_POST
@require("manage_retention")
def verify_audit(request: HttpRequest) -> HttpResponse:
    """Walk the chain of the audit log, and say what was found."""
    seen = scope(request)
    seen.require_whole_store("Upkeep")
    found = housekeeping.verify_now(seen.using)
    if found.is_good:
        (messages.success if found.is_complete else messages.warning)(request, _good(found))
        return redirect(f"{reverse('upkeep')}#chain")
    faults = found.faults or []
    context = {"faults": faults[:_FAULTS], "fault_count": len(faults), "verified": found}
    return render_page(request, "upkeep/page.html", _context(seen.using) | context)


def _good(found: Verification) -> str:
    if not found.is_complete:
        return (
            f"{found.entries:,} entries are as they were; the rest was not reached in"
            f" {housekeeping.VERIFY_SECONDS:.0f} s. Run `{COMMAND} verify`, or wait for housekeeping, which walks the"
            " whole chain each day."
        )
    older = f" {found.older:,} older entries are not part of the chain." if found.older else ""
    return f"Verified {found.entries:,} entries of the audit log: none was changed, removed or moved.{older}"


def _context(using: str) -> dict[str, object]:
    return {
        "place": "upkeep",
        "doubt": retention.clock_doubt(using, now=models.now()),
        "runs": upkeep.newest_runs(using, _RUNS),
        "policies": upkeep.list_policies(using),
        "holds": upkeep.newest_holds(using, _HOLDS),
        "archive": upkeep.archive_size(using),
        "archive_after_seconds": settings.ARCHIVE_AFTER_HOURS * 3600,
        "last_verification": upkeep.last_verification(using),
        "head": audit_chain.head_of(using),
        **_backups(),
    }


def _how_to_replace() -> str:
    """Return the options by which a backup takes the store's place, "" on PostgreSQL."""
    if not vendor.is_sqlite(connections[store_alias()]):
        return ""
    return " --replace" if settings.STORE_IS_EMBEDDED else " --replace --stopped"


def _backups() -> dict[str, object]:
    problem, directory = upkeep.backup_problem(now=models.now()), backup_directory()
    try:
        listed = upkeep.list_backups(_BACKUPS)
    except DatabaseError:
        listed = []  # The problem says why.
    return {
        "backups": listed,
        "backup_problem": problem,
        "backup_copies": settings.BACKUP_COPY_TO,
        "backup_hours": settings.BACKUP_EVERY_HOURS,
        "backup_dir": directory,
        "replace": _how_to_replace(),
        "newest_backup": next((shell.word(directory / one.name) for one in listed if one.is_good), ""),
    }
