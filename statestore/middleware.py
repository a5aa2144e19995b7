"""What holds for every response: headers, and errors of the store in words instead of a traceback."""

import logging
import re
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from contextvars import copy_context
from typing import Final, cast

from csp.utils import build_policy
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.urls import get_script_prefix, set_script_prefix, set_urlconf

from statestore import logs, telemetry
from statestore.access import last_writes, path_prefix, proxies, remote_user, sign_ins, tokens
from statestore.access.browser_sessions import SessionStore
from statestore.adoption.status import store_status
from statestore.api.problems import problem
from statestore.db import connection_limit, replica, served
from statestore.db.routers import chosen, has_replica, is_chosen, primary_alias, read_replica, reading_primary
from statestore.jsondiff import limits
from statestore.jsondiff.budget import shared_effort
from statestore.operations import fair_share
from statestore.views import health, kept_forms, sign_in
from statestore.views.errors import answer_to, error_page
from statestore.views.formatting import line
from statestore.views.htmx import is_poll

log = logging.getLogger(__name__)
Respond = Callable[[HttpRequest], HttpResponse]

# Pages that only our own database is needed for.
WITHOUT_STORE = {
    "login", "logout", "confirm", "healthz", "readyz", "metrics", "theme", "tokens", "revoke-token", "password_change",
    "password_change_done", "browsers", "end-browser", "end-other-browsers", "sign-ins",
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
        # All that passes here is of one user, or tells how this site is doing. Static files are answered before it.
        if "no-store" not in response.get("Cache-Control", ""):
            response["Cache-Control"] = "private, no-store"
        for name, value in self.headers.items():
            response.headers.setdefault(name, value)
        return response


class LoggedRequests:
    """Gives each request an id, which its answer and all that is logged about it name, and logs how it ended.

    With LOG_LEVEL=INFO: the page or call by its route, since paths and queries have words of agents in them.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        with (
            logs.about_request(request.headers.get("X-Request-ID", "")) as about,
            telemetry.request(str(request.method), request.headers) as facts,
        ):
            response = self.respond(request)
            response["X-Request-ID"] = about["request_id"]
            if telemetry.is_on():
                facts |= _facts(request, response)
            if log.isEnabledFor(logging.INFO):
                self._log(request, response, began)
        return response

    def _log(self, request: HttpRequest, response: HttpResponseBase, began: float) -> None:
        route = request.resolver_match.route if request.resolver_match else "(no page)"
        fields = {
            "method": request.method,
            "route": route,
            "status": response.status_code,
            "ms": round((time.perf_counter() - began) * 1000, 1),
            "user": _name_of_user(request),
            "store": getattr(request, "store_name", ""),
        }
        log.info(
            "%s %s %s in %s ms", request.method, route, response.status_code, fields["ms"], extra={"fields": fields}
        )


def _facts(request: HttpRequest, response: HttpResponseBase) -> dict[str, str | int]:
    """Return what a span tells of a request, by OpenTelemetry's names; no path, since agents' ids stand in it."""
    user, match = _user_of(request), request.resolver_match
    facts: dict[str, str | int] = {"http.response.status_code": response.status_code}
    facts |= {"http.route": match.route} if match else {}
    facts |= {"store": store} if (store := getattr(request, "store_name", "")) else {}
    return facts | ({"user.id": str(user.pk)} if user is not None and user.pk else {})


def _name_of_user(request: HttpRequest) -> str:
    user = _user_of(request)
    return user.get_username() if user is not None else ""


def _user_of(request: HttpRequest) -> AbstractBaseUser | None:
    """Return who sent a request, as far as answering it told: nothing is read for it."""
    caller = getattr(request, "auth", None)
    return getattr(caller, "user", None) or getattr(request, "_cached_user", None)


class ForwardedHeaders:
    """Believes the forwarding headers of trusted proxies, and drops all others, before anything reads them.

    What they say about the path is put right here too: no other code knows about a path prefix.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        remote_user.believe(request.META)
        path_prefix.enter(request)
        response = self.respond(request)
        path_prefix.confine_cookies(response)
        return response


class ChosenStore:
    """Where several stores are served, takes the store's name off the path: the request and its answer are that one's.

    Nothing behind this knows that there are several. At the root there is what belongs to none: the list of stores, and
    signing in.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not served.are_several():
            return self.respond(request)
        served.refresh()
        place = _STORE_PATH.match(request.path_info)
        if place is None:
            request.urlconf = FRONT_URLS
            set_urlconf(FRONT_URLS)  # For pages that are made before the view is looked for.
            return self.respond(request)
        name = place[1]
        alias = served.aliases().get(name)
        if alias is None:
            set_urlconf(FRONT_URLS)
            return error_page(request, "Not found", "There is no store of this name.", 404)
        if not place[2]:
            return HttpResponseRedirect(f"{path_prefix.current()}{path_prefix.of_store(name)}/")
        return self._respond_in(request, name, alias)

    def _respond_in(self, request: HttpRequest, name: str, alias: str) -> HttpResponseBase:
        request.store_name = name  # type: ignore[attr-defined]
        share = fair_share.enter(alias)
        if share is None:
            page = f"The store {name} does not answer at the moment. Nothing was changed. The other stores work."
            return error_page(request, "Store busy", page, 503)
        with ExitStack() as running:
            running.callback(share.leave)
            with chosen(alias), path_prefix.in_store(request, name):
                response: HttpResponseBase = self.respond(request)
                if response.streaming:
                    # Its parts are made later, perhaps by another thread.
                    parts = cast(StreamingHttpResponse, response)
                    parts.streaming_content = _in_context(parts.streaming_content)  # type: ignore[arg-type]
                    parts._resource_closers.append(share.leave)  # type: ignore[attr-defined]
                    weakref.finalize(parts, share.leave)  # If it is dropped without being closed.
                    running.pop_all()
                connection_limit.note_use(alias)
            return response


# The addresses that belong to no store.
FRONT_URLS: Final = "descartes_site.front_urls"
_STORE_PATH: Final = re.compile(r"/stores/([^/]+)(/?)")


def _in_context(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Return the parts of an answer, each made in the store and below the prefix of this moment."""
    context, prefix, iterator = copy_context(), get_script_prefix(), iter(parts)

    def next_part() -> bytes | None:
        before = get_script_prefix()
        set_script_prefix(prefix)
        try:
            return next(iterator, None)
        finally:
            set_script_prefix(before)

    # No generator: its first line would run after the request.
    return iter(lambda: context.run(next_part), None)


class Probes:
    """Answers the probes of machines ahead of all checks: for any host name, without HTTPS, without a session.

    A probe asks this process, not the site: it comes by address, and it must work while a database does not.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = health.PROBES.get(request.path_info)
        return probe(request) if probe else self.respond(request)


class UntrustedProxies:
    """Refuses what a proxy sends whose word about HTTPS is not believed: redirects to HTTPS would never end."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.warned: set[str] = set()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.HTTPS and request.META[proxies.DROPPED_SCHEME] and not request.is_secure():
            # Nothing was believed, so this is still the proxy's address.
            self._warn(str(request.META.get("REMOTE_ADDR", "")))
            return error_page(request, "Proxy not trusted", _UNTRUSTED_PROXY, 400)
        return self.respond(request)

    def _warn(self, sender: str) -> None:
        if sender in self.warned or len(self.warned) >= _MOST_WARNINGS:
            return
        self.warned.add(sender)
        log.warning(
            "X-Forwarded-Proto from %s was ignored: it is not in TRUSTED_PROXIES. If it is your proxy, add it.", sender
        )


_MOST_WARNINGS: Final = 20
_UNTRUSTED_PROXY: Final = (
    "This request came through a proxy that the dashboard does not trust, so it cannot know that you use HTTPS. Nothing"
    " was changed. Operators: add the proxy's address to TRUSTED_PROXIES; the log names it."
)


class CompressedPages(GZipMiddleware):
    """Compresses pages, with Django's padding of a random length, so that sizes tell nothing about tokens in them.

    Pages alone: an API response keeps its bytes and its strong ETag, and a stream is sent as it is made. Exports
    compress themselves.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the response, compressed if it is a page and the browser takes it."""
        is_page = response.get("Content-Type", "").startswith("text/html") and not response.streaming
        return super().process_response(request, response) if is_page else response


class Sessions(SessionMiddleware):
    """Django's sessions, which know where their browser is and when it was last used."""

    def process_request(self, request: HttpRequest) -> None:
        """Prepare the session; nothing is read before it is asked for."""
        super().process_request(request)
        session = cast(SessionStore, request.session)
        session.ip_address = str(request.META.get("REMOTE_ADDR", ""))
        session.user_agent = line(request.headers.get("User-Agent", ""), 200)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Note that the session is used; a page that keeps itself fresh does not keep its user signed in."""
        response = super().process_response(request, response)
        sign_ins.tell_browser(request, response)
        if not is_poll(request):
            cast(SessionStore, request.session).note_use()
        return response


class SignInRequired(LoginRequiredMiddleware):
    """Sends requests without a session to the login page, which leads back to the page, with the form that was sent."""

    def handle_no_permission(self, request: HttpRequest, view_func: object) -> HttpResponse:  # type: ignore[override]
        """Return the answer to a request without a session."""
        return sign_in.ask_to_sign_in(request)


class KeptForms:
    """Puts what was typed while a session ended back into the form, on its own page."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.respond(request)
        if "text/html" in response.get("Content-Type", "") and not response.streaming:
            form = kept_forms.take(request)
            if form is not None:
                kept_forms.fill(response, form)
        return response


# A login, a change of password, a wrong call: none needs more, and each byte is read before its sender is known.
ANONYMOUS_BODY_BYTES: Final = 64 * 1024
_TOO_LARGE: Final = "Without a valid token or login, a request may have a body of at most 64 KB. Nothing was changed."

_GO_BACK: Final = "If your session has ended, go back, copy what you typed, and sign in again."


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
        return error_page(request, "Request too large", f"{_TOO_LARGE} {_GO_BACK}", 413)


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


_FORMS_ONLY: Final = "This address takes the forms of other pages. Nothing was changed. Go back and send the form."


class ReadReplica:
    """Lets what only reads be answered by the store's replica, where it has one: a whole request by one server.

    Who wrote reads the primary until the replica has replayed that.
    """

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not has_replica():
            return self.respond(request)
        with reading_primary():
            response: HttpResponseBase = self.respond(request)
            if request.method not in _READS:
                if response.status_code not in _REFUSED:
                    last_writes.note(request, primary_alias())
            elif response.streaming:
                parts = cast(StreamingHttpResponse, response)
                parts.streaming_content = _in_context(parts.streaming_content)  # type: ignore[arg-type]
            return response

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> None:
        """Choose the replica, once the sender is known."""
        match = request.resolver_match
        if (
            request.method in _READS
            and has_replica()
            and match is not None
            and (match.url_name not in FROM_PRIMARY or replica.standing_of(primary_alias()).is_primary_away)
            and last_writes.may_read_replica(request, primary_alias())
        ):
            read_replica()


_READS: Final = {"GET", "HEAD", "OPTIONS"}
# Nothing was written for these, and who sent them may be no one.
_REFUSED: Final = {401, 403, 404, 405, 429}
# What is confirmed next is read where it will be written; the live tail goes on from a place in the primary's order.
FROM_PRIMARY: Final = {
    "restore-agent", "revert", "fork", "fleet", "batch", "restore", "preview_batch", "get_batch", "get_restore",
    "events-live",
}  # fmt: skip


class StoreErrors:
    """Answers each failure of the store with a page that says what happened, what was not changed, and what to do."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.respond(request)
        match = request.resolver_match
        if response.status_code == 405 and match is not None and "api" not in match.app_names:
            page = error_page(request, "Nothing to show here", _FORMS_ONLY, 405)
            page["Allow"] = response["Allow"]
            return page
        return response

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        """Answer with one page that says what to do where the store cannot be used, before SQLite would create it."""
        match = request.resolver_match
        is_ours = match is not None and (
            "admin" not in match.app_names or str(match.url_name).startswith("statestore_")
        )
        if (
            match is None
            or match.url_name in WITHOUT_STORE
            or not is_ours
            or not is_chosen()
            or "api" in match.app_names
        ):
            return None
        status = store_status()
        if status.is_ready:
            return None
        return error_page(request, "Store not ready", f"{status.found} {status.remedy}", 503)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return the answer to an error of ours or of the database; other errors stay errors."""
        return answer_to(request, error)
