"""Lists whose rows say from which store of another framework they are mirrored."""

from collections.abc import Callable, Iterable

from django.http import HttpRequest, HttpResponse

from statestore.api.auth import caller
from statestore.api.responses import listed
from statestore.sources.naming import Mirrors, mirrors


def listed_with_sources(
    request: HttpRequest,
    rows: Iterable[object],
    serialize: Callable[..., object],
    next_cursor: str | None,
    *,
    agent: str,
    session: str = "",
) -> HttpResponse:
    """Return one page of a list. `agent` and `session` are the attributes that name the agent and session of a row."""
    page = list(rows)
    sessions = {str(getattr(row, session)) for row in page} if session else set[str]()
    agents = [getattr(row, agent) for row in page]
    known = mirrors(caller(request).scope.using, agents, sessions) if page else Mirrors()

    def with_source(row: object) -> object:
        source = known.source_of(getattr(row, agent), getattr(row, session) if session else None)
        return serialize(row, source=None if source is None else source.name)

    return listed(page, with_source, next_cursor)
