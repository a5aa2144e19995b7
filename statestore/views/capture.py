"""Capture: what it costs, whether it is on, and its switch."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from statestore.agents import capture
from statestore.agents import limits as agents_limits
from statestore.errors import ValidationError
from statestore.views.access import actor, require, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.sign_in import confirmed


@require_http_methods(["GET", "HEAD", "POST"])
@require("capture_agent")
@confirmed
@json_twin("get_capture")
def capture_page(request: HttpRequest) -> HttpResponse:
    """GET: what capture would cost each save, measured now. POST: switch it on or off."""
    scope(request).require_whole_store("Capture")
    if request.method == "POST":
        _switch(request)
        return redirect("capture")
    context = {
        "place": "capture",
        "status": capture.status(),
        "costs": capture.measure(),
        "most_ms": agents_limits.MAX_ADDED_MS,
    }
    return render_page(request, "agents/capture.html", context)


def _switch(request: HttpRequest) -> None:
    match request.POST.get("switch"):
        case "on":
            capture.switch_on(by=actor(request))
            messages.success(request, "Change capture is on. State changes are recorded from now on.")
        case "off":
            capture.switch_off(by=actor(request))
            messages.success(request, "Change capture is off. Captured changes are kept.")
        case _:
            raise ValidationError("Choose on or off. Nothing was changed.")
