"""Blame: which step set each leaf of a state last, the newest one before which it did not have its value.

Read from the newest step back, so that the answer for what changed lately is there at once; list items are followed as
they move. What is not explained within the time budget is left to the next request, which goes on from the cache.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from django.core.cache import cache

from statestore import models
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.history import limits
from statestore.history.past import Position
from statestore.history.walk import Cause, HistoryWalk, pairs, start_of, state_parser
from statestore.jsondiff import parsing, pointer
from statestore.jsondiff.alignment import align
from statestore.jsondiff.budget import Budget
from statestore.jsondiff.parsing import Json, equal_fast

# The leaves still to be explained: each key or index of an older state leads to a branch, or to a leaf's path in the
# present state.
Place: TypeAlias = "dict[str, Place] | str"
Places: TypeAlias = dict[str, Place]


@dataclass(frozen=True, slots=True)
class Seam:
    """Where a step removed items of a list that the present state has: before the item `at`, or at the end."""

    path: str
    at: int
    count: int
    cause: Cause


@dataclass(slots=True)
class Blame:
    """Which step set each leaf, and how far the past was read.

    `origins` maps JSON Pointers to what set the leaf there. The leaves in `unknown` were not explained: while
    `reached` is not None there is more past to be read, else they are older than all that is recorded. `seams` are
    where items were removed from lists, the newest first, as far back as an item of the list is followed.
    """

    origins: dict[str, Cause] = field(default_factory=dict)
    seams: list[Seam] = field(default_factory=list)
    unknown: Places = field(default_factory=dict)
    reached: Position | None = None
    began: bool = False
    read: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether all of the past was read."""
        return self.began and (self.reached is None or not self.unknown)

    def newest_below(self, path: str) -> dict[str, Cause]:
        """Return the newest step that set anything in each member of a place, by the member's name."""
        newest: dict[str, Cause] = {}
        start = f"{path}/"
        for leaf, origin in self.origins.items():
            if leaf.startswith(start):
                member = leaf[len(start) :].partition("/")[0]
                known = newest.get(member)
                newest[member] = origin if known is None or origin.at > known.at else known
        return newest

    def unknown_paths(self) -> Iterator[str]:
        """Yield the paths of the leaves that no step explains."""
        return _leaf_paths(self.unknown)


def blame(
    agent: models.AgentState, *, using: str | None = None, budget_seconds: float | None = limits.WALK_SECONDS
) -> Blame:
    """Return what set each leaf of an agent's present state, within the time budget; call again for the rest.

    Cached by the row and by the newest step, of which both make it valid. Raises NotJson, and ValidationError for a
    state with too many leaves.
    """
    using = using or store_alias()
    newest = (
        models.Transition.objects.using(using).live().of_agent(agent.agent_id).newest_first().values_list("pk").first(),
        models.CapturedChange.objects.using(using)
        .filter(agent_id=agent.agent_id)
        .newest_first()
        .values_list("pk")
        .first(),
    )
    # What stands for a deleted agent has no ETag of its own.
    row = (agent.agent_id, agent.state_hash()) if agent.is_gone else ()
    key = f"blame-with-seams-{agent.etag()}-{models.sha256(str((*newest, *row)))}"
    answer: Blame | None = cache.get(key)
    if answer is None:
        answer = Blame(unknown=_places(parsing.parse(agent.state_data)))
    if not answer.is_complete:
        _read_on(answer, agent, using, budget_seconds)
        cache.set(key, answer, limits.BLAME_CACHE_SECONDS)
    return answer


def _read_on(answer: Blame, agent: models.AgentState, using: str, budget_seconds: float | None) -> None:
    walk = HistoryWalk(agent.agent_id, using, start=answer.reached, budget_seconds=budget_seconds)
    answer.began, parse = True, state_parser()
    for before, after, origin in pairs(walk, *start_of(agent, answer.reached, using)):
        answer.unknown = _Step(origin, answer).explained(parse(before), parse(after), answer.unknown)
        if not answer.unknown:
            break
    answer.reached, answer.read = walk.reached, answer.read + walk.read


def _places(value: Json) -> Places:
    """Return the tree of a value's leaves, each leading to its own path."""
    count = 0

    def below(value: Json, path: str) -> Place:
        nonlocal count
        pairs = _members(value)
        if not pairs:
            count += 1
            if count > limits.BLAMED_LEAVES:
                raise ValidationError(
                    f"This state has more than {limits.BLAMED_LEAVES:,} values."
                    " Open the history of a single path instead."
                )
            return path
        return {part: below(item, f"{path}/{pointer.escape(part)}") for part, item in pairs}

    whole = below(value, "")
    return whole if isinstance(whole, dict) else {"": whole}


def _members(value: Json) -> list[tuple[str, Json]]:
    if isinstance(value, dict):
        return list(value.items())
    return [(str(n), item) for n, item in enumerate(value)] if isinstance(value, list) else []


@dataclass(slots=True)
class _Step:
    """One step back: what of the leaves it set, and which items it removed beside them."""

    origin: Cause
    answer: Blame
    budget: Budget = field(default_factory=lambda: Budget(limits.COMPARISON_UNITS))

    def explained(self, before: Json, after: Json, places: Places) -> Places:
        """Return the tree of leaves that were in the state before; note what set the others."""
        if not isinstance(after, dict | list) or not after:
            # The whole state is one leaf.
            if type(before) is type(after) and equal_fast(before, after):
                return places
            self._note(places)
            return {}
        kept = self._kept(before, after, places, 0)
        return kept if isinstance(kept, dict) else {}

    def _kept(self, before: Json, after: Json, places: Place, depth: int) -> "Place | None":
        """Return the tree below two values in the coordinates of the older one, None if no leaf is in it."""
        if equal_fast(before, after):
            return places
        if isinstance(places, dict) and isinstance(before, dict) and isinstance(after, dict):
            pairs = {part: part for part in places if part in before}
        elif isinstance(places, dict) and isinstance(before, list) and isinstance(after, list):
            pairs = item_places(before, after, self.budget)
            if len(before) > len(pairs):
                self._note_removed(len(before), pairs, places, depth)
        elif parsing.equal(before, after):
            return places
        else:
            self._note(places)
            return None
        kept: Places = {}
        for part, inner in places.items():
            then = pairs.get(part)
            below = None
            if then is None:
                self._note(inner)
            else:
                older, newer = _member(before, then), _member(after, part)
                # Neighbouring states share the objects of what did not change.
                below = inner if older is newer else self._kept(older, newer, inner, depth + 1)
            if below is not None and then is not None:
                kept[then] = below
        return kept or None

    def _note(self, places: Place) -> None:
        for path in _leaf_paths(places):
            self.answer.origins[path] = self.origin

    def _note_removed(self, length: int, pairs: dict[str, str], places: Places, depth: int) -> None:
        """Note where items were removed: behind the last one before them that stayed."""
        stayed = {int(then): int(now) for now, then in pairs.items()}
        followed = sorted((int(part), _present(inner, depth)) for part, inner in places.items())
        behind, removed = -1, Counter[int]()
        for then in range(length):
            behind = stayed.get(then, behind)
            removed[behind] += then not in stayed
        counts = Counter[tuple[str, int]]()
        for behind, count in removed.items():
            path, at = next((present for now, present in followed if now > behind), followed[-1][1])
            counts[path, at + (followed[-1][0] <= behind)] += count
        room = limits.SEAMS - len(self.answer.seams)
        seams = [Seam(*place, count, self.origin) for place, count in counts.items() if count]
        self.answer.seams += seams[:room]


def _present(place: Place, depth: int) -> tuple[str, int]:
    """Return the list of the present state that a followed item is in, and its index there."""
    parts = next(_leaf_paths(place)).split("/")
    return "/".join(parts[: depth + 1]), int(parts[depth + 1])


def _member(value: Json, part: str) -> Json:
    return value[part] if isinstance(value, dict) else value[int(part)]  # type: ignore[index]


def item_places(before: list[Json], after: list[Json], budget: Budget) -> dict[str, str]:
    """Return {index in the newer list: index of the same item in the older list}."""
    places = align(before, after, budget)
    if places is None:
        return {str(n): str(n) for n in range(min(len(before), len(after)))}
    pairs = {j: i for i, j in places.edited} | {move.after: move.before for move in places.moved}
    arrived = pairs.keys() | {j for _, j in places.added}
    left = set(pairs.values()) | {i for i, _ in places.removed}
    rest = zip((j for j in range(len(after)) if j not in arrived), (i for i in range(len(before)) if i not in left),
               strict=True)  # fmt: skip
    return {str(j): str(i) for j, i in [*pairs.items(), *rest]}


def _leaf_paths(places: Place) -> Iterator[str]:
    if isinstance(places, str):
        yield places
        return
    for inner in places.values():
        yield from _leaf_paths(inner)
