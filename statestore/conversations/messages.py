"""What a message is, whichever framework wrote it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from statestore.conversations import limits
from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json


class Role(StrEnum):
    """Who says it. `OTHER` is a role that no known format has; the message keeps its word."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    SYSTEM = "system"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Text:
    """What is said."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a model thinks before it speaks; empty where only its encrypted form is kept."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that is called."""

    name: str
    arguments: Json
    call_id: str = ""

    @property
    def value(self) -> Json:
        """The arguments: those that were sent as JSON in a text as what they say, any other text as it is."""
        if not isinstance(self.arguments, str):
            return self.arguments
        try:
            return parsing.parse(self.arguments, max_bytes=limits.ARGUMENT_BYTES, max_depth=limits.ARGUMENT_DEPTH)
        except parsing.NotJson:
            return self.arguments


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool returned: its text, or a value."""

    value: Json
    call_id: str = ""
    name: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a sound or a file: what it is and how large, never its content. `bytes` is None where unknown."""

    kind: str
    media_type: str
    bytes: int | None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part of a kind that is not known here."""

    value: Json


Part: TypeAlias = Text | Thinking | Call | Result | Media | Unknown


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens and the cost in dollars that a message carries, None where it carries none."""

    tokens: int | None = None
    cost: float | None = None


NO_USAGE: Final = Usage()


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its position in the list, who says it in what words, its parts in order."""

    position: int
    role: Role
    word: str
    parts: tuple[Part, ...]
    usage: Usage = NO_USAGE
    name: str = ""
