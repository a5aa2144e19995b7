"""Fresh installations for each test, copied from two that are made once."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.sites import JOURNAL_MODES, Site, SiteMaker, copy_of, make_template


@pytest.fixture(scope="session")
def site_templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Site]:
    return {mode: make_template(tmp_path_factory.mktemp(f"site-{mode}"), mode) for mode in JOURNAL_MODES}


@pytest.fixture
def make_site(site_templates: dict[str, Site], tmp_path: Path) -> SiteMaker:
    """Return the function that makes an installation of a journal mode, in a directory of its own."""

    def make(journal_mode: str, directory: Path | None = None) -> Site:
        return copy_of(site_templates[journal_mode], directory or tmp_path / f"site-{journal_mode}")

    return make


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a directory in memory where there is one: a busy disk stalls for longer than any lock that is measured."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="statestore-", dir=memory) as directory:
        yield Path(directory)
