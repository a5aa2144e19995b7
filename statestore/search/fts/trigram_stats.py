"""How common trigrams are, from a sample of the events: a word is looked up by its rarest trigrams.

FTS5 reads the posting list of each trigram of a phrase; those of the commonest are as long as the store. A few of the
rarest trigrams, at any place, often leave hardly more candidates than the whole word. But each candidate's event is
then read, and if even the rarest are common, that costs more than the other posting lists.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from statestore.search import limits
from statestore.search.query import ascii_folded

SAMPLED_ONE_OF: Final = 50
SAMPLED_CHARACTERS: Final = 4_000
# Of a long word, the beginning is looked up; the rest is checked in the events.
LONGEST: Final = 60
# Costs, in entries of a posting list that are passed over (some 12 ns): an entry that must follow another in a phrase,
# a jump to an entry, an event that is read.
PHRASE: Final = 1.5
JUMP: Final = 40
READ: Final = 1_500
# Trigrams occur together so many times more often than by chance.
CHANCE: Final = 2.0
TABLE: Final = "CREATE TABLE gram (text TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID"


def of(text: str) -> set[str]:
    """Return the trigrams of a text, ASCII letters in lower case."""
    folded = ascii_folded(text)
    return {folded[at : at + 3] for at in range(len(folded) - 2)}


def count(index: sqlite3.Connection, texts: Sequence[bytes]) -> None:
    """Count the trigrams of further events of the sample."""
    counter: Counter[str] = Counter()
    for text in texts:
        counter.update(of(text[:SAMPLED_CHARACTERS].decode("utf-8", "replace")))
    index.executemany(
        "INSERT INTO gram (text, count) VALUES (?, ?) ON CONFLICT (text) DO UPDATE SET count = count + excluded.count",
        [*counter.items(), ("", len(texts))],
    )


def pieces(index: sqlite3.Connection, words: Sequence[str]) -> tuple[list[str], float]:
    """Return the pieces by which words are looked up cheapest, and how many documents have all of these at most."""
    counts, sampled = _counts(index, {gram for word in words for gram in of(word)})
    chosen: list[str] = []
    rarest = 1.0
    for word in words:
        parts, share = _pieces_of(word, counts, sampled)
        chosen += parts
        rarest = min(rarest, share)
    return list(dict.fromkeys(chosen)), rarest * sampled * SAMPLED_ONE_OF if sampled else float("inf")


def _counts(index: sqlite3.Connection, wanted: set[str]) -> tuple[dict[str, int], int]:
    texts = ["", *list(wanted)[: limits.VARIABLES_AT_ONCE]]
    sql = f"SELECT text, count FROM gram WHERE text IN ({', '.join('?' * len(texts))})"  # noqa: S608
    counts = dict(index.execute(sql, texts).fetchall())
    return counts, int(counts.pop("", 0))


def _pieces_of(word: str, counts: dict[str, int], sampled: int) -> tuple[list[str], float]:
    """Return some trigrams of a word, or the word itself, and the share of the events that have its rarest trigram."""
    shares = {gram: (counts.get(gram, 0) + 1) / (sampled + 1) for gram in of(word)}
    order = sorted(shares, key=lambda gram: (shares[gram], gram))
    rarest = shares[order[0]]
    chosen, least = [word[:LONGEST]], PHRASE * sum(min(share, rarest * JUMP) for share in shares.values())
    lists, left = 0.0, CHANCE
    for number, gram in enumerate(order if sampled else (), start=1):
        lists += min(shares[gram], rarest * JUMP)
        left *= shares[gram]
        if lists + left * READ < least:
            chosen, least = order[:number], lists + left * READ
    return chosen, rarest


def phrase(parts: Iterable[str]) -> str:
    """Return an FTS5 query for texts that must all occur."""
    return " AND ".join('"' + part.replace('"', '""') + '"' for part in parts)
