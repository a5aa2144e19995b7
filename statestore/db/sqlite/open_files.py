"""Which processes have a file open."""

import os
from pathlib import Path
from typing import Final

from statestore.errors import Conflict

_PROCESSES: Final = Path("/proc")


def open_elsewhere(path: Path) -> list[int]:
    """Return the processes of this machine, but this one, that have a file open, as far as this user may see.

    Raises Conflict where the system does not tell: then it is not known to be safe.
    """
    if not (_PROCESSES / "self" / "fd").is_dir():
        raise Conflict("This system does not tell which processes have a file open. Nothing was done.")
    wanted = path.stat()
    pids = [int(entry.name) for entry in _PROCESSES.iterdir() if entry.name.isdecimal()]
    return sorted(pid for pid in pids if pid != os.getpid() and _has_open(pid, (wanted.st_dev, wanted.st_ino)))


def check_closed(path: Path) -> None:
    """Raise Conflict if another process has a file open, or if the system does not tell."""
    if others := open_elsewhere(path):
        raise Conflict(
            f"Another process has the file open ({', '.join(map(str, others[:5]))}). Stop the dashboard and the"
            " orchestrator first. Nothing was done."
        )


def _has_open(pid: int, identity: tuple[int, int]) -> bool:
    try:
        handles = list((_PROCESSES / str(pid) / "fd").iterdir())
    except OSError:
        return False
    return any(_identity(handle) == identity for handle in handles)


def _identity(handle: Path) -> tuple[int, int] | None:
    try:
        found = handle.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
