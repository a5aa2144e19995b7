"""The fleet that the browser tests walk through, written by the orchestrator's stand-in."""

import copy
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.foreign.orchestrator import create
from tests.foreign.population import unhurried

HOUR = 3600
GOAL = "Refactor the parser so that errors carry their position"
NOTES = (
    "The lexer keeps the offset of each token; the parser drops it when it builds a node. Carry the offset through "
    "and let every error name the line and the column at which the offending token begins."
)
# More agents than one page of a list shows.
CROWD = 60
# More than a page shows of one branch.
ENTRIES = 2600


@dataclass
class Story:
    """What was written: ids by which tests find it again."""

    transitions: list[str] = field(default_factory=list)
    snapshot: str = ""
    lost: str = ""


def first_state() -> dict[str, Any]:
    return {
        "role": "coder",
        "plan": {"goal": GOAL, "step": 0, "steps": ["read", "change", "test"]},
        "messages": [{"role": "system", "content": "You are a careful engineer."}],
        "memory": {"notes": NOTES, "keep": ["old lexer", "error codes"]},
        "budget": {"spent": 1.2, "limit": 20},
    }


def write(path: Path) -> Story:
    """Make a version 5 file in which coder-2 lost its goal yesterday; return the ids in it."""
    create(path, version=5)
    now = int(time.time())
    story = Story()
    with unhurried(path, "build") as orchestrator:
        _go_wrong(orchestrator, story, now)
        orchestrator.save_agent("tester-1", json.dumps({"step": 1}), name="Tester", status="running", at=now - 5 * HOUR)
        orchestrator.start_session("build-tester-1", "tester-1", at=now - 5 * HOUR)
        _write_library(orchestrator, now)
    with unhurried(path) as orchestrator:
        for number in range(CROWD):
            state = json.dumps({"number": number})
            orchestrator.save_agent(f"crowd-{number:02}", state, status="idle", at=now - 2 * 24 * HOUR - number)
        for number in range(CROWD):
            orchestrator.save_event(f"event {number}", session_id="crowd", actor_id="crowd-00", at=now - number * 600)
        first = orchestrator.save_task("Split off the tokenizer", status="Done", assigned_to="coder-2")
        orchestrator.save_task(
            "Build the tree", status="InProgress", assigned_to="coder-2", dependencies=[first], task_id="build-the-tree"
        )
    return story


def _go_wrong(orchestrator: Any, story: Story, now: int) -> None:
    """Let coder-2 work, lose its goal, and turn in circles until it fails."""
    state, start = first_state(), now - 9 * HOUR
    for turn in range(8):
        before, at = json.dumps(state), start + turn * HOUR * 3 // 4
        state = copy.deepcopy(state)
        state["messages"].append({"role": "assistant", "content": f"turn {turn}"})
        state["budget"]["spent"] = round(state["budget"]["spent"] + 0.7, 2)
        reason = f"turn {turn} done"
        if turn == 5:
            reason = "context compacted"
            del state["plan"]["goal"]
            state["messages"] = state["messages"][-2:]
            state["memory"]["notes"] = NOTES.replace("the line and the column", "the column")
        elif turn > 5:
            reason = "tool error: patch rejected"
            state["memory"]["keep"] = []
        after = json.dumps(state)
        story.transitions.append(orchestrator.record_transition("coder-2", before, after, reason=reason, at=at))
        orchestrator.save_event(reason, session_id="build-coder-2", actor_id="coder-2", at=at, git_commit="a41f" * 10)
        if turn == 4:
            story.snapshot = orchestrator.create_snapshot("coder-2", after, description="before refactor", at=at)
    story.lost = story.transitions[5]
    orchestrator.save_agent(
        "coder-2", json.dumps(state), name="Coder 2", status="failed", metadata='{"model": "opal-3"}', at=at
    )


def _write_library(orchestrator: Any, now: int) -> None:
    """Save an agent whose state is too large for one page."""
    library = {f"book-{number:04}": number % 40 for number in range(ENTRIES)}
    state = json.dumps({"library": {"books": library}, "needle": "hay"})
    orchestrator.save_agent("librarian", state, name="Librarian", status="idle", at=now - 3 * HOUR)


def put_quiet_agent(site: Any, agent_id: str) -> str:
    """Save an agent that nothing speaks against restoring; return the id of a snapshot of its state before."""
    with site.orchestrator() as orchestrator:
        long_ago = int(time.time()) - 24 * HOUR
        orchestrator.save_agent(agent_id, '{"step": 2}', name=agent_id.title(), status="idle", at=long_ago)
        orchestrator.record_transition(agent_id, '{"step": 1}', '{"step": 2}', reason="a step", at=long_ago)
        return str(orchestrator.create_snapshot(agent_id, '{"step": 1}', description="before the step", at=long_ago))
