"""What the index covers of the store right now, and what has to be read from the store."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from statestore.search import limits
from statestore.search.fts import change_log, index_file, source
from statestore.search.fts.change_log import LogStatus
from statestore.search.fts.index_file import Meta
from statestore.search.fts.indexer import belongs_to
from statestore.search.fts.ordering import HIGHEST, LOWEST, DocidRange


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of the store the index covers.

    `marked` events changed since they were indexed; `unread` are ranges of rowids, both ends included, that are not
    indexed yet. `large` events are indexed only in part and read whole; of `cut_short` more, only the beginning is
    searched.
    """

    index: sqlite3.Connection | None
    marked: frozenset[bytes] = frozenset()
    unread: tuple[tuple[int, int], ...] = ((LOWEST, HIGHEST),)
    lag_seconds: int = 0
    built_share: float | None = None
    overflowed: bool = False
    large: tuple[bytes, ...] = ()
    cut_short: int = 0

    @property
    def bypassed(self) -> frozenset[bytes]:
        """The events for which the index is bypassed: they are read from the store."""
        return self.marked.union(self.large)

    def with_large(self, docids: DocidRange, *, whole: bool = False) -> "Coverage":
        """Return the coverage by which events in a range that are indexed only in part are read whole.

        Unless `whole`, only the newest are, up to a number of bytes.
        """
        if self.index is None:
            return self
        sql = (
            "SELECT pk, bytes FROM doc INDEXED BY doc_cut WHERE bytes IS NOT NULL AND docid BETWEEN ? AND ?"
            " ORDER BY docid DESC"
        )
        cut = self.index.execute(sql, (docids.low, docids.high)).fetchall()
        totals = accumulate(size for _, size in cut)
        large = tuple(
            key for (key, _), total in zip(cut, totals, strict=True) if whole or total <= limits.LARGE_EVENT_BYTES
        )
        return replace(self, large=large, cut_short=len(cut) - len(large))


def coverage(using: str) -> Coverage:
    """Return what the index covers."""
    covered = _read_coverage(using)
    if covered.index is None and not covered.overflowed and index_file.reading() is not None:
        # The indexer may have replaced the store's token between our reads of the store and of the index.
        return _read_coverage(using)
    return covered


def _read_coverage(using: str) -> Coverage:
    """Read the marks first: an event whose mark is cleared meanwhile is in the index by then."""
    log = change_log.status(using)
    marks = change_log.marked(using, limits.MARKED_EVENTS + 1) if log.is_marking else []
    index = index_file.reading()
    if len(marks) > limits.MARKED_EVENTS:
        return Coverage(None, overflowed=True)
    if index is None:
        return Coverage(None)
    meta = index_file.all_meta(index)
    if not belongs_to(meta, using, log):
        return Coverage(None)
    aside = index.execute("SELECT pk FROM aside LIMIT ?", (limits.MARKED_EVENTS,)).fetchall()
    return Coverage(
        index,
        marked=frozenset(key for key, *_ in (*marks, *aside)),
        unread=tuple(_unread(using, meta, log)),
        lag_seconds=max(0, int(time.time()) - log.oldest) if log.oldest is not None and marks else 0,
        built_share=(meta.get("done") or 0) / (meta.get("total") or 1) if _is_building(meta) else None,
    )


def _unread(using: str, meta: Meta, log: LogStatus) -> Iterator[tuple[int, int]]:
    """Return the ranges of rowids that are not indexed: inserted since the last poll, or not reached by the walk."""
    seen = meta.get("seen")
    if not log.is_marking and seen is not None:
        # If another event has the last rowid, others may have been deleted and inserted anew as well.
        is_same = source.row_at(using, seen) == (seen, meta.get("seen_name"))
        yield seen + 1 if is_same else LOWEST, HIGHEST
    if _is_building(meta):
        yield LOWEST, meta["walk"] - 1


def _is_building(meta: dict[str, object]) -> bool:
    return meta.get("walk") is not None and not meta.get("trusted")


def cut_among(index: sqlite3.Connection, keys: Sequence[bytes]) -> frozenset[bytes]:
    """Return those of some events of which only the beginning is indexed."""
    places = ", ".join("?" * len(keys))
    sql = f"SELECT pk FROM doc WHERE pk IN ({places}) AND bytes IS NOT NULL"  # noqa: S608
    return frozenset(key for (key,) in index.execute(sql, keys))
