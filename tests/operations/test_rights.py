"""What a process may not read or write is said in one line, and nothing is written outside of VAR_DIR."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands import manage
from tests.faults.scale import LONG
from tests.faults.server import Server, Visitor, serving
from tests.faults.sites import Site
from tests.stores import make_store
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.sqlite]

ROOT = Path(__file__).resolve().parents[2]
KEY = "the same in each process that is started here"
# The superuser without the rights that bypass a file's mode.
ORDINARY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

if ORDINARY and shutil.which("setpriv") is None:
    pytest.skip("NOT TESTED: setpriv IS NOT INSTALLED", allow_module_level=True)


@dataclass(frozen=True)
class Place:
    """An adopted store and the dashboard's directory, each in a folder of its own."""

    home: Path

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def store(self) -> Path:
        return self.home / "store" / "store.db"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.home / "none"), "SECRET_KEY": KEY, "VAR_DIR": str(self.var),
            "STORE_URL": f"sqlite:///{self.store}",
        }  # fmt: skip

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a user who may only what files allow."""
        return subprocess.run(
            [*ORDINARY, sys.executable, "manage.py", *words], cwd=ROOT, env={**self.variables, **variables},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("made"))
    place.store.parent.mkdir()
    make_store(place.store)
    adopt = ["adopt", str(place.store), "--yes", "--stopped", "--backup-dir", str(place.home / "backups")]
    manage(place.variables, ["migrate"], adopt)
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Iterator[Place]:
    shutil.copytree(made.home, tmp_path / "home")
    yield Place(tmp_path / "home")
    for folder in [tmp_path / "home", *(tmp_path / "home").iterdir()]:
        folder.chmod(0o700)


def closed(mode: int, *names: str) -> Callable[[Place], None]:
    def close(place: Place) -> None:
        for name in names:
            (place.home / name).chmod(mode)

    return close


EXPORT, INDEX, MIGRATE, SERVE = ["export"], ["index"], ["migrate"], ["serve"]
ADOPT, LEAVE = ["adopt", "{store}", "--yes", "--wal"], ["leave", "--yes", "--stopped"]
CASES: list[tuple[Callable[[Place], None], str, list[list[str]]]] = [
    (closed(0, "var/dashboard.db"), r"{var}/dashboard\.db cannot be opened", [MIGRATE, SERVE, ["token", "list"]]),
    (closed(0, "var"), r"{var}/dashboard\.db cannot be opened", [MIGRATE, SERVE]),
    (closed(0o500, "var"), r"{var}/search-\w+\.db\.lock: Permission denied\.", [INDEX]),
    (closed(0o500, "var"), r"The backup into {var}/backups failed: Permission denied\.", [LEAVE]),
    (closed(0, "store/store.db"), r"{store} cannot be opened", [EXPORT, INDEX, LEAVE, ["capture", "on"]]),
    (closed(0, "store/store.db"), r"{store} cannot be adopted\. It cannot be read", [ADOPT]),
    (closed(0, "store"), r"{store} cannot be opened", [EXPORT, INDEX, LEAVE]),
    (closed(0, "store"), r"{store} cannot be adopted\. .* cannot be read", [ADOPT]),
    (closed(0o500, "store"), "The store is read-only", [LEAVE]),
    (closed(0o500, "store"), r"{store}/x\.part: Not a directory", [["export", "{store}/x"]]),
    (closed(0o500, "store"), r"{home}/store/x\.part: Permission denied\.", [["export", "{home}/store/x"]]),
    (closed(0, "store/store.db"), "{store}: Permission denied", [["import", "{store}", "--yes"]]),
]  # fmt: skip


@pytest.mark.thorough
# Each case starts processes for seconds: `make faults` tries all of them.
@pytest.mark.parametrize(("close", "pattern", "commands"), CASES if LONG else CASES[::3])
def test_a_missing_right_is_one_line_that_names_the_file(
    place: Place, close: Callable[[Place], None], pattern: str, commands: list[list[str]]
):
    names = {"var": place.var, "store": place.store, "home": place.home}
    expected = pattern.format(**{name: re.escape(str(path)) for name, path in names.items()})
    close(place)
    for command in commands:
        done = place.run(*(word.format(**names) for word in command))
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert re.search(expected, done.stderr), done.stderr


def test_the_doctor_says_that_it_may_not_reach_the_store(place: Place):
    for closed_path in (place.store, place.store.parent):
        closed_path.chmod(0)
        done = place.run("doctor")
        assert (done.returncode, done.stderr) == (1, "")
        assert "by this user" in done.stdout
        closed_path.chmod(0o700)


def test_a_key_that_may_not_be_read_is_a_line(place: Place):
    for mode, path in ((0, "var/secret_key"), (0o500, "var")):
        (place.var / "secret_key").unlink(missing_ok=True)
        if path != "var":
            (place.var / "secret_key").write_text(KEY)
        (place.home / path).chmod(mode)
        done = place.run("check", SECRET_KEY="")
        assert done.returncode == 1
        assert re.fullmatch(
            r"VAR_DIR is “.*”; its secret_key cannot be read or made \(Permission denied\): .*\n", done.stderr
        )


@dataclass(frozen=True)
class Image(Site):
    """A checkout that the process cannot write, with its static files collected, and one directory that it can."""

    checkout: Path = ROOT
    home: Path = ROOT

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.home),
            "VAR_DIR": str(self.home / "var"),
        }  # fmt: skip


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    checkout, home = tmp_path / "image", tmp_path / "home"
    left_out = shutil.ignore_patterns(".*", "var", "staticfiles*", "tests", "__pycache__")
    shutil.copytree(ROOT, checkout, ignore=left_out)
    home.mkdir()
    build = {"PATH": os.environ["PATH"], "SECRET_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "-v", "0"], cwd=checkout, env=build, check=True
    )
    paths = [checkout, *checkout.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    yield Image(home / "store.db", home / "dashboard.db", checkout=checkout, home=home)
    for path in filter(Path.exists, paths):
        path.chmod(path.stat().st_mode | 0o200)


def contents(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_read_only_image_serves_the_static_files_it_has_and_writes_into_var_dir_alone(image: Image):
    before = contents(image.checkout)
    assert "staticfiles/staticfiles.json" in before
    with serving(image, "--demo", checkout=image.checkout, ahead=ORDINARY) as server, Visitor(server.port) as visitor:
        page = visitor.get("/login/")
        assert page.status == 200
        for path in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)):
            assert visitor.get(path).status == 200, path
        sign_in(visitor, image)
        assert visitor.get("/agents/").status == 200
        # The indexer is a process of its own, which a busy machine starts after the first pages.
        wait_for((image.home / "var" / "search.db").exists, "the search index")
        check(server)
    assert contents(image.checkout) == before
    assert {path.name for path in image.home.iterdir()} == {"var"}
    assert {"secret_key", "dashboard.db", "descartes.db"} <= {path.name for path in (image.home / "var").iterdir()}


def sign_in(visitor: Visitor, image: Image) -> None:
    password = (image.home / "var" / "demo_login").read_text().strip()
    assert visitor.post("/login/", username="demo", password=password).status == 302


def check(server: Server) -> None:
    assert "Traceback" not in server.log(), server.log()


def test_without_static_files_and_a_place_for_them_the_start_is_refused_in_a_line(image: Image):
    folder = image.checkout / "staticfiles"
    image.checkout.chmod(0o700)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700)
    shutil.rmtree(folder)
    folder.mkdir(mode=0o500)
    image.checkout.chmod(0o500)
    done = subprocess.run(
        [*ORDINARY, sys.executable, "manage.py", "serve"], cwd=image.checkout, env=image.environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"{image.checkout}/staticfiles.lock: Permission denied.")


def test_an_index_that_may_not_be_kept_is_said_once_by_a_server_that_works(made: Place, place: Place):
    site = Site(place.store, place.var / "dashboard.db")
    shut = place.home / "shut"
    shut.mkdir(mode=0o500)
    environment = {**site.environment, "SEARCH_INDEX": str(shut / "search.db")}
    with serving(site, environment=environment, ahead=ORDINARY) as server, Visitor(server.port) as visitor:
        assert visitor.get("/login/").status == 200
        server.wait_for_log("The search index cannot be kept")
        check(server)
