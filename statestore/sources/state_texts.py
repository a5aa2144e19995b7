"""The texts of mirrored states: compact JSON, of which what did not change is written once."""

import json
from typing import Final

from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json

# Of the parts of a thread's states, so many texts are kept.
KEPT_TEXTS: Final = 10_000
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Texts:
    """The texts of a thread's states. What is the same object in the next state, such as a message, is written once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Json, str]] = {}
        self._names: dict[str, str] = {}

    def of(self, state: Json) -> str:
        """Return the text of a state, as `state_text` does."""
        if type(state) is not dict:
            return state_text(state)
        try:
            return "{" + ",".join([f"{self._name(name)}:{self._member(value)}" for name, value in state.items()]) + "}"
        except TypeError:
            return state_text(state)

    def _name(self, name: str) -> str:
        if len(self._names) >= KEPT_TEXTS:
            self._names.clear()
        return self._names.get(name) or self._names.setdefault(name, _encode(name))

    def _member(self, value: Json) -> str:
        if type(value) is list and value and type(value[0]) is dict:
            return "[" + ",".join(map(self._item, value)) + "]"
        return _encode(value)

    def _item(self, value: Json) -> str:
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        text = _encode(value)
        if type(value) is dict:
            if len(self._known) >= KEPT_TEXTS:
                self._known.clear()
            # As long as the object is here, no other one has its id.
            self._known[id(value)] = value, text
        return text


def state_text(value: Json) -> str:
    """Return a state as the mirror stores it. Numbers that Python would print differently keep their literals."""
    try:
        return _encode(value)
    except TypeError:
        return parsing.dump(value, indent=None)


def rewritten(text: str) -> str:
    """Return a state as the mirror would store it: an edit keeps the spaces that were typed."""
    try:
        return state_text(parsing.parse(text))
    except parsing.NotJson:
        return text
