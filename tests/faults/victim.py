"""A process that restores without end until it is killed, and the one that kills it, again and again.

`python -m tests.faults.victim KILLS whole|piecemeal SEED` runs on STORE_URL. Django is set up once; each victim is a
fork of that process, which never opens a database itself: SQLite's connections do not survive a fork. A victim writes
`begin` before it applies a plan, and the restore's id after the call has returned. What came through the pipe is
printed as JSON, one line for each victim; the next is started when a line comes in.
"""

import json
import os
import random
import select
import signal
import sys
from typing import Any

BEGIN = b"begin\n"


def main() -> None:
    import django

    django.setup()
    kills, variant, seed = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    chance = random.Random(seed)
    for _ in range(kills):
        print(json.dumps(_kill_one(variant, chance)), flush=True)
        if not sys.stdin.readline():
            break


def _kill_one(variant: str, chance: random.Random) -> dict[str, Any]:
    reading, writing = os.pipe()
    victim = os.fork()
    if victim == 0:
        os.close(reading)
        try:
            _restore_without_end(variant, writing, random.Random(chance.random()))
        except BaseException as error:
            words = " ".join(f"error {type(error).__name__}: {error}".split())
            os.write(writing, f"{words}\n".encode())
        os._exit(1)
    os.close(writing)
    # The clock starts when it has begun: starting takes longer than a restore.
    said = os.read(reading, len(BEGIN))
    # Nothing is awaited here: any moment within its first restores is as good as another.
    select.select([], [], [], chance.uniform(0, 0.08))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    with os.fdopen(reading, "rb") as rest:
        said += rest.read()
    lines = said.decode().split("\n")
    ends = [number for number, line in enumerate(lines) if line == BEGIN.decode().strip()]
    return {
        "acknowledged": [line for line in lines[:-1] if line != "begin" and not line.startswith("error")],
        "errors": [line for line in lines if line.startswith("error")],
        "in_the_middle": bool(ends) and lines[ends[-1] + 1 :] == [""],
    }


def _restore_without_end(variant: str, ledger: int, chance: random.Random) -> None:
    from statestore import models, restore
    from statestore.access.audit import Actor
    from tests.faults import broken

    if variant == "piecemeal":
        broken.piecemeal()
    rows = models.Snapshot.objects.exclude(description__startswith="Safety snapshot before")
    snapshots = list(rows.filter(agent_id__startswith="quiet-").values_list("agent_id", "pk"))
    while True:
        agent_id, snapshot_id = chance.choice(snapshots)
        planned = restore.plan(agent_id, f"snapshot:{snapshot_id}")
        os.write(ledger, BEGIN)
        done = restore.apply(planned, by=Actor("victim"))
        os.write(ledger, f"{done.pk}\n".encode())


if __name__ == "__main__":
    main()
