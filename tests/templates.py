"""Databases and installations that one process of a run makes and all others copy."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

# `tests/run` sets it for the whole suite; a run of pytest alone uses a directory of its own.
VARIABLE = "STATESTORE_TEST_TEMPLATES"


class Templates:
    """Directories by name, each filled once; safe for several processes at a time."""

    def __init__(self, home: Path) -> None:
        self.home = Path(os.environ.get(VARIABLE) or home)
        self.home.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, fill: Callable[[Path], object]) -> Path:
        """Return the directory of a name; the first who asks fills it, others wait until it is whole."""
        directory = self.home / name
        with (self.home / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not directory.exists():
                unfinished = self.home / f"{name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                fill(unfinished)
                unfinished.rename(directory)
        return directory
