"""Secrets in texts, masked in place: plain Python on the bytes-true text, which keeps all that is not masked.

A text that is JSON is read token by token, and each text in it again, so that JSON within texts of JSON is masked at
any depth; nothing is dumped again. Any other text is searched for names with a value (`password=…`, a header, a part
of JSON that was cut), and all texts for the patterns of well-known keys. Where it is in doubt, it masks.
"""

import json
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

# Names whose values are secrets, in small letters without separators. A plural counts too.
NAMES: Final = {
    "token": "token", "password": "password", "passwd": "password", "passphrase": "password", "secret": "secret",
    "apikey": "api_key", "authorization": "authorization", "cookie": "cookie", "privatekey": "private_key",
    "accesskey": "access_key", "credential": "credential",
}  # fmt: skip
# Numbers under a name with one of these words say how many tokens there are, not which.
_COUNTING: Final = frozenset({
    "tokens", "count", "counts", "limit", "budget", "usage", "used", "max", "min", "total", "cost", "number", "length",
})  # fmt: skip
PATTERNS: Final = {
    "private_key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
    "sk_key": r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{12,}",
    "github_token": r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})",
    "slack_token": r"(?<![A-Za-z0-9])xox[baprs]-[A-Za-z0-9-]{8,}",
    "aws_key": r"(?<![A-Za-z0-9])AKIA[0-9A-Z]{16}",
    "google_key": r"(?<![A-Za-z0-9])AIza[0-9A-Za-z_-]{30,}",
    # It begins where a run of its characters does: to look from each `eyJ` would take the square of the length.
    "jwt": r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*eyJ)[A-Za-z0-9_-]{7,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*",
    "bearer_token": r"(?i:\bbearer|\bbasic)\s+(?P<secret>(?=\S*[\d=])[A-Za-z0-9._~+/=-]{8,})",
    "url_password": r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/:@\"'<>]*:(?P<secret>[^\s/@\"'<>]+)@",
}  # fmt: skip

_STRING: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN: Final = re.compile(rf'{_STRING}|[{{}}\[\],:]|[^\s{{}}\[\],:"]+', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_WORDLESS: Final = frozenset({"true", "false", "null", "None", "True", "False"})
_NUMBER: Final = re.compile(r"[-+]?[0-9][0-9.eE+-]*")
# A name in quotes, which a text of a text may have escaped, and a name without any.
_QUOTED_NAME: Final = re.compile(r"""(?<!\\)(?P<quote>\\*["'])(?P<name>[^"'\\\n]{1,200})(?P=quote)\s*(?:=>|[:=])\s*""")
_BARE_NAME: Final = re.compile(r"(?<!\w)(?P<name>[A-Za-z_][\w.-]{0,200})[ \t]*[:=][ \t]*")
_FLAG: Final = re.compile(r"(?<!\S)--(?P<name>[A-Za-z][\w-]{0,100})[ \t]+(?=[^\s-])")
_QUOTE: Final = re.compile(r"""\\*["']""")
_BARE_VALUE: Final = re.compile(r"""[^\s&"'<>]+""")
_JSON_VALUE: Final = re.compile(r"[^\s,}\]]+")
_REST_OF_LINE: Final = {"authorization": re.compile(r"""[^\r\n"']+"""), "cookie": re.compile(r"[^\r\n]+")}
_BRACKET: Final = re.compile(r"""[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'""", re.DOTALL)
_SLUG: Final = re.compile(r"[^a-z0-9]+")
_REMEMBERED_TEXTS: Final = 8
# Checks in C whether a text is JSON; what it makes of the numbers is thrown away.
_decoder: Final = json.JSONDecoder(parse_int=len, parse_float=len)


class _Edit(NamedTuple):
    """A stretch of a text, and what stands there instead."""

    start: int
    end: int
    text: str


class _Secret(NamedTuple):
    """A stretch of a text that a rule masks."""

    start: int
    end: int
    rule: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Own rules beside those that always hold: names whose values are secrets, and patterns of secrets."""

    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def rule_of(self, name: str) -> str:
        """Return the rule that makes the value of a name a secret, "" if none does."""
        return _rule_of(name, self.names)


@lru_cache(maxsize=4096)
def _rule_of(name: str, own: tuple[str, ...]) -> str:
    squashed, starts, ends = _squashed(name)
    rules = {_squashed(one)[0]: _slug(one) for one in own} | NAMES
    for secret, rule in rules.items():
        found = squashed.find(secret) if secret else -1
        while found >= 0:
            for end in (found + len(secret), found + len(secret) + squashed.startswith("s", found + len(secret))):
                if end == len(squashed) or (found in starts and end in ends):
                    return rule
            found = squashed.find(secret, found + 1)
    return ""


def _squashed(name: str) -> tuple[str, set[int], set[int]]:
    """Return a name's letters in small, and where in them its words begin and end."""
    text, starts, ends = "", set(), set()
    for word in _WORD.findall(name):
        starts.add(len(text))
        text += word.lower()
        ends.add(len(text))
    return text, starts, ends


@lru_cache(maxsize=4096)
def _counts_something(name: str) -> bool:
    return any(word.lower() in _COUNTING for word in _WORD.findall(name))


def _slug(name: str) -> str:
    return _SLUG.sub("_", name.lower()).strip("_") or "own"


@dataclass(slots=True)
class Secrets:
    """What one rule masked: how many different secrets, in how many places."""

    different: int = 0
    places: int = 0


@dataclass(slots=True)
class _Frame:
    """A container that is being read; `rule` is that of a secret name above it."""

    is_object: bool
    rule: str
    is_counting: bool
    name: str = ""
    awaits_name: bool = False


@dataclass
class Masker:
    """Masks the texts of one file. Equal secrets get the same mark, so that a change of one can still be seen."""

    rules: Rules = field(default_factory=Rules)
    found: dict[str, Secrets] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = {f"own_pattern_{number}": text for number, text in enumerate(self.rules.patterns, 1)}
        self._patterns = [(rule, re.compile(text)) for rule, text in [*PATTERNS.items(), *own.items()]]
        self._own_patterns = self._patterns[len(PATTERNS) :]
        self._marks: dict[tuple[str, str], str] = {}
        self._issued: set[str] = set()
        self._remembered: OrderedDict[str, str] = OrderedDict()

    def text(self, text: str) -> str:
        """Return a text with its secrets masked; all other characters stay as they are."""
        if text in self._remembered:
            self._remembered.move_to_end(text)
            return self._remembered[text]
        masked = _applied(text, self._edits(text))
        self._remembered[text] = masked
        if len(self._remembered) > _REMEMBERED_TEXTS:
            self._remembered.popitem(last=False)
        return masked

    def _mark(self, rule: str, secret: str) -> str:
        """Return the mark for a secret, and count it."""
        counted = self.found.setdefault(rule, Secrets())
        counted.places += 1
        if (rule, secret) not in self._marks:
            counted.different += 1
            self._marks[rule, secret] = mark = f"[masked:{rule}#{counted.different}]"
            self._issued.add(mark)
        return self._marks[rule, secret]

    def _edits(self, text: str) -> list[_Edit]:
        """Return the edits of a text, in order and apart from each other."""
        if _is_json(text):
            return list(self._in_json(text))
        secrets = _apart([*self._by_pattern(text), *self._by_name(text)])
        return [_Edit(start, end, self._mark(rule, text[start:end])) for start, end, rule in secrets]

    # In JSON

    def _in_json(self, text: str) -> Iterator[_Edit]:
        """Yield the edits of a JSON text, token by token."""
        stack = [_Frame(False, "", False)]
        for token in _TOKEN.finditer(text):
            frame, sign = stack[-1], text[token.start()]
            if sign in "{[":
                rule, is_counting = self._inherited(frame)
                stack.append(_Frame(sign == "{", rule, is_counting, awaits_name=sign == "{"))
            elif sign in "}]":
                stack.pop()
            elif sign == ",":
                frame.awaits_name = frame.is_object
            elif sign == '"' and frame.awaits_name:
                frame.name, frame.awaits_name = _decoded(token[0][1:-1])[0], False
                yield from self._in_string(token)
            elif sign != ":":
                yield from self._scalar(token, *self._inherited(frame))

    def _inherited(self, frame: _Frame) -> tuple[str, bool]:
        """Return the rule for the value that comes next in a container, and whether its name counts something."""
        own = self.rules.rule_of(frame.name) if frame.is_object else ""
        return (own, _counts_something(frame.name)) if own else (frame.rule, frame.is_counting)

    def _scalar(self, token: re.Match[str], rule: str, is_counting: bool) -> Iterator[_Edit]:
        is_string = token[0].startswith('"')
        if not rule:
            yield from self._in_string(token) if is_string else self._in_number(token)
            return
        secret = token[0][1:-1] if is_string else token[0]
        is_left = not is_string and (secret in _WORDLESS or is_counting)
        if secret and secret not in self._issued and not is_left:
            yield _Edit(token.start(), token.end(), f'"{self._mark(rule, secret)}"')

    def _in_number(self, token: re.Match[str]) -> Iterator[_Edit]:
        rule = next((rule for rule, pattern in self._own_patterns if pattern.search(token[0])), "")
        if rule:
            yield _Edit(token.start(), token.end(), f'"{self._mark(rule, token[0])}"')

    def _in_string(self, token: re.Match[str]) -> Iterator[_Edit]:
        """Yield the edits of what a string says, at the places of its characters in the source."""
        decoded, places, sources = _decoded(token[0][1:-1])
        first = token.start() + 1
        for start, end, text in self._edits(decoded):
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            yield _Edit(first + _source(start, places, sources), first + _source(end, places, sources), escaped)

    # In any other text

    def _by_pattern(self, text: str) -> Iterator[_Secret]:
        for rule, pattern in self._patterns:
            group = "secret" if "secret" in pattern.groupindex else 0
            for found in pattern.finditer(text):
                if found[group] and found[group] not in self._issued:
                    yield _Secret(found.start(group), found.end(group), rule)

    def _by_name(self, text: str) -> Iterator[_Secret]:
        """Yield the edits of values that stand behind a name."""
        names = (_QUOTED_NAME, _BARE_NAME) if ":" in text or "=" in text else ()
        for pattern in (*names, *([_FLAG] if "--" in text else [])):
            covered = 0
            for found in pattern.finditer(text):
                # What stands in a value that is masked is not looked at again.
                rule = self.rules.rule_of(found["name"]) if found.start() >= covered else ""
                if rule:
                    start, covered = _value(text, found.end(), rule, is_json=pattern is _QUOTED_NAME)
                    yield from self._named(text[start:covered], start, rule, found["name"])

    def _named(self, secret: str, start: int, rule: str, name: str) -> Iterator[_Secret]:
        is_count = _counts_something(name) and bool(_NUMBER.fullmatch(secret.rstrip(",.;)}]")))
        if secret and secret not in self._issued and secret not in _WORDLESS and not is_count:
            yield _Secret(start, start + len(secret), rule)


def _is_json(text: str) -> bool:
    if text.lstrip(" \t\n\r")[:1] not in ("{", "[", '"'):
        return False
    try:
        _decoder.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _decoded(source: str) -> tuple[str, list[int], list[int]]:
    r"""Return what the inside of a JSON string says, with a map from there to the source.

    The map has an entry for each place from where on the two run in step again: behind each escape.
    """
    if "\\" not in source:
        return source, [0], [0]
    pieces: list[str] = []
    places, sources = [0], [0]
    length, position = 0, 0
    for found in _ESCAPE.finditer(source):
        if found.start() < position:
            continue  # The second half of a pair.
        pieces.append(source[position : found.start()])
        character, end = _character(source, found)
        pieces.append(character)
        length += found.start() - position + 1
        # The escape is one character: its place begins a stretch of its own.
        places += length - 1, length
        sources += found.start(), end
        position = end
    pieces.append(source[position:])
    return "".join(pieces), places, sources


def _character(source: str, found: re.Match[str]) -> tuple[str, int]:
    """Return the character of an escape, or of the two that make a pair, and where it ends."""
    if found[1] is None:
        return _ESCAPED.get(found[2], found[2]), found.end()
    code = int(found[1], 16)
    low = _ESCAPE.match(source, found.end()) if 0xD800 <= code < 0xDC00 else None
    if low and low[1] and 0xDC00 <= int(low[1], 16) < 0xE000:
        return chr(0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00), low.end()
    return chr(code), found.end()


def _source(place: int, places: list[int], sources: list[int]) -> int:
    """Return the place in the source of a place in what it says."""
    at = bisect_right(places, place) - 1
    return sources[at] + place - places[at]


def _value(text: str, start: int, rule: str, *, is_json: bool) -> tuple[int, int]:
    """Return the stretch of the value that begins at a place; in doubt more than that."""
    quote = _QUOTE.match(text, start)
    if quote:
        closing = re.compile(rf"(?<!\\){re.escape(quote[0])}").search(text, quote.end())
        return quote.end(), closing.start() if closing else len(text)
    if is_json and text[start : start + 1] in ("{", "["):
        return start, _closing(text, start)
    pattern = _JSON_VALUE if is_json else _REST_OF_LINE.get(rule, _BARE_VALUE)
    found = pattern.match(text, start)
    return start, found.end() if found else start


def _closing(text: str, start: int) -> int:
    """Return where a container ends that stands in a text that is not JSON, or where the text does."""
    depth = 0
    for found in _BRACKET.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return len(text)


def _apart(secrets: Iterable[_Secret]) -> list[_Secret]:
    """Return secrets in order; those that overlap as one, by the rule of the first."""
    apart: list[_Secret] = []
    for secret in sorted(secrets, key=lambda one: (one.start, -one.end)):
        if apart and secret.start < apart[-1].end:
            apart[-1] = apart[-1]._replace(end=max(secret.end, apart[-1].end))
        else:
            apart.append(secret)
    return apart


def _applied(text: str, edits: Iterable[_Edit]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, new in edits:
        pieces += text[position:start], new
        position = end
    return "".join([*pieces, text[position:]])
