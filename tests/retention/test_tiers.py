"""What a policy lets go, of one agent's rows: by age, number, size and tiers."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from statestore.models import RetentionPolicy
from statestore.retention.tiers import DAY, HOUR, Row, superfluous

NOW = 1_790_000_000


def rows_at(*ages: int, size: int = 10) -> list[Row]:
    return [Row(str(age), NOW - age, size) for age in sorted(ages)]


def gone(rows: list[Row], kept: set[str] | None = None, **limits: Any) -> list[str]:
    return [row.pk for row in superfluous(RetentionPolicy(**limits), rows, now=NOW, kept=kept or set())]


def test_what_is_older_than_the_age_goes():
    assert gone(rows_at(0, 10, 20, 30), keep_seconds=15) == ["20", "30"]


def test_so_many_of_the_newest_stay():
    assert gone(rows_at(1, 2, 3, 4), keep_count=2) == ["3", "4"]


def test_the_newest_stay_up_to_so_many_bytes():
    assert gone(rows_at(1, 2, 3, 4, size=10), keep_bytes=25) == ["3", "4"]


def test_the_newest_always_stays():
    assert gone(rows_at(1_000), keep_seconds=1, keep_bytes=1) == []


def test_what_is_kept_stays_and_counts():
    assert gone(rows_at(1, 2, 3, 4), kept={"3"}, keep_count=1) == ["2", "4"]


def test_tiers_keep_a_day_then_one_of_each_hour_day_week_and_month():
    every_ten_minutes = rows_at(*range(0, 800 * DAY, 600))
    going = set(gone(every_ten_minutes, is_tiered=True))
    stays = [row for row in every_ten_minutes if row.pk not in going]
    ages = [NOW - row.at for row in stays]
    assert sum(age < DAY for age in ages) == DAY // 600
    assert len({row.at // HOUR for row in stays if DAY <= NOW - row.at < 7 * DAY}) in {6 * 24, 6 * 24 + 1}
    for least, most, period in ((DAY, 7 * DAY, HOUR), (7 * DAY, 30 * DAY, DAY), (30 * DAY, 365 * DAY, 7 * DAY)):
        periods = [row.at // period for row in stays if least <= NOW - row.at < most]
        assert len(periods) == len(set(periods)), "one of each"
    months = [datetime.fromtimestamp(row.at, UTC).strftime("%Y-%m") for row in stays if NOW - row.at >= 365 * DAY]
    assert sorted(set(months), reverse=True) == list(dict.fromkeys(months))
    assert len(months) <= len(set(months)) + 1, "one of each month, and the oldest"


@given(st.lists(st.integers(0, 900 * DAY), unique=True, max_size=60), st.booleans())
def test_tiers_never_thin_the_first_and_the_last(ages: list[int], is_reduced: bool):
    rows = rows_at(*ages)
    going = gone(rows, is_tiered=True)
    assert not {row.pk for row in (*rows[:1], *rows[-1:])} & set(going)
    assert len(going) == len(set(going))


@given(
    st.lists(st.tuples(st.integers(0, 900 * DAY), st.integers(0, 99)), unique_by=lambda row: row[0], max_size=40),
    st.one_of(st.none(), st.integers(1, 900 * DAY)), st.one_of(st.none(), st.integers(1, 40)),
    st.one_of(st.none(), st.integers(1, 2_000)), st.booleans(),
)  # fmt: skip
def test_what_is_left_of_a_deletion_is_left_by_the_next(
    made: list[tuple[int, int]], seconds: int | None, count: int | None, size: int | None, is_tiered: bool
):
    rows = [Row(str(age), NOW - age, size_of) for age, size_of in sorted(made)]
    limits: dict[str, Any] = {"keep_seconds": seconds, "keep_count": count, "keep_bytes": size, "is_tiered": is_tiered}
    going = set(gone(rows, **limits))
    assert gone([row for row in rows if row.pk not in going], **limits) == []
