"""One git commit: all that happened at it."""

from dataclasses import dataclass
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import models, search
from statestore.access.scope import Scope
from statestore.db.errors import translated_errors
from statestore.db.ids import HashedId, RowId
from statestore.forms import PageForm
from statestore.views import search_page
from statestore.views.access import require, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin

TRANSITIONS: Final = 100
# A transition is recorded some seconds after the events that led to it.
MARGIN_SECONDS: Final = 60


@require_safe
@require("view_event")
@json_twin("list_events", sha="commit")
def commit_detail(request: HttpRequest, sha: RowId) -> HttpResponse:
    """Show the events at a commit, who took part in which sessions, and what changed in the agents meanwhile."""
    if isinstance(sha, HashedId):
        raise Http404("This is not a commit hash.")
    query = search.Query((search.Term("commit", sha),))
    form = PageForm(request.GET)
    cursor = form.cleaned_data["cursor"] if form.is_valid() else ""
    seen = scope(request)
    among = seen.searched_events()
    page = search.find(query, cursor=cursor, among=among)
    counted = search.facets_of(query, among=among)
    rows = search_page.rows(query, page)
    context: dict[str, object] = {
        "place": "events",
        "sha": sha,
        "found": page,
        "rows": rows,
        "mirrors": search_page.mirrors_of(rows, seen.using),
        "count": search_page.count_of(counted),
        "counted": counted,
        "meanwhile": _meanwhile(query, seen),
        "events_url": search_page.address(query),
    }
    return render_page(request, "commits/detail.html", context)


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What changed in the agents that acted at a commit; `notes` say what is not among it."""

    transitions: list[models.Transition]
    notes: tuple[str, ...] = ()


def _meanwhile(query: search.Query, seen: Scope) -> Meanwhile:
    """Return what changed in the agents from the first event at the commit to the last."""
    among = seen.searched_events()
    agents = search.agents_of(query, among=among)
    newest = search.find(query, limit=1, among=among).rows
    oldest = search.find(query, cursor=search.LAST_PAGE, limit=1, among=among).rows
    if not newest or not oldest or not agents.names:
        return Meanwhile([])
    start, end = int(oldest[0].timestamp) - MARGIN_SECONDS, int(newest[0].timestamp) + MARGIN_SECONDS
    rows = seen.transitions().filter(agent_id__in=agents.names).since(start).until(end)
    with translated_errors():
        transitions = list(rows.without_states().with_sizes().newest_first()[: TRANSITIONS + 1])
    notes = []
    if len(transitions) > TRANSITIONS:
        notes.append(f"the newest {TRANSITIONS} changes")
    if agents.has_more:
        notes.append(f"only {len(agents.names)} agents with the newest events")
    return Meanwhile(transitions[:TRANSITIONS], tuple(notes))
