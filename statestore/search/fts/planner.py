"""Plans: which documents may match a query, found by that part of it which leaves the fewest."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from statestore.db.batching import batched
from statestore.search import limits
from statestore.search.cursor import Cursor
from statestore.search.fts import names, ordering, trigram_stats
from statestore.search.fts.change_log import key_of
from statestore.search.fts.ordering import DocidRange
from statestore.search.query import Query
from statestore.search.times import EXACT_BELOW

_COLUMNS: Final = {name: names.COLUMNS[name] for name in ("type", "actor-type", "actor", "session")}

_DOC: Final = "d.docid, d.pk, d.type, d.actor_type, d.actor, d.session, d.git"
Doc = tuple[int, bytes, int, int, int, int, int | None]
DOCID: Final = 0
PK: Final = 1
TYPE: Final = 2
ACTOR_TYPE: Final = 3
ACTOR: Final = 4
SESSION: Final = 5
GIT: Final = 6
_PLACE: Final = {"type": TYPE, "actor_type": ACTOR_TYPE, "actor": ACTOR, "session": SESSION, "git": GIT}
_IN_RANGE: Final = "d.docid BETWEEN ? AND ? ORDER BY d.docid"


class DocumentSet:
    """The documents that one part of the index finds, by SQL whose last parameters are a range.

    `rows` is SQL for documents in either direction, `docids` for the first numbers alone. A set `is_small` if all of it
    can be read.
    """

    rows: str
    docids: str = ""
    parameters: tuple[object, ...] = ()
    is_small: bool = False


class NoDocuments(DocumentSet):
    """No documents: the query asks for a name that does not occur."""

    rows = f"SELECT {_DOC} FROM doc d WHERE 0 AND {_IN_RANGE} {{direction}}"  # noqa: S608
    is_small = True


class AllDocuments(DocumentSet):
    """Every document, in order of time: no part of the query narrows them down."""

    rows = f"SELECT {_DOC} FROM doc d NOT INDEXED WHERE {_IN_RANGE} {{direction}}"  # noqa: S608


class NamedDocuments(DocumentSet):
    """The documents with certain names in one column, by that column's index."""

    def __init__(self, column: str, numbers: frozenset[int], count: int) -> None:
        # An equality, since SQLite sorts the rows of an IN, even of one value.
        places = "= ?" if len(numbers) == 1 else f"IN ({', '.join('?' * len(numbers))})"
        having = f"FROM doc d INDEXED BY doc_{column} WHERE {_is_known(column)} d.{column} {places} AND {_IN_RANGE}"
        self.rows = f"SELECT {_DOC} {having} {{direction}}"
        self.docids = f"SELECT d.docid AS rowid {having} LIMIT ?"
        self.parameters = tuple(numbers)
        self.is_small = count <= limits.FEW_DOCUMENTS


class AgentDocuments(DocumentSet):
    """The documents of agents and of their sessions, of each by the index, merged in order of time."""

    def __init__(self, parts: Sequence[str], count: int) -> None:
        # Numbers of ours stand in the SQL: each part needs the range, which is given once.
        lists = [f"{part} AND d.docid BETWEEN (SELECT low FROM ends) AND (SELECT high FROM ends)" for part in parts]  # noqa: S608
        self.rows = f"{_ENDS} {_union(_DOC, lists)} ORDER BY 1 {{direction}}"
        self.docids = f"{_ENDS} {_union('d.docid AS rowid', lists)} ORDER BY 1 LIMIT ?"
        self.is_small = count <= limits.FEW_DOCUMENTS


_ENDS: Final = "WITH ends(low, high) AS (VALUES (?, ?))"


def _union(columns: str, parts: Sequence[str]) -> str:
    return " UNION ALL ".join(f"SELECT {columns} {part}" for part in parts)


class TextDocuments(DocumentSet):
    """The documents with certain pieces of text, by the trigram index.

    If it `is_partial`, the words of the query have more trigrams than these pieces.
    """

    rows = (
        f"SELECT {_DOC} FROM text CROSS JOIN doc d ON d.docid = text.rowid"  # noqa: S608
        " WHERE text MATCH ? AND text.rowid BETWEEN ? AND ? ORDER BY text.rowid {direction}"
    )
    docids = "SELECT rowid FROM text WHERE text MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid LIMIT ?"

    def __init__(self, match: str, *, is_partial: bool, is_small: bool) -> None:
        self.parameters = (match,)
        self.is_partial = is_partial
        self.is_small = is_small


@dataclass(frozen=True, slots=True)
class AgentNumbers:
    """The numbers of agents, of the actor type of agents, and of their sessions."""

    actors: frozenset[int]
    types: frozenset[int]
    sessions: frozenset[int]

    def holds(self, doc: Doc) -> bool:
        """Return whether a document is of one of the agents or of one of their sessions."""
        return doc[SESSION] in self.sessions or (doc[ACTOR] in self.actors and doc[ACTOR_TYPE] in self.types)


@dataclass(frozen=True, slots=True)
class NameFilter:
    """The numbers of names that a query wants and does not want, by column; agents with their sessions."""

    wanted: dict[str, frozenset[int]]
    unwanted: dict[str, frozenset[int]]
    agents: AgentNumbers | None = None
    unwanted_agents: AgentNumbers | None = None

    def __len__(self) -> int:
        return len(self.wanted) + len(self.unwanted) + (self.agents is not None) + (self.unwanted_agents is not None)

    def check(self) -> Callable[[Doc], bool]:
        """Return a function that decides whether a document passes."""
        good = [(_PLACE[column], numbers) for column, numbers in self.wanted.items()]
        bad = [(_PLACE[column], numbers) for column, numbers in self.unwanted.items()]
        agents, unwanted_agents = self.agents, self.unwanted_agents
        if not self:
            return lambda doc: True
        return lambda doc: (
            all(doc[place] in numbers for place, numbers in good)
            and not any(doc[place] in numbers for place, numbers in bad)
            and (agents is None or agents.holds(doc))
            and (unwanted_agents is None or not unwanted_agents.holds(doc))
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """How matches are found: documents of a set that pass a filter.

    If it `is_exact`, these are the matches; otherwise their events are read and checked. Unless it `is_filtered`, all
    documents of the set pass.
    """

    documents: DocumentSet
    allows: Callable[[Doc], bool]
    is_filtered: bool
    is_exact: bool

    def walk(
        self, index: sqlite3.Connection, docids: DocidRange, *, backwards: bool = False
    ) -> Iterator[tuple[bool, Doc]]:
        """Return the documents in a range, newest or oldest first, and whether each passes."""
        sql = self.documents.rows.format(direction="ASC" if backwards else "DESC")
        for doc in index.execute(sql, (*self.documents.parameters, docids.low, docids.high)):
            yield self.allows(doc), doc

    def newest(self, index: sqlite3.Connection, docids: DocidRange, most: int) -> list[Doc]:
        """Return the newest documents of the set in a range, up to a number, whether they pass or not."""
        sql = f"{self.documents.rows.format(direction='DESC')} LIMIT ?"
        return index.execute(sql, (*self.documents.parameters, docids.low, docids.high, most)).fetchall()

    @property
    def is_by_text(self) -> bool:
        """Whether the trigram index finds the documents."""
        return isinstance(self.documents, TextDocuments)

    @property
    def reads_all(self) -> bool:
        """Whether every event is read, for lack of a word that leads to the matches."""
        return not self.is_exact and not self.is_by_text

    @property
    def budget(self) -> int:
        """How many documents may be looked at for one page."""
        if self.documents.is_small:
            return limits.SMALL_SOURCE_DOCUMENTS
        return limits.UNINDEXED_EVENTS if self.reads_all else limits.PAGE_DOCUMENTS


def plan(index: sqlite3.Connection, query: Query, *, counting: bool = False, whole_words: bool = False) -> Plan:
    """Return the plan that looks at the fewest documents; for counting, one by which few of them have to be read.

    With `whole_words`, all trigrams of the words are looked up, at any cost.
    """
    filters = NameFilter(
        _wanted(index, query), _unwanted(index, query), _agents(index, query), _agents(index, query, negated=True)
    )
    allows, is_decided = filters.check(), _is_decided(query, filters)
    found = list(_named(index, filters))
    if not all(option.count for option in found) or not all(filters.wanted.values()):
        return Plan(NoDocuments(), allows, is_filtered=False, is_exact=True)
    words = [word for word in query.words if len(word) >= limits.SHORTEST_WORD_CHARACTERS]
    named = min(found, key=lambda option: option.count, default=None)
    most = limits.FEW_DOCUMENTS if words else limits.SORTABLE_DOCUMENTS
    if named and (named.count <= most or (named.is_in_order and not words)):
        return Plan(named.documents, allows, is_filtered=len(filters) > 1, is_exact=is_decided and not query.words)
    is_filtered = len(filters) > 0
    if words:
        pieces, is_rare = _pieces(index, words, counting=counting, whole_words=whole_words)
        is_exact = is_decided and pieces == words and all(map(_is_whole, query.words))
        is_partial = pieces != _beginnings(words)
        text = TextDocuments(trigram_stats.phrase(pieces), is_partial=is_partial, is_small=is_rare and not is_exact)
        return Plan(text, allows, is_filtered, is_exact)
    return Plan(AllDocuments(), allows, is_filtered, is_exact=is_decided and not query.words)


@dataclass(frozen=True, slots=True)
class _Named:
    """Documents that the names of a query find, and how many, up to SORTABLE_DOCUMENTS.

    Unless they are found in order, all of them are sorted.
    """

    count: int
    documents: DocumentSet
    is_in_order: bool


def _named(index: sqlite3.Connection, filters: NameFilter) -> Iterator[_Named]:
    """Return the documents that each of the filters finds."""
    for column, numbers in filters.wanted.items():
        if column != "actor_type":  # Three types: too common to help.
            count = _count(index, column, numbers)
            yield _Named(count, NamedDocuments(column, numbers, count), len(numbers) == 1)
    if filters.agents is not None:
        parts = _parts_of(index, filters.agents)
        count = _count_of(index, f"({_union('1', parts)})") if parts else 0
        yield _Named(count, AgentDocuments(parts, count), len(filters.agents.sessions) <= limits.MERGED_SESSIONS)


def _parts_of(index: sqlite3.Connection, agents: AgentNumbers) -> list[str]:
    """Return the lists of documents that are of agents: one for each session, one for what they did in none."""
    sessions = sorted(agents.sessions)
    having = "FROM doc d INDEXED BY doc_session WHERE d.session"
    parts = [f"{having} = {session}" for session in sessions]
    if len(sessions) > limits.MERGED_SESSIONS:
        parts = [f"{having} IN ({', '.join(map(str, sessions))})"]
    for actor in agents.actors:
        for kind in agents.types:
            for session in names.numbers_of(index, "session", ("",)):
                part = f"FROM doc d INDEXED BY doc_agent WHERE d.actor = {actor} AND d.actor_type = {kind}"
                part += f" AND d.session = {session}"
                parts += [part] if _count_of(index, f"(SELECT 1 {part} LIMIT 1)") else []
    return parts


def range_of(index: sqlite3.Connection, query: Query, cursor: Cursor) -> DocidRange:
    """Return the range of document numbers that holds a page's answers."""
    docids = DocidRange().within(query.after, query.before)
    if cursor.rowid is None:
        return docids
    row = index.execute("SELECT docid FROM doc WHERE pk = ?", (key_of(cursor.pk),)).fetchone()
    timestamp = getattr(cursor.timestamp, "raw", cursor.timestamp)
    first, last = ordering.first_docid(timestamp), ordering.last_docid(timestamp)
    # The document bounds the page only if the event is still where it was.
    exact = row[0] if row and first <= row[0] <= last else None
    if cursor.backwards:
        return DocidRange(max(docids.low, first if exact is None else exact), docids.high)
    return DocidRange(docids.low, min(docids.high, last if exact is None else exact))


def documents_of(index: sqlite3.Connection, keys: Sequence[bytes]) -> list[Doc]:
    """Return the documents of some events."""
    places = ", ".join("?" * len(keys))
    return index.execute(f"SELECT {_DOC} FROM doc d WHERE d.pk IN ({places})", keys).fetchall()  # noqa: S608


def _pieces(
    index: sqlite3.Connection, words: list[str], *, counting: bool, whole_words: bool
) -> tuple[list[str], bool]:
    """Return the pieces by which words are looked up, the rarest if those suffice, and whether few documents have them.

    For counting, all that the pieces find has to be read, unless the words are looked up by all of their trigrams.
    """
    pieces, expected = (_beginnings(words), inf) if whole_words else trigram_stats.pieces(index, words)
    is_rare = expected <= limits.RARE_DOCUMENTS
    if counting and pieces != words and not is_rare:
        is_rare = _is_rare(index, trigram_stats.phrase(pieces))
    return (_beginnings(words) if counting and not is_rare else pieces), is_rare


def _beginnings(words: list[str]) -> list[str]:
    return [word[: trigram_stats.LONGEST] for word in words]


def _is_rare(index: sqlite3.Connection, match: str) -> bool:
    sql = "SELECT count(*) FROM (SELECT 1 FROM text WHERE text MATCH ? LIMIT ?)"
    return int(index.execute(sql, (match, limits.RARE_DOCUMENTS + 1)).fetchone()[0]) <= limits.RARE_DOCUMENTS


def _is_whole(word: str) -> bool:
    """Return whether the index finds a word exactly as LIKE does. It ignores the case of non-ASCII letters, too."""
    return word.isascii() and limits.SHORTEST_WORD_CHARACTERS <= len(word) <= trigram_stats.LONGEST


def _is_decided(query: Query, filters: NameFilter) -> bool:
    """Return whether documents hold all that the query's filters need."""
    has_negation = query.unwanted or query.values("commit", negated=True)
    has_unknown_agents = (query.values("agent") and filters.agents is None) or (
        query.values("agent", negated=True) and filters.unwanted_agents is None
    )
    has_coarse_time = any(abs(at) >= EXACT_BELOW for at in (query.after, query.before) if at is not None)
    return not (
        has_negation
        or has_unknown_agents
        or has_coarse_time
        or (query.values("commit") and "git" not in filters.wanted)
    )


def _wanted(index: sqlite3.Connection, query: Query) -> dict[str, frozenset[int]]:
    """Return {column: numbers of the names} that the filters ask for."""
    wanted = {
        column: names.numbers_of(index, column, values)
        for name, column in _COLUMNS.items()
        if (values := query.values(name))
    }
    commits = query.values("commit")
    if commits and all(commits) and (known := names.commits_beginning(index, commits)) is not None:
        wanted["git"] = known
    return wanted


def _agents(index: sqlite3.Connection, query: Query, *, negated: bool = False) -> AgentNumbers | None:
    """Return the numbers of the agents that a query names or excludes, None if their sessions are not known."""
    agents, sessions = query.values("agent", negated=negated), query.sessions_of_agents(negated=negated)
    if not agents or sessions is None:
        return None
    parts = batched(list(sessions), limits.VARIABLES_AT_ONCE)
    numbers = frozenset(number for part in parts for number in names.numbers_of(index, "session", part))
    return AgentNumbers(names.numbers_of(index, "actor", agents), names.agent_types(index), numbers)


def _unwanted(index: sqlite3.Connection, query: Query) -> dict[str, frozenset[int]]:
    """Return {column: numbers of the names} that the filters exclude."""
    return {
        column: names.numbers_of(index, column, values)
        for name, column in _COLUMNS.items()
        if (values := query.values(name, negated=True))
    }


def _is_known(column: str) -> str:
    """Return the condition by which SQLite uses the partial index of commits."""
    return "d.git IS NOT NULL AND" if column == "git" else ""


def _count(index: sqlite3.Connection, column: str, numbers: frozenset[int]) -> int:
    places = ", ".join("?" * len(numbers))
    return _count_of(index, f"doc d WHERE {_is_known(column)} d.{column} IN ({places})", numbers)


def _count_of(index: sqlite3.Connection, source: str, parameters: Iterable[int] = ()) -> int:
    """Return how many rows there are, up to one more than SORTABLE_DOCUMENTS."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {source} LIMIT ?)"  # noqa: S608
    return int(index.execute(sql, (*parameters, limits.SORTABLE_DOCUMENTS + 1)).fetchone()[0])
