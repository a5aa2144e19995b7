"""A conversation as pages show it: turns whose long texts are folded or cut. Texts only; no link is followed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from django.utils.safestring import SafeString

from statestore import conversations
from statestore.conversations import Exchange, Media, Role, Text, Thinking, Turn
from statestore.conversations.messages import Part
from statestore.db.fields import text_bytes
from statestore.history import Cause, Seam
from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json
from statestore.views.formatting import line, size
from statestore.views.tree import tree

# What is longer is cut; the tree and the raw state have all of it.
SHOWN_CHARACTERS: Final = 20_000
# What is said is folded when it is longer than this, what a tool returned sooner.
SAID_LINES, SAID_CHARACTERS = 60, 6_000
RESULT_LINES, RESULT_CHARACTERS = 8, 800
GIST_CHARACTERS: Final = 160
# Arguments that fit into one line are shown in it.
ARGUMENT_CHARACTERS: Final = 120
UNFOLDED_TURNS: Final = 50
_FENCE: Final = re.compile(r"^[ \t]*```[^\n`]*$", re.MULTILINE)
_WORDS: Final = {Role.USER: "User", Role.ASSISTANT: "Assistant", Role.TOOL: "Tool", Role.SYSTEM: "System"}


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a text: prose, or code between two fences."""

    text: str
    is_code: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A text or a value as it is shown. With a `gist` it is folded under that line; `rest` says what is not shown."""

    kind: str
    blocks: tuple[Block, ...] = ()
    tree: SafeString | None = None
    gist: str = ""
    rest: str = ""


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """A call in one line or folded, and its result below it."""

    name: str
    line: str
    arguments: Shown | None
    results: tuple[Shown, ...]
    is_error: bool
    is_call: bool


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """One row of a conversation; `cause` is the step that set it last, where that is known."""

    role: str
    word: str
    name: str
    at: str
    path: str
    said: tuple[Shown, ...]
    exchanges: tuple[ShownExchange, ...]
    tokens: int | None
    cost: str
    alike: tuple["ShownTurn", ...] = ()
    times: int = 0
    cause: Cause | None = None
    seam: "ShownSeam | None" = None


@dataclass(frozen=True, slots=True)
class ShownSeam:
    """Messages that steps removed at one place, and the step that removed most of them: how many, and which."""

    count: int
    most: int
    cause: Cause

    @classmethod
    def of(cls, seams: Sequence[Seam]) -> "ShownSeam | None":
        """Return the seams of one place, the newest first, as one; None for none."""
        largest = max(seams, key=lambda seam: seam.count, default=None)
        if largest is None:
            return None
        return cls(sum(seam.count for seam in seams), largest.count, largest.cause)


class ConversationView:
    """One of the message lists of a state: its newest messages, those before a position, or those with a text."""

    def __init__(self, lists: list[conversations.MessageList], asked: Mapping[str, Any]) -> None:
        self.lists = lists
        # What set each message, by its position; known of an agent's present state alone.
        self.causes: dict[str, Cause] = {}
        # Where messages were removed from this list, likewise.
        self.seams: list[Seam] = []
        self.list = next((one for one in lists if one.path == asked.get("messages")), lists[0])
        self.find = str(asked.get("find") or "").strip()
        self._until = asked.get("until")

    @property
    def path(self) -> str:
        """Where the list is in the state."""
        return self.list.path

    @cached_property
    def page(self) -> conversations.Stretch:
        """The messages of this page, and what is known of all of them."""
        return conversations.stretch(self.list.items, end=self._until)

    @cached_property
    def turns(self) -> list[ShownTurn]:
        """The rows, oldest first."""
        if self.find:
            found = conversations.found(self.list.items, self.find)
            return [replace(shown(turn, self.path), cause=self._cause(turn)) for turn in found]
        turns = self.page.turns
        begins = [turn.first for turn in turns[:1]] + [turn.last + 1 for turn in turns]
        return [
            replace(shown(turn, self.path), cause=self._cause(turn), seam=self._seam(begin, turn.last))
            for begin, turn in zip(begins, turns, strict=False)
        ]

    @cached_property
    def last_seam(self) -> ShownSeam | None:
        """What was removed behind the newest message."""
        return None if self.find or self.page.later else self._seam(len(self.list.items), len(self.list.items))

    def _seam(self, first: int, last: int) -> ShownSeam | None:
        """Return what was removed before the messages from one position to another, or between them."""
        return ShownSeam.of([seam for seam in self.seams if first <= seam.at <= last])

    def _cause(self, turn: Turn) -> Cause | None:
        if not self.causes:
            return None
        among = (self.causes.get(str(position)) for position in range(turn.first, turn.last + 1))
        return max((one for one in among if one is not None), key=lambda one: one.at, default=None)

    @property
    def summary(self) -> str:
        """How many messages there are, where, by whom, and what they cost as far as they say so."""
        page = self.page
        one, tokens = "" if page.total == 1 else "s", "" if page.tokens is None else f"{page.tokens:,} tokens"
        roles = ", ".join(
            f"{number:,} {_WORDS.get(role, 'other').lower()}" for role, number in page.roles.most_common()
        )
        counted = f"of the newest {page.roles.total():,}: " if page.is_long else ""
        facts = (
            f"{page.total:,} message{one} of {line(self.path, 60) or '/'}",
            counted + roles,
            tokens,
            dollars(page.cost),
        )
        return " · ".join(filter(None, facts))

    @property
    def found_note(self) -> str:
        """What was searched for the text, and what is shown of it."""
        where = f"Only the newest {self.page.roles.total():,} messages were searched." if self.page.is_long else ""
        if not self.turns:
            return where or "Searched texts, calls and results, ignoring case."
        return f"The newest {len(self.turns)} with this text, oldest first; results stand without their calls. {where}"

    @property
    def has_margin(self) -> bool:
        """Whether anything stands beside the messages: tokens, a cost, or what set them."""
        return bool(self.causes) or self.page.tokens is not None or self.page.cost is not None


def shown(turn: Turn, path: str = "", *, is_brief: bool = False) -> ShownTurn:
    """Return a turn as a row; `path` is the list's. With `is_brief` only the first lines of results are shown."""
    message, alike = turn.message, turn.alike
    usages = [one.message.usage for one in alike or [turn]]
    tokens = [usage.tokens for usage in usages if usage.tokens is not None]
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return ShownTurn(
        role=message.role,
        word=_WORDS.get(message.role) or line(message.word, 20) or "Unknown",
        name=line(message.name, 40) if message.role is not Role.TOOL else "",
        at=str(turn.first) if turn.first == turn.last else f"{turn.first}–{turn.last}",
        path=f"{path}/{turn.first}",
        said=tuple(_part(part) for part in turn.said),
        exchanges=tuple(_exchange(exchange, is_brief=is_brief) for exchange in turn.exchanges),
        tokens=sum(tokens) if tokens else None,
        cost=dollars(sum(costs) if costs else None),
        alike=tuple(shown(one, path, is_brief=is_brief) for one in alike[:UNFOLDED_TURNS]),
        times=len(alike),
    )


def dollars(cost: float | None) -> str:
    """Return a cost with as many digits as it needs."""
    if cost is None:
        return ""
    return f"${cost:,.2f}" if cost >= 0.01 or cost == 0 else f"${cost:.2g}"


# Parts


def _part(part: Part) -> Shown:
    if isinstance(part, Text):
        return _text(part.text, SAID_LINES, SAID_CHARACTERS)
    if isinstance(part, Thinking):
        count = f"Thinking, {len(part.text):,} characters" if part.text else "Thinking, kept encrypted"
        return Shown("thinking", _blocks(part.text[:SHOWN_CHARACTERS]), gist=count, rest=_rest(part.text))
    if isinstance(part, Media):
        return Shown("media", (Block(_described(part), False),))
    return _value(part.value)


def _text(text: str, most_lines: int, most_characters: int) -> Shown:
    blocks = _blocks(text[:SHOWN_CHARACTERS])
    lines = text.count("\n", 0, SHOWN_CHARACTERS) + 1
    if lines <= most_lines and len(text) <= most_characters:
        return Shown("text", blocks)
    first = next((row for row in text[: 4 * GIST_CHARACTERS].splitlines() if row.strip()), "")
    amount = f"{lines:,} lines, " if lines > 1 and len(text) <= SHOWN_CHARACTERS else ""
    gist = f"{line(first.strip(), GIST_CHARACTERS)} ({amount}{size(len(text_bytes(text)))})"
    return Shown("text", blocks, gist=gist, rest=_rest(text))


def _rest(text: str) -> str:
    return f"Cut after {SHOWN_CHARACTERS:,} of {len(text):,} characters" if len(text) > SHOWN_CHARACTERS else ""


def _blocks(text: str) -> tuple[Block, ...]:
    """Return a text in prose and code; the fences themselves are left out, one that is never closed stays."""
    fences = list(_FENCE.finditer(text))
    blocks, start = [], 0
    for opening, closing in zip(fences[::2], fences[1::2], strict=False):
        blocks += [
            Block(text[start : opening.start()], False),
            Block(text[opening.end() + 1 : closing.start()].removesuffix("\n"), True),
        ]
        start = closing.end() + 1
    blocks.append(Block(text[start:], False))
    return tuple(Block(one.text.strip("\n"), one.is_code) for one in blocks if one.text.strip("\n"))


def _value(value: Json) -> Shown:
    text = value if isinstance(value, str) else parsing.beginning(value, GIST_CHARACTERS + 1)
    return Shown("value", tree=tree(value, name="value"), gist=line(text, GIST_CHARACTERS))


def _described(part: Media) -> str:
    name = part.media_type or part.kind
    if part.bytes is not None:
        return f"{line(name, 60)}, {size(part.bytes)}"
    return f"{line(name, 60)} at {line(part.place, 200)}" if part.place else line(name, 60)


# Calls and results


def _exchange(exchange: Exchange, *, is_brief: bool) -> ShownExchange:
    call, result = exchange.call, exchange.result
    in_line = None if call is None else _in_line(call.value)
    return ShownExchange(
        name=line(call.name if call else result.name if result else "", 60),
        line=in_line or "",
        arguments=None if call is None or in_line is not None else _value(call.value),
        results=() if result is None else _returned(result.value, 1 if is_brief else RESULT_LINES),
        is_error=result is not None and result.is_error,
        is_call=call is not None,
    )


def _in_line(arguments: Json) -> str | None:
    """Return arguments in one line, None if they do not fit into one."""
    if isinstance(arguments, dict):
        pairs = [f"{name} {_short(value)}" for name, value in list(arguments.items())[:10]]
        text = ", ".join(pairs) if len(arguments) <= len(pairs) else ""
        is_flat = all(not isinstance(value, dict | list) for value in arguments.values())
        return line(text) if (text or not arguments) and is_flat and len(text) <= ARGUMENT_CHARACTERS else None
    text = "" if arguments is None else _short(arguments)
    return line(text) if len(text) <= ARGUMENT_CHARACTERS and "\n" not in text else None


def _short(value: Json) -> str:
    return value[: ARGUMENT_CHARACTERS + 1] if isinstance(value, str) else parsing.beginning(value, ARGUMENT_CHARACTERS)


def _returned(value: Json, lines: int) -> tuple[Shown, ...]:
    """Return what a tool returned: a text, a value, or blocks, of which each is shown as what it is."""
    if isinstance(value, str):
        return (_text(value or "(empty)", lines, RESULT_CHARACTERS),)
    if isinstance(value, dict) and (text := _in_line(value)) is not None:
        return (Shown("text", (Block(text or "{}", False),)),)
    if isinstance(value, list) and value:
        parts = conversations.message({"role": "user", "content": value}, 0).parts
        return tuple(
            _text(part.text, lines, RESULT_CHARACTERS) if isinstance(part, Text) else _part(part) for part in parts
        )
    return (_value(value),)
