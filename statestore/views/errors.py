"""Pages for what failed: what happened, what was not changed, and what to do."""

import sys
from typing import Final
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost, RequestDataTooBig, TooManyFieldsSent
from django.db.utils import Error
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.template.loader import render_to_string
from django.views import defaults

from statestore.db.errors import translate
from statestore.errors import StateStoreError
from statestore.forms.uploads import FileRefused, FileTooLarge
from statestore.views.context import theme_of
from statestore.views.in_place import in_place
from statestore.views.kept_forms import page_of


def error_page(request: HttpRequest, title: str, message: str, status: int) -> HttpResponse:
    """Return a page for an error: in the frame for a signed-in user, else, or without our database, a bare one."""
    context = {"title": title, "message": message, "status": status, "back": _back(request)}
    page = _framed(request, context)
    if not page:
        bare = context | {"is_bare": True, "theme": theme_of(request)}
        page = render_to_string("statestore/error.html", bare)
    response = HttpResponse(page, status=status)
    if status == 503:
        response["Retry-After"] = "5"
    return response


def _framed(request: HttpRequest, context: dict[str, object]) -> str:
    """Return the page in the frame, or nothing where the user is unknown: the frame shows what the user may see."""
    user = getattr(request, "user", None)
    try:
        if user is None or not user.is_authenticated:
            return ""
        return render_to_string("statestore/error.html", context, request)
    except (Error, StateStoreError):
        return ""


def _back(request: HttpRequest) -> str:
    """Return the page that led here, or nothing."""
    try:
        back = page_of(request)
    except DisallowedHost:
        return ""
    return "" if back == request.get_full_path() else back


def answer_to(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """Return the answer to an error of ours or of the database, where it was made if it can be; None for another."""
    if isinstance(error, Error):
        error = translate(error)
    if not isinstance(error, StateStoreError):
        return None
    return in_place(request, error) or error_page(request, error.title, str(error), error.status)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the page for an error outside of a view, such as of the session's database; Django's handler500."""
    return answer_to(request, sys.exc_info()[1]) or defaults.server_error(request)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for what is not there; Django's handler404."""
    said = exception.args[0] if exception.args else ""
    message = said if isinstance(said, str) and said else "This page does not exist."
    return error_page(request, "Not found", message, 404)


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for what the user's role does not allow; Django's handler403."""
    return error_page(request, "Not allowed", _NOT_ALLOWED, 403)


_NOT_ALLOWED: Final = (
    "Your role does not allow this. Nothing was changed. Ask an administrator to add you to a group: viewer, operator,"
    " manager or administrator."
)


def form_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page for a form that fails the check against forgery; Django's CSRF_FAILURE_VIEW."""
    message = _FORM_REFUSED[""]
    if reason.startswith(("Origin checking failed", "Referer checking failed")):
        message = _other_origin(request)
    elif reason == REASON_NO_CSRF_COOKIE:
        message = _FORM_REFUSED["no cookie"]
    return error_page(request, "Request rejected", message, 403)


_FORM_REFUSED: Final = {
    "": "The form has expired. Nothing was changed. Go back, reload the page and try again.",
    "no cookie": (
        "Your browser sent no cookie with the form. Nothing was changed. Allow cookies for this site, reload the page"
        " and try again. With HTTPS=1, browsers send the cookies by HTTPS only."
    ),
}
_ORIGIN_CHARACTERS: Final = 200


def _other_origin(request: HttpRequest) -> str:
    """Return a message that names both origins: the one that the browser sent, and the one that was expected."""
    expected = f"{request.scheme}://{request.get_host()}"
    sent = request.headers.get("Origin") or "://".join(urlsplit(request.headers.get("Referer", ""))[:2])
    sent = sent.removesuffix("://")[:_ORIGIN_CHARACTERS]
    if sent in {"", "null"}:
        return (
            f"Your browser does not say from which page the form was sent (origin “{sent}”), and the"
            f" dashboard at {expected} takes no forms from other sites. Nothing was changed. Let your browser send the"
            " Origin and Referer headers to this site."
        )
    return (
        f"The form was sent from {sent}, but the dashboard was asked for as {expected}. Nothing was changed. If your"
        f" browser's address bar does not show {sent}, another site sent the form: do not go on. If it does, the proxy"
        f" changes the address. Operators: let it pass on the host with its port (in nginx, “proxy_set_header Host"
        f" $http_host”), or set CSRF_TRUSTED_ORIGINS={sent}.{_about_scheme(sent, expected)}"
    )


def _about_scheme(sent: str, expected: str) -> str:
    if not sent.startswith("https:") or expected.startswith("https:"):
        return ""
    return " Since the browser uses HTTPS, set HTTPS=1 and let the proxy send X-Forwarded-Proto."


_REFUSED: dict[type[Exception], tuple[int, str, str]] = {
    FileRefused: (413, "File refused", "This form takes no files. Nothing was changed."),
    RequestDataTooBig: (413, "Request too large", "A form may have at most 64 MB. Nothing was changed."),
    TooManyFieldsSent: (413, "Request too large", "The form has too many fields. Nothing was changed."),
    MultiPartParserError: (400, "Bad request", "The form cannot be read. Nothing was changed. Send it again."),
    DisallowedHost: (
        400,
        "Unknown host",
        "The dashboard is not served under this name. Set ALLOWED_HOSTS to allow it.",
    ),
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return the page for a request that is refused before a view sees it; Django's handler400."""
    if isinstance(exception, FileTooLarge):
        return error_page(request, "File too large", str(exception), 413)
    for kind, (status, title, message) in _REFUSED.items():
        if isinstance(exception, kind):
            return error_page(request, title, message, status)
    return error_page(request, "Bad request", "The request is not valid. Nothing was changed.", 400)
