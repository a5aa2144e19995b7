"""Each test of search has its own index."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_index(index_file: Path) -> None:
    """Use the test's own index."""
