"""Rate limit per token: a counter per token and fixed window, in this process.

Not the `limits` library: its memory storage starts a thread per clean-up, and concurrent callers make it raise.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Final

MOST_COUNTED: Final = 50_000


@dataclass(slots=True)
class Windows:
    """Calls per token, or per address, in the current window."""

    number: int = -1
    counts: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, token_id: str, limit: int, seconds: int) -> tuple[int, int]:
        """Count a call. Return the calls remaining in the window (negative: over the limit) and its seconds left."""
        now = time.time()
        number = int(now // seconds)
        with self.lock:
            if number != self.number:
                self.number = number
                self.counts.clear()
            if token_id not in self.counts and len(self.counts) >= MOST_COUNTED:
                token_id = ""  # Addresses can be had by the million: together, they share one count.
            used = self.counts[token_id] = self.counts.get(token_id, 0) + 1
        return limit - used, int((number + 1) * seconds - now) + 1

    def forget(self) -> None:
        """Begin anew."""
        with self.lock:
            self.counts.clear()
