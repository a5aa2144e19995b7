"""What the channels of a LangGraph checkpoint say: the program's own state, and which nodes come next."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from statestore.jsondiff.parsing import Json, equal
from statestore.sources.readers.columns import list_of, object_of

# What a graph keeps for itself: older ones what led to a node, too.
_INTERNAL: Final = ("__", "branch:", "join:", "start:")
_JOIN_COLONS: Final = 2
_RETURNED: Final = "__end__"
_SAVED: Final = "__previous__"


def state_of(channels: Mapping[str, Json], nodes: Iterable[str]) -> Json:
    """Return what the program itself keeps: without the channels by which the graph knows what comes next.

    A program without a graph, of the functional interface, has what it returned and what it saved, which is mostly one.
    """
    if _RETURNED in channels:
        returned, saved = channels[_RETURNED], channels.get(_SAVED)
        return returned if equal(returned, saved) else {"returned": returned, "saved": saved}
    known = set(nodes)
    # In older graphs a node has run when the channel of its name holds that name.
    return {
        name: value
        for name, value in channels.items()
        if not name.startswith(_INTERNAL) and not (value == name and name in known)
    }


def next_nodes(channels: Mapping[str, Json], versions: Json, seen: Json) -> tuple[str, ...]:
    """Return the nodes that come next: each once, whatever led to it, and again for each time that it was sent to."""
    led_to = dict.fromkeys(
        node
        for channel, node in _led_to(channels)
        # A node that has seen the channel as it is has run already.
        if _member(versions, channel) is None or _member(_member(seen, node), channel) != _member(versions, channel)
    )
    return (*led_to, *_sent_to(channels.get("__pregel_tasks")))


def _sent_to(tasks: Json) -> Iterator[str]:
    for task in _within(tasks):
        # In Python it is an object made of the node and what is sent, in JavaScript one with their names.
        parts = _within(task)
        node = parts[0] if parts else _member(task, "node")
        if isinstance(node, str):
            yield node


def _led_to(channels: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield (channel, node) for each channel that says that a node is to run."""
    for name, value in channels.items():
        if name == "__start__":
            yield name, name
        elif name.startswith("branch:to:"):
            yield name, name.removeprefix("branch:to:")
        elif name.startswith("join:") and name.count(":") == _JOIN_COLONS:
            _, awaited, node = name.split(":")
            if {*awaited.split("+")} <= {text for text in _within(value) if isinstance(text, str)}:
                yield name, node


def _member(value: Json, name: str) -> Json:
    return object_of(value).get(name)


def _within(value: Json) -> list[Json]:
    """Return the items of a list, or of a typed value that is made of a list."""
    return list_of(value.get("$") if isinstance(value, dict) else value)
