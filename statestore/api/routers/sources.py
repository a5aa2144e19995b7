"""Sources: the stores of other frameworks that are mirrored here."""

from django.http import HttpRequest, HttpResponse

from statestore import sources
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.responses import tagged
from statestore.api.schemas.sources import SourceOut, SourcesOut

calls = Calls("sources")


@calls.call("GET", "/sources", {200: SourcesOut}, may="view_agentstate", tagged=True)
def list_sources(request: HttpRequest) -> HttpResponse:
    """List the stores of other frameworks that were opened, and how far they were read."""
    who = caller(request)
    who.require_unrestricted("Sources")
    items = [
        SourceOut(
            name=row.source.name, path=row.source.path, formats=row.source.formats, counts=row.counts,
            agents=row.agents, gone=row.gone, synced_at=row.source.synced_at, problem=row.source.problem,
        )
        for row in sources.standing(who.scope.using)
    ]  # fmt: skip
    return tagged(request, SourcesOut(items=items))
