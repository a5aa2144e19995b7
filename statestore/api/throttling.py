"""How often one token may call: a count for each token and window, in this process.

Of the libraries, the one that was tried starts a thread for each of its clean-ups and raises where two callers meet.
"""

import re
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from django.core.exceptions import ImproperlyConfigured

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600}
_FORM: Final = re.compile(r"([1-9][0-9]{0,11})/(second|minute|hour)")


@dataclass(slots=True)
class Windows:
    """The calls of each token in the window that is now."""

    number: int = -1
    counts: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, who: str, amount: int, seconds: int) -> tuple[int, int]:
        """Count a call; return how many are left in the window (below 0: one too many), and its rest in seconds."""
        now = time.time()
        number = int(now // seconds)
        with self.lock:
            if number != self.number:
                self.number = number
                self.counts.clear()
            used = self.counts[who] = self.counts.get(who, 0) + 1
        return amount - used, int((number + 1) * seconds - now) + 1


def parsed(text: str) -> tuple[int, int]:
    """Return how many calls there may be in how many seconds."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ImproperlyConfigured(f"API_RATE is “{text[:40]}”; use a number and a time, such as 600/minute.")
    return int(found[1]), _SECONDS[found[2]]
