"""What holds for every response: headers, and errors of the store in words instead of a traceback."""

from collections.abc import Callable
from typing import Final

from csp.utils import build_policy
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from statestore.access import tokens
from statestore.adoption.status import store_status
from statestore.api.problems import problem
from statestore.jsondiff import limits
from statestore.jsondiff.budget import shared_effort
from statestore.views import health
from statestore.views.errors import error_page, page_of

Respond = Callable[[HttpRequest], HttpResponse]

# Pages that only our own database is needed for.
WITHOUT_STORE = {
    "login", "logout", "healthz", "readyz", "metrics", "theme", "tokens", "revoke-token", "password_change",
    "password_change_done",
}  # fmt: skip


class SecurityHeaders:
    """Adds the headers that no middleware of Django gives.

    The content security policy is the same for all pages: the library's own middleware would make its text anew for
    each response, which costs a save over HTTP a twentieth of its time.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.headers = {
            "Content-Security-Policy": build_policy(),
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Embedder-Policy": "require-corp",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.respond(request)
        for name, value in self.headers.items():
            response.headers.setdefault(name, value)
        return response


class Probes:
    """Answers the probes of machines ahead of everything else: for any host name, without HTTPS, without a session.

    A probe asks this process, not the site: it comes by address, and it must work while a database does not.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = health.PROBES.get(request.path_info)
        return probe(request) if probe else self.respond(request)


# A login, a change of password, a wrong call: none needs more, and each byte is read before its sender is known.
ANONYMOUS_BODY_BYTES: Final = 64 * 1024
_TOO_LARGE: Final = "Without a valid token or login, a request may have a body of at most 64 KB. Nothing was changed."


class BoundedBodies:
    """Refuses a large body of an unknown sender before any of it is read.

    A body without a length is read by one call alone, /import, after it has authenticated its caller.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.respond(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponseBase | None:
        """Refuse the body here: the check of CSRF tokens comes next, and parses it."""
        match = request.resolver_match
        is_api = match is not None and "api" in match.app_names
        if _length(request) <= ANONYMOUS_BODY_BYTES or _is_known(request, is_api=is_api):
            return None
        if is_api:
            return problem("too-large", _TOO_LARGE)
        return error_page(request, "Request too large", _TOO_LARGE, 413)


def _length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isdecimal() else 0


def _is_known(request: HttpRequest, *, is_api: bool) -> bool:
    """Return whether a token or a session names the sender."""
    try:
        if not is_api or "Authorization" not in request.headers:
            return bool(request.user.is_authenticated)
        scheme, _, secret = request.headers["Authorization"].partition(" ")
        return scheme.lower() == "bearer" and tokens.check(secret.strip()) is not None
    except DatabaseError:
        if not is_api:
            raise
        return True  # The call asks the same database before it reads, and answers with a problem.


class BoundedEffort:
    """Lets all comparisons of one request share one budget, and their results."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with shared_effort(limits.PAGE_UNITS):
            return self.respond(request)


class StoreErrors:
    """Answers each failure of the store with a page that says what happened, what was not changed, and what to do."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.respond(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        """Answer with one page that says what to do where the store cannot be used, before SQLite would create it."""
        match = request.resolver_match
        is_ours = match is not None and (
            "admin" not in match.app_names or str(match.url_name).startswith("statestore_")
        )
        if match is None or match.url_name in WITHOUT_STORE or not is_ours or "api" in match.app_names:
            return None
        status = store_status()
        if status.is_ready:
            return None
        return error_page(request, "Store not ready", f"{status.found} {status.remedy}", 503)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return the page for an error of ours or of the database; other errors stay errors."""
        return page_of(request, error)
