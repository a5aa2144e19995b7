"""A store that knows at once that something is archived."""

from collections.abc import Iterator

import pytest

from statestore.db import archive
from statestore.db.routers import store_alias


@pytest.fixture(autouse=True)
def _noticed_at_once(monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[None]:
    """Look with each query whether anything is archived, and do not wait for other processes."""
    monkeypatch.setattr(archive, "NOTICED_SECONDS", 0.0)
    archive.forget_token(store_alias())
    yield
    archive.forget_token(store_alias())
