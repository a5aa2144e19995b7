"""Each of several stores at a glance: kind, size, agents, trouble, newest change, lag of its index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import connections

from statestore import models, search
from statestore.access import rights
from statestore.db import sizes, vendor
from statestore.db.routers import store_alias
from statestore.models.agents import in_order
from statestore.models.querysets import BY_CHANGE
from statestore.operations import every_store
from statestore.operations.every_store import Answer

FRESH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Summary:
    """A store at a glance. `agents` are (status, number), without the trash."""

    kind: str
    bytes: int
    agents: list[tuple[str, int]]
    silent: int
    changed_at: int | None
    lag_seconds: int

    @property
    def total(self) -> int:
        return sum(number for _, number in self.agents)

    @property
    def in_trouble(self) -> int:
        return dict(self.agents).get("failed", 0) + self.silent


def newest(
    user: User | AnonymousUser, token: models.ApiToken | None = None, *, patience_seconds: float
) -> Mapping[str, Answer[Summary]]:
    """Return the newest summary of each store that a user, or their token, may open, in the order of STORES.

    Of a store that does not answer, it is what that answered last. Figures are about all of a store: without them for
    those who are limited to namespaces.
    """
    names = [name for name in rights.visible_stores(user) if token is None or token.opens(name)]
    answers = _summaries.get(names, patience_seconds=patience_seconds)
    is_limited = rights.narrowed(token.namespaces if token else None, user) is not None
    if rights.may(user, "view_agentstate") and not is_limited:
        return answers
    return {name: replace(answer, found=None) for name, answer in answers.items()}


def of(names: Sequence[str], *, patience_seconds: float) -> Mapping[str, Answer[Summary]]:
    """Return the newest summary of some stores, for a caller who sees the whole of each."""
    return _summaries.get(names, patience_seconds=patience_seconds)


def summarise() -> Summary:
    """Return the chosen store at a glance, by indexes alone."""
    using = store_alias()
    agents = models.AgentState.objects.using(using)
    changed = agents.walked().order_by(*BY_CHANGE).values_list("updated_at", flat=True).first()
    return Summary(
        kind="SQLite" if vendor.is_sqlite(connections[using]) else "PostgreSQL",
        bytes=sizes.database_bytes(using),
        agents=in_order(agents.alive().counts_by_status()),
        silent=agents.silent_since(models.now() - settings.SILENT_AFTER_SECONDS).count(),
        changed_at=None if changed is None else int(changed),
        lag_seconds=search.lag_seconds(using),
    )


_summaries = every_store.Newest(summarise, seconds=FRESH_SECONDS)
