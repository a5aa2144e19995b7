"""Documents of the index: one for each event, numbered in the order in which events are shown."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from statestore.db.batching import batched
from statestore.search import limits
from statestore.search.fts import ordering, trigram_stats
from statestore.search.fts.ordering import DOCIDS_PER_SECOND
from statestore.search.fts.source import StoredEvent
from statestore.search.hits import SortKey, sort_key
from statestore.search.times import StoredTime

# The documents of a second begin in the middle of its range, so that there is room on either side.
_MIDDLE: Final = DOCIDS_PER_SECOND // 2
Positions = dict[bytes, tuple[StoredTime, int]]
Numbered = list[tuple[int, StoredEvent]]


class Documents:
    """The documents of one index, within one write transaction of it.

    `positions` returns {key: (timestamp, rowid)} of events in the store, and `read` the events of some keys.
    """

    def __init__(
        self,
        index: sqlite3.Connection,
        positions: Callable[[Sequence[bytes]], Positions],
        read: Callable[[Sequence[bytes]], Iterable[StoredEvent]],
    ) -> None:
        self.index = index
        self.positions = positions
        self.read = read
        self.names: dict[tuple[int, bytes], int] = {}
        self.occupied: set[int] | None = None

    def known(self, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
        """Return {key: (document number, hash)} of those of some events that are in the index."""
        known: dict[bytes, tuple[int, int]] = {}
        for part in batched(keys, limits.VARIABLES_AT_ONCE):
            places = ", ".join("?" * len(part))
            rows = self.index.execute(f"SELECT pk, docid, hash FROM doc WHERE pk IN ({places})", part)  # noqa: S608
            known.update((key, (docid, digest)) for key, docid, digest in rows)
        return known

    def replace(self, keys: Sequence[bytes], events: list[StoredEvent]) -> None:
        """Index events as they are now, in place of their documents; remove the documents of all other keys."""
        # Events are read by several statements: one that moved in between may come twice.
        current = {event.key: event for event in events}
        keys = [*dict.fromkeys([*keys, *current])]
        self._remove(docid for docid, _ in self.known(keys).values())
        self.index.executemany("DELETE FROM aside WHERE pk = ?", [(key,) for key in keys])
        events = sorted(current.values(), key=_sort_key)
        self._note_occupied(events)
        numbered: Numbered = []
        for bucket, group in groupby(events, key=lambda event: ordering.bucket(event.timestamp)):
            numbered += self._numbered(bucket, list(group))
        # FTS5 flushes its pending terms whenever a number is less than the one before.
        self._add(sorted(numbered, key=lambda pair: pair[0]))

    def _note_occupied(self, events: list[StoredEvent]) -> None:
        """Note which of the events' seconds have documents already, unless those are too many."""
        if not events:
            return
        bounds = ordering.first_docid(events[0].timestamp), ordering.last_docid(events[-1].timestamp)
        most = limits.NOTED_DOCUMENTS
        sql = "SELECT docid FROM doc WHERE docid BETWEEN ? AND ? LIMIT ?"
        rows = self.index.execute(sql, (*bounds, most)).fetchall()
        self.occupied = None if len(rows) == most else {docid >> ordering.DOCID_BITS for (docid,) in rows}

    def _remove(self, docids: Iterable[int]) -> None:
        rows = [(docid,) for docid in sorted(docids)]
        self.index.executemany("DELETE FROM text WHERE rowid = ?", rows)
        self.index.executemany("DELETE FROM doc WHERE docid = ?", rows)

    def _numbered(self, bucket: int, events: list[StoredEvent]) -> Numbered:
        """Return sorted events of one second with numbers: after its documents, before them, or between."""
        first = bucket << ordering.DOCID_BITS
        ends = [] if self.occupied is not None and bucket not in self.occupied else self._ends(first)
        if not ends:
            start = first + max(0, min(_MIDDLE, DOCIDS_PER_SECOND - len(events)))
            return self._from(first, start, events)
        (lowest, lowest_key, lowest_rowid), (highest, highest_key, highest_rowid) = ends
        positions = self.positions([lowest_key, highest_key])
        # An event that has moved since it was indexed says nothing about its document's neighbours.
        unmoved = {
            key: sort_key(*positions[key])
            for key, rowid in ((lowest_key, lowest_rowid), (highest_key, highest_rowid))
            if key in positions and positions[key][1] == rowid and ordering.bucket(positions[key][0]) == bucket
        }
        is_after = highest_key in unmoved and unmoved[highest_key] < _sort_key(events[0])
        is_before = lowest_key in unmoved and _sort_key(events[-1]) < unmoved[lowest_key]
        if is_after and highest + len(events) < first + DOCIDS_PER_SECOND:
            return self._from(first, highest + 1, events)
        if is_before and lowest - len(events) >= first:
            return self._from(first, lowest - len(events), events)
        return self._between(first, events)

    def _ends(self, first: int) -> list[tuple[int, bytes, int]]:
        """Return the number, the key and the rowid of a second's first and last document."""
        bounds = (first, first + DOCIDS_PER_SECOND - 1)
        sql = "SELECT docid, pk, place FROM doc WHERE docid BETWEEN ? AND ? ORDER BY docid {} LIMIT 1"
        rows = [self.index.execute(sql.format(direction), bounds).fetchone() for direction in ("ASC", "DESC")]
        return [row for row in rows if row]

    def _from(self, first: int, start: int, events: list[StoredEvent]) -> Numbered:
        """Return events with numbers from `start` on, as far as the second has room."""
        room = first + DOCIDS_PER_SECOND - start
        self._set_aside(events[room:])
        return list(enumerate(events[:room], start))

    def _between(self, first: int, events: list[StoredEvent]) -> Numbered:
        """Return events with numbers between the other documents of their second; those in the way move up."""
        end = first + DOCIDS_PER_SECOND
        rows = self.index.execute("SELECT pk, docid FROM doc WHERE docid BETWEEN ? AND ?", (first, end - 1)).fetchall()
        docids: dict[bytes, int] = dict(rows)
        positions = self.positions(list(docids))
        self._remove(docid for key, docid in docids.items() if key not in positions)
        order = [(sort_key(*position), key) for key, position in positions.items()]
        order += [(_sort_key(event), event.key) for event in events]
        moved, last = {}, first - 1
        for number, (_, key) in enumerate(sorted(order)):
            # A document may keep its number if those after it still have room.
            latest = end - (len(order) - number)
            present = docids.get(key)
            last = present if present is not None and last < present <= latest else last + 1
            if last != present:
                moved[key] = last
        self._remove(docids[key] for key in moved if key in docids)
        by_key = {event.key: event for event in events}
        for event in self.read([key for key in moved if key not in by_key]):
            # An event that belongs to another second by now only makes room here: it is yet to be indexed anew.
            is_here = ordering.first_docid(event.timestamp) == first
            by_key[event.key] = event if is_here else replace(event, hash=0)
        numbered = [(docid, by_key[key]) for key, docid in moved.items() if key in by_key]
        self._set_aside([event for docid, event in numbered if docid >= end])
        return [pair for pair in numbered if pair[0] < end]

    def _set_aside(self, events: Iterable[StoredEvent]) -> None:
        """List events for which their second has no number left: searches read them from the store."""
        self.index.executemany("INSERT OR IGNORE INTO aside (pk) VALUES (?)", [(event.key,) for event in events])

    def _add(self, numbered: Numbered) -> None:
        self.index.executemany(
            "INSERT INTO doc (docid, pk, type, actor_type, actor, session, git, place, hash, bytes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (docid, event.key, *self._name_ids(event), event.rowid, event.hash, _size_if_cut(event))
                for docid, event in numbered
            ],
        )
        sample = [event.content for _, event in numbered if event.hash % trigram_stats.SAMPLED_ONE_OF == 0]
        if sample:
            trigram_stats.count(self.index, sample)
        self.index.executemany(
            "INSERT INTO text (rowid, content, type, session)"
            " VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT))",
            [(docid, event.content, event.type, event.session) for docid, event in numbered],
        )

    def _name_ids(self, event: StoredEvent) -> list[int | None]:
        texts = (event.type, event.actor_type, event.actor, event.session, event.git)
        return [self._name_id(field, text) if text is not None else None for field, text in enumerate(texts)]

    def _name_id(self, field: int, text: bytes) -> int:
        number = self.names.get((field, text))
        if number is None:
            name = (field, text)
            self.index.execute("INSERT OR IGNORE INTO name (field, text) VALUES (?, CAST(? AS TEXT))", name)
            rows = self.index.execute("SELECT id FROM name WHERE field = ? AND text = CAST(? AS TEXT)", name)
            number = self.names[name] = int(rows.fetchone()[0])
        return number


def _sort_key(event: StoredEvent) -> SortKey:
    return sort_key(event.timestamp, event.rowid)


def _size_if_cut(event: StoredEvent) -> int | None:
    """Return the size of a content of which only the beginning is indexed."""
    return event.size if event.size > limits.INDEXED_BYTES else None
