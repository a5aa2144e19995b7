"""An index of its own for each test about search."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_index(index_file: Path) -> None:
    """Let each test here have one."""
