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
    monkeypatch.setattr(loading, "AGENTS", 100)
    with loading._on_sqlite() as site:
        assert site is not None
        # On a busy machine it takes longer until something of each mix is answered.
        for seconds in (2, 10, 30):
            monkeypatch.setattr(loading, "SECONDS", seconds)
            found = list(loading._measured("SQLite", site, 1))
            assert [mix["lost"] for mix in found] == [0] * len(loading.MIXES)
            assert capsys.readouterr().out.count("lost 0") == len(loading.MIXES)
            if all(mix["requests"] > 0 for mix in found):
                return
    pytest.fail(f"the canary: no request was answered in {seconds} s")
