"""Growth: where the bytes are."""

from django.http import HttpRequest, HttpResponse

from statestore import growth
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.responses import tagged
from statestore.api.schemas.growth import GrowthOut

calls = Calls("growth")


@calls.call("GET", "/growth", {200: GrowthOut}, may="view_agentstate", tagged=True)
def get_growth(request: HttpRequest) -> HttpResponse:
    """Read where the bytes are and how fast they grow, from the samples that housekeeping keeps."""
    who = caller(request)
    who.require_unrestricted("Growth")
    return tagged(request, GrowthOut.read(growth.report(who.scope.using)))
