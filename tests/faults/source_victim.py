"""Processes that restore into a framework's store until they are killed, one by one, and a look at what each left.

`python -m tests.faults.source_victim AGENT KILLS SEED` runs on an embedded store in which the agent is mirrored. Django
is set up once; each victim, and each look at what it left, is a fork of that process, which opens no database itself.
What was found is printed as JSON, one line for each victim.
"""

import descartes_site  # noqa: F401, I001  chooses the SQLite library, so it comes first

import json
import os
import random
import select
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

BEGIN = "begin"
# After that many tries without a restore, an agent is said to have none.
_TRIES = 50


def main() -> None:
    import django

    django.setup()
    agent_id, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)
    known = json.loads(_in_a_fork(lambda: json.dumps(_states(agent_id))))
    for _ in range(kills):
        said = _kill_one(agent_id, chance)
        found = _in_a_fork(lambda said=said: json.dumps(_look(agent_id, known, said)))  # type: ignore[misc]
        print(found or '{"faults": ["the look failed"]}', flush=True)


def _in_a_fork(work: Callable[[], str]) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            said = work()
        except BaseException as error:
            said = json.dumps(
                {"faults": [f"{type(error).__name__}: {error}"], "in_the_middle": False, "acknowledged": 0}
            )
        with os.fdopen(writing, "w") as pipe:
            pipe.write(said)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def _kill_one(agent_id: str, chance: random.Random) -> list[str]:
    """Let a process restore, kill it at any moment, and return what it said of its restores."""
    reading, writing = os.pipe()
    victim = os.fork()
    if victim == 0:
        os.close(reading)
        try:
            _restore_without_end(agent_id, writing, random.Random(chance.random()))
        except BaseException as error:
            os.write(writing, f"error {' '.join(f'{type(error).__name__}: {error}'.split())}\n".encode())
        os._exit(1)
    os.close(writing)
    # The clock starts when it has begun: starting takes longer than a restore.
    said = os.read(reading, 4_096)
    # Nothing is awaited here: any moment within its first restores is as good as another.
    select.select([], [], [], chance.uniform(0, 0.15))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    with os.fdopen(reading, "rb") as rest:
        said += rest.read()
    return said.decode().split("\n")[:-1]


def _restore_without_end(agent_id: str, ledger: int, chance: random.Random) -> None:
    """Restore the agent to any of its steps, and undo that, again and again; say what is begun and what is done."""
    from statestore import restore
    from statestore.access.audit import Actor
    from statestore.errors import Conflict, DatabaseError

    moments, tries = _moments(agent_id), 0
    while tries < _TRIES:
        moment = chance.choice(moments)
        try:
            planned = restore.plan(agent_id, moment)
            os.write(ledger, f"{BEGIN} {moment}\n".encode())
            done = restore.apply(planned, by=Actor("victim"))
            os.write(ledger, f"done {done.pk}\n{BEGIN} undo:{done.pk}\n".encode())
            undone = restore.undo(done, by=Actor("victim"))
            os.write(ledger, f"done {undone.pk}\n".encode())
            tries = 0
        except (Conflict, DatabaseError) as error:
            # Some moments cannot be put back; the reason comes before anything is written. If a process was killed
            # between the two commits, rows may be gone that a restore would put back: it then takes back what it wrote.
            if isinstance(error, DatabaseError) and "state read back differs" not in str(error):
                raise
            os.write(ledger, f"refused {' '.join(str(error).split())}\n".encode())
            tries += 1
    raise RuntimeError("no moment can be put back")


def _moments(agent_id: str) -> list[str]:
    from statestore import models

    return [
        f"transition:{pk}:after" for pk in models.Transition.objects.of_agent(agent_id).values_list("pk", flat=True)
    ]


def _states(agent_id: str) -> list[str]:
    from statestore import models
    from statestore.sources.readers.columns import json_of
    from statestore.sources.state_texts import state_text

    texts = {row.state_after for row in models.Transition.objects.of_agent(agent_id)}
    return sorted(state_text(json_of(text)) for text in texts)


def _look(agent_id: str, known: list[str], said: list[str]) -> dict[str, Any]:
    """Return what is wrong after a kill, and whether that was in the middle of a restore."""
    from statestore import models
    from statestore.sources import locations, mirror
    from statestore.sources.readers import known_readers
    from statestore.sources.readers.columns import json_of
    from statestore.sources.state_texts import state_text

    faults = [line for line in said if line.startswith("error")]
    acknowledged = [line.removeprefix("done ") for line in said if line.startswith("done ")]
    if models.Restore.objects.filter(pk__in=acknowledged).count() < len(acknowledged):
        faults.append("an acknowledged restore is not recorded")
    thread = models.SourceThread.objects.select_related("source").get(agent_id=agent_id)
    location = locations.of(thread.source.path)
    with location.opened() as rows:
        state = state_text(known_readers()[thread.reader].read(rows, thread.thread_id).thread.state)
    if state not in known:
        faults.append(f"the source has a state that it never had: {state[:200]}")
    if os.path.isfile(thread.source.path):
        with closing(sqlite3.connect(thread.source.path)) as connection:
            faults += [f"integrity: {row}" for (row,) in connection.execute("PRAGMA integrity_check") if row != "ok"]
    mirror.sync(thread.source, using="store")
    if thread.source.problem:
        faults.append(f"the mirror stands still: {thread.source.problem}")
    mirrored = models.AgentState.objects.get(agent_id=agent_id)
    if state_text(json_of(mirrored.state_data)) != state:
        faults.append("the mirror has another state than the source")
    open_ends = [line for line in said if line.startswith(BEGIN)][-1:]
    in_the_middle = bool(open_ends) and said[-1:] == open_ends
    if in_the_middle:
        faults += _repeated(agent_id, open_ends[0].removeprefix(f"{BEGIN} "), state)
    return {"faults": faults, "in_the_middle": in_the_middle, "acknowledged": len(acknowledged)}


def _repeated(agent_id: str, begun: str, state: str) -> list[str]:
    """Do again what was under way, unless it was done, and return what is wrong then."""
    from statestore import models, restore
    from statestore.access.audit import Actor
    from statestore.errors import Conflict, DatabaseError
    from statestore.sources.readers.columns import json_of
    from statestore.sources.state_texts import state_text

    by = Actor("victim")
    if begun.startswith("undo:"):
        done = models.Restore.objects.get(pk=begun.removeprefix("undo:"))
        if restore.verify(done).in_force:
            restore.undo(done, by=by)
        return []
    planned = restore.plan(agent_id, begun)
    wanted = state_text(json_of(planned.text))
    if wanted == state:
        return []
    with suppress(Conflict, DatabaseError):
        # It was refused before, or would have been.
        restore.apply(planned, by=by)
        mirrored = models.AgentState.objects.get(agent_id=agent_id)
        if state_text(json_of(mirrored.state_data)) != wanted:
            return [f"{begun} was repeated, and its state is another one"]
    return []


if __name__ == "__main__":
    main()
