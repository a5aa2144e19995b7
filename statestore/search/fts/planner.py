"""Candidates: which documents of the index may answer a query, in order, found by whatever leaves the fewest."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from statestore.db.fields import text_bytes
from statestore.search.fts import ordering, trigram_stats
from statestore.search.fts.documents import FIELD_NUMBERS
from statestore.search.query import Query

# Fewer documents than this with a filter's value: reading them beats asking the index for a word.
FEW: Final = 2_000
SORTABLE: Final = 20_000
# Documents that are looked at for one page, and those whose events are read where no index of words can help.
MOST_LOOKED_AT: Final = 60_000
MOST_READ: Final = 1_500
MOST_CHECKED: Final = 6_000
# After so many events that had the pieces of a word and mostly not the word, all of the word is looked up.
MOST_ROUGH: Final = 500
MOST_COMMITS: Final = 500
SHORTEST_WORD: Final = 3
_COLUMN: Final = {"type": "type", "actor-type": "actor_type", "actor": "actor", "session": "session"}
DOC: Final = "d.docid, d.pk, d.type, d.actor_type, d.actor, d.session, d.git"
Doc = tuple[int, bytes, int, int, int, int, int | None]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of document numbers, both ends included."""

    low: int = ordering.LOWEST
    high: int = ordering.HIGHEST


@dataclass(frozen=True, slots=True)
class Plan:
    """How candidates are found.

    `is_exact` tells that the index alone decides; otherwise each candidate is read, and with `reads` those are many.
    With `by_text` they are those of the index of words, with `is_rough` by some pieces of these only. `bare` finds the
    oldest numbers alone, where nothing else has to be known of a document; with `is_filtered` something has.
    """

    sql: str
    parameters: tuple[Any, ...]
    allows: Callable[[Doc], bool]
    is_exact: bool = False
    reads: bool = False
    is_small: bool = False
    by_text: bool = False
    is_rough: bool = False
    is_filtered: bool = False
    bare: str = ""

    def walk(self, index: sqlite3.Connection, span: Span, *, backwards: bool = False) -> Iterator[tuple[bool, Doc]]:
        """Return the documents within a span, newest first or oldest first, and whether each may be an answer."""
        if not self.sql or span.low > span.high:
            return
        sql = self.sql.format(way="ASC" if backwards else "DESC")
        for doc in index.execute(sql, (*self.parameters, span.low, span.high)):
            yield self.allows(doc), doc

    @property
    def most(self) -> int:
        """How many documents may be looked at for one page."""
        return FEW * 10 if self.is_small else MOST_READ if self.reads else MOST_LOOKED_AT


def plan(index: sqlite3.Connection, query: Query, *, counting: bool = False, whole: bool = False) -> Plan:
    """Return the plan that looks at the fewest documents; for counting, one by which few have to be read.

    With `whole` words are looked up as a whole, whatever it costs.
    """
    wanted, unwanted = _wanted(index, query), _unwanted(index, query)
    allows = _check(wanted, unwanted)
    if any(not numbers for numbers in wanted.values()):
        return Plan("", (), allows, is_exact=True)
    decided = _is_decided(query, wanted)
    columns = [column for column in wanted if column != "actor_type"]  # Three words: too common to help.
    sized = sorted((_count(index, column, wanted[column]), column) for column in columns)
    words = [word for word in query.words if len(word) >= SHORTEST_WORD]
    if sized and sized[0][0] <= (FEW if words else SORTABLE):
        column = sized[0][1]
        exact, alone = decided and not query.words, len(wanted) == 1 and not unwanted
        return _by_field(column, wanted[column], allows, exact, is_small=sized[0][0] <= FEW, alone=alone)
    if words:
        is_filtered = bool(wanted or unwanted)
        return _by_words(index, query, words, allows, decided, counting=counting, whole=whole, filtered=is_filtered)
    exact = decided and not query.words
    if sized and len(wanted[sized[0][1]]) == 1:
        alone = len(wanted) == 1 and not unwanted
        return _by_field(sized[0][1], wanted[sized[0][1]], allows, exact, alone=alone)
    sql = f"SELECT {DOC} FROM doc d NOT INDEXED WHERE d.docid BETWEEN ? AND ? ORDER BY d.docid {{way}}"  # noqa: S608
    return Plan(sql, (), allows, exact, reads=not exact, is_filtered=bool(wanted or unwanted))


def _by_words(
    index: sqlite3.Connection,
    query: Query,
    words: list[str],
    allows: Any,
    decided: bool,
    *,
    counting: bool,
    whole: bool,
    filtered: bool,
) -> Plan:
    """Return the plan by the index of trigrams; a long word is looked up by its rarest pieces where that suffices.

    To be counted, all that the pieces find must be read, or else the whole word be looked up, by each of its trigrams.
    """
    all_of_them = [word[: trigram_stats.LONGEST] for word in words]
    pieces, expected = (all_of_them, inf) if whole else trigram_stats.pieces(index, words)
    is_rare = expected <= FEW // 2 or (counting and pieces != words and _are_few(index, trigram_stats.phrase(pieces)))
    if counting and not is_rare:
        pieces = all_of_them
    match = trigram_stats.phrase(pieces)
    sql = (
        f"SELECT {DOC} FROM text CROSS JOIN doc d ON d.docid = text.rowid"  # noqa: S608
        " WHERE text MATCH ? AND text.rowid BETWEEN ? AND ? ORDER BY text.rowid {way}"
    )
    bare = "SELECT rowid FROM text WHERE text MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid LIMIT ?"
    exact = decided and pieces == words and all(map(_is_whole, query.words))
    return Plan(
        sql, (match,), allows, exact, bare="" if filtered else bare, is_small=not exact and is_rare,
        by_text=True, is_rough=pieces != all_of_them,
    )  # fmt: skip


def _are_few(index: sqlite3.Connection, match: str) -> bool:
    sql = "SELECT count(*) FROM (SELECT 1 FROM text WHERE text MATCH ? LIMIT ?)"
    return int(index.execute(sql, (match, FEW // 2 + 1)).fetchone()[0]) <= FEW // 2


def _is_whole(word: str) -> bool:
    """Return whether the index finds a word as LIKE does: not more (its letters of other scripts have a case)."""
    return word.isascii() and SHORTEST_WORD <= len(word) <= trigram_stats.LONGEST


def _is_decided(query: Query, wanted: dict[str, set[int]]) -> bool:
    """Return whether the numbers of the names decide about all filters."""
    has_odd = query.values("agent", negated=True) or query.values("commit", negated=True)
    # Beyond these, many times share a number.
    is_coarse = any(abs(at) >= ordering.EXACT for at in (query.after, query.before) if at is not None)
    return not (query.unwanted or has_odd or is_coarse or (query.values("commit") and "git" not in wanted))


def _by_field(column: str, numbers: set[int], allows: Any, exact: bool, *, is_small: bool = False, alone: bool) -> Plan:
    # An equality, since SQLite sorts what IN found, also with one value.
    places = "= ?" if len(numbers) == 1 else f"IN ({', '.join('?' * len(numbers))})"
    known = "d.git IS NOT NULL AND" if column == "git" else ""
    sql = (
        f"SELECT {DOC} FROM doc d INDEXED BY doc_{column} WHERE {known} d.{column} {places}"  # noqa: S608
        " AND d.docid BETWEEN ? AND ? ORDER BY d.docid {way}"
    )
    bare = (
        f"SELECT d.docid AS rowid FROM doc d INDEXED BY doc_{column} WHERE {known} d.{column} {places}"  # noqa: S608
        " AND d.docid BETWEEN ? AND ? ORDER BY d.docid LIMIT ?"
    )
    return Plan(
        sql, tuple(numbers), allows, exact, reads=not exact, is_small=is_small, bare=bare if alone else "",
        is_filtered=not alone,
    )  # fmt: skip


def _wanted(index: sqlite3.Connection, query: Query) -> dict[str, set[int]]:
    """Return {column: numbers of the names} that the filters ask for."""
    wanted = {
        column: _numbers(index, column, query.values(name)) for name, column in _COLUMN.items() if query.values(name)
    }
    if names := query.values("agent"):
        for column, numbers in (("actor", _numbers(index, "actor", names)), ("actor_type", agents(index))):
            wanted[column] = wanted[column] & numbers if column in wanted else numbers
    if (commits := query.values("commit")) and all(commits):
        found = {number for commit in commits for number in _commits(index, commit)}
        if len(found) < MOST_COMMITS:
            wanted["git"] = found
    return wanted


def _unwanted(index: sqlite3.Connection, query: Query) -> dict[str, set[int]]:
    """Return {column: numbers of the names} that the filters exclude."""
    values = {column: query.values(name, negated=True) for name, column in _COLUMN.items()}
    return {column: _numbers(index, column, names) for column, names in values.items() if names}


def agents(index: sqlite3.Connection) -> set[int]:
    """Return the number of the word for an agent among the types of actors."""
    return _numbers(index, "actor_type", ("Agent",))


def _numbers(index: sqlite3.Connection, column: str, values: tuple[str, ...]) -> set[int]:
    places = ", ".join(["CAST(? AS TEXT)"] * len(values))
    sql = f"SELECT id FROM name WHERE field = ? AND text IN ({places})"  # noqa: S608
    return {row[0] for row in index.execute(sql, (FIELD_NUMBERS[column], *map(text_bytes, values)))}


def _commits(index: sqlite3.Connection, prefix: str) -> set[int]:
    sql = "SELECT id FROM name WHERE field = ? AND text >= CAST(? AS TEXT) AND text < CAST(? AS TEXT) LIMIT ?"
    begin = text_bytes(prefix)
    rows = index.execute(sql, (FIELD_NUMBERS["git"], begin, begin + b"\xff", MOST_COMMITS))
    return {row[0] for row in rows}


def _count(index: sqlite3.Connection, column: str, numbers: set[int]) -> int:
    places = ", ".join("?" * len(numbers))
    known = "d.git IS NOT NULL AND" if column == "git" else ""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM doc d WHERE {known} d.{column} IN ({places}) LIMIT ?)"  # noqa: S608
    return int(index.execute(sql, (*numbers, SORTABLE + 1)).fetchone()[0])


_PLACE: Final = {"type": 2, "actor_type": 3, "actor": 4, "session": 5, "git": 6}


def _check(wanted: dict[str, set[int]], unwanted: dict[str, set[int]]) -> Callable[[Doc], bool]:
    """Return the function that tells by its numbers alone whether a document may be an answer."""
    good = [(_PLACE[column], numbers) for column, numbers in wanted.items()]
    bad = [(_PLACE[column], numbers) for column, numbers in unwanted.items()]
    if not good and not bad:
        return lambda doc: True
    return lambda doc: (
        all(doc[place] in numbers for place, numbers in good)
        and not any(doc[place] in numbers for place, numbers in bad)
    )
