"""What the index is worth right now: what of the store it covers, and what has to be read besides."""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from statestore.search.fts import change_log, index_file, ordering, source
from statestore.search.fts.indexer import store_identity

# Where more events changed than this, the index is of no use: the store is read instead.
MOST_MARKED: Final = 20_000
# So much is read for one search of events that are too large to be indexed whole.
MOST_CUT_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of the store the index covers.

    `marked` are events that changed since, `unread` ranges of rowids, both ends included, that it has not; `large`
    those that it has only in part.
    """

    index: sqlite3.Connection | None
    marked: frozenset[bytes]
    unread: tuple[tuple[int, int], ...]
    lag_seconds: int
    is_marking: bool
    built_share: float | None = None
    overflowed: bool = False
    large: tuple[bytes, ...] = ()
    cut_short: int = 0

    @property
    def besides(self) -> frozenset[bytes]:
        """The events that are read, whatever the index says of them."""
        return self.marked.union(self.large)

    def with_large(self, low: int, high: int, most: int | None = None) -> "Coverage":
        """Return the coverage by which events within a stretch that are indexed only in part are read whole.

        Of more than so many bytes the newest are; `cut_short` is how many are then searched in their beginning only.
        """
        if self.index is None:
            return self
        sql = (
            "SELECT pk, bytes FROM doc INDEXED BY doc_cut WHERE bytes IS NOT NULL AND docid BETWEEN ? AND ?"
            " ORDER BY docid DESC"
        )
        cut = self.index.execute(sql, (low, high)).fetchall()
        totals = accumulate(size for _, size in cut)
        most = MOST_CUT_BYTES if most is None else most
        large = tuple(name for (name, _), total in zip(cut, totals, strict=True) if total <= most)
        return replace(self, large=large, cut_short=len(cut) - len(large))


def coverage(using: str) -> Coverage:
    """Return what the index covers."""
    found = _look(using)
    if found.index is None and not found.overflowed and index_file.reading() is not None:
        # A round of the indexer between two looks makes the store's token newer than the one that was seen.
        return _look(using)
    return found


def _look(using: str) -> Coverage:
    """Look once. Marks are read first: whatever they miss, the index has by then."""
    witness = change_log.witness(using)
    seen = change_log.marked(using, MOST_MARKED + 1) if witness.is_marking else []
    index = index_file.reading()
    overflowed = len(seen) > MOST_MARKED
    nothing = Coverage(
        None, frozenset(), ((ordering.LOWEST, ordering.HIGHEST),), 0, witness.is_marking, None, overflowed
    )
    if index is None or overflowed:
        return nothing
    notes = dict(index.execute("SELECT name, value FROM meta").fetchall())
    if not _is_of(notes, using, witness):
        return nothing
    lag = max(0, int(time.time()) - witness.oldest) if witness.oldest is not None and seen else 0
    names = frozenset(name for name, _ in seen)
    aside = frozenset(name for (name,) in index.execute("SELECT pk FROM aside LIMIT ?", (MOST_MARKED,)))
    unread, share = _unread(using, notes, witness.is_marking)
    return Coverage(index, names | aside, unread, lag, witness.is_marking, share)


def _is_of(notes: dict[str, object], using: str, witness: change_log.Witness) -> bool:
    """Return whether the index is one of this store, as it is now and not as a copy of it was."""
    if notes.get("store") != store_identity(using) or bool(notes.get("is_marking")) != witness.is_marking:
        return False
    return not witness.is_marking or (
        witness.token is not None and witness.token in (notes.get("token"), notes.get("next_token"))
    )


def _unread(using: str, notes: dict[str, object], is_marking: bool) -> tuple[tuple[tuple[int, int], ...], float | None]:
    ranges = []
    share = None
    walk, seen = notes.get("walk"), notes.get("seen")
    if not is_marking and isinstance(seen, int):
        # Another event in the place of the last one: which others were deleted and saved anew, nobody knows.
        is_same = source.row_at(using, seen) == (seen, notes.get("seen_name"))
        ranges.append((seen + 1 if is_same else ordering.LOWEST, ordering.HIGHEST))
    if isinstance(walk, int) and not notes.get("trusted"):
        ranges.append((ordering.LOWEST, walk - 1))
        done, total = notes.get("done"), notes.get("total")
        share = done / total if isinstance(done, int) and isinstance(total, int) and total else 0.0
    return tuple(ranges), share


def cut_among(index: sqlite3.Connection, names: Sequence[bytes]) -> frozenset[bytes]:
    """Return those of some events of which only the beginning is indexed."""
    places = ", ".join("?" * len(names))
    sql = f"SELECT pk FROM doc WHERE pk IN ({places}) AND bytes IS NOT NULL"  # noqa: S608
    return frozenset(name for (name,) in index.execute(sql, names))
