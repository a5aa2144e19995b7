"""Who says one message of an agent's log, and in what words, in the shape of an event."""

from dataclasses import dataclass
from typing import Final

from statestore.conversations import Call, Media, Result, Role, Text, Thinking, message
from statestore.conversations.messages import Part
from statestore.jsondiff.parsing import Json, dump
from statestore.sources.readers.columns import is_opaque, object_of

USER, AGENT, TOOL, SYSTEM = "User", "Agent", "Tool", "System"
_ACTORS: Final = {Role.USER: USER, Role.TOOL: TOOL, Role.SYSTEM: SYSTEM}


@dataclass(frozen=True, slots=True)
class Said:
    """What an event needs of a message: `kind` is its type, for example "function_call"."""

    actor: str
    kind: str
    content: str
    metadata: dict[str, Json]


def said(item: Json) -> Said:
    """Return a message as what was said; one that cannot be read is the system's, and shows what is known of it."""
    if is_opaque(item):
        return Said(SYSTEM, "unreadable", dump(item, indent=None), {})
    read = message(item, 0)
    calls = [part for part in read.parts if isinstance(part, Call | Result)]
    named = {"name": calls[0].name, "call_id": calls[0].call_id} if calls else {}
    metadata: dict[str, Json] = {key: name for key, name in named.items() if name}
    content = "\n".join(filter(None, map(_words, read.parts)))
    return Said(_ACTORS.get(read.role, AGENT), _kind(item, read.parts), content, metadata)


def is_from_user(item: Json) -> bool:
    """Return whether a message is one that a user sent."""
    return not is_opaque(item) and message(item, 0).role is Role.USER


def as_text(value: Json) -> str:
    """Return a text as it is, and any other value as JSON."""
    return value if isinstance(value, str) else dump(value, indent=None)


def _kind(item: Json, parts: tuple[Part, ...]) -> str:
    named = object_of(item).get("type")
    if isinstance(named, str) and named:
        return named
    if any(isinstance(part, Result) for part in parts):
        return "tool_result"
    is_call = bool(parts) and all(isinstance(part, Call) for part in parts)
    return "tool_call" if is_call else "message"


def _words(part: Part) -> str:
    match part:
        case Text(text) | Thinking(text):
            return text
        case Call(_, arguments):
            return as_text(arguments)
        case Media(kind, media_type):
            return f"[{kind} {media_type}]" if media_type else f"[{kind}]"
        case _:
            return as_text(part.value)
