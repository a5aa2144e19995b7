"""The search box of every page: what a text finds of each kind."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import lookup
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.responses import answer
from statestore.api.schemas.lookup import FindIn, FoundOut, MatchesOut

calls = Calls("search")


@calls.call("GET", "/find", {200: FoundOut})
def find(request: HttpRequest, params: Query[FindIn]) -> HttpResponse:
    """Find agents, sessions, tasks, snapshots, restores, commits and more by name or id, a few of each kind.

    Only kinds that your role may see. Names are found by any part, ids exactly or by their first four characters or
    more, events by their exact id. By name, the newest 10,000 sessions, tasks, restores and batches and the newest 200
    snapshots are looked through. Use the call of a kind, such as `GET /agents?q=`, for all of its matches.
    """
    who = caller(request)
    found = lookup.look_up(params.q, who.scope, who.user)
    return answer(FoundOut(kinds=[MatchesOut.of_kind(matches) for matches in found]))
