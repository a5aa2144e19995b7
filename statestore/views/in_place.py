"""Errors where they are made: on the page with the form that was sent, with what was typed in it."""

import copy
from functools import partial
from urllib.parse import urlsplit

from django.core.exceptions import PermissionDenied
from django.db.utils import Error
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import Resolver404, get_script_prefix, resolve

from statestore.errors import StateStoreError
from statestore.views import refill
from statestore.views.kept_forms import SECRETS, page_of


def in_place(request: HttpRequest, error: StateStoreError) -> HttpResponse | None:
    """Return the page of the form that was sent, filled as it was sent, with the error at the field that it names.

    None where there is no such page, or where it fails too. The page is read anew, by GET: nothing is written.
    """
    if error.status >= 500 or "HX-Request" in request.headers:
        return None
    form = _sent_form(request, error)
    page = _page(request, form.page)
    if page is None:
        return None
    refill.fill(page, form, partial(_notice, _said(request, str(error))))
    page.status_code = error.status
    return page


def _sent_form(request: HttpRequest, error: StateStoreError) -> refill.SentForm:
    field = getattr(error, "field", "")
    errors = {field: _said(request, str(error).removeprefix(f"{field}: "))} if field else {}
    if request.method == "POST":
        return refill.SentForm(page_of(request), request.get_full_path(), _fields(request.POST), errors=errors)
    # A query is refused by its own page: the page is shown without what it cannot be asked, or without any of it.
    kept = request.GET.copy()
    kept.pop(field, None)
    page = f"{request.path}?{kept.urlencode()}" if field in request.GET and kept else request.path
    return refill.SentForm(page, request.get_full_path(), _fields(request.GET), method="get", errors=errors)


def _said(request: HttpRequest, message: str) -> str:
    """Return a message that says that nothing was changed, where something could have been."""
    is_said = request.method != "POST" or "Nothing" in message
    return message if is_said else f"{message} Nothing was changed."


def _fields(values: QueryDict) -> dict[str, list[str]]:
    return {
        name: [str(value) for value in listed]
        for name, listed in values.lists()
        if not any(secret in name.lower() for secret in SECRETS)
    }


def _page(request: HttpRequest, address: str) -> HttpResponse | None:
    """Return a page as its GET shows it to the same user; None if it does not."""
    path, query = urlsplit(address).path, urlsplit(address).query
    if request.method in {"GET", "HEAD"} and address == request.get_full_path():
        return None
    asked = copy.copy(request)
    # What Django has read of the request stays with the request.
    asked.__dict__.pop("headers", None)
    asked.method, asked.path = "GET", path
    asked.path_info = "/" + path.removeprefix(get_script_prefix())
    asked.META = {**request.META, "REQUEST_METHOD": "GET", "QUERY_STRING": query, "PATH_INFO": asked.path_info}
    asked.GET = QueryDict(query)
    asked.POST = QueryDict()
    try:
        asked.resolver_match = resolve(asked.path_info)
        view, arguments, keywords = asked.resolver_match
        response = view(asked, *arguments, **keywords)
        response = response.render() if hasattr(response, "render") else response
    except (StateStoreError, Error, Http404, PermissionDenied, Resolver404):
        return None
    is_page = isinstance(response, HttpResponse) and response.status_code == 200
    return response if is_page and response.get("Content-Type", "").startswith("text/html") else None


def _notice(message: str, form: refill.SentForm, found: refill.Found) -> str:
    """Return what the page says at its top: nothing where the error stands at its field."""
    if found.explained:
        return ""
    # What was typed must not be lost with a form that the page no longer has.
    return refill.notice("error", message, "" if found.has_form or form.method == "get" else form.typed)
