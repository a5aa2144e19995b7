"""Sources: the stores of other frameworks that are mirrored here; which more can be, and how."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from statestore import sources
from statestore.access import rights
from statestore.access.scope import Scope
from statestore.errors import ValidationError
from statestore.forms import MirrorForm
from statestore.sources import adding, allowed, connecting, quarantine
from statestore.views.access import actor, require, require_viewer, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin

# Who may import rows may let a framework's store bring them.
_ADDS = "import_store"


@require_safe
@require_viewer
@json_twin("list_sources")
def source_list(request: HttpRequest) -> HttpResponse:
    """Show what was opened, how far it was read, and what else can be."""
    seen = _whole_store(request)
    context: dict[str, Any] = {
        "place": "sources",
        "sources": sources.standing(seen.using),
        "is_embedded": settings.STORE_IS_EMBEDDED,
        "directories": settings.SOURCE_DIRS,
        "servers": settings.SOURCE_SERVERS,
        "upload_mb": settings.SOURCE_UPLOAD_MB,
        "can_add": rights.may(request.user, _ADDS) and settings.STORE_IS_EMBEDDED,
    }
    if context["can_add"] and settings.SOURCE_DIRS:
        context["listing"] = allowed.listing(seen.using)
    return render_page(request, "sources/list.html", context)


@require_POST
@require(_ADDS)
def add_source(request: HttpRequest) -> HttpResponse:
    """Mirror a file of one of the allowed directories, or a database of one of the allowed servers, from now on."""
    using, wanted = _whole_store(request).using, MirrorForm(request.POST).checked
    source = allowed.mirror(wanted["url_with_password"] or wanted["path"], using=using, by=actor(request))
    messages.success(
        request, f"Mirroring {source.formats} as the namespace {source}. Its agents appear within seconds."
    )
    return redirect("sources")


@require_POST
@require(_ADDS)
def upload_source(request: HttpRequest) -> HttpResponse:
    """Keep an uploaded file, and mirror it once."""
    using = _whole_store(request).using
    # Reading the form takes the file.
    file = request.FILES.get("file")
    fault: ValidationError | None = getattr(request, "upload_fault", None)
    if fault is not None:
        raise fault
    quarantine.refuse_uploads()
    if file is None:
        raise ValidationError("Choose a file to upload. Nothing was kept.")
    source = quarantine.receive(file.read, str(file.name), using=using, by=actor(request))
    messages.success(request, f"Uploaded {source.formats} as the namespace {source}. It is mirrored once.")
    return redirect("sources")


@require_POST
@require(_ADDS)
def remove_source(request: HttpRequest, source_id: int) -> HttpResponse:
    """Mirror a source no more; its agents stay."""
    agents = adding.remove_source(source_id, using=_whole_store(request).using, by=actor(request))
    stayed = "1 agent stays" if agents == 1 else f"{agents:,} agents stay"
    messages.success(request, f"The source is removed. Its {stayed}, and no longer follow{'s' * (agents == 1)} it.")
    return redirect("sources")


@require_safe
@require_viewer
def connect(request: HttpRequest) -> HttpResponse:
    """Show for each framework how its agents come here, with the line to run."""
    api = request.build_absolute_uri(reverse("api:docs")).removesuffix("/docs")
    context = {"place": "sources", "frameworks": connecting.FRAMEWORKS, "lines": connecting.api_lines(api)}
    return render_page(request, "sources/connect.html", context)


def _whole_store(request: HttpRequest) -> Scope:
    seen = scope(request)
    seen.require_whole_store("Sources")
    return seen
