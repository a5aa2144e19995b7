"""The calls as one site: its addresses, what holds for each of them, and what is said where there is no such call."""

import functools
import json
from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path, re_path, reverse
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie
from ninja import NinjaAPI
from ninja.openapi.docs import Swagger

from statestore.adoption.status import store_status
from statestore.api import openapi
from statestore.api.auth import Login, Requirement, Token
from statestore.api.parsers import BodyParser, check_length
from statestore.api.problems import KINDS, TYPES, answer_error, problem
from statestore.api.responses import answer
from statestore.api.routers import (
    agents,
    batches,
    bulk,
    capture,
    edits,
    events,
    history,
    import_export,
    restores,
    saved_searches,
    search,
    snapshots,
    tasks,
    tokens,
    transitions,
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
    tasks,
    edits,
    import_export,
    capture,
    tokens,
    status_calls,
)
_READ: Final = Requirement("read", "")


class Site(NinjaAPI):
    """The framework's API, described to the end."""

    def get_openapi_schema(self, **what: Any) -> Any:
        """Return the description (OpenAPI 3.1)."""
        return openapi.completed(dict(super().get_openapi_schema(**what)))

    def set_default_exception_handlers(self) -> None:
        """Answer any error with a problem."""
        self.add_exception_handler(Exception, answer_error)  # type: ignore[arg-type]

    def on_exception(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """Return the problem for an error; none is left to the framework."""
        return answer_error(request, exc)


site = Site(
    title="Descartes StateStore",
    version="1",
    description="Everything that a person can do in the dashboard, a script can do here.",
    urls_namespace="api",
    parser=BodyParser(),
    openapi_url=None,
    docs_url=None,
)
for module in _ROUTERS:
    site.add_router("", module.calls)


def _served(view: View) -> View:
    """Return a view with what holds for each call: a store, HEAD, headers, and problems for whatever goes wrong."""

    @functools.wraps(view)
    def serve(request: HttpRequest, *arguments: Any, **keywords: Any) -> HttpResponseBase:
        method = request.method
        if method == "HEAD":
            request.method = "GET"
        status = store_status()
        try:
            if not _may_come_in_chunks(request):
                check_length(request)
            if status.is_ready:
                response = view(request, *arguments, **keywords)
            else:
                # What lies where is told to those who may call.
                who = Token(_READ)(request) or Login(_READ)(request)
                response = problem("unavailable", f"{status.found} {status.remedy}" if who else "It is not ready.")
        except Exception as error:
            response = answer_error(request, error)
        request.method = method
        if response.status_code == 405:
            allowed = response.headers.get("Allow", "")
            response = problem("method", f"{method} is no call on this address.", headers={"Allow": allowed})
        return _finished(request, response)

    return csrf_exempt(login_not_required(serve))


def _may_come_in_chunks(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and match.url_name == "import_store"


def _finished(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    for name, value in getattr(request, "rate", {}).items():
        response[name] = value
    if request.method == "HEAD" and response.streaming:
        # Nobody reads it: an export would be made for nothing.
        response.streaming_content = iter(())  # type: ignore[attr-defined]
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers["Vary"] = "Authorization, Cookie, Accept-Encoding"
    return response


def _asked(view: Callable[[HttpRequest], HttpResponse]) -> View:
    """Return a view for anybody who may call, whatever their role."""

    @functools.wraps(view)
    def ask(request: HttpRequest) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return problem("method", f"{request.method} is no call on this address.", headers={"Allow": "GET"})
        if Token(_READ)(request) is None and Login(_READ)(request) is None:
            return problem("unauthenticated", "This call needs a token or a login.")
        return view(request)

    return _served(ask)


def describe(request: HttpRequest) -> HttpResponse:
    """Return the description of the API."""
    return answer(site.get_openapi_schema(path_prefix="/api/v1/"))


class Docs(Swagger):
    """Swagger UI, from the installed package."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **keywords: Any) -> HttpResponse:
        """Return the page; it sends the CSRF token with what it tries."""
        settings = {**self.default_settings, "url": reverse("api:openapi")}
        context = {"swagger_settings": json.dumps(settings), "api": api, "add_csrf": True}
        return render(request, self.template, context)


@ensure_csrf_cookie
def docs(request: HttpRequest) -> HttpResponse:
    """Show the documentation, in which the calls can be tried."""
    return Docs().render_page(request, site)


def kind(request: HttpRequest, name: str) -> HttpResponse:
    """Explain a kind of problem, to anybody: who has one may have nothing else."""
    if request.method not in {"GET", "HEAD"}:
        return problem("method", f"{request.method} is no call on this address.", headers={"Allow": "GET"})
    found = KINDS.get(name)
    if found is None:
        return problem("not-found", "There is no such kind of problem.")
    return answer({"type": f"{TYPES}{name}", "status": found.status, "title": found.title, "remedy": found.remedy})


def unknown(request: HttpRequest) -> HttpResponse:
    """Answer where there is no such call."""
    return problem("not-found", f"There is no call at {request.path[:200]}. /api/v1/docs lists those that there are.")


def _calls() -> list[URLPattern]:
    """Return the framework's addresses, each served as all are."""
    found: list[Any] = site.urls[0]
    patterns: list[URLPattern] = [pattern for pattern in found if pattern.name != "api-root"]
    for pattern in patterns:
        pattern.callback = _served(pattern.callback)
    return patterns


urlpatterns = [
    path("openapi.json", _asked(describe), name="openapi"),
    path("docs", docs, name="docs"),
    path("problems/<str:name>", _served(kind), name="problem"),
    *_calls(),
    re_path(r"^.*$", _served(unknown), name="unknown"),
]
app_name = "api"
