"""Change capture: status, cost, on and off."""

from django.http import HttpRequest, HttpResponse

from statestore.agents import capture
from statestore.agents import limits as agents_limits
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_resumable
from statestore.api.responses import answer, tagged, written
from statestore.api.schemas.capture import CaptureOut, CostOut, CostsOut

calls = Calls("capture")


@calls.call("GET", "/capture", {200: CaptureOut}, may="capture_agent", tagged=True)
def get_capture(request: HttpRequest) -> HttpResponse:
    """Read whether change capture is on, and what it has recorded."""
    caller(request).require_unrestricted("Capture")
    return tagged(request, CaptureOut.of(capture.status()))


@calls.call("GET", "/capture/costs", {200: CostsOut}, may="capture_agent")
def measure_capture(request: HttpRequest) -> HttpResponse:
    """Measure what change capture adds to each save on this machine. Takes a second or two."""
    caller(request).require_unrestricted("Capture")
    costs = [CostOut.of(cost) for cost in capture.measure()]
    return answer(CostsOut(most_ms=agents_limits.MAX_ADDED_MS, items=costs))


@calls.call("POST", "/capture/on", {200: CaptureOut}, scope="admin", proof=True, may="capture_agent", tagged=True)
def switch_capture_on(request: HttpRequest) -> HttpResponse:
    """Turn change capture on: every change of a state is recorded, within the limits of the settings."""
    who = caller(request)
    who.require_unrestricted("Capture")

    def work(seed: str | None) -> HttpResponse:
        capture.switch_on(by=who.actor)
        return written(CaptureOut.of(capture.status()))

    return run_resumable(request, work)


@calls.call("POST", "/capture/off", {200: CaptureOut}, scope="admin", proof=True, may="capture_agent", tagged=True)
def switch_capture_off(request: HttpRequest) -> HttpResponse:
    """Turn change capture off. Changes recorded so far are kept."""
    who = caller(request)
    who.require_unrestricted("Capture")

    def work(seed: str | None) -> HttpResponse:
        capture.switch_off(by=who.actor)
        return written(CaptureOut.of(capture.status()))

    return run_resumable(request, work)
