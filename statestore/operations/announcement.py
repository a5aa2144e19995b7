"""The line that says where the dashboard is served: printed when it is, and once.

The command prepares it in a file. The first of the server's processes that answers requests prints it and takes the
file away; those that replace it find none.
"""

import asyncio
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "STATESTORE_ANNOUNCEMENT"
_PAUSE_SECONDS: Final = 0.02


def url_of(host: str, port: int) -> str:
    """Return the address of the dashboard as browsers take it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def prepare(host: str, port: int) -> None:
    """Leave the line for the process that will serve. Where no file can be written, print it now."""
    line = f"Serving on {url_of(host, port)} (Ctrl-C stops it)"
    try:
        handle, path = tempfile.mkstemp(prefix="statestore-")
    except OSError:
        _say(line)
        return
    with os.fdopen(handle, "w") as file:
        file.write(f"{host}\n{port}\n{line}\n")
    os.environ[VARIABLE] = path


async def announce() -> None:
    """Print the line when the server takes connections, if no process did so before."""
    path = os.environ.pop(VARIABLE, "")
    if not path:
        return
    try:
        host, port, line = Path(path).read_text().splitlines()
        os.unlink(path)
    except (OSError, ValueError):
        return
    while not await _is_listening(host, int(port)):
        await asyncio.sleep(_PAUSE_SECONDS)
    _say(line)


async def _is_listening(host: str, port: int) -> bool:
    with suppress(OSError):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    return False


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
