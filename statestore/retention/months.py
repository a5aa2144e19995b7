"""Months of which a policy lets every row go: where they are partitions, they go whole.

What `rows.going` would yield one by one goes here at once, and nothing else: a month that has a row which is kept is
left to it.
"""

from collections.abc import Iterator
from typing import Final

from django.db import connections
from django.db.models import F, Sum

from statestore import models, partitions
from statestore.db.batching import batched
from statestore.models import PolicyTable, RetentionPolicy
from statestore.models.events import EventQuerySet
from statestore.models.transitions import TransitionQuerySet
from statestore.partitions import Month

_TABLES: Final = {PolicyTable.EVENTS.value: "events", PolicyTable.TRANSITIONS.value: "state_transitions"}
_AGENTS_AT_ONCE: Final = 500


def table_of(policy: RetentionPolicy) -> str:
    """Return the table in whose partitions a policy's rows lie, "" for one that has none."""
    return _TABLES.get(policy.table, "")


def whole_months(policy: RetentionPolicy, using: str, *, now: int) -> Iterator[Month]:
    """Yield the months that are partitions and older than a policy keeps, of a policy for all namespaces."""
    if policy.namespace is not None or policy.keep_seconds is None:
        return
    for month in partitions.months_of(using, table_of(policy)):
        if month.end <= now - policy.keep_seconds:
            yield month


def may_go(policy: RetentionPolicy, month: Month, using: str) -> bool:
    """Return whether nothing of a month is kept; nothing in it is held until the transaction ends."""
    with connections[using].cursor() as cursor:
        cursor.execute("LOCK TABLE dash_hold IN SHARE MODE")
    held = models.Hold.objects.using(using).of("agent").values("row_id")
    if policy.table == PolicyTable.EVENTS:
        return not _events(month, using).filter(actor_id__in=held).exists()
    rows = _transitions(month, using)
    of_restores = models.Restore.objects.using(using).values("transition_id")
    return not (
        _have_own_policies(policy, using)
        or rows.filter(agent_id__in=held).exists()
        or rows.filter(pk__in=of_restores).exists()
        or _have_newest(month, using)
    )


def _have_own_policies(policy: RetentionPolicy, using: str) -> bool:
    others = RetentionPolicy.objects.using(using).switched_on().filter(table=policy.table, namespace__isnull=False)
    return others.exclude(pk=policy.pk).exists()


def _have_newest(month: Month, using: str) -> bool:
    """Return whether a month has the newest transition of an agent, which stays."""
    agents = list(_transitions(month, using).order_by().values_list("agent_id", flat=True).distinct())
    later = models.Transition.objects.using(using).live().since(month.end).order_by()
    for some in batched(agents, _AGENTS_AT_ONCE):
        if later.filter(agent_id__in=some).values("agent_id").distinct().count() < len(some):
            return True
    return False


def bytes_of(policy: RetentionPolicy, month: Month, using: str) -> int:
    """Return the bytes of the states of a month, which the simulator counts too."""
    if policy.table == PolicyTable.EVENTS:
        return 0
    sized = _transitions(month, using).with_sizes()
    return int(sized.aggregate(bytes=Sum(F("size_before") + F("size_after")))["bytes"] or 0)


def _events(month: Month, using: str) -> EventQuerySet:
    return models.Event.objects.using(using).filter(timestamp__gte=month.start, timestamp__lt=month.end)


def _transitions(month: Month, using: str) -> TransitionQuerySet:
    return models.Transition.objects.using(using).live().since(month.start).earlier_than(month.end)
