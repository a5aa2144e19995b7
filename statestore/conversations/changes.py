"""Two versions of a message list compared by whole messages: added, removed, moved, or edited in their words alone."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from statestore.conversations import limits
from statestore.conversations.formats import message, summary
from statestore.conversations.messages import Call, Message, Result, Role
from statestore.conversations.turns import texts
from statestore.jsondiff.alignment import likeness
from statestore.jsondiff.budget import Budget
from statestore.jsondiff.lcs import Match, common_subsequence, pair_occurrences
from statestore.jsondiff.parsing import Json, fingerprint


class Op(StrEnum):
    """What became of a message."""

    KEPT = "kept"
    REMOVED = "removed"
    ADDED = "added"
    MOVED = "moved"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class MessageChange:
    """A message, or a run of kept ones: its positions in both lists, None where it is not."""

    op: Op
    before: int | None
    after: int | None
    count: int = 1


def changes(before: list[Json], after: list[Json], budget: Budget) -> list[MessageChange]:
    """Return what became of each message, in the order of the list after; what is missing there comes where it was.

    Messages are the same where all of them is. What is left between two of those may be an edit: the same role and the
    same kinds of parts, with words in common.
    """
    left, right = [fingerprint(one) for one in before], [fingerprint(one) for one in after]
    kept = common_subsequence(left, right, budget)
    kept = _slid(kept, left, before)
    kept = [(i, j) for j, i in _slid([(j, i) for i, j in kept], right, after)]
    gone = dict(enumerate(left))
    new = dict(enumerate(right))
    for i, j in kept:
        del gone[i], new[j]
    moved = _moved(gone, new, Counter(left), Counter(right))
    for j, i in moved.items():
        del gone[i], new[j]
    edited = [
        pair
        for lefts, rights in _gaps(kept, len(before), len(after))
        for pair in _edits(
            [(i, before[i]) for i in lefts if i in gone], [(j, after[j]) for j in rights if j in new], budget
        )
    ]
    return list(_in_order(kept, edited, set(gone) - {i for i, _ in edited}, moved, (len(before), len(after))))


def _slid(kept: list[Match], keys: list[bytes], items: list[Json]) -> list[Match]:
    """Return matches whose gaps on the first side begin with a call, not with its result, where that is the same.

    Of "call, result, call, result" with one call and result too many, the middle could be it too: the calls are equal.
    """
    slid = list(kept)
    for number in range(len(slid) - 1):
        (i, j), following = slid[number], slid[number + 1][0]
        last = following - 1
        if last > i and keys[i] == keys[last] and _is_result(items[i + 1]) and not _is_result(items[i]):
            slid[number] = (last, j)
    return slid


def _is_result(value: Json) -> bool:
    return summary(value)[0] is Role.TOOL


def _moved(
    gone: dict[int, bytes], new: dict[int, bytes], left: Counter[bytes], right: Counter[bytes]
) -> dict[int, int]:
    """Return where moved messages were, by where they are. One that is there several times could be any of them."""
    singles = {key for key, number in left.items() if number == right[key] == 1}
    sides = ([(place, key) for place, key in side.items() if key in singles] for side in (gone, new))
    return {j: i for i, j in pair_occurrences(*sides)}


def _gaps(matches: list[Match], before: int, after: int) -> Iterator[tuple[range, range]]:
    """Yield what lies between neighbouring matches on either side."""
    i = j = 0
    for match_i, match_j in (*matches, (before, after)):
        yield range(i, match_i), range(j, match_j)
        i, j = match_i + 1, match_j + 1


def _edits(lefts: list[tuple[int, Json]], rights: list[tuple[int, Json]], budget: Budget) -> Iterator[Match]:
    """Yield rising pairs of messages that are edits of each other, each with the first that it can be."""
    if not lefts or not rights or not budget.consume(limits.PAIR_UNITS * len(lefts) * len(rights)):
        return
    read = [(j, message(value, j)) for j, value in rights]
    for i, value in lefts:
        one = message(value, i)
        place = next((place for place, (_, other) in enumerate(read) if is_edit(one, other)), None)
        if place is not None:
            yield i, read[place][0]
            del read[: place + 1]


def is_edit(left: Message, right: Message) -> bool:
    """Return whether two messages differ in their words alone, and have most of them in common."""
    forms = [
        (
            one.role,
            one.word,
            one.name,
            [(type(part), part.name if isinstance(part, Call | Result) else "") for part in one.parts],
        )
        for one in (left, right)
    ]
    if forms[0] != forms[1] or not left.parts:
        return False
    said = ["\n".join(text for part in one.parts for text in texts(part)) for one in (left, right)]
    return likeness(*said) >= limits.EDIT_LIKENESS


def _in_order(
    kept: list[Match], edited: list[Match], removed: set[int], moved: dict[int, int], ends: Match
) -> Iterator[MessageChange]:
    anchors = sorted([(j, i, Op.KEPT) for i, j in kept] + [(j, i, Op.EDITED) for i, j in edited])
    i = j = 0
    run: list[Match] = []
    for anchor_j, anchor_i, op in (*anchors, (ends[1], ends[0], None)):
        between = [MessageChange(Op.REMOVED, one, None) for one in range(i, anchor_i) if one in removed]
        between += [
            MessageChange(Op.MOVED, moved[one], one) if one in moved else MessageChange(Op.ADDED, None, one)
            for one in range(j, anchor_j)
        ]
        is_next = bool(run) and (anchor_i, anchor_j) == (run[-1][0] + 1, run[-1][1] + 1)
        if run and (between or op is not Op.KEPT or not is_next):
            yield MessageChange(Op.KEPT, run[0][0], run[0][1], len(run))
            run = []
        yield from between
        if op is Op.KEPT:
            run.append((anchor_i, anchor_j))
        elif op is not None:
            yield MessageChange(op, anchor_i, anchor_j)
        i, j = anchor_i + 1, anchor_j + 1
