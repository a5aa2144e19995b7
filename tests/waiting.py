"""Waiting for a condition, in one place.

The limit only ends a hang: it is far above what the slowest machine needs, and no test draws a conclusion from it.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

HANG_SECONDS = 60.0
_POLL_SECONDS = 0.02

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, *, is_alive: Callable[[], bool] = lambda: True) -> T:
    """Return the condition's first true value. Fails where what is waited for has died, or after HANG_SECONDS."""
    deadline = time.monotonic() + HANG_SECONDS
    pause = threading.Event()
    while True:
        if value := condition():
            return value
        assert is_alive(), f"ended while waited for: {what}"
        assert time.monotonic() < deadline, f"still waiting after {HANG_SECONDS:.0f} s: {what}"
        pause.wait(_POLL_SECONDS)
