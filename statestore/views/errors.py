"""Pages for what failed: what happened, what was not changed, and what to do."""

import sys

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from statestore.db.errors import translate
from statestore.errors import StateStoreError
from statestore.views.context import theme_of


def error_page(request: HttpRequest, title: str, message: str, status: int) -> HttpResponse:
    """Return a page of its own for an error, which asks no database for anything."""
    context = {"title": title, "message": message, "status": status, "theme": theme_of(request)}
    response = HttpResponse(render_to_string("statestore/error.html", context), status=status)
    if status == 503:
        response["Retry-After"] = "5"
    return response


def page_of(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """Return the page for an error of ours or of the database; None for another one."""
    if isinstance(error, DatabaseError):
        error = translate(error)
    if not isinstance(error, StateStoreError):
        return None
    return error_page(request, error.title, str(error), error.status)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the page for an error outside of a view, such as of the session's database; Django's handler500."""
    return page_of(request, sys.exc_info()[1]) or defaults.server_error(request)
