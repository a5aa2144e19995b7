"""The order of events as document numbers: they sort as (timestamp, insertion order) does in the store."""

import math
from dataclasses import dataclass
from typing import Final

from statestore.search.times import COARSE_BITS, EXACT_BELOW, StoredTime

# A second has room for 2^20 documents; the second itself takes 43 bits and a sign.
DOCID_BITS: Final = 20
DOCIDS_PER_SECOND: Final = 1 << DOCID_BITS
_LAST: Final = (1 << 43) - 1
# Of document numbers and of rowids.
LOWEST: Final = -(1 << 63)
HIGHEST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class DocidRange:
    """A range of document numbers, both ends included."""

    low: int = LOWEST
    high: int = HIGHEST

    def within(self, start: int | None, end: int | None) -> "DocidRange":
        """Return the part of the range from one time to another (exclusive)."""
        low = self.low if start is None else max(self.low, first_docid(start))
        return DocidRange(low, self.high if end is None else min(self.high, last_docid(end - 1)))


def bucket(timestamp: StoredTime) -> int:
    """Return the number of a timestamp's second, never less than an earlier one's, for stored values of any type."""
    if timestamp is None:
        return -_LAST
    if not isinstance(timestamp, int | float):
        return _LAST  # SQLite sorts texts and blobs after all numbers.
    if isinstance(timestamp, float):
        timestamp = math.floor(max(min(timestamp, HIGHEST), LOWEST)) if timestamp == timestamp else LOWEST
    size = abs(int(timestamp))
    coarse = size if size < EXACT_BELOW else min(EXACT_BELOW + ((size - EXACT_BELOW) >> COARSE_BITS), _LAST - 1)
    return coarse if timestamp >= 0 else -coarse


def first_docid(timestamp: StoredTime) -> int:
    """Return the least document number that an event of this time can have."""
    return bucket(timestamp) << DOCID_BITS


def last_docid(timestamp: StoredTime) -> int:
    """Return the greatest document number that an event of this time can have."""
    return first_docid(timestamp) + DOCIDS_PER_SECOND - 1


def second_of(docid: int) -> int:
    """Return the second that a document number stands for, the first of those that share it."""
    second = docid >> DOCID_BITS
    size = abs(second)
    fine = size if size < EXACT_BELOW else EXACT_BELOW + ((size - EXACT_BELOW) << COARSE_BITS)
    return fine if second >= 0 else -fine
