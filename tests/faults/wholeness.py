"""Whether what restores wrote hangs together: all of each or none of it, and nothing lost in between."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

Rows = Callable[[str], list[tuple[Any, ...]]]

RESTORED = "(reason LIKE 'restored to%' OR reason LIKE 'Undo: %')"


def damage(rows: Rows, *, initial: dict[str, str]) -> list[str]:
    """Return what is torn or lost, in sentences; nothing where all is well.

    `initial` holds the states before the first restore, of agents that only restores have changed since. Each restore
    must have its safety snapshot, transition and audit entry with hashes that agree, none of these may exist without a
    restore, and from the initial state the transitions must lead without a gap to the state now.
    """
    found: list[str] = []
    snapshots: dict[str, str] = dict(
        rows("SELECT id, state_data FROM state_snapshots WHERE description LIKE 'Safety snapshot before%'")
    )
    transitions = {
        row[0]: row[1:] for row in rows(f"SELECT id, state_before, state_after FROM state_transitions WHERE {RESTORED}")
    }
    audited = _audited(rows)
    restores = rows("SELECT id, hash_before, hash_after, safety_snapshot_id, transition_id FROM dash_restore")
    for restore_id, hash_before, hash_after, snapshot_id, transition_id in restores:
        outgoing = snapshots.pop(snapshot_id, None)
        before, after = transitions.pop(transition_id, (None, None))
        if outgoing is None or before is None or after is None:
            found.append(f"restore {restore_id} lacks its safety snapshot or its transition")
        elif outgoing != before or (_hash(outgoing), _hash(after)) != (hash_before, hash_after):
            found.append(f"restore {restore_id} and what it points at disagree")
        if audited.pop(restore_id, 0) != 1:
            found.append(f"restore {restore_id} is not audited exactly once")
    for what, left in (("snapshot", snapshots), ("transition", transitions), ("audit entry", audited)):
        found += [f"{what} {key} belongs to no restore" for key in left]
    return found + _gaps(rows, initial)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _audited(rows: Rows) -> Counter[str]:
    details = rows("SELECT detail FROM dash_audit WHERE verb IN ('restore', 'undo')")
    return Counter(json.loads(detail)["restore"] for (detail,) in details)


def _gaps(rows: Rows, initial: dict[str, str]) -> list[str]:
    """Return where a restore does not begin at what the one before it wrote: a change in between was lost."""
    found = []
    states, etags = dict(initial), dict[str, str]()
    restores: dict[str, str] = dict(rows("SELECT id, transition_id FROM dash_restore"))
    texts = {row[0]: row[1:] for row in rows("SELECT id, state_before, state_after FROM state_transitions")}
    # The order of writing is the audit's: it is numbered, and written in the restore's own transaction.
    audit = (
        "SELECT row_id, detail, hash_before, hash_after FROM dash_audit WHERE verb IN ('restore', 'undo') ORDER BY id"
    )
    for agent_id, detail, hash_before, hash_after in rows(audit):
        before, after = texts.get(restores.get(json.loads(detail)["restore"]), (None, None))
        if agent_id not in states or before is None:
            continue
        if states[agent_id] != before or etags.get(agent_id, hash_before) != hash_before:
            found.append(f"a change of {agent_id} was overwritten unseen")
        states[agent_id], etags[agent_id] = after, hash_after
    present: dict[str, str] = dict(rows("SELECT agent_id, state_data FROM agent_states"))
    return found + [
        f"{agent_id} is not what was last written" for agent_id in states if states[agent_id] != present[agent_id]
    ]


def unsound(rows: Rows) -> list[str]:
    """Return what SQLite itself finds wrong with the file."""
    verdicts = [str(row[0]) for row in rows("PRAGMA integrity_check")]
    broken = [f"foreign key of {row[0]}" for row in rows("PRAGMA foreign_key_check")]
    return [verdict for verdict in verdicts if verdict != "ok"] + broken


def lost(rows: Rows, acknowledged: Iterable[str]) -> list[str]:
    """Return the restores that somebody was told of and that are missing."""
    return sorted(set(acknowledged) - {row[0] for row in rows("SELECT id FROM dash_restore")})
