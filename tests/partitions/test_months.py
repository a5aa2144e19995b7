"""Months begin and end where the calendar has it, and times that are none have no month."""

import pytest

from statestore.partitions import Month
from statestore.partitions.months import coming
from tests.builders import NOW


def test_a_month_goes_from_its_first_second_to_that_of_the_next():
    month = Month.of(NOW)
    assert month == Month(2026, 9)
    assert (month.start, month.end) == (1_788_220_800, 1_790_812_800)
    assert Month.of(month.end - 1) == month
    assert Month.of(month.end) == Month(2026, 10)


def test_december_is_followed_by_january():
    assert Month(2026, 12).following == Month(2027, 1)


@pytest.mark.parametrize("seconds", [-1, -(2**63), 2**62, 253_402_300_800])
def test_a_time_outside_of_the_calendar_has_no_month(seconds: int):
    assert Month.of(seconds) is None


def test_the_name_of_a_partition_tells_its_month():
    assert Month.named("dash_events_2026_09") == Month(2026, 9)
    assert Month.named("dash_events_other") is None


def test_the_coming_months_begin_with_the_present_one():
    assert coming(NOW, 3) == [Month(2026, 9), Month(2026, 10), Month(2026, 11)]
