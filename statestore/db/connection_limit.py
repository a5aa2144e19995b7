"""How many stores a thread keeps connections to: of several, the one that was not used for longest is closed."""

import threading
from collections import OrderedDict
from typing import Final

from django.conf import settings
from django.db import connections

_local: Final = threading.local()


def note_use(alias: str) -> None:
    """Note that this thread used a store, and close its connections beyond the limit."""
    used: OrderedDict[str, None] = getattr(_local, "used", None) or OrderedDict()
    _local.used = used
    used[alias] = None
    used.move_to_end(alias)
    while len(used) > settings.STORE_CONNECTIONS:
        oldest, _ = used.popitem(last=False)
        connections[oldest].close()
        if replica := settings.REPLICAS.get(oldest):
            connections[replica].close()
