"""Files that the real packages made, copied for each test, and mirrors of them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from statestore.db.routers import store_alias
from statestore.models.sources import Source
from statestore.sources import adding, mirror
from tests.postgres import binaries, empty_cluster

FILES = Path(__file__).parent / "files"

if TYPE_CHECKING:
    from tests.sources.servers import Server

FileMaker = Callable[[str], Path]
Opener = Callable[..., Source]


@pytest.fixture
def framework_file(tmp_path: Path) -> FileMaker:
    """Return what copies one of the files, such as "langgraph/small.sqlite", and gives the copy."""

    def copy(name: str) -> Path:
        return Path(shutil.copy(FILES / name, tmp_path / Path(name).name))

    return copy


@pytest.fixture
def opened(framework_file: FileMaker, settings: Any, tmp_path: Path) -> Opener:
    """Return what mirrors one of the files, to its end, and gives its source."""
    settings.STORE_IS_EMBEDDED = True
    settings.VAR_DIR = tmp_path / "var"

    def open_file(name: str) -> Source:
        source = adding.add_source(framework_file(name), using=store_alias())
        done = mirror.sync(source, using=store_alias())
        assert done.is_complete, source.problem
        return source

    return open_file


@pytest.fixture(scope="session")
def server() -> Iterator["Server"]:
    """Give a PostgreSQL server of the tests' own that runs, without any database of frameworks."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    from tests.sources.servers import Server

    with empty_cluster() as cluster:
        yield Server(cluster)


@pytest.fixture
def embedded(settings: Any, tmp_path: Path) -> None:
    """Let the tests' store stand for the embedded one."""
    settings.STORE_IS_EMBEDDED = True
    settings.VAR_DIR = tmp_path / "var"
