"""What a case holds: records of plain values, masked in one place. The two formats write the same records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from statestore import conversations, history, models
from statestore.access.scope import Scope
from statestore.cases import limits
from statestore.cases.masking import Masker
from statestore.conversations import Call, Media, Message, Result, Text, Thinking
from statestore.conversations.messages import Part
from statestore.history.past import Record as PastRecord
from statestore.jsondiff import diff, parsing
from statestore.jsondiff.diff import Change
from statestore.jsondiff.parsing import Json
from statestore.jsondiff.patch import Missing
from statestore.jsondiff.textdiff import Op

FORMAT: Final = "descartes-case-1"
SIGNS: Final = {"added": "+", "removed": "−", "replaced": "~", "moved": "⇅"}

Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What goes into the case of an agent: how many of the newest transitions and events, 0 for none."""

    state: bool = True
    conversation: bool = True
    transitions: int = limits.TRANSITIONS
    events: int = 0


def of_agent(agent: models.AgentState, wanted: Wanted, seen: Scope, masker: Masker) -> list[Record]:
    """Return the records of an agent's case."""
    parts: list[Iterable[Record]] = [[_agent(agent)]]
    if wanted.state:
        parts.append([{"kind": "state", "at": _time(agent.updated_at), "text": str(agent.state_data)}])
    if wanted.conversation:
        parts.append(_messages(masker.text(str(agent.state_data))))
    if wanted.transitions:
        parts.append(_timeline(agent.agent_id, wanted.transitions, seen.using, masker))
    if wanted.events:
        parts.append(_events(agent.agent_id, wanted.events, seen))
    return _finished(_head("agent", str(agent.agent_id), str(agent)), parts, masker)


def of_transition(transition: models.Transition, agent: models.AgentState | None, masker: Masker) -> list[Record]:
    """Return the records of one transition's case."""
    parts = [[] if agent is None else [_agent(agent)], [_transition(transition, masker)]]
    return _finished(_head("transition", str(transition.pk), str(agent or transition.agent_id)), parts, masker)


def _head(about: str, row_id: str, name: str) -> Record:
    made = datetime.now(UTC).replace(microsecond=0)
    return {"kind": "case", "format": FORMAT, "about": about, "id": row_id, "name": name, "made_at": _iso(made)}


def _finished(head: Record, parts: Iterable[Iterable[Record]], masker: Masker) -> list[Record]:
    """Return all records masked, with a last one that says what was. This is where every text passes."""
    records = [_masked(record, masker) for record in [head, *(record for part in parts for record in part)]]
    found = sorted(masker.found.items(), key=lambda pair: (-pair[1].places, pair[0]))
    rules = [{"rule": rule, "different": one.different, "places": one.places} for rule, one in found]
    return [*records, {"kind": "masked", "rules": rules}]


def _masked(value: Any, masker: Masker) -> Any:
    if isinstance(value, str):
        return masker.text(value)
    if isinstance(value, list):
        return [_masked(item, masker) for item in value]
    return {key: _masked(item, masker) for key, item in value.items()} if isinstance(value, dict) else value


def _agent(agent: models.AgentState) -> Record:
    # No hash of the state: with it, a secret that is short could be guessed.
    return {
        "kind": "agent", "id": str(agent.agent_id), "name": str(agent.name or ""), "status": str(agent.status),
        "namespace": str(agent.namespace or ""), "version": _plain(agent.version), "is_deleted": agent.is_gone,
        "created_at": _time(agent.created_at), "updated_at": _time(agent.updated_at),
        "metadata": str(agent.metadata or ""),
    }  # fmt: skip


# Conversation


def _messages(state: str) -> Iterator[Record]:
    """Yield the messages of a state's longest message list, from a text that is masked."""
    try:
        lists = conversations.message_lists(parsing.parse(state))
    except parsing.NotJson:
        return
    if not lists:
        return
    items = lists[0].items
    first = max(0, len(items) - limits.MESSAGES)
    if first:
        yield {"kind": "note", "text": f"{first:,} earlier messages are left out."}
    for position in range(first, len(items)):
        yield _message(conversations.message(items[position], position))


def _message(message: Message) -> Record:
    return {
        "kind": "message", "number": message.position + 1, "role": message.role.value, "word": message.word,
        "name": message.name, "parts": [_part(part) for part in message.parts],
    }  # fmt: skip


def _part(part: Part) -> Record:
    match part:
        case Text(text) | Thinking(text):
            return {"type": type(part).__name__.lower(), "text": text}
        case Call():
            return {"type": "call", "name": part.name, "text": _text(part.value)}
        case Result():
            return {"type": "result", "name": part.name, "text": _text(part.value), "is_error": part.is_error}
        case Media():
            # Its content is in the state; its address might load something.
            return {"type": "media", "text": part.media_type or part.kind}
        case _:
            return {"type": "other", "text": _text(part.value)}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else parsing.dump(value)


# Timeline


def _timeline(agent_id: str, number: int, using: str, masker: Masker) -> Iterator[Record]:
    """Yield the newest transitions with their differences, and the snapshots between them, newest first."""
    records, older = history.timeline(agent_id, limit=number, using=using)
    left = limits.COMPARED_CHARACTERS
    for record in records:
        row = _row(record, using)
        if record.kind == "snapshot":
            yield _snapshot(record)
            continue
        if row is None:
            yield {"kind": "note", "text": "A change of which only the time was recorded.", "at": _time(record.at)}
            continue
        left -= len(row.state_before) + len(row.state_after)
        if left < 0:
            yield {"kind": "note", "text": "Older changes are left out: their states are too large for one file."}
            return
        yield _transition(row, masker)
    if older:
        yield {"kind": "note", "text": f"Only the newest {number:,} records are here; there are older ones."}


def _row(record: PastRecord, using: str) -> models.Transition | None:
    """Return the row of a change with its states; None for a snapshot, and for a change without states."""
    if record.kind == "snapshot":
        return None
    prefix = models.CapturedChange.PREFIX if record.kind == "captured" else ""
    return history.find_transition(f"{prefix}{record.row.pk}", using=using)


def _snapshot(record: PastRecord) -> Record:
    description = str(record.row.description or "")
    return {"kind": "snapshot", "id": str(record.row.pk), "at": _time(record.at), "description": description}


def _transition(row: models.Transition, masker: Masker) -> Record:
    changes, more = _changes(masker.text(str(row.state_before)), masker.text(str(row.state_after)))
    return {
        "kind": "transition", "id": str(row.pk), "at": _time(row.timestamp), "reason": str(row.reason or ""),
        "by": row.by, "metadata": str(row.metadata or ""), "changes": changes, "more_changes": more,
    }  # fmt: skip


def _changes(before: str, after: str) -> tuple[list[Record], int]:
    """Return the differences of two masked texts, and how many are left out: by path, or by line."""
    compared = diff.compare(before, after)
    if isinstance(compared, diff.JsonComparison):
        changes = list(compared.diff.changes)
        return [_change(change) for change in changes[: limits.CHANGES]], max(0, len(changes) - limits.CHANGES)
    signs = {Op.INSERT: "added", Op.DELETE: "removed"}
    lines = [line for hunk in compared.lines.hunks for line in hunk.lines if line.op in signs]
    rows = [
        {"op": signs[line.op], "path": f"line {line.before_number or line.after_number}",
         "before": line.text if line.op is Op.DELETE else None, "after": line.text if line.op is Op.INSERT else None}
        for line in lines[: limits.CHANGES]
    ]  # fmt: skip
    return rows, max(0, len(lines) - limits.CHANGES)


def _change(change: Change) -> Record:
    return {
        "op": change.kind.value, "path": change.path, "from": change.before_path,
        "before": _value(change.before), "after": _value(change.after),
    }  # fmt: skip


def _value(value: Json | Missing) -> str | None:
    if isinstance(value, Missing):
        return None
    text = parsing.beginning(value, limits.VALUE_CHARACTERS)
    return text if len(text) <= limits.VALUE_CHARACTERS else f"{text[: limits.VALUE_CHARACTERS]}…"


# Events


def _events(agent_id: str, number: int, seen: Scope) -> Iterator[Record]:
    """Yield the newest events of an agent's sessions, session by session, the newest first."""
    left = number
    for session in seen.sessions().of_agent(agent_id).newest_first()[: limits.SESSIONS]:
        yield {"kind": "session", "id": str(session.pk), "status": str(session.status), "at": _time(session.started_at)}
        rows = list(seen.events().in_session(session.pk).newest_first()[: left + 1])
        for event in rows[:left]:
            yield _event(event)
        if len(rows) > left:
            yield {"kind": "note", "text": f"Only the newest {number:,} events are here; there are older ones."}
            return
        left -= len(rows)


def _event(event: models.Event) -> Record:
    return {
        "kind": "event", "id": str(event.pk), "at": _time(event.timestamp), "type": str(event.event_type),
        "actor_type": str(event.actor_type), "actor_id": str(event.actor_id), "content": str(event.content),
        "metadata": str(event.metadata or ""), "git_commit": str(event.git_commit or ""),
    }  # fmt: skip


def _plain(value: object) -> object:
    return value if type(value) is int else str(getattr(value, "raw", value))


def _time(seconds: int) -> str:
    """Return a time as text, or what stands in its place."""
    try:
        return _iso(datetime.fromtimestamp(int(seconds), UTC))
    except (OverflowError, ValueError, OSError):
        return str(getattr(seconds, "raw", seconds))


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
