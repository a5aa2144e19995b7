"""All stores, where several are served: a row for each, and what is found or has changed in any of them."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from statestore import history, lookup, models, search
from statestore.access import path_prefix, rights
from statestore.access.scope import scope_of
from statestore.db import served
from statestore.db.ids import url_of
from statestore.forms import AddStoreForm, FindForm, SearchForm
from statestore.history.across import Asked
from statestore.operations import every_store, store_summaries
from statestore.operations.every_store import Answer
from statestore.operations.store_summaries import Summary
from statestore.stores import adding, allowed
from statestore.views.access import actor
from statestore.views.htmx import is_poll, render_live, render_page

# A page waits so long for stores; one that takes longer is shown as it was last seen.
LIST_PATIENCE_SECONDS: Final = 0.2
SEARCH_PATIENCE_SECONDS: Final = 2.0
ROWS: Final = 50
# What is called by another word than its kind.
_KINDS: Final = {"batch": "fleet restore", "saved_search": "saved search"}
DAY_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Row:
    """A store in the list. `summary` is what the user may see of it."""

    name: str
    url: str
    summary: Summary | None
    problem: str
    at: int | None


@require_safe
def store_list(request: HttpRequest) -> HttpResponse:
    """Show the stores that the user may open: kind, size, agents, trouble, newest change, and how each is doing."""
    context: dict[str, object] = {"stores": _rows(request.user), "place": "stores"}
    if settings.STORE_DIRS and rights.may_add_stores(request.user):
        context["can_add"] = True
        # What can be added is looked for when the page is opened, and not each time that it asks what is new.
        context |= {} if is_poll(request) else _what_can_be_added()
    return render_live(request, "stores/list.html", context, fragment="stores/_rows.html")


def _what_can_be_added() -> dict[str, object]:
    listing = allowed.listing()
    return {
        "directories": settings.STORE_DIRS,
        "added": served.added(),
        "candidates": [(file, _offered_name(file.path)) for file in listing.files],
        "is_partial": listing.is_partial,
    }


def _offered_name(path: str) -> str:
    """Return a name for a file's store that is free: its own, or that of its folder."""
    place = Path(path)
    words = (re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in (place.stem, place.parent.name))
    return next((word[:40].strip("-") for word in words if word and word[:40].strip("-") not in served.aliases()), "")


@require_POST
def add_store(request: HttpRequest) -> HttpResponse:
    """Serve a file of one of the allowed directories from now on."""
    _require_administrator(request)
    form = AddStoreForm(request.POST).checked
    store = adding.add(form["name"], form["path"], by=actor(request))
    messages.success(request, f"The store {store.name} is served now.")
    return redirect("overview")


@require_POST
def remove_store(request: HttpRequest, name: str) -> HttpResponse:
    """Serve an added store no more; its file stays."""
    _require_administrator(request)
    store = adding.remove(name, by=actor(request))
    messages.success(request, f"The store {store.name} is served no more. Its file stays as it is.")
    return redirect("overview")


def _require_administrator(request: HttpRequest) -> None:
    if not rights.may_add_stores(request.user):
        raise PermissionDenied


def _rows(user: User | AnonymousUser) -> list[Row]:
    """Return the stores that a user may open."""
    answers = store_summaries.newest(user, patience_seconds=LIST_PATIENCE_SECONDS)
    return [Row(name, _home_of(name), each.found, each.problem, each.at) for name, each in answers.items()]


def _home_of(name: str) -> str:
    return f"{path_prefix.current()}{path_prefix.of_store(name)}/"


@dataclass(frozen=True, slots=True)
class Hit:
    """Something in a store: when, what, and its page there."""

    at: int | None
    kind: str
    title: str
    note: str
    url: str
    store: str = ""


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """Show what a text finds in each store: agents, sessions, tasks and the rest, a few of each kind."""
    form = FindForm(request.GET)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    user = request.user

    def look() -> list[Hit]:
        found = lookup.look_up(text, scope_of(user), user)
        return [
            Hit(row.at, _KINDS.get(matches.kind, matches.kind), row.title, row.note, row.page)
            for matches in found
            for row in matches.rows
        ]

    return _show(request, "Search", form, look if text else None, fragment="stores/_options.html", text=text)


@require_safe
def event_search(request: HttpRequest) -> HttpResponse:
    """Show the newest events of all stores that match a query."""
    form = SearchForm(request.GET)
    user = request.user
    query = form.cleaned_data["q"] if form.is_valid() else None

    def look() -> list[Hit]:
        seen = scope_of(user)
        if query is None or not rights.may(user, "view_event"):
            return []
        page = search.find(query, limit=ROWS, among=seen.searched_events())
        return [
            Hit(int(row.timestamp), row.event_type, getattr(row, "excerpt", ""), row.actor_id, url_of("event", row.pk))
            for row in page.rows
        ]

    return _show(request, "Events", form, look if query is not None else None, text=str(request.GET.get("q", "")))


@require_safe
def change_list(request: HttpRequest) -> HttpResponse:
    """Show what changed in all stores within a day, newest first."""
    user, now = request.user, models.now()

    def look() -> list[Hit]:
        if not rights.may(user, "view_agentstate"):
            return []
        asked = Asked(now - DAY_SECONDS, now, with_edits=rights.may(user, "view_auditentry"))
        return [_change(one) for one in history.changes_across(scope_of(user), asked, size=ROWS).rows]

    return _show(request, "Changes", None, look)


def _change(record: history.ChangeRecord) -> Hit:
    noun, row_id = record.page or ("", "")
    url = url_of(noun, row_id) if noun else ""
    return Hit(record.at, record.kind, record.text or "without a reason", record.agent_id, url)


def _show(
    request: HttpRequest,
    title: str,
    form: FindForm | SearchForm | None,
    question: Callable[[], list[Hit]] | None,
    *,
    fragment: str = "",
    text: str = "",
) -> HttpResponse:
    rights.load(request.user)  # Here, so that no thread of a store reads it again.
    names = rights.visible_stores(request.user)
    answers = every_store.ask(names, question, patience_seconds=SEARCH_PATIENCE_SECONDS) if question else {}
    context = {
        "title": title,
        "text": text,
        "form": form,
        "hits": _merged(answers.values()),
        "silent": [answer for answer in answers.values() if answer.found is None],
        "is_asked": question is not None,
    }
    status = 200 if form is None or form.is_valid() else 422
    return render_page(request, "stores/found.html", context, fragment=fragment, status=status)


def _merged(answers: Iterable[Answer[list[Hit]]]) -> Sequence[Hit]:
    hits = [
        Hit(hit.at, hit.kind, hit.title, hit.note, hit.url, answer.store)
        for answer in answers
        for hit in answer.found or []
    ]
    return sorted(hits, key=lambda hit: (hit.at is None, -(hit.at or 0)))[:ROWS]
