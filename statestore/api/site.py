"""The URLconf of the API, and what every call shares: HEAD, common headers, a problem for every error."""

import functools
from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, re_path, reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import NinjaAPI

from statestore.adoption.status import StoreStatus, store_status
from statestore.api import docs, openapi
from statestore.api.auth import Login, Requirement, Token
from statestore.api.parsers import BodyParser, check_length
from statestore.api.problems import KINDS, answer_error, problem, type_url
from statestore.api.responses import answer
from statestore.api.routers import (
    agents,
    batches,
    bulk,
    capture,
    edits,
    events,
    growth,
    history,
    import_export,
    lookup,
    restores,
    retention,
    saved_searches,
    search,
    sessions,
    snapshots,
    sources,
    tasks,
    tokens,
    transitions,
    upkeep,
)
from statestore.api.routers import status as status_calls

View = Callable[..., HttpResponseBase]
_ROUTERS: Final = (
    agents,
    bulk,
    history,
    transitions,
    snapshots,
    restores,
    batches,
    events,
    search,
    saved_searches,
    lookup,
    tasks,
    sessions,
    edits,
    import_export,
    capture,
    growth,
    sources,
    upkeep,
    retention,
    tokens,
    status_calls,
)
READ: Final = Requirement("read", "")


class Site(NinjaAPI):
    """Django Ninja's API with a complete OpenAPI document and problem details for errors."""

    def get_openapi_schema(self, **options: Any) -> Any:
        """Return the OpenAPI 3.1 document."""
        return openapi.completed(dict(super().get_openapi_schema(**options)))

    def set_default_exception_handlers(self) -> None:
        """Turn every error into a problem."""
        self.add_exception_handler(Exception, answer_error)  # type: ignore[arg-type]

    def on_exception(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """Return the problem for an error, instead of the framework's own response."""
        return answer_error(request, exc)


site = Site(
    title="Descartes StateStore",
    version="1",
    description="Everything a person can do in the dashboard, a script can do here.",
    urls_namespace="api",
    parser=BodyParser(),
    openapi_url=None,
    docs_url=None,
)
for module in _ROUTERS:
    site.add_router("", module.calls)


def served(view: View, *, needs_store: bool = True) -> View:
    """Wrap a view with what every call needs: a ready store, HEAD, common headers, a problem for every error."""

    @functools.wraps(view)
    def serve(request: HttpRequest, *arguments: object, **keywords: object) -> HttpResponseBase:
        method = request.method
        if method == "HEAD":
            request.method = "GET"
        status = store_status() if needs_store else StoreStatus("ready")
        try:
            if not _takes_chunked_body(request):
                check_length(request)
            if status.is_ready:
                response = view(request, *arguments, **keywords)
            else:
                # The details name files and databases: for authenticated callers only.
                caller = Token(READ)(request) or Login(READ)(request)
                detail = f"{status.found} {status.remedy}" if caller else "The store is not ready."
                response = problem("unavailable", detail)
        except Exception as error:
            response = answer_error(request, error)
        request.method = method
        if response.status_code == 405:
            response = _method_not_allowed(str(method), response.headers.get("Allow", ""))
        return _finished(request, response)

    return csrf_exempt(login_not_required(serve))


def _method_not_allowed(method: str, allowed: str) -> HttpResponse:
    return problem("method", f"Method {method} is not allowed here.", headers={"Allow": allowed})


def _takes_chunked_body(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and match.url_name == "import_store"


def _finished(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    for name, value in getattr(request, "rate", {}).items():
        response[name] = value
    if request.method == "HEAD" and response.streaming:
        # A HEAD response has no body: don't run the export.
        response.streaming_content = iter(())  # type: ignore[attr-defined]
    response.headers.setdefault("Cache-Control", "private, no-store")
    response.headers["Vary"] = "Authorization, Cookie, Accept-Encoding"
    return response


def read_only(view: View) -> View:
    """Refuse other methods than GET and HEAD."""

    @functools.wraps(view)
    def read(request: HttpRequest, *arguments: object, **keywords: object) -> HttpResponseBase:
        if request.method not in {"GET", "HEAD"}:
            return _method_not_allowed(str(request.method), "GET")
        return view(request, *arguments, **keywords)

    return read


def _authenticated(view: View) -> View:
    """Require authentication, but no permission."""

    @functools.wraps(view)
    def check(request: HttpRequest) -> HttpResponseBase:
        if Token(READ)(request) is None and Login(READ)(request) is None:
            return problem("unauthenticated", "This endpoint requires a token or a login.")
        return view(request)

    return check


def openapi_document(request: HttpRequest) -> HttpResponse:
    """Return the OpenAPI document."""
    return answer(site.get_openapi_schema(path_prefix=_path_prefix()))


def _path_prefix() -> str:
    return reverse("api:openapi").removesuffix("openapi.json")


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    """Show what the OpenAPI document says as a page of the dashboard."""
    return docs.page(request, site, _path_prefix())


def explain_problem(request: HttpRequest, name: str) -> HttpResponse:
    """Explain a problem type. Public: the caller may have failed to authenticate."""
    kind = KINDS.get(name)
    if kind is None:
        return problem("not-found", "Unknown problem type.")
    return answer({"type": type_url(name), "status": kind.status, "title": kind.title, "remedy": kind.remedy})


def unknown(request: HttpRequest) -> HttpResponse:
    """Return the problem for a path that is not an endpoint."""
    return problem("not-found", f"No endpoint at {request.path[:200]}. See {reverse('api:docs')} for the list.")


def _calls() -> list[URLPattern]:
    """Return the URL patterns of the calls, each view wrapped by `_served`."""
    patterns = [one for one in site.urls[0] if isinstance(one, URLPattern) and one.name != "api-root"]
    for pattern in patterns:
        pattern.callback = served(pattern.callback)
    return patterns


urlpatterns = [
    path("openapi.json", served(read_only(_authenticated(openapi_document))), name="openapi"),
    path("docs", documentation, name="docs"),
    path("problems/<str:name>", served(read_only(explain_problem)), name="problem"),
    *_calls(),
    re_path(r"^.*$", served(unknown), name="unknown"),
]
app_name = "api"
