"""Migrations that take long on much data, from before release 0.1: SQLite makes an index in one go, and saves wait."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from descartes_site.locations import COMMAND
from statestore.db import shell

# What an index takes for each entry of the audit log, at most.
_INDEX_SECONDS: Final = 3e-6
# What a save may wait for.
_HELD_SECONDS: Final = 0.1
_INDEXES: Final = {"0015_audit_by_time": 1, "0017_audit_by_person_and_action": 2}


def refusal(path: Path | str, entries: int, unapplied: Collection[str]) -> str:
    """Return why migrations of a file must not run beside an orchestrator, with what to do; "" if they may.

    `entries` is how many its audit log has.
    """
    seconds = entries * _INDEX_SECONDS * sum(_INDEXES.get(name, 0) for name in unapplied)
    if seconds <= _HELD_SECONDS:
        return ""
    return (
        f"The audit log has {entries:,} entries, and its indexes are made in one go: saves would wait for about"
        f" {seconds:.1f} s. Nothing was changed. Stop the orchestrator, and run `{COMMAND} adopt {shell.word(path)}"
        " --stopped`."
    )
