"""The load of `make load` in small: every request is answered, reads and saves alike, and the figures are told."""

import shutil

import pytest

from tests.load import __main__ as loading

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.sqlite,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="NOT TESTED: WRK IS NOT INSTALLED"),
]


def test_no_request_of_some_seconds_of_each_mix_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(loading, "SECONDS", 3)
    with loading._on_sqlite() as site:
        assert site is not None
        found = list(loading._measured("SQLite", site, 1))
    assert [mix["lost"] for mix in found] == [0] * len(loading.MIXES)
    assert all(mix["requests"] > 0 for mix in found), "the canary: requests were made"
    assert capsys.readouterr().out.count("lost 0") == len(loading.MIXES)
