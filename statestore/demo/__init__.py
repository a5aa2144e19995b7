"""A small fleet with a story, for `make run`: a dozen software agents, and one that went wrong yesterday."""

import random
from typing import Any

from statestore import models
from statestore.db import transactions
from statestore.db.routers import store_alias
from statestore.demo import fleet, work


def load(now: int) -> dict[str, int]:
    """Fill an empty store with the demo fleet as of `now`, and return how many rows of each table there are.

    Everything but the clock is deterministic: the same rows with the same ids, moved to the present.
    """
    chance = random.Random(20261122)  # noqa: S311 (a story, not a secret)
    tables: dict[type[Any], list[Any]] = {}
    for cast in fleet.CAST:
        for row in fleet.live(cast, chance, now):
            tables.setdefault(type(row), []).append(row)
    tasks, edges = work.tasks(chance, now)
    tables[models.Task], tables[models.TaskDependency] = tasks, edges
    using = store_alias()
    with transactions.writing(using):
        for model, rows in tables.items():
            # Rows of one second are ordered by insertion: insert them in the order in which they happened.
            rows.sort(key=_time_of)
            model._default_manager.using(using).bulk_create(rows)
    return {model._meta.db_table: len(rows) for model, rows in tables.items()}


def _time_of(row: object) -> int:
    for column in ("timestamp", "started_at", "updated_at", "created_at"):
        if hasattr(row, column):
            return int(getattr(row, column))
    return 0
