"""How many stores a thread keeps connections to: of several, the one that was not used for longest is closed."""

import threading
from collections import OrderedDict
from typing import Final

from django.conf import settings
from django.db import connections

from statestore.db import served

_local: Final = threading.local()


def note_use(alias: str) -> None:
    """Note that this thread used a store; close its connections beyond the limit, and to stores that were removed."""
    used: OrderedDict[str, None] = getattr(_local, "used", None) or OrderedDict()
    _local.used = used
    used[alias] = None
    used.move_to_end(alias)
    present = set(served.aliases().values())
    for removed in [each for each in used if each not in present]:
        del used[removed]
        _close(removed)
    while len(used) > settings.STORE_CONNECTIONS:
        oldest, _ = used.popitem(last=False)
        _close(oldest)


def _close(alias: str) -> None:
    connections[alias].close()
    if replica := settings.REPLICAS.get(alias):
        connections[replica].close()
