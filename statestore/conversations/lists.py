"""Where in a state its message lists are."""

from collections import deque
from dataclasses import dataclass

from statestore.conversations import limits
from statestore.conversations.formats import is_message
from statestore.jsondiff import pointer
from statestore.jsondiff.parsing import Json


@dataclass(frozen=True, slots=True)
class MessageList:
    """A list of messages in a state; `path` is its JSON pointer."""

    path: str
    items: list[Json]


def message_lists(state: Json) -> list[MessageList]:
    """Return the message lists of a state, the longest first, as far as it is looked through."""
    found: list[MessageList] = []
    waiting: deque[tuple[str, Json, int]] = deque([("", state, 0)])
    left = limits.SEARCHED_VALUES
    while waiting and left > 0:
        path, value, depth = waiting.popleft()
        left -= 1
        if isinstance(value, list) and _are_messages(value):
            found.append(MessageList(path, value))
        elif depth < limits.SEARCHED_DEPTH and isinstance(value, dict | list):
            below = list(_below(path, value, left))
            left -= len(value) // 100
            waiting.extend((name, item, depth + 1) for name, item in below)
    return sorted(found, key=lambda one: -len(one.items))


def _below(path: str, value: dict[str, Json] | list[Json], most: int) -> list[tuple[str, Json]]:
    """Return the containers in a value, at most so many."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    containers = ((str(name), item) for name, item in pairs if isinstance(item, dict | list) and item)
    return [(f"{path}/{pointer.escape(name)}", item) for (name, item), _ in zip(containers, range(most), strict=False)]


def _are_messages(values: list[Json]) -> bool:
    first, last = values[: limits.PROBED_MESSAGES], values[-limits.PROBED_MESSAGES :]
    return bool(values) and all(is_message(value) for value in first + last)
