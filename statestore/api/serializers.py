"""Rows as JSON: text that any reader can take, and beside it, where that is not the whole truth, the stored bytes."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from statestore import history, models, restore
from statestore.api.responses import Verbatim
from statestore.db.fields import StoredBlob, text_bytes
from statestore.db.ids import to_address
from statestore.jsondiff import limits as jsondiff_limits
from statestore.jsondiff import parsing
from statestore.jsondiff.diff import Change, Missing
from statestore.jsondiff.parsing import Json
from statestore.models.rows import LAST_SECOND
from statestore.sessions import Listed

BASE: Final = "/api/v1"
# A state above this is given as text alone.
PARSED_BYTES: Final = jsondiff_limits.MAX_PARSED_BYTES
_LONE: Final = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def text(value: str | None) -> str | None:
    """Return a text in which what is no UTF-8 is replaced."""
    if value is None or value.isascii():
        return None if value is None else str(value)
    return _LONE.sub("\ufffd", str(value))


def odd_bytes(row: Any, names: Sequence[str]) -> dict[str, str] | None:
    """Return the stored bytes of those fields that are not what `text` shows of them, None where all are."""
    found = {}
    for name in names:
        value = getattr(row, name)
        if isinstance(value, str) and (isinstance(value, StoredBlob) or (not value.isascii() and _LONE.search(value))):
            found[name] = base64.b64encode(text_bytes(value)).decode()
    return found or None


def iso(seconds: int | None) -> str | None:
    """Return a time as ISO 8601 in UTC; None for none, and for what is no time."""
    if seconds is None or not getattr(seconds, "readable", True) or not 0 <= seconds <= LAST_SECOND:
        return None
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}Z"


def times(row: Any, *names: str) -> dict[str, Any]:
    """Return times twice: as people read them, and as they are stored."""
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(row, name)
        found[name] = iso(value)
        found[f"{name}_seconds"] = None if value is None or not getattr(value, "readable", True) else int(value)
    return found


def number(value: Any) -> int | None:
    """Return a stored integer, None where something else is stored."""
    return int(value) if value is not None and getattr(value, "readable", True) else None


def json_or_none(stored: str | None, limit: int = PARSED_BYTES) -> Verbatim | None:
    """Return a stored text as the JSON that it is, None where it is none or too large to be looked at."""
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


def value(found: Json | Missing) -> Verbatim | None:
    """Return a parsed value as the JSON that it was, None for none."""
    return None if isinstance(found, Missing) else Verbatim(parsing.dump(found, indent=None))


def state(stored: str, name: str = "state") -> dict[str, Any]:
    """Return a state as the stored text and, where it is JSON, parsed."""
    return {f"{name}_data" if name == "state" else f"{name}_text": text(stored), name: json_or_none(stored)}


def agent_row(agent: models.AgentState) -> dict[str, Any]:
    """Return an agent as lists show it."""
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
    """Return a change that was captured as the transition that nobody recorded."""
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
    """Return a transition with the states on either side."""
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
    """Return a task; its dependencies as stored, and as the ids that they name."""
    address = to_address(row.pk)
    try:
        ids = parsing.parse(row.dependencies or "[]")
    except parsing.NotJson:
        ids = None
    waits_for = [text(one) for one in ids if isinstance(one, str)] if isinstance(ids, list) else None
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


def unrecorded_session(one: Listed) -> dict[str, Any]:
    """Return a session that only events name, as if it were recorded."""
    address = to_address(one.session_id)
    return {
        "id": text(one.session_id),
        "address": address,
        "agent_id": text(one.agent_id) or None,
        "status": one.status,
        **times(one, "started_at", "ended_at"),
        "metadata": None,
        "is_recorded": False,
        "url": f"{BASE}/sessions/{address}",
        "raw": odd_bytes(one, ("session_id", "agent_id")),
    }


def listed_session(one: Listed) -> dict[str, Any]:
    """Return a session as the list shows it."""
    return {
        **(unrecorded_session(one) if one.row is None else session(one.row)),
        **times(one, "last_at"),
        "events": one.tally.events,
        "has_more_events": one.tally.is_more,
        "took_part": [
            {"actor_type": text(kind), "actor_id": text(actor), "events": number}
            for kind, actor, number in one.tally.actors
        ],
    }


def restored(row: models.Restore) -> dict[str, Any]:
    """Return a restore that was applied, as lists show it."""
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


def kept_plan(row: models.SavedPlan) -> dict[str, Any]:
    """Return a plan that somebody saved."""
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


def change(found: Change) -> dict[str, Any]:
    """Return one difference between two states; a side that was not there has no member."""
    sides = {"before": found.before, "after": found.after}
    return {
        "kind": str(found.kind),
        "path": text(found.path),
        "before_path": text(found.before_path),
        "after_path": text(found.after_path),
        **{name: value(side) for name, side in sides.items() if not isinstance(side, Missing)},
    }


def origin(found: history.Cause) -> dict[str, Any]:
    """Return what made a change: a transition, or something that nobody recorded."""
    return {
        "transition_id": text(found.step_id),
        "transition": None if found.step_id is None else f"{BASE}/transitions/{to_address(found.step_id)}",
        "at": iso(found.at),
        "at_seconds": found.at,
        "reason": text(found.reason),
        "after_seconds": found.after,
    }


def changed_columns(stored: str | None) -> dict[str, Any] | None:
    """Return one side of an audit entry, {column: value}, None where there was no row."""
    if stored is None:
        return None
    return {column: text(value) if isinstance(value, str) else value for column, value in json.loads(stored).items()}


def audit(row: models.AuditEntry) -> dict[str, Any]:
    """Return one entry of the audit log."""
    return {
        "id": row.pk,
        **times(row, "at"),
        "actor": text(row.actor),
        "address": text(row.ip_address),
        "verb": row.action,
        "noun": row.noun,
        "row_id": text(row.row_id),
        "row_address": to_address(row.row_id),
        "hash_before": row.hash_before or None,
        "hash_after": row.hash_after or None,
        "before": changed_columns(row.before),
        "after": changed_columns(row.after),
        "reverts": row.reverts,
        "detail": text(row.detail) or None,
    }
