"""Events: the search page, one event with what happened around it, the live tail, and the views that people keep."""

from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from statestore import search
from statestore.access.scope import Scope
from statestore.db import listening
from statestore.db.errors import translated_errors
from statestore.db.ids import RowId
from statestore.errors import ValidationError
from statestore.events import saved_searches
from statestore.forms import SavedViewForm, SearchForm
from statestore.sources.naming import mirrors
from statestore.views import search_page
from statestore.views.access import require, scope, user_pk
from statestore.views.formatting import visible
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.states import StateView
from statestore.views.svg import histogram

AROUND: Final = 5


@require_safe
@require("view_event")
@json_twin("search_events", "q", when="q")
@json_twin("list_events", "type", "session", "actor")
def event_search(request: HttpRequest) -> HttpResponse:
    """Show the events that the query box asks for, newest first."""
    form = SearchForm(request.GET)
    if earlier := form.earlier:
        return redirect(search_page.address(earlier))
    context: dict[str, object] = {"place": "events", "text": visible(request.GET.get("q", "")), "form": form}
    context["views"] = saved_searches.by_name(user_pk(request))
    if form.is_valid():
        context |= _answer(form, scope(request))
    elif form.position is not None:
        text = str(request.GET.get("q", ""))
        context["mistake"] = {
            "reason": form.errors["q"][0],
            "before": text[: form.position][-200:],
            "at": text[form.position :][:1] or " ",
            "after": text[form.position + 1 :][:200],
        }
    return render_page(request, "events/search.html", context, fragment="events/_results.html")


def _answer(form: SearchForm, seen: Scope) -> dict[str, object]:
    query, among = form.cleaned_data["q"], seen.searched_events()
    # Before the page is read: what comes meanwhile is in both.
    tail = "" if form.cleaned_data["cursor"] else search.tail_from_now(among=among)
    page = search.find(query, cursor=form.cleaned_data["cursor"], limit=form.cleaned_data["size"], among=among)
    counted, drawn = search.counts_of(query, among=among)
    rows = search_page.rows(query, page)
    return {
        "query": query,
        "found": page,
        "rows": rows,
        "mirrors": search_page.mirrors_of(rows, seen.using),
        "chips": search_page.chips(query),
        "facets": search_page.facet_lists(query, counted),
        "count": search_page.count_of(counted),
        "counted": counted,
        "ranges": list(search_page.ranges(query)),
        "absolute": search_page.absolute(query),
        "histogram": histogram.draw(query, drawn),
        "note": drawn.note,
        "tail": tail,
        "widenings": [] if page.rows or not page.is_complete else search_page.widenings(query, among),
    }


@require_safe
@require("view_event")
def live(request: HttpRequest) -> HttpResponse:
    """Return the rows of the events that were saved after a cursor, and the cursor to ask with next.

    Where there are any, the number of all matches comes with them.
    """
    form = SearchForm(request.GET)
    if not form.is_valid():
        raise ValidationError("Invalid query.")
    seen = scope(request)
    query, among = form.cleaned_data["q"], seen.searched_events()
    # Before the events are read: what is heard of meanwhile is no reason to wait.
    heard = listening.token(seen.using)
    came = search.follow(query, form.cleaned_data["cursor"] or search.tail_from_now(among=among), among=among)
    rows = search_page.rows(query, search.ResultPage(came.rows, None, None))
    context = {"rows": rows, "query": query, "mirrors": search_page.mirrors_of(rows, seen.using) if rows else None}
    response = render(request, "statestore/events/_rows.html", context)
    response["X-Cursor"] = came.cursor
    response["X-Heard"] = heard
    response["X-More"] = "1" if came.has_more else ""
    response["X-Lost"] = "1" if came.is_lost else ""
    if came.rows:
        response["X-Count"] = str(search_page.count_of(search.facets_of(query, among=among)))
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@require("view_event")
def complete(request: HttpRequest) -> HttpResponse:
    """Return what could stand at the caret of the query box."""
    text = request.GET.get("q", "")
    caret = request.GET.get("caret", "")
    place = int(caret) if caret.isdecimal() and len(caret) < 6 else len(text)
    offered = search.complete(text, place, among=scope(request).searched_events())
    return render(request, "statestore/events/_suggestions.html", {"offered": offered})


@require_safe
@require("view_event")
@json_twin("get_event")
def event_detail(request: HttpRequest, event_id: RowId) -> HttpResponse:
    """Show one event, and what happened around it in its session."""
    using = scope(request).using
    seen = scope(request).events()
    event = seen.named(event_id)
    if event is None:
        raise Http404("Event not found.")
    neighbours = seen.in_session(event.session_id).defer("metadata")
    with translated_errors():
        before = list(search.with_excerpt(neighbours.older_than(event).newest_first(), ())[:AROUND])[::-1]
        after = list(search.with_excerpt(neighbours.newer_than(event).oldest_first(), ())[:AROUND])
    context = {
        "place": "events",
        "event": event,
        "content": StateView(event.content, name="content"),
        "metadata": StateView(event.metadata, name="metadata") if event.metadata else None,
        "words": search_page.words_in(request.GET.get("q", "")),
        "before": before,
        "after": after,
        "mirrors": mirrors(using, [event.actor_id], [event.session_id]),
        "about": search_page.address(search.Query((search.Term("session", str(event.session_id)),))),
    }
    return render_page(request, "events/detail.html", context, fragment="events/_detail.html")


@require_POST
@require("view_event")
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep a query under a name, over an earlier one of the same name."""
    form = SavedViewForm(request.POST)
    name = form.checked["name"]
    view, _ = saved_searches.save(user_pk(request), name, str(request.POST.get("q", "")))
    messages.success(request, f"Saved search as {view.name}.")
    return redirect(search_page.address(view.query))


@require_POST
@require("view_event")
def delete_view(request: HttpRequest, view_id: int) -> HttpResponse:
    """Delete one of the user's own saved searches."""
    view = saved_searches.delete(user_pk(request), view_id)
    messages.success(request, f"Deleted saved view {view.name}.")
    return redirect("events")
