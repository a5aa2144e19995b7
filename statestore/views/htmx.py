"""One URL for a page and its fragments: the only place that knows htmx's protocol."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

# Each form's token differs in each answer, and so does how long ago something was: neither is news.
_NO_NEWS: Final = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"|data-relative>[^<]*<')


def render_page(
    request: HttpRequest, template: str, context: Mapping[str, object], *, fragment: str = "", status: int = 200
) -> HttpResponse:
    """Return the whole page, or only its fragment if htmx requests it."""
    partial = bool(fragment) and _wants_fragment(request)
    response = render(request, f"statestore/{fragment if partial else template}", context, status=status)
    # Without it, the Back button may show a bare fragment from the browser's cache.
    patch_vary_headers(response, ["HX-Request"])
    return response


def render_live(request: HttpRequest, template: str, context: dict[str, object], *, fragment: str) -> HttpResponse:
    """Return a self-refreshing page, or its fragment, or 204 if the fragment has not changed.

    The page finds the fragment in `rows`, and in `version` what tells whether it is another one.
    """
    rows = render_to_string(f"statestore/{fragment}", context, request)
    version = hashlib.sha256(_NO_NEWS.sub("", rows).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if not _wants_fragment(request):
        response = render(request, f"statestore/{template}", context | {"rows": rows, "version": version})
    elif request.headers.get("X-Version") == version:
        response = HttpResponse(status=204)
    else:
        response = HttpResponse(rows)
    response["X-Version"] = version
    patch_vary_headers(response, ["HX-Request"])
    return response


def is_poll(request: HttpRequest) -> bool:
    """Return whether a page asks by itself for what is new: its user may have left long ago."""
    match = request.resolver_match
    return "X-Version" in request.headers or (match is not None and match.url_name == "events-live")


def _wants_fragment(request: HttpRequest) -> bool:
    htmx = getattr(request, "htmx", None)
    return bool(htmx and not htmx.boosted and not htmx.history_restore_request)
