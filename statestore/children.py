"""Processes that `serve` runs beside its server processes: each of those is the watchdog of all of them."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO, Final

from descartes_site.locations import PACKAGE

# Set by `serve` for the server processes that it starts.
VARIABLE: Final = "DASHBOARD_SERVES"
LOOK_SECONDS: Final = 2.0
# How often it is looked whether a name came or went.
_NAMES_SECONDS: Final = 0.5


def watch(name: str, words: Sequence[str], is_lease_free: Callable[[], bool]) -> None:
    """Keep a management command running while this process serves: started again whenever none has the lease.

    It ends with this process, which holds the other end of its standard input.
    """
    if os.environ.get(VARIABLE) == "1":
        threading.Thread(target=_watch, args=(words, is_lease_free), name=name, daemon=True).start()


def _watch(words: Sequence[str], is_lease_free: Callable[[], bool]) -> None:
    pause = threading.Event()
    while True:
        if is_lease_free():
            command = [sys.executable, "-m", PACKAGE.name, *words]
            with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603
                process.wait()
        pause.wait(LOOK_SECONDS)


def stopped_when_closed(stream: BinaryIO) -> threading.Event:
    """Return an event that is set when the stream ends, as it does when the process at its other end exits."""
    stop = threading.Event()

    def wait_for_end() -> None:
        with contextlib.suppress(OSError, ValueError):
            # By its number: a buffer has a lock, which would be held when the process exits for another reason.
            while os.read(stream.fileno(), 4096):
                pass
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    return stop


def in_threads(
    names: Callable[[], Sequence[str]], work: Callable[[str, threading.Event], None], stop: threading.Event
) -> None:
    """Do the same work for each of several names, each in a thread of its own, and return when all of it is done.

    Names may come and go: that of a new one begins within half a second, and that of one that went is told to stop.
    """
    running: dict[str, tuple[threading.Thread, threading.Event]] = {}
    try:
        while not stop.is_set():
            present = names()
            for name in [each for each in present if each not in running]:
                ends = threading.Event()
                thread = threading.Thread(target=work, args=(name, ends), name=name)
                running[name] = thread, ends
                thread.start()
            for name in [each for each in running if each not in present]:
                running.pop(name)[1].set()
            if not any(thread.is_alive() for thread, _ in running.values()):
                return
            stop.wait(_NAMES_SECONDS)
    finally:
        # Also where names cannot be asked for: threads that went on would keep the process, and its leases, for ever.
        for _, ends in running.values():
            ends.set()
        for thread, _ in running.values():
            thread.join()
