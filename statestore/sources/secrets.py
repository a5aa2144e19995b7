"""The passwords of sources in PostgreSQL: in a file for the user alone that the dashboard runs as.

They stand in no table, so that no page, message, export or backup of the store has them.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from statestore.db.private_files import OWNER_ONLY
from statestore.errors import Unavailable


def keep(address: str, secrets: Mapping[str, str]) -> None:
    """Keep the secrets of an address instead of those that it had; without any, forget it."""
    known = _read()
    if dict(secrets) == known.get(address, {}):
        return
    known.pop(address, None)
    if secrets:
        known[address] = dict(secrets)
    path = _path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}")
    made.unlink(missing_ok=True)
    with os.fdopen(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY), "w", encoding="utf-8") as file:
        json.dump(known, file)
    made.replace(path)


def of(address: str) -> dict[str, str]:
    """Return the secrets of an address."""
    return _read().get(address, {})


def _read() -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Unavailable(f"{_path()} cannot be read. Remove it, and open the sources in PostgreSQL again.") from error
    return found


def _path() -> Path:
    return Path(settings.VAR_DIR) / "sources.secrets"
