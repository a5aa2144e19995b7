"""One git commit: all that happened at it."""

from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from statestore import dialect, models, search
from statestore.addresses import AnyId, LongId
from statestore.forms import PageForm
from statestore.views import searching
from statestore.views.access import may
from statestore.views.htmx import render_page

TRANSITIONS: Final = 50
# A transition is recorded some seconds after the events that led to it.
MARGIN_SECONDS: Final = 60


@require_safe
@may("view_event")
def commit_detail(request: HttpRequest, sha: AnyId) -> HttpResponse:
    """Show the events at a commit, who took part in which sessions, and what changed in the agents meanwhile."""
    if isinstance(sha, LongId):
        raise Http404("This is no commit.")
    query = search.Query((search.Term("commit", sha),))
    form = PageForm(request.GET)
    cursor = form.cleaned_data["cursor"] if form.is_valid() else ""
    found = search.find(query, cursor=cursor)
    counted = search.facets(query)
    context: dict[str, Any] = {
        "place": "events",
        "sha": sha,
        "found": found,
        "rows": searching.rows(query, found),
        "count": searching.count_of(counted),
        "counted": counted,
        "transitions": _transitions(query, [name for name, _ in counted.values["agent"]]),
        "events_url": searching.address(query),
    }
    return render_page(request, "commit_detail.html", context)


def _transitions(query: search.Query, agents: list[str]) -> list[models.Transition]:
    """Return what changed in the agents from the first event at the commit to the last."""
    newest = search.find(query, limit=1).rows
    oldest = search.find(query, cursor=search.LAST_PAGE, limit=1).rows
    if not newest or not oldest or not agents:
        return []
    start, end = int(oldest[0].timestamp) - MARGIN_SECONDS, int(newest[0].timestamp) + MARGIN_SECONDS
    rows = models.Transition.objects.filter(agent_id__in=agents).since(start).until(end)
    with dialect.translated_errors():
        return list(rows.without_states().with_sizes().newest_first()[:TRANSITIONS])
