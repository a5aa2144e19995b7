"""Fresh installations for each test, copied from two that are made once."""

from functools import partial
from pathlib import Path

import pytest

from tests.faults.sites import Site, SiteMaker, copy_of, fill_template
from tests.templates import Templates


@pytest.fixture
def make_site(templates: Templates, tmp_path: Path) -> SiteMaker:
    """Return the function that makes an installation of a journal mode, in a directory of its own."""

    def make(journal_mode: str, directory: Path | None = None) -> Site:
        template = templates.get(f"site-{journal_mode}", partial(fill_template, journal_mode=journal_mode))
        return copy_of(template, directory or tmp_path / f"site-{journal_mode}")

    return make
