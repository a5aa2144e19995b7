"""pydantic-ai's message histories: what `ModelMessagesTypeAdapter` writes, a JSON list of requests and responses."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Document, Event, History
from statestore.sources.readers.columns import list_of, object_of, seconds, text_of
from statestore.sources.readers.message_logs import Entry, Log, history_of
from statestore.sources.readers.messages import AGENT, SYSTEM, TOOL, USER, as_text

_KINDS: Final = {"request", "response"}
_ACTORS: Final = {
    "system-prompt": SYSTEM, "user-prompt": USER, "tool-return": TOOL, "retry-prompt": TOOL,
    "builtin-tool-return": TOOL, "text": AGENT, "thinking": AGENT, "tool-call": AGENT, "builtin-tool-call": AGENT,
}  # fmt: skip


class PydanticAIReader:
    """Reads a file of messages; a thread is a conversation, or the file where the messages name none."""

    name: ClassVar[str] = "pydantic-ai messages"

    def recognises(self, document: Document) -> bool:
        """Return whether it is one list of messages that have a kind and parts."""
        messages = list_of(document.pages[0].value) if len(document.pages) == 1 else []
        return bool(messages) and all(_is_message(item) for item in messages[:20])

    def count(self, document: Document) -> Mapping[str, int]:
        """Return how many threads and messages there are."""
        logs = _logs(document)
        return {"threads": len(logs), "messages": sum(len(log.entries) for log in logs.values())}

    def positions(self, document: Document) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the last one of the file first."""
        for thread_id, log in reversed(_logs(document).items()):
            yield thread_id, log.position

    def read(self, document: Document, thread_id: str, after: str = "") -> History:
        """Return a conversation with one step for each user's prompt."""
        return history_of(_logs(document)[thread_id], after)


def _is_message(item: Json) -> bool:
    message = object_of(item)
    return text_of(message.get("kind")) in _KINDS and isinstance(message.get("parts"), list)


def _logs(document: Document) -> dict[str, Log]:
    entries: dict[str, list[Entry]] = {}
    at = 0.0
    for place, item in enumerate(list_of(document.pages[0].value)):
        thread_id = text_of(object_of(item).get("conversation_id")) or document.name
        entry = _entry(place, item, at or document.at)
        at = max(at, entry.at) if seconds(object_of(item).get("timestamp")) else at
        entries.setdefault(thread_id, []).append(entry)
    return {thread_id: Log(thread_id, thread_id, found) for thread_id, found in entries.items()}


def _entry(place: int, item: Json, earlier: float) -> Entry:
    message = object_of(item)
    parts = [object_of(part) for part in list_of(message.get("parts"))]
    times = [at for at in map(seconds, (part.get("timestamp") for part in parts)) if at]
    at = seconds(message.get("timestamp")) or (times[0] if times else earlier)
    events = [_event(f"{place}:{number}", part, at) for number, part in enumerate(parts)]
    asked = next((event.content for event in events if event.actor == USER), None)
    return Entry(str(place), at, item, events, asked)


def _event(key: str, part: dict[str, Json], at: float) -> Event:
    kind = text_of(part.get("part_kind")) or "part"
    said = part.get("args") if kind.endswith("tool-call") else part.get("content")
    named = {"name": part.get("tool_name"), "call_id": part.get("tool_call_id")}
    return Event(
        key=key,
        at=seconds(part.get("timestamp")) or at,
        actor=_ACTORS.get(kind, AGENT),
        kind=kind,
        content="" if said is None else _words(said),
        metadata={name: value for name, value in named.items() if value is not None},
    )


def _words(value: Json) -> str:
    """Return a content's text: of a list, its texts; of pictures and files only their kind."""
    if not isinstance(value, list):
        return as_text(value)
    said = []
    for item in value:
        kind = text_of(object_of(item).get("kind"))
        said.append(f"[{kind}]" if kind else as_text(item))
    return "\n".join(said)
