"""The measurement of ingest in small: what is sent is saved, by each way, and its figures are told."""

import pytest

from tests import postgres
from tests.load import ingest

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.skipif(postgres.binaries() is None, reason="NOT TESTED: POSTGRESQL IS NOT INSTALLED"),
]


def test_each_way_of_ingest_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name, value in {"SECONDS": 0.2, "CLIENTS": (1, 2), "BATCHES": (100,), "_COPIED": 200}.items():
        monkeypatch.setattr(ingest, name, value)
    assert ingest.main() == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split("  ")[0].strip() for line in lines if line.startswith("API")] == [
        "API, 100 at a time, 1 at once",
        "API, 100 at a time, 2 at once",
        "API, 100 at a time, 1 at once, no trigram indexes",
        "API, 100 at a time, 2 at once, no trigram indexes",
    ]
    copied = [line for line in lines if line.startswith("COPY")]
    assert len(copied) == 9, "with no index, and with one more each time"
    assert "dash_events_content" in copied[-1], "the dearest comes last"
