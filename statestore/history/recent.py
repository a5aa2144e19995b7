"""The last changes of many agents at once, for a list: how large their states became, and why."""

from dataclasses import dataclass
from itertools import takewhile

from django.db.models.functions import Substr

from statestore import models
from statestore.conversations import alike
from statestore.db.routers import store_alias
from statestore.history import limits
from statestore.models.querysets import BY_TIME, some_of_each


@dataclass(frozen=True, slots=True)
class Recent:
    """An agent's last transitions: the sizes of their states in bytes, oldest first, and the last reason.

    `times`: that many of them in a row, the last one included, have a reason that differs in its numbers alone.
    """

    sizes: tuple[int, ...] = ()
    reason: str = ""
    times: int = 0


def recent_changes(agent_ids: list[str], *, using: str | None = None) -> list[Recent]:
    """Return the last changes of each agent, in one query that reads no states."""
    rows = models.Transition.objects.using(using or store_alias()).with_sizes()
    columns = rows.annotate(why=Substr("reason", 1, limits.REASON_CHARACTERS)).values_list(
        # With the columns of the order, as SQLite needs it to walk the index of archived rows.
        "size_after", "why", "timestamp", "rowid",
    )  # fmt: skip
    grouped = some_of_each(columns, "agent_id", agent_ids, limits.LISTED_CHANGES, order=BY_TIME)
    return [_recent([(int(size or 0), str(why or "")) for size, why, *_ in newest]) for newest in grouped]  # type: ignore[call-overload]


def _recent(newest: list[tuple[int, str]]) -> Recent:
    if not newest:
        return Recent()
    reasons = [why for _, why in newest]
    same = list(takewhile(lambda why: alike.form(why) == alike.form(reasons[0]), reasons)) if reasons[0] else []
    return Recent(
        tuple(size for size, _ in reversed(newest)), alike.ranges(same) if len(same) > 1 else reasons[0], len(same)
    )
