"""Inspection of an untrusted file; probe_process does the work in a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from statestore.adoption.schema_detection import SchemaObject
from statestore.errors import MigrationError

_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Look:
    """What a file was found to be. `refusal` is empty if it can be adopted."""

    path: Path
    layout: str
    refusal: str
    journal_mode: str = ""
    adopted: bool = False
    objects: list[SchemaObject] = field(default_factory=list)
    rows: dict[str, int | None] = field(default_factory=dict)
    quirks: list[str] = field(default_factory=list)
    unapplied: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, findings: dict[str, Any]) -> Self:
        """Return the result that the inspecting process printed."""
        objects = [SchemaObject(*row) for row in findings.pop("objects", [])]
        return cls(path=Path(findings.pop("path")), objects=objects, **findings)

    @property
    def is_done(self) -> bool:
        """Whether the file is already adopted, with nothing left to do."""
        return self.adopted and not self.unapplied


def resolved(path: Path | str) -> Path:
    """Return the absolute path with the directories' links followed; the file's own name is left as it is."""
    path = Path(path).expanduser().absolute()
    return path.parent.resolve() / path.name


def look(path: Path | str, *, stopped: bool = False) -> Look:
    """Inspect a file without changing anything.

    `stopped` says that no orchestrator is running: checking a large file may then take its time.
    """
    place = resolved(path)
    arguments = [str(place), *(["--stopped"] if stopped else [])]
    try:
        done = subprocess.run(  # noqa: S603  (our own module, one argument)
            [sys.executable, "-m", "statestore.adoption.probe_process", *arguments],
            cwd=_ROOT,
            capture_output=True,
            timeout=1_000,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return Look(place, "not a database", "Looking at it did not end; it is not a file that an orchestrator made.")
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()
        raise MigrationError(f"The look at {place} failed: {reason[-1] if reason else error}.") from error
    return Look.of(json.loads(done.stdout))
