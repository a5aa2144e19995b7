"""Files that the real packages made, copied for each test, and mirrors of them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from statestore.db.routers import store_alias
from statestore.models.sources import Source
from statestore.sources import adding, mirror

FILES = Path(__file__).parent / "files"

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
