"""What holds for every response: headers, and errors of the store in words instead of a traceback."""

from collections.abc import Callable

from csp.utils import build_policy
from django.http import HttpRequest, HttpResponse

from statestore.adoption.status import store_status
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
