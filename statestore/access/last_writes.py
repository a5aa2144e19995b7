"""Who wrote what a replica may not have replayed yet: they read the primary until it has."""

import logging
from typing import Final

from django.conf import settings
from django.db.utils import Error
from django.http import HttpRequest

from statestore import models
from statestore.db import replica
from statestore.models.tokens import PREFIX

log = logging.getLogger(__name__)
# A replica that is further behind than its limit is not read; the rest is for clocks that differ.
_MARGIN_SECONDS: Final = 60


def may_read_replica(request: HttpRequest, alias: str) -> bool:
    """Return whether the sender of a request sees in a store's replica all that they wrote."""
    writer = _writer(request)
    rows = models.LastWrite.objects.filter(writer=writer, store=alias, at__gte=_since())
    after = rows.values_list("position", flat=True).first() if writer else None
    return replica.is_readable(alias, after=int(after or 0))


def note(request: HttpRequest, alias: str) -> None:
    """Note up to where a store has what a request wrote, if it asked the store anything."""
    writer = _writer(request)
    try:
        position = replica.position_after_writing(alias) if writer else None
        if position is None:
            return
        row = models.LastWrite(writer=writer, store=alias, position=position, at=models.now())
        models.LastWrite.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["writer", "store"], update_fields=["position", "at"]
        )
        models.LastWrite.objects.older_than(_since()).delete()
    except Error as error:
        # The request is done. The primary went away, or our own database did.
        log.warning("Could not note what was written, which the replica may show later than usual: %s", error)


def _since() -> int:
    return models.now() - settings.REPLICA_MAX_LAG_SECONDS - _MARGIN_SECONDS


def _writer(request: HttpRequest) -> str:
    """Return the user or the token that sent a request, "" for neither: whether it is theirs is checked elsewhere."""
    match = request.resolver_match
    if "Authorization" in request.headers and match is not None and "api" in match.app_names:
        public_id = request.headers["Authorization"].rpartition(f"{PREFIX}.")[2].partition(".")[0]
        return f"token {public_id}" if len(public_id) <= _MOST_CHARACTERS else ""
    return f"user {request.user.pk}" if request.user.is_authenticated else ""


_MOST_CHARACTERS: Final = 32
