"""Events that never rest: saved over each other, edited, deleted, moved in time and between rows."""

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "kra", "len", "mor", "nis", "pat", "ra", "sto", "tur", "vel", "zon")
NOW = int(time.time())
_UPDATE = "UPDATE OR REPLACE events SET {column} = ? WHERE id = ?"
_ELSEWHERE = """
INSERT OR REPLACE INTO events (rowid, id, event_type, timestamp, session_id, actor_type, actor_id, content)
VALUES ((SELECT rowid FROM events WHERE id = ?), ?, 'message', ?, 'elsewhere', 'Agent', 'agent', ?)
"""


def word(chance: random.Random) -> str:
    return "".join(chance.choices(SYLLABLES, k=chance.randint(2, 3)))


def text(chance: random.Random) -> str:
    return " ".join(word(chance) for _ in range(chance.randint(3, 30)))


def unrest(orchestrator: Any, ids: int, *, seed: int | None = None) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield statements without end, over so many ids; without a seed, no two processes do the same."""
    chance = random.Random(seed)
    execute = orchestrator.connection.execute
    while True:
        event, other = (f"event-{chance.randrange(ids)}" for _ in range(2))
        odd = chance.choice((-NOW, 0, NOW * 1000, NOW + 10**6))
        at = NOW - chance.randrange(3000) if chance.random() < 0.9 else odd
        luck = chance.random()
        if luck < 0.6:
            yield "event", partial(orchestrator.save_event, text(chance), event_id=event, at=at)
        elif luck < 0.75:
            yield "edit", partial(execute, _UPDATE.format(column="content"), (text(chance), event))
        elif luck < 0.8:
            yield "time", partial(execute, _UPDATE.format(column="timestamp"), (at, event))
        elif luck < 0.85:
            yield "rename", partial(execute, _UPDATE.format(column="id"), (other, event))
        elif luck < 0.9:
            yield "elsewhere", partial(execute, _ELSEWHERE, (other, event, at, text(chance)))
        else:
            yield "delete", partial(execute, "DELETE FROM events WHERE id = ?", (event,))
