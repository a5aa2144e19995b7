"""The language of the search box: words, quoted phrases and `name:value` filters, each negatable with `-`."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NoReturn

from statestore.errors import ValidationError
from statestore.history import moments
from statestore.search import limits

FIELDS: Final = ("type", "actor", "actor-type", "session", "agent", "commit")
TIMES: Final = ("after", "before")
NAMES: Final = (*FIELDS, *TIMES)
TEXT: Final = "text"
# A filter begins a term with its name and a colon. Other names are text, such as http://…
_NAME: Final = re.compile(r"([A-Za-z][A-Za-z_-]*):")
_AGO: Final = re.compile(r"(\d{1,9})([smhdw])")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
# Times may be in nanoseconds, before 1970, and at the limits of a column of 64 bits.
_LAST_TIME: Final = (1 << 63) - 1
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PLAIN: Final = re.compile(r'[^\s"\\-][^\s"\\]*')


class QueryError(ValidationError):
    """An invalid query; `position` is the index of the character that is wrong."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} (at character {position + 1})", field="q")
        self.reason = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a query. `name` is `text` for words and phrases, or the filter; `seconds` is the value of a time."""

    name: str
    value: str
    negated: bool = False
    seconds: int | None = None

    def __str__(self) -> str:
        name = "" if self.name == TEXT else f"{self.name}:"
        is_plain = _PLAIN.fullmatch(self.value) and (name or not _NAME.match(self.value))
        value = self.value if is_plain else '"' + self.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{'-' if self.negated else ''}{name}{value}"


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. All terms must match; of several values for one filter, one must. `hints` are for the user.

    An engine adds the sessions of the agents that `agent:` names, and of those that it excludes (`agent_sessions`);
    None for too many to list.
    """

    terms: tuple[Term, ...] = ()
    hints: tuple[str, ...] = ()
    sessions: frozenset[str] | None = field(default=None, compare=False)
    unwanted_sessions: frozenset[str] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    @property
    def words(self) -> tuple[str, ...]:
        """The texts that must occur in an event."""
        return tuple(term.value for term in self.terms if term.name == TEXT and not term.negated)

    @property
    def unwanted(self) -> tuple[str, ...]:
        """The texts that must not occur in an event."""
        return tuple(term.value for term in self.terms if term.name == TEXT and term.negated)

    def values(self, name: str, *, negated: bool = False) -> tuple[str, ...]:
        """Return the values that a filter allows, or those that it excludes."""
        return tuple(term.value for term in self.terms if term.name == name and term.negated == negated)

    @property
    def names_agents(self) -> bool:
        """Whether the query asks for agents, or excludes some."""
        return any(term.name == "agent" for term in self.terms)

    def sessions_of_agents(self, *, negated: bool) -> frozenset[str] | None:
        """Return the sessions of the agents that the query names, or of those that it excludes."""
        return self.unwanted_sessions if negated else self.sessions

    @property
    def after(self) -> int | None:
        """The first second of the query's time, or None if it has no start."""
        return max(_bounds(self.terms, "after"), default=None)

    @property
    def before(self) -> int | None:
        """The second at which the query's time ends (exclusive), or None if it has no end."""
        return min(_bounds(self.terms, "before"), default=None)

    def without(self, term: Term) -> "Query":
        """Return the query without one of its terms."""
        return Query(tuple(kept for kept in self.terms if kept != term))

    def plus(self, term: Term) -> "Query":
        """Return the query with a term added, and its opposite removed."""
        opposite = replace(term, negated=not term.negated)
        kept = tuple(present for present in self.terms if present not in (term, opposite))
        return Query((*kept, term))

    def between(self, after: int | None, before: int | None) -> "Query":
        """Return the query over another range of time."""
        kept = tuple(term for term in self.terms if term.name not in TIMES)
        bounds = (("after", after), ("before", before))
        times = (Term(name, _time_text(at), seconds=at) for name, at in bounds if at is not None)
        return Query((*kept, *times))


def _bounds(terms: Iterable[Term], name: str) -> Iterator[int]:
    """Return the seconds that bound one end: `-after` is a bound of `before`, and the reverse."""
    for term in terms:
        opposite = TIMES[1 - TIMES.index(term.name)] if term.name in TIMES and term.negated else term.name
        if opposite == name and term.seconds is not None:
            yield term.seconds


def parse(text: str, *, now: int | None = None) -> Query:
    """Return the query of a search box's text. Raises QueryError for an invalid one."""
    if (nul := text.find("\0")) >= 0:
        raise QueryError("NUL characters are not allowed", nul)
    if (surrogate := _SURROGATE.search(text)) is not None:
        raise QueryError("Invalid character", surrogate.start())
    if len(text) > limits.QUERY_CHARACTERS:
        raise QueryError(f"A query can have at most {limits.QUERY_CHARACTERS:,} characters", limits.QUERY_CHARACTERS)
    terms: list[Term] = []
    hints: list[str] = []
    position = _past_spaces(text, 0)
    while position < len(text):
        if len(terms) == limits.QUERY_TERMS:
            raise QueryError(f"A query can have at most {limits.QUERY_TERMS} terms", position)
        term, end = _term(text, position, hints, int(time.time()) if now is None else now)
        terms.append(term)
        position = _past_spaces(text, end)
    return Query(tuple(dict.fromkeys(terms)), tuple(hints))


def _past_spaces(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _past_word(text: str, position: int) -> int:
    while position < len(text) and not text[position].isspace():
        position += 1
    return position


def _term(text: str, start: int, hints: list[str], now: int) -> tuple[Term, int]:
    negated = text[start] == "-" and start + 1 < len(text) and not text[start + 1].isspace()
    begin = start + negated
    prefix = _NAME.match(text, begin)
    name = prefix[1].lower().replace("_", "-") if prefix else ""
    if prefix is None or name not in NAMES:
        value, end = _value(text, begin)
        if prefix and text[prefix.end() : prefix.end() + 2] != "//":
            hints.append(f"“{prefix[0]}” is not a filter and was searched as text. Filters: {', '.join(NAMES)}.")
        if not value:
            raise QueryError("Empty quotation marks", begin)
        return Term(TEXT, value, negated), end
    if prefix.end() == len(text) or text[prefix.end()].isspace():
        raise QueryError(f'{name}: needs a value; {name}:"" matches empty values' if name in FIELDS else
                         f"{name}: needs a time, such as {name}:2h or {name}:2026-11-21", prefix.end())  # fmt: skip
    value, end = _value(text, prefix.end())
    seconds = _time(name, value, prefix.end(), now) if name in TIMES else None
    return Term(name, value, negated, seconds), end


@dataclass(frozen=True, slots=True)
class TypedTerm:
    """A term as it is typed, finished or not: its place in the text, its filter (or empty), where its value begins."""

    start: int
    end: int
    name: str
    value_at: int


def term_around(text: str, position: int) -> TypedTerm:
    """Return the term that contains or ends at a position of a text, or an empty one."""
    start = _past_spaces(text, 0)
    while start < position:
        begin = start + (text[start] == "-")
        prefix = _NAME.match(text, begin)
        name = prefix[1].lower().replace("_", "-") if prefix else ""
        value_at = prefix.end() if prefix and name in NAMES else begin
        end = _past_value(text, value_at)
        if position <= end:
            return TypedTerm(start, end, name if name in NAMES else "", value_at)
        start = _past_spaces(text, end)
    return TypedTerm(position, position, "", position)


def _past_value(text: str, start: int) -> int:
    """Return where a value ends; an unclosed one extends to the end of the text."""
    try:
        return _value(text, start)[1] if start < len(text) else start
    except QueryError:
        return len(text)


def unquoted(text: str) -> str:
    """Return the beginning of a value without its quotation mark, which need not be closed."""
    return re.sub(r'\\(["\\])', r"\1", text[1:]) if text.startswith('"') else text


def _value(text: str, start: int) -> tuple[str, int]:
    """Return a word or a quoted phrase, and where it ends."""
    if text[start] != '"':
        end = _past_word(text, start)
        return text[start:end], end
    value, position = [], start + 1
    while position < len(text) and text[position] != '"':
        # A backslash escapes a quotation mark and itself; elsewhere it is text.
        position += text[position] == "\\" and text[position + 1 : position + 2] in ('"', "\\")
        value.append(text[position])
        position += 1
    if position >= len(text):
        raise QueryError("Unclosed quotation mark", start)
    return "".join(value), position + 1


def _time(name: str, value: str, position: int, now: int) -> int:
    ago = _AGO.fullmatch(value)
    if ago:
        return now - int(ago[1]) * _UNIT_SECONDS[ago[2]]
    if value == "now":
        return now
    if re.fullmatch(r"-\d{1,19}|\d{16,19}", value):
        return max(min(int(value), _LAST_TIME), -_LAST_TIME)
    try:
        return moments.parse_time(value)
    except ValidationError:
        _refuse_time(name, value, position)


def _time_text(seconds: int) -> str:
    """Return a time in ISO format, or as a number if it is beyond the calendar."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}" if seconds >= 0 else str(seconds)
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _refuse_time(name: str, value: str, position: int) -> NoReturn:
    raise QueryError(
        f"“{value[:40]}” is not a valid time; use 2h (ago), 15m, 7d, {name}:2026-11-21, "
        f"{name}:2026-11-21T18:02 or seconds",
        position,
    ) from None


def marked(text: str, words: Iterable[str], fold: Callable[[str], str] | None = None) -> list[tuple[str, bool]]:
    """Return a text in parts, each with whether it is one of the words, in which ASCII letters match in either case."""
    fold = fold or ascii_folded
    pattern = _pattern_of(tuple(words), fold)
    if pattern is None:
        return [(text, False)] if text else []
    parts, position = [], 0
    for match in pattern.finditer(fold(text)):
        parts += [(text[position : match.start()], False), (text[match.start() : match.end()], True)]
        position = match.end()
    return [part for part in (*parts, (text[position:], False)) if part[0]]


@lru_cache(maxsize=64)
def _pattern_of(words: tuple[str, ...], fold: Callable[[str], str]) -> re.Pattern[str] | None:
    """Return the pattern that finds any of some words, the longest first; None for no words."""
    patterns = [re.escape(fold(word)) for word in sorted(set(words), key=len, reverse=True) if word]
    return re.compile("|".join(patterns)) if patterns else None


_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def ascii_folded(text: str) -> str:
    """Return a text with its ASCII letters in lower case: the only letters whose case LIKE ignores."""
    return text.lower() if text.isascii() else text.translate(_LOWER)
