"""One URL for a page and its parts: the only place that knows htmx's protocol."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def render_page(
    request: HttpRequest, template: str, context: dict[str, Any], *, fragment: str = "", status: int = 200
) -> HttpResponse:
    """Return the whole page, or only its fragment where htmx asks for one."""
    htmx = getattr(request, "htmx", None)
    partial = bool(fragment and htmx and not htmx.boosted and not htmx.history_restore_request)
    response = render(request, f"statestore/{fragment if partial else template}", context, status=status)
    # Without it, the Back button may show a bare fragment from the browser's cache.
    patch_vary_headers(response, ["HX-Request"])
    return response
