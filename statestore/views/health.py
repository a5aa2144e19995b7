"""What machines ask: does the process live, can it serve, and in figures."""

from typing import Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.views.decorators.http import require_safe

from statestore.access import proxies, rights, tokens
from statestore.access.scope import scope_of
from statestore.db.routers import chosen_name
from statestore.operations import metrics, readiness

LOOPBACK: Final = {"127.0.0.1", "::1"}
LOOPBACK_NAMES: Final = {"127.0.0.1", "[::1]", "localhost"}


@require_safe
@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the process lives."""
    return JsonResponse({"ok": True})


@require_safe
@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer whether requests can be served: databases, migrations, disk; with 503 where they cannot."""
    found = readiness.examine()
    note = {"note": found.note} if found.note else {}
    if found.is_ready:
        return JsonResponse({"ok": True, **note})
    return JsonResponse({"ok": False, "error": found.problem, "parts": found.parts, **note}, status=503)


# Answered by one of the first middlewares; their places in the site map only name them.
PROBES: Final = {"/healthz": healthz, "/readyz": readyz}


@require_safe
@login_not_required
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Return all metrics, to this machine and to holders of a token with the read scope."""
    if not _may_read(request):
        response = HttpResponse(
            "Metrics are served to this machine only, and only without a proxy. From elsewhere, send a token with the"
            " scope read.\n",
            status=401,
        )
        response["WWW-Authenticate"] = 'Bearer realm="Descartes StateStore"'
        response["Content-Type"] = "text/plain; charset=utf-8"
        return response
    return HttpResponse(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def _may_read(request: HttpRequest) -> bool:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if text:
        token = tokens.check(text.strip()) if scheme.lower() == "bearer" else None
        if token is None or not (token.may("read") and token.opens(chosen_name())):
            return False
        # The figures are about the whole store.
        if not scope_of(token.user, token).is_unrestricted:
            return False
        return rights.may(token.user, "view_agentstate")
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not _may_be_passed_on(request)


def _may_be_passed_on(request: HttpRequest) -> bool:
    """Return whether a proxy on this machine may have sent the request, for a client that may be anywhere.

    Some proxies add no header that tells of them. A bare `proxy_pass` of nginx sends HTTP/1.0, a bare HAProxy the host
    name that its client asked for.
    """
    is_proxy_known = settings.HTTPS or settings.PATH_PREFIX or settings.TRUSTED_PROXIES
    is_old = request.META.get("SERVER_PROTOCOL") in {"HTTP/1.0", "HTTP/0.9"}
    name = split_domain_port(request.get_host())[0]
    is_public = name not in LOOPBACK_NAMES and validate_host(name, settings.PUBLIC_HOSTS)
    return bool(is_proxy_known or is_old or is_public) or proxies.is_forwarded(request.META)
