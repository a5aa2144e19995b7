"""What the moments on a page are called, as far as its user may see their records."""

from collections.abc import Iterable

from django.http import HttpRequest

from statestore import history
from statestore.access import rights
from statestore.history import MomentName
from statestore.views.access import scope


def moment_names(request: HttpRequest, texts: Iterable[str]) -> dict[str, MomentName]:
    """Return {moment: its name}, for `moment_link`."""
    seen = scope(request)
    snapshots, transitions = seen.snapshots(), seen.transitions()
    return history.names_of(
        texts,
        snapshots=snapshots if rights.may(request.user, "view_snapshot") else snapshots.none(),
        transitions=transitions if rights.may(request.user, "view_agentstate") else transitions.none(),
    )
