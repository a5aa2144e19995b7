"""An index of its own for each test about search."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statestore.search import file


@pytest.fixture(autouse=True)
def index_file(_no_search_index: None, settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Return where the test's index lies."""
    settings.SEARCH_INDEX = str(tmp_path / "index" / "search.db")
    yield file.path()
    file.close()
