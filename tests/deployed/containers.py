"""The build stage of the Containerfile, run without a container engine: its paths lie in a directory of the test."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# What the stage writes, apart from its working directory.
_PLACES: Final = ("/app", "/wheels", "/tools", "/collected", "/tmp/build")


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage, as (word, rest)."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE)
    found: list[list[tuple[str, str]]] = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        if word:
            found[-1].append((word, rest))
    return found


def build(home: Path) -> None:
    """Run the first stage below a directory: COPY from the checkout, RUN by a shell."""
    work = home / "src"
    work.mkdir()
    for word, rest in stages()[0]:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                _copy(ROOT / source, work / target if len(sources) == 1 and target != "./" else work / source)
        elif word == "RUN":
            _run(rest, home, work)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _run(command: str, home: Path, work: Path) -> None:
    for place in _PLACES:
        command = re.sub(rf"(?<![\w.]){re.escape(place)}(?=[/ ]|$)", str(home) + place, command)
    (home / "tmp").mkdir(exist_ok=True)
    command = command.replace("python -m venv", f"{sys.executable} -m venv")
    done = subprocess.run(["sh", "-ec", command], cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
