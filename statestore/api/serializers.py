"""Rows as JSON. Text that is not valid UTF-8 is shown with U+FFFD; `raw` then has the stored bytes."""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from statestore import history, models, restore
from statestore.api.responses import Verbatim
from statestore.db.fields import StoredBlob, text_bytes
from statestore.db.ids import to_address
from statestore.jsondiff import parsing
from statestore.jsondiff.diff import Change, Missing
from statestore.jsondiff.parsing import Json
from statestore.models.rows import LAST_SECOND
from statestore.sessions import Listed

BASE: Final = "/api/v1"
# A larger state is returned as text only.
PARSED_BYTES: Final = parsing.MAX_PARSED_BYTES
_LONE: Final = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def text(value: str | None) -> str | None:
    """Return a text with lone surrogates (bytes that are not UTF-8) replaced by U+FFFD."""
    if value is None or value.isascii():
        return None if value is None else str(value)
    return _LONE.sub("\ufffd", str(value))


def odd_bytes(row: Any, names: Sequence[str]) -> dict[str, str] | None:
    """Return the stored bytes, in base64, of the fields that `text` cannot show exactly; None if there are none."""
    encoded = {}
    for name in names:
        value = getattr(row, name)
        if isinstance(value, str) and (isinstance(value, StoredBlob) or (not value.isascii() and _LONE.search(value))):
            encoded[name] = base64.b64encode(text_bytes(value)).decode()
    return encoded or None


def iso(seconds: int | None) -> str | None:
    """Return a time as ISO 8601 in UTC; None for NULL, and for a value that is not a time."""
    if seconds is None or not getattr(seconds, "readable", True) or not 0 <= seconds <= LAST_SECOND:
        return None
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}Z"


def times(row: Any, *names: str) -> dict[str, Any]:
    """Return each time as ISO 8601 and as the stored seconds."""
    columns: dict[str, Any] = {}
    for name in names:
        value = getattr(row, name)
        columns[name] = iso(value)
        columns[f"{name}_seconds"] = number(value)
    return columns


def number(value: Any) -> int | None:
    """Return a stored integer, None if the column holds something else."""
    return int(value) if value is not None and getattr(value, "readable", True) else None


def json_or_none(stored: str | None, limit: int = PARSED_BYTES) -> Verbatim | None:
    """Return a stored text as verbatim JSON, None if it is not JSON or too large to check."""
    if stored is None or isinstance(stored, StoredBlob) or len(stored) > limit:
        return None
    try:
        parsing.parse(stored, max_bytes=limit)
    except parsing.NotJson:
        return None
    if _LONE.search(stored) or (_SURROGATE_ESCAPE.search(stored) and _has_lone_escape(stored)):
        return None
    return Verbatim(stored)


def _has_lone_escape(stored: str) -> bool:
    try:
        parsing.canonical(parsing.parse(stored)).encode()
    except UnicodeEncodeError:
        return True
    return False


def value(parsed: Json | Missing) -> Verbatim | None:
    """Return a parsed value as JSON with its original literals, None for a missing one."""
    return None if isinstance(parsed, Missing) else Verbatim(parsing.dump(parsed, indent=None))


def state(stored: str, name: str = "state") -> dict[str, Any]:
    """Return a state as the stored text, and as JSON if it is JSON."""
    return {f"{name}_data" if name == "state" else f"{name}_text": text(stored), name: json_or_none(stored)}


def agent_row(agent: models.AgentState) -> dict[str, Any]:
    """Return an agent without its state."""
    address = to_address(agent.agent_id)
    return {
        "id": text(agent.agent_id),
        "address": address,
        "name": text(agent.name),
        "status": text(agent.status),
        "namespace": text(agent.namespace),
        "version": number(agent.version),
        **times(agent, "created_at", "updated_at"),
        "in_trash": bool(agent.is_deleted),
        "size": getattr(agent, "size", None) if hasattr(agent, "size") else len(text_bytes(agent.state_data)),
        "url": f"{BASE}/agents/{address}" + ("?trash=true" if agent.is_deleted else ""),
        "page": f"/agents/{address}/",
        "raw": odd_bytes(agent, ("agent_id", "name", "status")),
    }


def agent(row: models.AgentState, tombstone: models.Tombstone | None = None) -> dict[str, Any]:
    """Return an agent with its state."""
    trashed = (
        {"actor": text(tombstone.actor), "reason": text(tombstone.reason), **times(tombstone, "at")}
        if tombstone
        else None
    )
    return {
        **agent_row(row),
        "etag": row.etag(),
        "metadata": text(row.metadata),
        **state(row.state_data),
        "tombstone": trashed,
        "raw": odd_bytes(row, ("agent_id", "name", "status", "metadata", "state_data")),
    }


def transition_row(row: models.Transition) -> dict[str, Any]:
    """Return a transition without its states."""
    address = to_address(row.pk)
    return {
        "id": text(row.pk),
        "address": address,
        "agent_id": text(row.agent_id),
        "reason": text(row.reason),
        **times(row, "timestamp"),
        "metadata": text(row.metadata),
        "size_before": getattr(row, "size_before", None),
        "size_after": getattr(row, "size_after", None),
        "url": f"{BASE}/transitions/{address}",
        "page": f"/transitions/{address}/",
        "raw": odd_bytes(row, ("id", "agent_id", "reason", "metadata")),
    }


def captured_row(row: models.CapturedChange) -> dict[str, Any]:
    """Return a captured change in the form of a transition."""
    address = to_address(f"{row.PREFIX}{row.pk}")
    return {
        "id": f"{row.PREFIX}{row.pk}",
        "address": address,
        "agent_id": text(row.agent_id),
        "reason": None,
        "timestamp": iso(row.at),
        "timestamp_seconds": number(row.at),
        "metadata": None,
        "size_before": getattr(row, "size_before", None),
        "size_after": getattr(row, "size_after", None),
        "url": f"{BASE}/transitions/{address}",
        "page": f"/transitions/{address}/",
        "raw": odd_bytes(row, ("agent_id",)),
    }


def transition(row: models.Transition) -> dict[str, Any]:
    """Return a transition with the states before and after it."""
    return {
        **transition_row(row),
        "size_before": len(text_bytes(row.state_before)),
        "size_after": len(text_bytes(row.state_after)),
        "etag": models.row_hash(row),
        **state(row.state_before, "state_before"),
        **state(row.state_after, "state_after"),
        "raw": odd_bytes(row, ("id", "agent_id", "reason", "metadata", "state_before", "state_after")),
    }


def snapshot_row(row: models.Snapshot) -> dict[str, Any]:
    """Return a snapshot without its state."""
    address = to_address(row.pk)
    return {
        "id": text(row.pk),
        "address": address,
        "agent_id": text(row.agent_id),
        "description": text(row.description),
        **times(row, "created_at", "expires_at"),
        "size": getattr(row, "size", None) if hasattr(row, "size") else len(text_bytes(row.state_data)),
        "url": f"{BASE}/snapshots/{address}",
        "page": f"/snapshots/{address}/",
        "raw": odd_bytes(row, ("id", "agent_id", "description")),
    }


def snapshot(row: models.Snapshot) -> dict[str, Any]:
    """Return a snapshot with its state."""
    return {
        **snapshot_row(row),
        "etag": models.row_hash(row),
        **state(row.state_data),
        "raw": odd_bytes(row, ("id", "agent_id", "description", "state_data")),
    }


_EVENT_TEXTS: Final = (
    "event_type", "session_id", "actor_type", "actor_id", "content", "metadata", "git_commit",
)  # fmt: skip


def event(row: models.Event) -> dict[str, Any]:
    """Return an event."""
    address = to_address(row.pk)
    return {
        "id": text(row.pk),
        "address": address,
        **{name: text(getattr(row, name)) for name in _EVENT_TEXTS},
        **times(row, "timestamp", "created_at"),
        "url": f"{BASE}/events/{address}",
        "raw": odd_bytes(row, ("id", *_EVENT_TEXTS)),
    }


_TASK_TEXTS: Final = (
    "title", "description", "status", "priority", "complexity", "assigned_to", "dependencies", "metadata",
)  # fmt: skip


def task(row: models.Task) -> dict[str, Any]:
    """Return a task, with its dependencies as stored and as a list of ids."""
    address = to_address(row.pk)
    try:
        ids = parsing.parse(row.dependencies or "[]")
    except parsing.NotJson:
        ids = None
    waits_for = [text(task_id) for task_id in ids if isinstance(task_id, str)] if isinstance(ids, list) else None
    return {
        "id": text(row.pk),
        "address": address,
        **{name: text(getattr(row, name)) for name in _TASK_TEXTS},
        "waits_for": waits_for,
        **times(row, "created_at", "updated_at"),
        "url": f"{BASE}/tasks/{address}",
        "raw": odd_bytes(row, ("id", *_TASK_TEXTS)),
    }


def session(row: models.Session) -> dict[str, Any]:
    """Return a session."""
    address = to_address(row.pk)
    return {
        "id": text(row.pk),
        "address": address,
        "agent_id": text(row.agent_id),
        "status": text(row.status),
        **times(row, "started_at", "ended_at"),
        "metadata": text(row.metadata),
        "is_recorded": True,
        "url": f"{BASE}/sessions/{address}",
        "raw": odd_bytes(row, ("id", "agent_id", "status", "metadata")),
    }


def unrecorded_session(listed: Listed) -> dict[str, Any]:
    """Return a session that has no row of its own, only events."""
    address = to_address(listed.session_id)
    return {
        "id": text(listed.session_id),
        "address": address,
        "agent_id": text(listed.agent_id) or None,
        "status": listed.status,
        **times(listed, "started_at", "ended_at"),
        "metadata": None,
        "is_recorded": False,
        "url": f"{BASE}/sessions/{address}",
        "raw": odd_bytes(listed, ("session_id", "agent_id")),
    }


def listed_session(listed: Listed) -> dict[str, Any]:
    """Return a session with the counts shown in lists."""
    return {
        **(unrecorded_session(listed) if listed.row is None else session(listed.row)),
        **times(listed, "last_at"),
        "events": listed.tally.events,
        "has_more_events": listed.tally.is_more,
        "took_part": [
            {"actor_type": text(kind), "actor_id": text(actor), "events": number}
            for kind, actor, number in listed.tally.actors
        ],
    }


def restored(row: models.Restore) -> dict[str, Any]:
    """Return an applied restore."""
    address = to_address(row.pk)
    return {
        "id": text(row.pk),
        "address": address,
        "state": "applied",
        "agent_id": text(row.agent_id),
        "actor": text(row.actor),
        "reason": text(row.reason),
        "moment": text(row.moment),
        "kind": row.kind or "whole",
        **times(row, "at"),
        "hash_before": row.hash_before,
        "hash_after": row.hash_after,
        "safety_snapshot_id": text(row.safety_snapshot_id),
        "transition_id": text(row.transition_id),
        "undoes": text(row.undoes_id),
        "undone_by": text(getattr(row, "undone_by", None)),
        "stands": getattr(row, "stands", None),
        "url": f"{BASE}/restores/{address}",
        "page": f"/restores/{address}/",
    }


def saved_plan(row: models.SavedPlan) -> dict[str, Any]:
    """Return a saved plan."""
    address = to_address(row.pk)
    return {
        "id": text(row.pk),
        "address": address,
        "state": "expired" if row.is_expired(models.now()) else "planned",
        "agent_id": text(row.agent_id),
        "actor": text(row.actor),
        "reason": text(row.reason),
        "moment": text(row.moment),
        "label": text(row.label),
        "kind": row.kind,
        **times(row, "created_at", "expires_at", "approved_at"),
        "approved_by": text(row.approved_by) or None,
        "needs_approval": restore.needs_approval(row.approved_by),
        "expected_etag": row.expected_etag,
        "hash_before": row.hash_before,
        "hash_after": row.hash_after,
        "url": f"{BASE}/restores/{address}",
        "page": f"/restores/{address}/",
    }


def change(change: Change) -> dict[str, Any]:
    """Return one difference between two states. A missing side has no member."""
    sides = {"before": change.before, "after": change.after}
    return {
        "kind": str(change.kind),
        "path": text(change.path),
        "before_path": text(change.before_path),
        "after_path": text(change.after_path),
        **{name: value(side) for name, side in sides.items() if not isinstance(side, Missing)},
    }


def origin(cause: history.Cause) -> dict[str, Any]:
    """Return the cause of a change: a transition, or an unrecorded change."""
    return {
        "transition_id": text(cause.step_id),
        "transition": None if cause.step_id is None else f"{BASE}/transitions/{to_address(cause.step_id)}",
        "at": iso(cause.at),
        "at_seconds": cause.at,
        "reason": text(cause.reason),
        "after_seconds": cause.after,
    }


def audit(row: models.AuditEntry) -> dict[str, Any]:
    """Return one entry of the audit log."""
    return {
        "id": row.pk,
        **times(row, "at"),
        "actor": text(row.actor),
        "address": text(row.address),
        "verb": row.verb,
        "noun": row.noun,
        "row_id": text(row.row_id),
        "row_address": to_address(row.row_id),
        "hash_before": row.hash_before or None,
        "hash_after": row.hash_after or None,
        "detail": text(row.detail) or None,
    }
