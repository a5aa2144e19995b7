"""How many documents there are in each five minutes: by these, bars are counted or estimated without a walk."""

# ruff: noqa: S608  (only constants of ours are put into SQL)

import sqlite3
from typing import Final

from statestore.search import limits
from statestore.search.fts import ordering

SECONDS: Final = 300
_DOCIDS: Final = SECONDS << ordering.DOCID_BITS
# Division in SQL truncates towards zero; slots need the floor.
_SECOND: Final = f"({{row}}.docid >> {ordering.DOCID_BITS})"
_SLOT: Final = f"(({_SECOND} - (({_SECOND} % {SECONDS}) + {SECONDS}) % {SECONDS}) / {SECONDS})"
CREATE: Final = (
    "CREATE TABLE tally (slot INTEGER PRIMARY KEY, count INTEGER NOT NULL)",
    f"CREATE TRIGGER doc_counted AFTER INSERT ON doc BEGIN INSERT INTO tally (slot, count) VALUES"
    f" ({_SLOT.format(row='NEW')}, 1) ON CONFLICT (slot) DO UPDATE SET count = count + 1; END",
    f"CREATE TRIGGER doc_uncounted AFTER DELETE ON doc BEGIN UPDATE tally SET count = count - 1"
    f" WHERE slot = {_SLOT.format(row='OLD')}; END",
)


def count(index: sqlite3.Connection, low: int, high: int) -> tuple[int, bool]:
    """Return how many documents have numbers from `low` to `high`, and whether that is an estimate."""
    first, after = -(-low // _DOCIDS), (high + 1) // _DOCIDS
    if first >= after:
        return _within_slots(index, low, high)
    sql = "SELECT coalesce(sum(count), 0) FROM tally WHERE slot >= ? AND slot < ?"
    total = int(index.execute(sql, (first, after)).fetchone()[0])
    ends = [_within_slots(index, low, first * _DOCIDS - 1), _within_slots(index, after * _DOCIDS, high)]
    return total + sum(number for number, _ in ends), any(is_estimate for _, is_estimate in ends)


def middle(low: int, high: int) -> int:
    """Return a number in the middle of a range: where a slot begins, if there is one, so that halves are summed up."""
    half = (low + high) // 2
    slot = half // _DOCIDS * _DOCIDS
    return slot if slot > low else half


def _within_slots(index: sqlite3.Connection, low: int, high: int) -> tuple[int, bool]:
    """Count within a slot or two; estimate very many by the share of the slots in the range."""
    if low > high:
        return 0, False
    sql = "SELECT count(*) FROM (SELECT 1 FROM doc NOT INDEXED WHERE docid BETWEEN ? AND ? LIMIT ?)"
    number = int(index.execute(sql, (low, high, limits.SLOT_DOCUMENTS)).fetchone()[0])
    if number < limits.SLOT_DOCUMENTS:
        return number, False
    share = 0.0
    rows = index.execute("SELECT slot, count FROM tally WHERE slot BETWEEN ? AND ?", (low // _DOCIDS, high // _DOCIDS))
    for slot, inside in rows:
        overlap = min(high + 1, (slot + 1) * _DOCIDS) - max(low, slot * _DOCIDS)
        share += inside * overlap / _DOCIDS
    return max(number, round(share)), True
