"""Transcripts of coding agents, as JSON lines: those of Claude Code and of Codex. A log, whose state is its messages.

Neither has a published schema: what is not known is kept as it is, in the state and as an event.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Document, Event, History
from statestore.sources.readers.columns import is_opaque, list_of, object_of, seconds, text_of
from statestore.sources.readers.message_logs import Entry, Log, history_of
from statestore.sources.readers.messages import USER, said

_SPOKEN: Final = {"user", "assistant"}
_ROLLOUT: Final = {"session_meta", "response_item", "event_msg", "turn_context", "compacted"}
_TRIED: Final = 50
# What an agent's program puts into the user's messages by itself.
_OWN_WORDS: Final = ("<environment_context>", "<user_instructions>", "<system-reminder>")


class ClaudeCodeReader:
    """Reads a transcript of Claude Code; a thread is a session, and a side chain is one of its own."""

    name: ClassVar[str] = "Claude Code transcripts"

    def recognises(self, document: Document) -> bool:
        """Return whether one of the first lines is a message with a session."""
        return any(_is_spoken(page.value) for page in document.pages[:_TRIED])

    def count(self, document: Document) -> Mapping[str, int]:
        """Return how many threads and messages there are."""
        return _counted(_sessions(document))

    def positions(self, document: Document) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the session that comes last in the file first."""
        return _positions(_sessions(document))

    def read(self, document: Document, thread_id: str, after: str = "") -> History:
        """Return a session with one step for each prompt."""
        return history_of(_sessions(document)[thread_id], after)


class CodexReader:
    """Reads a rollout of Codex; a thread is a session."""

    name: ClassVar[str] = "Codex transcripts"

    def recognises(self, document: Document) -> bool:
        """Return whether one of the first lines is a record of a rollout."""
        return any(_is_record(page.value) for page in document.pages[:_TRIED])

    def count(self, document: Document) -> Mapping[str, int]:
        """Return how many threads and messages there are."""
        return _counted(_rollout(document))

    def positions(self, document: Document) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position)."""
        return _positions(_rollout(document))

    def read(self, document: Document, thread_id: str, after: str = "") -> History:
        """Return a session with one step for each prompt."""
        return history_of(_rollout(document)[thread_id], after)


def _counted(logs: Mapping[str, Log]) -> dict[str, int]:
    return {"threads": len(logs), "messages": sum(len(log.entries) for log in logs.values())}


def _positions(logs: dict[str, Log]) -> Iterator[tuple[str, str]]:
    for thread_id, log in reversed(logs.items()):
        yield thread_id, log.position


# Claude Code


def _is_spoken(value: Json) -> bool:
    line = object_of(value)
    return (
        text_of(line.get("type")) in _SPOKEN and isinstance(line.get("message"), dict) and bool(line.get("sessionId"))
    )


def _sessions(document: Document) -> dict[str, Log]:
    entries: dict[str, list[Entry]] = {}
    about: dict[str, dict[str, Json]] = {}
    title, at = "", document.at
    for place, page in enumerate(document.pages):
        line = object_of(page.value)
        title = text_of(line.get("summary")) or title
        if not _is_spoken(page.value) and not is_opaque(page.value):
            continue
        at = seconds(line.get("timestamp")) or at
        session = text_of(line.get("sessionId")) or next(reversed(entries), document.name)
        thread_id = f"{session} side chain" if line.get("isSidechain") is True else session
        entries.setdefault(thread_id, []).append(_claude_entry(place, page.value, at))
        named: dict[str, Json] = {name: line[name] for name in ("cwd", "version", "gitBranch") if name in line}
        about.setdefault(thread_id, {}).update(named)
    return {
        thread_id: Log(thread_id, title or thread_id, found, about[thread_id]) for thread_id, found in entries.items()
    }


def _claude_entry(place: int, value: Json, at: float) -> Entry:
    line = object_of(value)
    key = text_of(line.get("uuid")) or str(place)
    message = value if is_opaque(value) else line.get("message")
    event = _event(key, message, at)
    asked = event.content if event.actor == USER and not _is_result(message) else None
    return Entry(key, at, message, (event,), asked, text_of(line.get("parentUuid")))


def _is_result(message: Json) -> bool:
    """Return whether a user's message is a tool's answer."""
    blocks = list_of(object_of(message).get("content"))
    return any(object_of(block).get("type") == "tool_result" for block in blocks)


# Codex


def _is_record(value: Json) -> bool:
    line = object_of(value)
    return text_of(line.get("type")) in _ROLLOUT and isinstance(line.get("payload"), dict)


def _rollout(document: Document) -> dict[str, Log]:
    entries: list[Entry] = []
    session, about, at = "", dict[str, Json](), document.at
    for place, page in enumerate(document.pages):
        line = object_of(page.value)
        at = seconds(line.get("timestamp")) or at
        kind, payload = text_of(line.get("type")), object_of(line.get("payload"))
        if kind == "session_meta":
            session = session or text_of(payload.get("id"))
            about |= {name: payload[name] for name in ("cwd", "cli_version", "source", "model") if name in payload}
        elif kind == "response_item" or is_opaque(page.value):
            message = page.value if is_opaque(page.value) else line.get("payload")
            event = _event(str(place), message, at)
            is_asked = event.actor == USER and not event.content.lstrip().startswith(_OWN_WORDS)
            entries.append(Entry(str(place), at, message, (event,), event.content if is_asked else None))
    thread_id = session or document.name
    return {thread_id: Log(thread_id, thread_id, entries, about)}


def _event(key: str, message: Json, at: float) -> Event:
    spoken = said(message)
    return Event(key, at, spoken.actor, spoken.kind, spoken.content, spoken.metadata)
