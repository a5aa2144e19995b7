"""The wheel: built, installed into an environment of its own, and served outside of the checkout."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.deployed import containers
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


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the build stage of the Containerfile left what the image takes from it."""
    home = tmp_path_factory.mktemp("image")
    containers.build(home)
    return home


def start(image: Path, folder: Path, home: Path, *words: str, **variables: str) -> Server:
    """Start the installed command, with nothing of this machine's user, of this test, or of the checkout."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(image / "app/bin/descartes-statestore"), *words, "--port", str(port)], cwd=home,
            env={**kept, "HOME": str(home), **variables}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    server = Server(process, port, str(log))
    wait_for(lambda: "Serving on" in server.log(), "the line", is_alive=lambda: process.poll() is None)
    return server


def check_pages(port: int) -> None:
    """Ask for the login page, and for a style that it names."""
    page = fetch(port, "/login/")
    assert "Sign in" in page
    style = re.search(r'href="(/static/[^"]+\.css)"', page)
    assert style is not None, page
    assert "{" in fetch(port, style[1])


def test_the_installed_command_serves_from_nothing_outside_of_the_checkout(image: Path, tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    data = home / ".local" / "share" / "descartes-statestore"
    server = start(image, tmp_path, home, "serve", "--demo")
    try:
        check_pages(server.port)
        wait_for((data / "search.db").exists, "the search index, made by a process that the server started")
        environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
        said = run(str(image / "app/bin/descartes-statestore"), "doctor", environment=environment)
        assert "manage.py" not in said, "the doctor names a command that is not installed"
    finally:
        server.stop()
    assert {path.name for path in home.iterdir()} == {".local"}, "something was written outside of the data's folder"
    assert data.stat().st_mode & 0o077 == 0, "others can read the data"


def test_an_image_serves_the_files_that_were_collected_when_it_was_built(image: Path, tmp_path: Path):
    sealed, data = tmp_path / "static", tmp_path / "data"
    shutil.copytree(image / "collected", sealed)
    data.mkdir()
    before = set(sealed.rglob("*"))
    server = start(image, tmp_path, data, "serve", VAR_DIR=str(data), STATIC_ROOT=str(sealed))
    try:
        check_pages(server.port)
        assert "Made an empty store" in server.log()
    finally:
        server.stop()
    assert set(sealed.rglob("*")) >= before
    assert not (data / "static").exists()


def test_the_image_runs_as_a_user_of_its_own_with_what_the_build_stage_made():
    build, final = containers.stages()
    copied = {source for word, rest in build if word == "COPY" for source in rest.split()[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    assert {"descartes_site", "statestore", "templates", "static"} <= copied
    taken = [rest.split()[-2] for word, rest in final if word == "COPY"]
    assert taken == ["/app", "/collected"]
    words = dict(final)
    assert words["USER"] == "dashboard"
    assert "/healthz" in words["HEALTHCHECK"]


def test_the_unit_and_the_examples_start_commands_and_options_that_exist(wheel: Path):
    unit = (ROOT / "docs/deploy/statestore.service").read_text()
    pod = (ROOT / "docs/deploy/kubernetes.yaml").read_text()
    compose = (ROOT / "compose.yaml").read_text()
    known = (ROOT / "docs/operations.md").read_text()
    for text in (unit, compose):
        assert "descartes-statestore serve" in text
        assert set(re.findall(r"serve (--\w+)", text)) <= {"--host"}
    named = re.findall(r"name: ([A-Z_]+), value", pod) + re.findall(r"^      ([A-Z_]+): .*", compose, re.MULTILINE)
    for name in named:
        assert f"`{name}`" in known or name.startswith("POSTGRES_"), name
    assert "runAsNonRoot: true" in pod
    assert "readOnlyRootFilesystem: true" in pod
    assert "read_only: true" in compose


def fetch(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return str(answer.read().decode())
