"""The wheel: built, installed into an environment of its own, and served outside of the checkout."""

import os
import re
import socket
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.faults.server import Server
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.sqlite]

ROOT: Final = Path(__file__).resolve().parents[2]
# What a wheel has under another name than the checkout.
MOVED: Final = {"templates/": "descartes_site/templates/", "static/": "descartes_site/static/"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package, built by the locked tools."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation",
        "--wheel-dir", str(folder), str(ROOT),
    )  # fmt: skip
    (made,) = folder.glob("*.whl")
    return made


def run(*words: str, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(words, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_wheel_has_every_file_of_the_product(wheel: Path):
    listed = run("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard").split()
    product = [name for name in listed if name.startswith(("descartes_site/", "statestore/", *MOVED))]
    moved = {
        next((name.replace(old, new, 1) for old, new in MOVED.items() if name.startswith(old)), name)
        for name in product
        if (ROOT / name).exists()
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == moved


def test_the_changelog_tells_of_the_version_of_the_package():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version in headings


def test_the_installed_command_serves_from_nothing_outside_of_the_checkout(wheel: Path, tmp_path: Path):
    venv, home = tmp_path / "venv", tmp_path / "home"
    home.mkdir()
    run(sys.executable, "-m", "venv", str(venv))
    pip = (str(venv / "bin" / "pip"), "install", "-q", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", str(ROOT / "requirements" / "run.txt"))
    run(*pip, "--no-deps", str(wheel))
    command = str(venv / "bin" / "descartes-statestore")
    # Nothing of this machine's user, of this test's settings, or of the checkout.
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment = {**kept, "HOME": str(home)}
    data = home / ".local" / "share" / "descartes-statestore"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    log = tmp_path / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [command, "serve", "--demo", "--port", str(port)], cwd=home, env=environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    server = Server(process, port, str(log))
    try:
        wait_for(lambda: "Serving on" in server.log(), "the line", is_alive=lambda: process.poll() is None)
        page = fetch(port, "/login/")
        assert "Sign in" in page
        style = re.search(r'href="(/static/[^"]+\.css)"', page)
        assert style is not None, page
        assert "{" in fetch(port, style[1])
        wait_for((data / "search.db").exists, "the search index, made by a process that the server started")
        said = run(command, "doctor", environment=environment)
        assert "manage.py" not in said, "the doctor names a command that is not installed"
    finally:
        server.stop()
    assert {path.name for path in home.iterdir()} == {".local"}, "something was written outside of the data's folder"
    assert data.stat().st_mode & 0o077 == 0, "others can read the data"


def fetch(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return str(answer.read().decode())
