"""The demo's tasks and what each waits for."""

import json
import random
import uuid

from statestore import models

DAY_SECONDS = 24 * 3600
# title, status, priority, complexity, who, what it waits for by position
TASKS = (
    ("Write down the parser's invariants", "Done", "high", "simple", "planner-1", ()),
    ("Parser: split off the tokenizer", "InProgress", "critical", "complex", "coder-2", (0,)),
    ("Parser: build the tree from tokens", "Blocked", "high", "complex", "coder-1", (1,)),
    ("Port the error paths", "Blocked", "high", "moderate", "coder-1", (1, 2)),
    ("Fuzz the new tokenizer for a night", "Todo", "medium", "moderate", "tester-1", (1,)),
    ("Review the tokenizer", "Todo", "high", "simple", "reviewer-1", (1,)),
    ("Document the two new settings", "Done", "low", "simple", "docs-1", ()),
    ("Run the suite on the third platform", "InProgress", "medium", "simple", "tester-1", ()),
    ("Publish 2.4.0", "Todo", "critical", "moderate", "release-1", (3, 4, 5, 7)),
    ("Roll 2.3.4 out to the second region", "InProgress", "high", "complex", "deployer-1", ()),
    ("Alert on error rates above 0.5 %", "Done", "medium", "moderate", "watcher-1", ()),
    ("Sort this week's reports", "InProgress", "medium", "trivial", "triage-1", ()),
    ("Cost of each agent per finished task", "Todo", "low", "epic", "analyst-1", (11,)),
    ("Write the week's summary", "Done", "low", "trivial", "scribe-1", (10,)),
)


def tasks(chance: random.Random, now: int) -> tuple[list[models.Task], list[models.TaskDependency]]:
    """Return the tasks and their edges."""
    ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in TASKS]
    rows, edges = [], []
    for position, (title, status, priority, complexity, who, waits_for) in enumerate(TASKS):
        created = now - 4 * DAY_SECONDS + position * 900
        changed = now - chance.randint(600, 2 * DAY_SECONDS)
        needed = [ids[needed_id] for needed_id in waits_for]
        rows.append(
            models.Task(
                id=ids[position],
                title=title,
                status=status,
                priority=priority,
                complexity=complexity,
                assigned_to=who,
                dependencies=json.dumps(needed),
                created_at=created,
                updated_at=changed,
                created_timestamp=created,
            )
        )
        edges += [
            models.TaskDependency(task_id=ids[position], depends_on_id=needed_id, created_at=created)
            for needed_id in needed
        ]
    return rows, edges
