"""A three-way merge, naively: objects member by member, lists by which items and which order of any two are wanted."""

from itertools import combinations
from typing import Any

GONE = object()


def merged(base: Any, ours: Any, theirs: Any) -> tuple[Any, bool]:
    """Return the merge of values of objects and leaves, and whether the sides conflict somewhere; ours there."""
    if same(ours, theirs) or same(theirs, base):
        return ours, False
    if same(ours, base):
        return theirs, False
    if not all(isinstance(value, dict) for value in (base, ours, theirs)):
        return ours, True
    result, is_conflict = {}, False
    for key in {**ours, **theirs}:
        value, clashes = merged(base.get(key, GONE), ours.get(key, GONE), theirs.get(key, GONE))
        is_conflict |= clashes
        if value is not GONE:
            result[key] = value
    return result, is_conflict


def same(left: Any, right: Any) -> bool:
    """Return whether two values are the same JSON: 1, 1.0 and true are three."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left is right or bool(left == right)


def wrong_with(base: list[Any], ours: list[Any], theirs: list[Any], result: list[Any]) -> str:
    """Say what is wrong with the merge of lists of which no item stands twice; nothing if it is right."""
    wanted = {item for item in {*base, *ours, *theirs} if is_wanted(item in base, item in ours, item in theirs)}
    if len(result) != len(set(result)) or set(result) != wanted:
        return f"the items are {result}, not {wanted}"
    for left, right in combinations(result, 2):
        was, mine, other = (order_of(items, left, right) for items in (base, ours, theirs))
        if mine is None or other is None:
            continue
        # Where the sides disagree, it is the one that made the order that counts.
        made = mine if mine == other or other == was else other
        if order_of(result, left, right) != made:
            return f"{left} and {right} stand the wrong way round"
    return ""


def is_wanted(was: bool, mine: bool, other: bool) -> bool:
    """Return whether a merge has what either side added, and not what either removed."""
    return (mine and other) if was else (mine or other)


def order_of(items: list[Any], left: Any, right: Any) -> bool | None:
    """Return whether one item is ahead of another; None if a list has not both."""
    return items.index(left) < items.index(right) if left in items and right in items else None
