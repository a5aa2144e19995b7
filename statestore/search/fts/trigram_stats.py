"""Trigrams and how common they are, from a sample of the events: a word is looked up by its rarest pieces.

FTS5 goes through the list of each trigram of a phrase; those of the commonest are as long as the store. A few of the
rarest, wherever they stand, often leave hardly more candidates than the whole word; but each candidate is then read,
and where even the rarest are common, reading costs more than the other lists do.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from statestore.search import limits
from statestore.search.query import ascii_folded

SAMPLED_ONE_OF: Final = 50
SAMPLED_CHARACTERS: Final = 4_000
# Of a long word the beginning is looked up; the events themselves are asked for the rest.
LONGEST: Final = 60
# What things cost, in entries of a trigram's list that are passed (some 12 ns): one that must follow another, one that
# is jumped to, an event that is read.
PHRASE: Final = 1.5
JUMP: Final = 40
READ: Final = 1_500
# So many times more events have some trigrams together than by chance.
CHANCE: Final = 2.0
TABLE: Final = "CREATE TABLE gram (text TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID"


def of(text: str) -> set[str]:
    """Return the trigrams of a text, ASCII letters small."""
    folded = ascii_folded(text)
    return {folded[at : at + 3] for at in range(len(folded) - 2)}


def count(index: sqlite3.Connection, texts: Sequence[bytes]) -> None:
    """Count the trigrams of some more events that are in the sample."""
    counter: Counter[str] = Counter()
    for text in texts:
        counter.update(of(text[:SAMPLED_CHARACTERS].decode("utf-8", "replace")))
    index.executemany(
        "INSERT INTO gram (text, count) VALUES (?, ?) ON CONFLICT (text) DO UPDATE SET count = count + excluded.count",
        [*counter.items(), ("", len(texts))],
    )


def pieces(index: sqlite3.Connection, words: Sequence[str]) -> tuple[list[str], float]:
    """Return by which pieces some words are best looked up, and how many documents, at most, have all of these."""
    counts, sampled = _counts(index, {gram for word in words for gram in of(word)})
    found: list[str] = []
    rarest = 1.0
    for word in words:
        parts, share = _pieces_of(word, counts, sampled)
        found += parts
        rarest = min(rarest, share)
    return list(dict.fromkeys(found)), rarest * sampled * SAMPLED_ONE_OF if sampled else float("inf")


def _counts(index: sqlite3.Connection, wanted: set[str]) -> tuple[dict[str, int], int]:
    asked = ["", *list(wanted)[: limits.VARIABLES_AT_ONCE]]
    sql = f"SELECT text, count FROM gram WHERE text IN ({', '.join('?' * len(asked))})"  # noqa: S608
    counts = dict(index.execute(sql, asked).fetchall())
    return counts, int(counts.pop("", 0))


def _pieces_of(word: str, counts: dict[str, int], sampled: int) -> tuple[list[str], float]:
    """Return some trigrams of a word, or all of it, and how large a share of the events has its rarest trigram."""
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
    """Return texts that must all occur as FTS5 takes them."""
    return " AND ".join('"' + part.replace('"', '""') + '"' for part in parts)
