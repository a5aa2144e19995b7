"""Documents of the index: one for each event, numbered in the order in which events are shown."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from statestore.search import limits
from statestore.search.fts import ordering, trigram_stats
from statestore.search.fts.source import Source
from statestore.search.hits import SortKey, sort_key

# The events of a second begin in the middle of its places, so that there is room on either side.
_MIDDLE: Final = ordering.DOCIDS_PER_SECOND // 2
Positions = Callable[[Sequence[bytes]], dict[bytes, tuple[Any, int]]]


class Documents:
    """The documents of one index, within one write transaction of it.

    `positions` tells where events stand in the store, and `read` brings the events of some names.
    """

    def __init__(
        self, index: sqlite3.Connection, positions: Positions, read: Callable[[Sequence[bytes]], Iterable[Source]]
    ) -> None:
        self.index = index
        self.positions = positions
        self.read = read
        self.names: dict[tuple[int, bytes], int] = {}
        self.occupied: set[int] | None = None

    def known(self, names: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
        """Return {name: (document number, hash)} of those of some events that are in the index."""
        found: dict[bytes, tuple[int, int]] = {}
        for start in range(0, len(names), limits.VARIABLES_AT_ONCE):
            part = names[start : start + limits.VARIABLES_AT_ONCE]
            places = ", ".join("?" * len(part))
            rows = self.index.execute(f"SELECT pk, docid, hash FROM doc WHERE pk IN ({places})", part)  # noqa: S608
            found.update((name, (docid, digest)) for name, docid, digest in rows)
        return found

    def replace(self, names: Sequence[bytes], events: list[Source]) -> None:
        """Let the index hold some events as they are now; of the names, those without an event leave it."""
        # Rows are read in several statements: meanwhile one event may have taken the place of another, and come twice.
        current = {event.name: event for event in events}
        names = [*dict.fromkeys([*names, *current])]
        known = self.known(names)
        self._forget(docid for docid, _ in known.values())
        self.index.executemany("DELETE FROM aside WHERE pk = ?", [(name,) for name in names])
        events = sorted(current.values(), key=lambda event: sort_key(event.timestamp, event.rowid))
        placed: list[tuple[int, Source]] = []
        self._look_around(events)
        for bucket, group in groupby(events, key=lambda event: ordering.bucket(event.timestamp)):
            placed += self._placed(bucket, list(group))
        # FTS5 writes out what it has gathered whenever a number is less than the one before.
        self._add(sorted(placed, key=lambda pair: pair[0]))

    def _look_around(self, events: list[Source]) -> None:
        """Note which seconds around some events have documents already, unless those are too many to be noted."""
        if not events:
            return
        span = ordering.first_docid(events[0].timestamp), ordering.last_docid(events[-1].timestamp)
        most = limits.NOTED_DOCUMENTS
        rows = self.index.execute("SELECT docid FROM doc WHERE docid BETWEEN ? AND ? LIMIT ?", (*span, most)).fetchall()
        self.occupied = None if len(rows) == most else {docid >> ordering.DOCID_BITS for (docid,) in rows}

    def _forget(self, docids: Iterable[int]) -> None:
        rows = [(docid,) for docid in sorted(docids)]
        self.index.executemany("DELETE FROM text WHERE rowid = ?", rows)
        self.index.executemany("DELETE FROM doc WHERE docid = ?", rows)

    def _placed(self, bucket: int, events: list[Source]) -> list[tuple[int, Source]]:
        """Return events of one second, in order, with their numbers: after those there are, before them, or between."""
        first = bucket << ordering.DOCID_BITS
        ends = [] if self.occupied is not None and bucket not in self.occupied else self._ends(first)
        if not ends:
            start = first + max(0, min(_MIDDLE, ordering.DOCIDS_PER_SECOND - len(events)))
            return self._numbered(first, start, events)
        (lowest, lowest_name, lowest_place), (highest, highest_name, highest_place) = ends
        found = self.positions([lowest_name, highest_name])
        # An event that has moved since tells nothing about where those beside its document stand.
        stays = {
            name: sort_key(*found[name])
            for name, place in ((lowest_name, lowest_place), (highest_name, highest_place))
            if name in found and found[name][1] == place and ordering.bucket(found[name][0]) == bucket
        }
        comes_last = highest_name in stays and stays[highest_name] < _key(events[0])
        comes_first = lowest_name in stays and _key(events[-1]) < stays[lowest_name]
        if comes_last and highest + len(events) < first + ordering.DOCIDS_PER_SECOND:
            return self._numbered(first, highest + 1, events)
        if comes_first and lowest - len(events) >= first:
            return self._numbered(first, lowest - len(events), events)
        return self._between(first, events)

    def _ends(self, first: int) -> list[tuple[int, bytes, int]]:
        span = (first, first + ordering.DOCIDS_PER_SECOND - 1)
        sql = "SELECT docid, pk, place FROM doc WHERE docid BETWEEN ? AND ? ORDER BY docid {} LIMIT 1"
        rows = [self.index.execute(sql.format(way), span).fetchone() for way in ("ASC", "DESC")]
        return [row for row in rows if row]

    def _numbered(self, first: int, start: int, events: list[Source]) -> list[tuple[int, Source]]:
        free = first + ordering.DOCIDS_PER_SECOND - start
        self._set_aside(events[free:])
        return list(enumerate(events[:free], start))

    def _between(self, first: int, events: list[Source]) -> list[tuple[int, Source]]:
        """Return events with numbers among the others of their second; those in the way move up."""
        span = (first, first + ordering.DOCIDS_PER_SECOND - 1)
        rows = self.index.execute("SELECT pk, docid FROM doc WHERE docid BETWEEN ? AND ?", span).fetchall()
        current: dict[bytes, int] = dict(rows)
        there = self.positions(list(current))
        self._forget(docid for name, docid in current.items() if name not in there)
        places = [(sort_key(*at), name) for name, at in there.items()]
        places += [(_key(event), event.name) for event in events]
        moved, last = {}, first - 1
        for place, (_, name) in enumerate(sorted(places)):
            # Whoever stands late must leave room for all that follow.
            latest = first + ordering.DOCIDS_PER_SECOND - (len(places) - place)
            wanted = current.get(name)
            last = wanted if wanted is not None and last < wanted <= latest else last + 1
            if last != wanted:
                moved[name] = last
        self._forget(current[name] for name in moved if name in current)
        given = {event.name: event for event in events}
        for event in self.read([name for name in moved if name not in given]):
            # One that belongs to another second by now only makes room here: it is still to be indexed anew.
            is_here = ordering.first_docid(event.timestamp) == first
            given[event.name] = event if is_here else replace(event, hash=0)
        numbered = [(docid, given[name]) for name, docid in moved.items() if name in given]
        self._set_aside([event for docid, event in numbered if docid >= first + ordering.DOCIDS_PER_SECOND])
        return [pair for pair in numbered if pair[0] < first + ordering.DOCIDS_PER_SECOND]

    def _set_aside(self, events: Iterable[Source]) -> None:
        """Keep events for which there is no number: those are searched by reading them."""
        self.index.executemany("INSERT OR IGNORE INTO aside (pk) VALUES (?)", [(event.name,) for event in events])

    def _add(self, placed: list[tuple[int, Source]]) -> None:
        self.index.executemany(
            "INSERT INTO doc (docid, pk, type, actor_type, actor, session, git, place, hash, bytes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    docid,
                    event.name,
                    *self._name_ids(event),
                    event.rowid,
                    event.hash,
                    event.size if _is_cut(event) else None,
                )
                for docid, event in placed
            ],
        )
        sample = [event.content for _, event in placed if event.hash % trigram_stats.SAMPLED_ONE_OF == 0]
        if sample:
            trigram_stats.count(self.index, sample)
        self.index.executemany(
            "INSERT INTO text (rowid, content, type, session)"
            " VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT))",
            [(docid, event.content, event.type, event.session) for docid, event in placed],
        )

    def _name_ids(self, event: Source) -> list[int | None]:
        texts = (event.type, event.actor_type, event.actor, event.session, event.git)
        return [self._name_id(field, text) if text is not None else None for field, text in enumerate(texts)]

    def _name_id(self, field: int, text: bytes) -> int:
        number = self.names.get((field, text))
        if number is None:
            where = (field, text)
            self.index.execute("INSERT OR IGNORE INTO name (field, text) VALUES (?, CAST(? AS TEXT))", where)
            found = self.index.execute("SELECT id FROM name WHERE field = ? AND text = CAST(? AS TEXT)", where)
            number = self.names[field, text] = int(found.fetchone()[0])
        return number


def _key(event: Source) -> SortKey:
    return sort_key(event.timestamp, event.rowid)


def _is_cut(event: Source) -> bool:
    return event.size > limits.INDEXED_BYTES
