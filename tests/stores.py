"""Stores on disk as the orchestrator leaves them, and what the tests of adoption ask of a file."""

import hashlib
import sqlite3
import stat
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command

from tests.foreign import orchestrator, population

LAYOUTS = ("version 5", "version 4", "the init layout")


def make_store(path: Path, layout: str = "version 5") -> Path:
    """Make a populated store of one of LAYOUTS and return its path."""
    if layout == "the init layout":
        orchestrator.create_init(path)
        population.populate_init(path)
    else:
        orchestrator.create(path, version=int(layout[-1]))
        population.populate(path)
    return path


def execute(path: Path, *statements: str) -> None:
    """Run statements as any program could, foreign keys off."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def adopt_by_command(path: Path, **options: Any) -> str:
    out = StringIO()
    call_command("adopt", str(path), backup_dir=path.parent / "backups", stdout=out, **{"yes": True, **options})
    return out.getvalue()


def fingerprint(directory: Path) -> dict[str, str]:
    """Return every file's bytes and mode, backups excepted: equal ones mean that nothing was touched."""
    return {
        entry.name: f"{entry.lstat().st_mode:o} "
        + (hashlib.sha256(entry.read_bytes()).hexdigest() if stat.S_ISREG(entry.lstat().st_mode) else "")
        for entry in sorted(directory.iterdir())
        if entry.name != "backups"
    }
