"""A restore into a framework's store by a process that dies between that store's commit and ours, and its undo.

`python -m tests.faults.between_commits die AGENT` restores the agent to the first step that can be put back, and is
killed there; with `broken`, what is intended is not noted. `undo AGENT` undoes the restore that is recorded, and prints
the state.
"""

import os
import signal
import sys
from contextlib import suppress

import django

django.setup()

from statestore import models, restore  # noqa: E402
from statestore.access.audit import Actor  # noqa: E402
from statestore.errors import Conflict  # noqa: E402
from statestore.restore import intentions  # noqa: E402
from statestore.sources.writers import steps  # noqa: E402

BY = Actor("victim")


def die(agent_id: str) -> None:
    steps.note_written = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    for row in models.Transition.objects.of_agent(agent_id).oldest_first():
        with suppress(Conflict):
            planned = restore.plan(agent_id, f"transition:{row.pk}:after")
            if not planned.changes_nothing:
                restore.apply(planned, by=BY)


def undo(agent_id: str) -> None:
    for done in models.Restore.objects.of_agent(agent_id):
        restore.undo(done, by=BY)
    print(models.AgentState.objects.get(agent_id=agent_id).state_data)


if __name__ == "__main__":
    verb, agent, *rest = sys.argv[1:]
    if "broken" in rest:
        intentions.note = lambda *_: None
    {"die": die, "undo": undo}[verb](agent)
