"""The rows of a timeline: transitions in a row with one reason are one row, and no record is lost or moved."""

from typing import Any

import pytest

from statestore import history
from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db


def rows(reasons: list[str | None], *, snapshot_at: int | None = None) -> list[tuple[str, int]]:
    """Return (reason, number of records) of each row, newest first; reasons are given oldest first."""
    agent = make_agent("a")
    for number, reason in enumerate(reasons):
        make_transition(agent, {"n": number}, {"n": number + 1}, reason=reason, timestamp=NOW + 10 * number)
    if snapshot_at is not None:
        make_snapshot(agent, {"n": 1}, created_at=NOW + snapshot_at)
    records, _ = history.timeline("a", limit=100)
    entries = history.folded(records)
    assert [record for entry in entries for record in entry.records] == records
    return [(entry.reason, len(entry.records)) for entry in entries]


def test_a_run_of_reasons_that_differ_in_their_numbers_is_one_row():
    assert rows(["start", "error 1 of 9", "error 2 of 9", "error 3 of 9", "end"]) == [
        ("", 1), ("error ‹1–3› of 9", 3), ("", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reasons", "snapshot_at"),
    [
        (["error 1", "error 2"], None),
        ([None, None, None], None),
        (["", "", ""], None),
        (["a 1", "b 1", "a 2", "b 2", "a 3", "b 3"], None),
        (["error 1", "error 2", "error 3", "error 4"], 15),
    ],
)
def test_nothing_else_is_folded(reasons: list[Any], snapshot_at: int | None):
    assert all(number == 1 for _, number in rows(reasons, snapshot_at=snapshot_at))
