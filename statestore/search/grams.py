"""Trigrams and how common they are, from a sample of the events: a word is looked up by its rarest pieces.

FTS5 reads the list of each trigram of a phrase; those of the commonest are as long as the store. A few of the rarest
often leave hardly more candidates than the whole word; but each candidate is then read, and where even the rarest
trigram is common, reading costs more than the other lists do.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from statestore.search.language import ascii_folded

SAMPLED_ONE_OF: Final = 50
SAMPLED_CHARACTERS: Final = 4_000
# So many characters, three trigrams, around the rarest one; a second piece where the first is not rare.
PIECE: Final = 5
RARE: Final = 0.005
# What things cost, in entries of a list that is read from end to end (some 35 ns): an entry that is jumped to, and an
# event that is read. Of the events that have the rarest trigram, so many are left by its piece, or by two of them.
JUMP: Final = 40
READ: Final = 480
LEFT: Final = {1: 0.1, 2: 0.02}
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
    """Return by which pieces some words are best looked up, and of how many documents, at most, that will be."""
    counts, sampled = _counts(index, {gram for word in words for gram in of(word)})
    found: list[str] = []
    rarest = 1.0
    for word in words:
        parts, share = _pieces_of(word, counts, sampled)
        found += parts
        rarest = min(rarest, share)
    return list(dict.fromkeys(found)), rarest * sampled * SAMPLED_ONE_OF if sampled else float("inf")


def _counts(index: sqlite3.Connection, wanted: set[str]) -> tuple[dict[str, int], int]:
    asked = ["", *list(wanted)[:900]]
    sql = f"SELECT text, count FROM gram WHERE text IN ({', '.join('?' * len(asked))})"  # noqa: S608
    counts = dict(index.execute(sql, asked).fetchall())
    return counts, int(counts.pop("", 0))


def _pieces_of(word: str, counts: dict[str, int], sampled: int) -> tuple[list[str], float]:
    """Return the pieces of one word, or all of it, and how large a share of the events has its rarest trigram."""
    folded = ascii_folded(word)
    shares = {at: (counts.get(folded[at : at + 3], 0) + 1) / (sampled + 1) for at in range(len(folded) - 2)}
    order = sorted(shares, key=lambda at: shares[at])
    rarest = shares[order[0]]
    if len(word) <= PIECE or not sampled:
        return [word[:60]], rarest
    taken = [_piece(order[0], len(word))]
    if rarest > RARE:
        others = (_piece(at, len(word)) for at in order[1:] if abs(at - order[0]) >= 3)
        taken += [piece for piece in [next(others, None)] if piece is not None]
    scanned = [at for start, end in taken for at in range(start, end - 2)]
    if _lists(shares, shares, rarest) <= _lists(shares, scanned, rarest) + rarest * LEFT[len(taken)] * READ:
        return [word[:60]], rarest
    return [word[start:end] for start, end in sorted(taken)], rarest


def _lists(shares: dict[int, float], places: Iterable[int], rarest: float) -> float:
    """Return what it costs to go through the lists of some trigrams together, in lists as long as the store."""
    return sum(min(shares[at], rarest * JUMP) for at in places)


def _piece(at: int, length: int) -> tuple[int, int]:
    start = max(0, min(at - 1, length - PIECE))
    return start, start + PIECE


def phrase(parts: Iterable[str]) -> str:
    """Return texts that must all occur as FTS5 takes them."""
    return " AND ".join('"' + part.replace('"', '""') + '"' for part in parts)
