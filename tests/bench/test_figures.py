"""The bounds of the measurements: a figure beyond its bound is named, and fails `make bench CHECK=1`."""

import pytest

from tests.bench import figures, run


@pytest.fixture(autouse=True)
def _nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_measured", {})
    monkeypatch.delenv("CHECK", raising=False)


def test_a_figure_within_its_bound_is_not_named():
    figures.show("save 11 KB and its transition", 0.9, 5.0, ratio=3.9)
    figures.show_rate("ingest of events, 1,000 at a time", 20_000, "events")
    figures.show("page: overview", 30, 900, bare=21, growth=2)
    assert figures.broken_bounds() == []


def test_a_figure_beyond_its_bound_is_named_with_both():
    figures.show("save 11 KB and its transition", 0.9, 5.0, ratio=4.1)
    figures.show_rate("ingest of events, 1,000 at a time", 19_000, "events")
    figures.show("page: overview", 31, 40, bare=12.9, growth=2.1)
    figures.show("search, 300 words from common to absent", 3, 12, 151)
    assert figures.broken_bounds() == [
        "save 11 KB and its transition: ratio is 4.10, at most 4 allowed",
        "ingest of events, 1,000 at a time: rate is 19,000.00, at least 20,000 allowed",
        "page: overview: growth is 2.10, at most 2 allowed",
        "search, 300 words from common to absent: worst is 151.00, at most 150 allowed",
    ]


def test_the_first_bound_that_names_a_line_counts():
    figures.show("page: trash", 13, 20, bare=10, growth=2.9)
    assert figures.broken_bounds() == []
    figures.show("page: trash", 13, 20, bare=10, growth=3.1)
    assert figures.broken_bounds() == ["page: trash: growth is 3.10, at most 3 allowed"]


def test_a_bound_of_a_line_that_no_longer_exists_is_named_after_a_whole_run(capsys: pytest.CaptureFixture[str]):
    figures.show("page: overview", 1, 1)
    run.check(is_whole=False)
    assert "Out of bounds" not in capsys.readouterr().out
    run.check(is_whole=True)
    assert "Out of bounds: save a task: no ratio was measured\n" in capsys.readouterr().out


def test_only_with_check_does_a_broken_bound_fail(monkeypatch: pytest.MonkeyPatch):
    figures.show("page: overview", 31, 40, bare=22)
    run.check(is_whole=False)
    monkeypatch.setenv("CHECK", "1")
    with pytest.raises(SystemExit):
        run.check(is_whole=False)
