"""Matches: documents that a plan finds and whose events, read from the store, match the query."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from statestore.search import limits
from statestore.search.cursor import Cursor
from statestore.search.fts import change_log, ordering, planner, unindexed
from statestore.search.fts.ordering import DocidRange
from statestore.search.fts.planner import DOCID, PK, Doc, Plan, TextDocuments
from statestore.search.hits import Hit, events_of, read_hits, stop_note
from statestore.search.query import Query


@dataclass(slots=True)
class PageReader:
    """Reads the matches of one page, until it is full or the plan's budget is spent.

    Documents of `bypassed` events, which are read anyway, are skipped. `stopped_at` is where the budget ended.
    """

    using: str
    index: sqlite3.Connection
    query: Query
    cursor: Cursor
    plan: Plan
    bypassed: frozenset[bytes]
    limit: int
    stopped_at: Cursor | None = None
    notes: tuple[str, ...] = ()
    examined: int = field(default=0, init=False)
    last: Doc | None = field(default=None, init=False)

    def read(self) -> list[Hit]:
        """Return enough matches for a page, or those that the budget allowed."""
        hits: list[Hit] = []
        read, size = 0, max(limits.LEAST_CANDIDATES_AT_ONCE, self.limit + 1)
        docids = planner.range_of(self.index, self.query, self.cursor)
        candidates = self._candidates(docids)
        while True:
            keys, is_over = self._take(candidates, size)
            read += len(keys)
            hits += unindexed.among(self.using, self.query, self.cursor, keys)
            if is_over or len(hits) > self.limit:
                return hits
            if self.examined >= self.plan.budget or read >= limits.PAGE_CANDIDATES:
                self._stop()
                return hits
            if _is_partial(self.plan) and read >= limits.PARTIAL_CANDIDATES:
                self.plan = planner.plan(self.index, self.query, whole_words=True)
                candidates = self._candidates(self._rest(docids))
            size = self._next_size(len(hits), read)

    def _candidates(self, docids: DocidRange) -> Iterator[tuple[bool, Doc]]:
        return self.plan.walk(self.index, docids, backwards=self.cursor.backwards)

    def _take(self, candidates: Iterator[tuple[bool, Doc]], size: int) -> tuple[list[bytes], bool]:
        """Return the keys of the next candidates, and whether there are no more."""
        keys: list[bytes] = []
        budget, bypassed = self.plan.budget, self.bypassed
        for allowed, doc in candidates:
            self.examined += 1
            self.last = doc
            if allowed and doc[PK] not in bypassed:
                keys.append(doc[PK])
            if len(keys) >= size or self.examined >= budget:
                return keys, False
        return keys, True

    def _next_size(self, hits: int, read: int) -> int:
        """Return twice as many as the page lacks, by the share of matches so far."""
        lacking = (self.limit + 1 - hits) * 2 * read // hits if hits else limits.MOST_CANDIDATES_AT_ONCE
        return min(max(lacking, limits.LEAST_CANDIDATES_AT_ONCE), limits.MOST_CANDIDATES_AT_ONCE)

    def _rest(self, docids: DocidRange) -> DocidRange:
        """Return the part of a range that was not looked at yet."""
        assert self.last is not None
        last = self.last[DOCID]
        return DocidRange(last + 1, docids.high) if self.cursor.backwards else DocidRange(docids.low, last - 1)

    def _stop(self) -> None:
        """Note how far the search has got; the next page goes on from there."""
        assert self.last is not None
        hits = read_hits(events_of(self.using).filter(pk=change_log.pk_of(self.last[PK])).order_by(), 1)
        # If its event was deleted meanwhile, the next page begins with its second.
        rowid = ordering.LOWEST if self.cursor.backwards else ordering.HIGHEST
        second = Cursor(timestamp=ordering.second_of(self.last[DOCID]), rowid=rowid)
        self.stopped_at = (hits[0].cursor if hits else second).within(self.cursor)
        verb, reason = ("read", _why_read(self.query)) if self.plan.reads_all else ("checked", "")
        self.notes = (stop_note(self.examined, reason, self.stopped_at.timestamp, verb=verb),)


def _why_read(query: Query) -> str:
    if any(len(word) < limits.SHORTEST_WORD_CHARACTERS for word in query.words):
        return "words of fewer than three characters are not indexed"
    return "the index does not narrow this query down"


def _is_partial(plan: Plan) -> bool:
    return isinstance(plan.documents, TextDocuments) and plan.documents.is_partial


def newest(
    using: str, index: sqlite3.Connection, query: Query, plan: Plan, bypassed: frozenset[bytes]
) -> tuple[list[Doc], int | None]:
    """Return the newest documents that match, and the second back to which documents were examined, or None for all."""
    docids = planner.range_of(index, query, Cursor())
    if plan.is_exact and not plan.is_filtered and not bypassed:
        # All of them match: no need to look at each.
        docs = plan.newest(index, docids, limits.SAMPLED_EVENTS)
        return docs, ordering.second_of(docs[-1][DOCID]) if len(docs) == limits.SAMPLED_EVENTS else None
    most = limits.SAMPLED_EVENTS if plan.is_exact else limits.UNINDEXED_EVENTS
    docs = []
    reach = None
    candidates = plan.walk(index, docids)
    for examined, (allowed, doc) in enumerate(candidates, 1):
        if allowed and doc[PK] not in bypassed:
            docs.append(doc)
        if len(docs) >= most or examined >= limits.SAMPLED_DOCUMENTS:
            reach = ordering.second_of(doc[DOCID])
            break
    if not plan.is_exact:
        matching = {
            change_log.key_of(hit.pk) for hit in unindexed.among(using, query, Cursor(), [doc[PK] for doc in docs])
        }
        docs = [doc for doc in docs if doc[PK] in matching]
    return docs, reach
