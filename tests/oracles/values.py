"""Blame and the history of a path, naively: states as nested objects, compared leaf by leaf.

A past is a list of (name of the change or None if unrecorded, state before, state after), oldest first.
"""

from typing import Any

Step = tuple[str | None, Any, Any]
GONE = ("gone",)


def leaves(state: Any, path: str = "") -> dict[str, str]:
    """Return {JSON Pointer: value} of all leaves; an object without members is one."""
    if not isinstance(state, dict) or not state:
        return {path: spelled(state)}
    pairs = ((key.replace("~", "~0").replace("/", "~1"), item) for key, item in state.items())
    return {below: leaf for key, item in pairs for below, leaf in leaves(item, f"{path}/{key}").items()}


def spelled(value: Any) -> str:
    """Return a text of a value that another value has only if it is the same JSON: true is not 1, and 1.0 is not."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{spelled(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(spelled, value)) + "]"
    return f"{type(value).__name__} {value!r}"


def blamed(past: list[Step]) -> dict[str, str | None]:
    """Return {path: what set the leaf last} of the last state; "" for what was there before all steps."""
    set_by: dict[str, str | None] = dict.fromkeys(leaves(past[0][1]), "") if past else {}
    for name, before, after in past:
        old, new = leaves(before), leaves(after)
        set_by = {path: set_by[path] if old.get(path) == leaf else name for path, leaf in new.items()}
    return set_by


def value_at(state: Any, keys: list[str]) -> Any:
    """Return what lies at a path, GONE if nothing does."""
    for key in keys:
        if not isinstance(state, dict) or key not in state:
            return GONE
        state = state[key]
    return state


def changes_of(past: list[Step], keys: list[str]) -> list[tuple[str | None, str, str]]:
    """Return the changes of one place: by what, from what, to what, oldest first."""
    told = [(name, spelled(value_at(before, keys)), spelled(value_at(after, keys))) for name, before, after in past]
    return [(name, old, new) for name, old, new in told if old != new]
