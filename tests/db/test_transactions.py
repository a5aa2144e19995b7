"""The lock that our writers take before the file's own: beside another program, it rests between two writes."""

import pytest
from django.conf import settings

from statestore.db import transactions
from statestore.db.routers import may_be_shared
from statestore.db.transactions import LONG_REST_SECONDS, REST_SECONDS, RUN_SECONDS, WriteLock


class Clock:
    """A clock on which only sleeping and working take time."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(transactions, "time", clock)
    return clock


def write(lock: WriteLock, clock: Clock, held_seconds: float) -> float:
    """Write for so long, and return how long the file's lock was free before."""
    began = clock.now
    lock.acquire()
    rested = clock.now - began
    lock.has_begun()
    clock.sleep(held_seconds)
    lock.release()
    return rested


def test_after_a_write_the_lock_rests_as_long_as_it_was_held(clock: Clock):
    lock = WriteLock(is_shared=True)
    assert write(lock, clock, 0.05) == 0
    assert 0.05 <= write(lock, clock, 0.001) <= 0.075 + 1e-6
    assert REST_SECONDS <= write(lock, clock, 0.001) <= 1.5 * REST_SECONDS + 1e-6


def test_time_that_passed_anyway_counts_as_rest(clock: Clock):
    lock = WriteLock(is_shared=True)
    write(lock, clock, 0.05)
    clock.sleep(0.08)
    assert write(lock, clock, 0.05) == 0


def test_a_program_that_sleeps_for_100_ms_finds_the_lock_free_within_half_a_second(clock: Clock):
    lock = WriteLock(is_shared=True)
    began, longest = clock.now, 0.0
    while clock.now < began + 10:
        since = clock.now
        while write(lock, clock, 0.02) < LONG_REST_SECONDS - 1e-6:
            longest = max(longest, clock.now - since)
    assert 0 < longest <= RUN_SECONDS + 0.1


def test_a_store_of_our_own_is_written_without_rest(clock: Clock):
    lock = WriteLock()
    assert [write(lock, clock, 0.05) for _ in range(20)] == [0] * 20


@pytest.mark.parametrize("is_embedded", [True, False])
def test_a_store_may_be_shared_if_its_address_was_given(is_embedded: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "STORE_IS_EMBEDDED", is_embedded)
    assert may_be_shared("store") is not is_embedded
    assert not may_be_shared("default")
