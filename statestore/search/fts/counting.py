"""Facets and histograms, counted from the index as far as it goes, and from events beyond it."""

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from statestore.db.batching import batched
from statestore.search import facets, limits
from statestore.search.cursor import Cursor
from statestore.search.facets import Counters, Facets
from statestore.search.fts import matches, names, ordering, planner, time_buckets, unindexed
from statestore.search.fts.coverage import Coverage
from statestore.search.fts.ordering import DocidRange
from statestore.search.fts.planner import ACTOR, ACTOR_TYPE, DOCID, GIT, PK, SESSION, TYPE, AllDocuments, Doc, Plan
from statestore.search.histogram import Bar, Histogram, Times, bars_between
from statestore.search.hits import Hit, events_of
from statestore.search.query import Query
from statestore.search.times import time_text

_COLUMNS: Final = {"type": TYPE, "actor": ACTOR, "actor-type": ACTOR_TYPE, "session": SESSION, "commit": GIT}


@dataclass(frozen=True)
class MatchCounter:
    """Counts the matches of one query over one snapshot of the index."""

    using: str
    query: Query
    index: sqlite3.Connection
    covered: Coverage
    plan: Plan

    @classmethod
    def begin(cls, using: str, query: Query, index: sqlite3.Connection, covered: Coverage) -> "MatchCounter":
        """Plan how to count the matches of a query."""
        plan = planner.plan(index, query, counting=True)
        if plan.is_by_text:
            covered = covered.with_large(planner.range_of(index, query, Cursor()))
        return cls(using, query, index, covered, plan)

    def facets(self) -> Facets:
        """Return how often each value occurs among the newest matches."""
        return self._facets(*self._newest())

    def histogram(self, start: int | None, end: int | None) -> Histogram:
        """Return how the matches spread over time."""
        if not self.plan.is_exact or self.plan.documents.is_small:
            return self._times(*self._newest()).histogram(start, end)
        docids = planner.range_of(self.index, self.query, Cursor()).within(start, end)
        seconds = self._all_seconds(docids)
        return self._bars(start, end) if seconds is None else Times([*self._extra, *seconds]).histogram(start, end)

    def counts(self, start: int | None, end: int | None) -> tuple[Facets, Histogram]:
        """Return both; what facets were counted over is often all that the histogram needs."""
        docs, reach = self._newest()
        is_enough = reach is None or not self.plan.is_exact or self.plan.documents.is_small
        histogram = self._times(docs, reach).histogram(start, end) if is_enough else self._bars(start, end)
        return self._facets(docs, reach), histogram

    def _facets(self, docs: Sequence[Doc], reach: int | None) -> Facets:
        hits, has_more = self._beyond_index
        counters = self._count_values(docs)
        for pks in batched([hit.pk for hit in hits], limits.IDS_AT_ONCE):
            for name, counter in facets.count_rows(facets.rows_of(events_of(self.using).filter(pk__in=pks))).items():
                counters[name].update(counter)
        counted = Facets.of(counters, len(docs) + len(hits), has_more=False)
        if reach is not None:
            return counted.limited(f"back to {time_text(reach)}")
        return counted.limited("so far") if has_more else counted

    def _times(self, docs: Iterable[Doc], reach: int | None) -> Times:
        return Times([*self._extra, *_seconds(docs)], reach is not None)

    def _bars(self, start: int | None, end: int | None) -> Histogram:
        docids = planner.range_of(self.index, self.query, Cursor()).within(start, end)
        ends = (next(self.plan.walk(self.index, docids, backwards=backwards), None) for backwards in (True, False))
        bars = bars_between([*self._extra, *_seconds(candidate[1] for candidate in ends if candidate)], start, end)
        counts = BarCounter(self.index, self.plan, self.covered.bypassed).counts(bars)
        return Histogram([
            Bar(low, high, count + sum(low <= second < high for second in self._extra), is_estimate)
            for (low, high), (count, is_estimate) in zip(bars, counts, strict=True)
        ])  # fmt: skip

    def _newest(self) -> tuple[list[Doc], int | None]:
        return matches.newest(self.using, self.index, self.query, self.plan, self.covered.bypassed)

    @cached_property
    def _beyond_index(self) -> tuple[list[Hit], bool]:
        """The matches that the index does not cover, and whether there may be more."""
        most = limits.UNINDEXED_EVENTS
        unread = unindexed.in_ranges(self.using, self.query, Cursor(), self.covered.unread, most)
        bypassed = unindexed.bypassed(self.using, self.query, Cursor(), self.covered)
        hits = {hit.pk: hit for hit in (*unread.hits, *bypassed)}
        return list(hits.values()), unread.edge is not None or len(unread.hits) == most

    @property
    def _extra(self) -> list[int]:
        """The seconds of the matches that the index does not cover."""
        return [int(hit.timestamp) for hit in self._beyond_index[0]]

    def _count_values(self, docs: Sequence[Doc]) -> Counters:
        """Return how often the commonest values occur: more than are shown, since other events may add to them."""
        agents = names.agent_types(self.index)
        columns = list(zip(*docs, strict=True))
        numbers: dict[str, Counter[int | None]] = {
            name: Counter(columns[place] if columns else ()) for name, place in _COLUMNS.items()
        }
        numbers["agent"] = Counter(doc[ACTOR] for doc in docs if doc[ACTOR_TYPE] in agents)
        del numbers["commit"][None]
        counters: Counters = {}
        for name, counter in numbers.items():
            common = counter.most_common(limits.FACET_VALUES * 4)
            texts = names.texts_of(self.index, [number for number, _ in common if number is not None])
            counters[name] = Counter({texts[number]: count for number, count in common if number in texts})
        return counters

    def _all_seconds(self, docids: DocidRange) -> list[int] | None:
        """Return the seconds of all matches if one lookup of the words finds them; quicker than one for each bar."""
        plan = self.plan
        if not plan.is_by_text or plan.is_filtered or self.covered.bypassed:
            return None
        parameters = (*plan.documents.parameters, docids.low, docids.high, limits.SAMPLED_EVENTS)
        numbers = self.index.execute(plan.documents.docids, parameters).fetchall()
        return [ordering.second_of(docid) for (docid,) in numbers] if len(numbers) < limits.SAMPLED_EVENTS else None


def _seconds(docs: Iterable[Doc]) -> list[int]:
    return [ordering.second_of(doc[DOCID]) for doc in docs]


class BarCounter:
    """Counts the documents that an exact plan finds in ranges of time, or estimates them if they are many."""

    def __init__(self, index: sqlite3.Connection, plan: Plan, bypassed: frozenset[bytes]) -> None:
        self.index, self.plan, self.bypassed = index, plan, bypassed
        self.is_all = isinstance(plan.documents, AllDocuments) and not plan.is_filtered
        # Document numbers alone do not show which events the index is bypassed for.
        self.by_docid = bool(plan.documents.docids) and not plan.is_filtered and not (plan.is_by_text and bypassed)
        # Documents of events that are read from the store do not count.
        parts = [] if plan.is_by_text else batched(list(bypassed), limits.VARIABLES_AT_ONCE)
        self.stale = sorted(
            doc[DOCID] for part in parts for doc in planner.documents_of(index, part) if plan.allows(doc)
        )

    def counts(self, bars: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bool]]:
        """Return for each bar how many documents there are, and whether that is an estimate."""
        ranges = [DocidRange(ordering.first_docid(start), ordering.first_docid(end) - 1) for start, end in bars]
        counted = map(self._all, ranges) if self.is_all else self._sampled(ranges)
        for docids, (count, is_estimate) in zip(ranges, counted, strict=True):
            if self.is_all or self.by_docid:
                count -= bisect_right(self.stale, docids.high) - bisect_right(self.stale, docids.low - 1)
            yield max(count, 0), is_estimate

    def _all(self, docids: DocidRange) -> tuple[int, bool]:
        return time_buckets.count(self.index, docids.low, docids.high)

    def _sampled(self, ranges: Sequence[DocidRange]) -> Iterator[tuple[int, bool]]:
        """Count ranges, or estimate them from their oldest documents and, of each second half, from the next range's.

        A look into the middle of each would cost as much as the one at its beginning.
        """
        most = limits.BAR_NAMED_DOCUMENTS if self.by_docid and not self.plan.is_by_text else limits.BAR_DOCUMENTS
        samples = [_Sample(docids, *self._oldest(docids, most)) for docids in ranges]
        for sample, following in zip(samples, [*samples[1:], None], strict=True):
            yield self._count(sample, following), sample.last is not None

    def _count(self, sample: "_Sample", following: "_Sample | None") -> int:
        docids = sample.docids
        if sample.last is None:
            return sample.count
        middle = time_buckets.middle(docids.low, docids.high)
        if sample.last >= middle:
            return self._estimate(sample, docids)
        half = DocidRange(middle, docids.high)
        following = following or _Sample(half, *self._oldest(half, limits.BAR_MIDDLE_DOCUMENTS))
        return self._estimate(sample, DocidRange(docids.low, middle - 1)) + self._estimate(following, half)

    def _oldest(self, docids: DocidRange, most: int) -> tuple[int, int | None]:
        """Return how many of the oldest documents there are in a range, and the last of these if there are more.

        The oldest come first: FTS5 jumps to the beginning of a range, but walks to its end, fifty times as long.
        """
        if self.by_docid:
            sql = f"SELECT count(*), max(rowid) FROM ({self.plan.documents.docids})"  # noqa: S608
            parameters = (*self.plan.documents.parameters, docids.low, docids.high, most)
            count, last = self.index.execute(sql, parameters).fetchone()
            return count, last if count == most else None
        count = 0
        for examined, (allowed, doc) in enumerate(self.plan.walk(self.index, docids, backwards=True), 1):
            count += allowed and doc[PK] not in self.bypassed
            if examined == most:
                return count, doc[DOCID]
        return count, None

    def _estimate(self, sample: "_Sample", docids: DocidRange) -> int:
        """Return how many documents a range has if a sample is a fair one of it.

        By their share of all documents, not by time: a burst says nothing about the hours after it.
        """
        last = sample.docids.high if sample.last is None else sample.last
        examined, _ = time_buckets.count(self.index, sample.docids.low, last)
        total, _ = time_buckets.count(self.index, docids.low, docids.high)
        least = sample.count if sample.docids.low == docids.low else 0
        return min(max(least, round(sample.count * total / max(examined, 1))), max(total, least))


@dataclass(frozen=True, slots=True)
class _Sample:
    """How many documents a range has up to the last one that was counted; None if all were."""

    docids: DocidRange
    count: int
    last: int | None
