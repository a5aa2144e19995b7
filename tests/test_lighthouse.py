"""What `make lighthouse` says of a report: its numbers, its table, the bounds that are broken."""

from typing import Any

import pytest

from tests import lighthouse


def report(**scores: float) -> dict[str, Any]:
    items = [
        {"resourceType": "Stylesheet", "transferSize": 10 * 1024}, {"resourceType": "Script", "transferSize": 512},
        {"resourceType": "Document", "transferSize": 99 * 1024}, {"transferSize": 1},
    ]  # fmt: skip
    return {
        "categories": {
            name: {"score": scores.get(name.replace("-", "_"), 1)}
            for name in ("performance", "accessibility", "best-practices")
        },
        "audits": {
            "network-requests": {"details": {"items": items}},
            "cumulative-layout-shift": {"numericValue": scores.get("shift", 0.0)},
        },
    }


def test_only_style_sheets_and_scripts_are_added_up():
    assert lighthouse.numbers(report())["CSS and script, KB"] == 10.5


def test_a_page_within_its_bounds_breaks_none():
    assert lighthouse.broken_bounds({"overview": lighthouse.numbers(report(performance=0.95, shift=0.02))}) == []


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"performance": 0.94}, "agent: performance is 94, bound 95."),
        ({"best_practices": 0.99}, "agent: best practices is 99, bound 100."),
        ({"shift": 0.317}, "agent: layout shift is 0.317, bound 0.02."),
    ],
)
def test_a_broken_bound_is_named_with_the_page_and_both_numbers(scores: dict[str, float], said: str):
    assert lighthouse.broken_bounds({"agent": lighthouse.numbers(report(**scores))}) == [said]


def test_the_table_has_each_page_and_each_bound():
    text = lighthouse.table({"overview": lighthouse.numbers(report()), "agent": lighthouse.numbers(report())})
    assert all(name in text for name in ("overview", "agent", "≥ 95", "≤ 0.02", "≤ 60"))
    assert len({len(line) for line in text.splitlines()[1:]}) <= 3, "the columns do not stand below each other"


def test_what_is_missing_is_said_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lighthouse.shutil, "which", lambda name: None)
    monkeypatch.delenv("CHROME_PATH", raising=False)
    assert "apt-get install npm" in lighthouse.lacking()
    with pytest.raises(SystemExit, match=r"Missing for Lighthouse: .* Nothing was measured\."):
        lighthouse.main()
