"""A store that hangs does not take every thread from the others.

Each request of a store that has run for longer than usual counts. Once they hold half of the server's threads, further
requests of that store are refused at once, until one of them ends.
"""

import os
import threading
import time
from collections import defaultdict, deque
from typing import Final

from statestore.operations import whole_requests

# A request that runs for so long may be hanging: most pages take a hundredth of it.
SLOW_SECONDS: Final = 2.0

_running: Final[dict[str, set["Share"]]] = defaultdict(set)
_lock: Final = threading.Lock()
# Those that have ended, until the next one enters. The collector of garbage ends some, at any point of any thread: also
# while that one has the lock, for which it would wait for ever.
_ended: Final[deque["Share"]] = deque()


class Share:
    """A request's place among those of its store."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.began = time.monotonic()

    def leave(self) -> None:
        """End; more than once does no harm."""
        _ended.append(self)


def enter(alias: str) -> Share | None:
    """Return a place for a request of a store, None if the store's slow requests hold half of the threads."""
    share = Share(alias)
    with _lock:
        while _ended:
            ended = _ended.popleft()
            _running[ended.alias].discard(ended)
        running = _running[alias]
        slow = sum(1 for each in running if share.began - each.began > SLOW_SECONDS)
        if slow >= _most():
            return None
        running.add(share)
    return share


def _most() -> int:
    threads = int(os.environ.get(whole_requests.VARIABLE, whole_requests.USUAL_PLACES))
    return max(1, threads // 2)
