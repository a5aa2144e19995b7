"""Files in memory: adoption gives a copy up that takes so long that an orchestrator would wait for it."""

from pathlib import Path

import pytest


@pytest.fixture
def tmp_path(quick_disk: Path) -> Path:
    return quick_disk
