"""Every value that one place of an agent's state ever had, newest first; an item of a list is followed as it moves."""

from dataclasses import dataclass, field

from statestore import models
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.history import limits
from statestore.history.blame import item_places
from statestore.history.past import Position
from statestore.history.walk import Cause, HistoryWalk, pairs, start_of, state_parser
from statestore.jsondiff import parsing, pointer
from statestore.jsondiff.budget import Budget
from statestore.jsondiff.diff import MISSING, Missing
from statestore.jsondiff.parsing import Json, equal_fast


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One time at which the value changed: from what to what, by what, and where in the state it was then."""

    origin: Cause
    before: Json | Missing
    after: Json | Missing
    path: str


@dataclass(slots=True)
class PathHistory:
    """The changes of one place, newest first, as far as they were read.

    `value` is what it was at the start of the reading. To go on, ask from `reached` for `place`; where `reached` is
    None the whole past was read, or the item came into its list here.
    """

    path: str
    value: Json | Missing = MISSING
    changes: list[ValueChange] = field(default_factory=list)
    reached: Position | None = None
    place: str = ""
    read: int = 0


def path_history(
    agent: models.AgentState,
    path: str,
    *,
    start: Position | None = None,
    using: str | None = None,
    budget_seconds: float | None = limits.WALK_SECONDS,
) -> PathHistory:
    """Return what the place at a JSON Pointer was, back from now or from where an earlier reading stopped.

    Raises ValidationError for a path that is not a JSON Pointer.
    """
    using = using or store_alias()
    check_path(path)
    walk = HistoryWalk(agent.agent_id, using, start=start, budget_seconds=budget_seconds)
    text, at = start_of(agent, start, using)
    parse = state_parser()
    result = PathHistory(path, value=value_at(parse(text), path), place=path)
    for before_text, after_text, origin in pairs(walk, text, at):
        before, after = parse(before_text), parse(after_text)
        earlier = _place_before(before, after, result.place)
        old = MISSING if earlier is None else value_at(before, earlier)
        new = value_at(after, result.place)
        if not _same(old, new):
            result.changes.append(ValueChange(origin, old, new, result.place))
        if earlier is None:
            result.read = walk.read
            return result
        result.place = earlier
    result.reached, result.read = walk.reached, walk.read
    return result


def check_path(path: str) -> str:
    """Return a JSON Pointer as it is. Raises ValidationError for what is none."""
    try:
        pointer.split(path)
    except ValueError as error:
        raise ValidationError(f"“{path[:80]}” is not a valid path. {error} Example: /plan/goal.") from None
    return path


def value_at(state: Json, path: str) -> Json | Missing:
    """Return what lies at a path, MISSING where nothing does."""
    try:
        return pointer.resolve(state, path)
    except KeyError:
        return MISSING


def _same(left: Json | Missing, right: Json | Missing) -> bool:
    if isinstance(left, Missing) or isinstance(right, Missing):
        return left is right
    return parsing.equal(left, right)


def _place_before(before: Json, after: Json, path: str) -> str | None:
    """Return where the place of the state after was in the state before, None for a list's item that was not there."""
    parts = list(pointer.split(path))
    for depth, part in enumerate(parts):
        if isinstance(before, list) and isinstance(after, list) and _has_item(after, part):
            if equal_fast(before, after):
                break
            then = item_places(before, after, Budget(limits.COMPARISON_UNITS)).get(part)
            if then is None:
                return None
            parts[depth] = then
        inside, then_inside = _below(after, part), _below(before, parts[depth])
        if isinstance(inside, Missing) or isinstance(then_inside, Missing):
            break
        before, after = then_inside, inside
    return pointer.join(parts)


def _has_item(value: list[Json], part: str) -> bool:
    place = pointer.item_index(part)
    return place is not None and place < len(value)


def _below(value: Json, part: str) -> Json | Missing:
    try:
        return pointer.member(value, part)
    except KeyError:
        return MISSING
