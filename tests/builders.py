"""Rows for tests: plain functions, every argument optional, so that a test names only what matters to it."""

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from statestore import models
from statestore.backups import Backup, BackupFile, Manifest, manifest

NOW = 1_790_000_000
_numbers = itertools.count(1)


def _id(kind: str) -> str:
    return f"{kind}-{next(_numbers)}"


def make_agent(
    agent_id: str | None = None, *, namespace: str = "", state: Any = None, **columns: Any
) -> models.AgentState:
    """Return an idle agent that last changed long ago."""
    agent_id = _id("agent") if agent_id is None else agent_id
    state = {"step": 1} if state is None else state
    given = {
        "key": f"{namespace}:{agent_id}" if namespace else agent_id,
        "agent_id": agent_id,
        "name": agent_id.title(),
        "state_data": state if isinstance(state, str) else json.dumps(state),
        "created_at": NOW,
        "updated_at": NOW,
        **columns,
    }
    return models.AgentState.objects.create(**given)


def make_transition(
    agent: models.AgentState | str, before: Any = None, after: Any = None, **columns: Any
) -> models.Transition:
    """Return a transition of an agent, from one state to another."""
    texts = [state if isinstance(state, str) else json.dumps(state or {}) for state in (before, after)]
    given = {
        "agent_id": agent if isinstance(agent, str) else agent.agent_id,
        "state_before": texts[0],
        "state_after": texts[1],
        "timestamp": NOW,
        "reason": "because",
        **columns,
    }
    return models.Transition.objects.create(**given)


def make_snapshot(agent: models.AgentState | str, state: Any = None, **columns: Any) -> models.Snapshot:
    """Return a snapshot of an agent, of its state now where none is given."""
    text = agent.state_data if state is None and isinstance(agent, models.AgentState) else state
    given = {
        "agent_id": agent if isinstance(agent, str) else agent.agent_id,
        "state_data": text if isinstance(text, str) else json.dumps(text or {}),
        "created_at": NOW,
        **columns,
    }
    return models.Snapshot.objects.create(**given)


def make_event(**columns: Any) -> models.Event:
    """Return an event of an agent."""
    given = {
        "event_type": "message",
        "timestamp": NOW,
        "session_id": "session-1",
        "actor_type": "Agent",
        "actor_id": "agent-1",
        "content": "hello",
        **columns,
    }
    return models.Event.objects.create(**given)


def make_task(title: str = "Refactor", **columns: Any) -> models.Task:
    """Return a task."""
    return models.Task.objects.create(title=title, **{"created_at": NOW, "updated_at": NOW, **columns})


def make_session(agent: models.AgentState | str, **columns: Any) -> models.Session:
    """Return a session of an agent that has ended."""
    agent_id = agent if isinstance(agent, str) else agent.agent_id
    given = {"id": _id("session"), "started_at": NOW, "ended_at": NOW + 60, "status": "completed", **columns}
    return models.Session.objects.create(agent_id=agent_id, **given)


def make_backup(
    directory: Path, made_at: int = NOW, *, problems: Sequence[str] | None = (), size: int = 4096
) -> Backup:
    """Return a backup of an SQLite store as lists see it, without a database in it; `problems` None: never verified."""
    moment = datetime.fromtimestamp(made_at, UTC)
    path = directory / moment.strftime("%Y%m%d-%H%M%S")
    path.mkdir(parents=True)
    (path / "store.db").write_bytes(bytes(size))
    file = BackupFile(
        "store.db", "store", "sqlite", "/data/store.db", moment.isoformat(), 0.1, size, size, "0" * 64, compared=True
    )
    manifest.write(path, Manifest(moment.isoformat(), (file,)))
    if problems is not None:
        text = json.dumps({"at": moment.isoformat(), "problems": list(problems)})
        (path / "verified.json").write_text(text)
    return Backup(path)
