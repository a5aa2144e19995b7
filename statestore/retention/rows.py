"""The rows that a policy lets go: found by the same code for the simulator and for the deletion."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from statestore import models
from statestore.access.scope import Scope
from statestore.models import PolicyTable, RetentionPolicy
from statestore.models.snapshots import SnapshotQuerySet
from statestore.models.transitions import TransitionQuerySet
from statestore.retention import limits, tiers
from statestore.retention.tiers import Row


@dataclass(frozen=True, slots=True)
class Going:
    """The rows of one agent that go, newest first; for the audit log and the events `agent_id` is empty."""

    agent_id: str
    rows: Iterable[Row]


def going(
    policy: RetentionPolicy, using: str, *, now: int, go_on: Callable[[], bool] = lambda: True
) -> Iterator[Going]:
    """Yield what a policy lets go, agent by agent, reading as it is consumed. Agents that are held have nothing.

    `go_on` is asked before more is read of tables that are not read agent by agent.
    """
    match policy.table:
        case PolicyTable.EVENTS:
            yield Going("", _old_events(policy, using, now, go_on))
        case PolicyTable.AUDIT:
            yield Going("", _old_entries(policy, using, now, go_on))
        case _:
            held = set(models.Hold.objects.using(using).of("agent").values_list("row_id", flat=True))
            for agent_id in _agent_ids(policy, using):
                if agent_id not in held:
                    yield Going(agent_id, _of_agent(policy, agent_id, using, now))


def _of_agent(policy: RetentionPolicy, agent_id: str, using: str, now: int) -> Iterator[Row]:
    is_snapshots = policy.table == PolicyTable.SNAPSHOTS
    kept = _kept_snapshots(agent_id, using) if is_snapshots else _kept_transitions(agent_id, using)
    rows = _snapshots(agent_id, using) if is_snapshots else _transitions(agent_id, using)
    return tiers.superfluous(policy, rows, now=now, kept=kept)


def _snapshots(agent_id: str, using: str) -> Iterator[Row]:
    rows = models.Snapshot.objects.using(using).of_agent(agent_id).with_size().newest_first()
    return _read(rows, "created_at", ("size",))


def _transitions(agent_id: str, using: str) -> Iterator[Row]:
    rows = models.Transition.objects.using(using).of_agent(agent_id).with_sizes().newest_first()
    return _read(rows, "timestamp", ("size_before", "size_after"))


def _read(rows: SnapshotQuerySet | TransitionQuerySet, time: str, sizes: tuple[str, ...]) -> Iterator[Row]:
    """Yield rows newest first, some at a time, so that those that were yielded may be deleted meanwhile."""
    page = rows.values_list("pk", time, "rowid", *sizes)[: limits.READ_ROWS]
    while found := list(page):
        for pk, at, _, *bytes_of in found:
            yield Row(pk, int(at), sum(bytes_of))
        _, at, rowid, *_ = found[-1]
        page = rows.older_than(int(at), rowid).values_list("pk", time, "rowid", *sizes)[: limits.READ_ROWS]


def _kept_snapshots(agent_id: str, using: str) -> set[str]:
    """Return the snapshots of an agent that are held, and those by which a restore can still be undone."""
    restores = models.Restore.objects.using(using).of_agent(agent_id)
    undo = models.Restore.objects.using(using).filter(undoes_id=OuterRef("pk"), agent_id=agent_id)
    safety = restores.exclude(Exists(undo)).values_list("safety_snapshot_id", flat=True)
    kept = models.Hold.objects.using(using).keeps()
    held = models.Snapshot.objects.using(using).of_agent(agent_id).filter(kept).values_list("pk", flat=True)
    return {*safety, *held}


def _kept_transitions(agent_id: str, using: str) -> set[str]:
    """Return the transitions of an agent that restores made: their pages show them."""
    return set(models.Restore.objects.using(using).of_agent(agent_id).values_list("transition_id", flat=True))


def _agent_ids(policy: RetentionPolicy, using: str) -> Iterator[str]:
    """Yield the agents that a policy is about, each by one step through an index; deleted ones belong to all."""
    if policy.namespace is not None:
        agents = Scope((policy.namespace,), using).agents().order_by("agent_id")
        yield from agents.values_list("agent_id", flat=True).iterator(limits.READ_ROWS)
        return
    own = _agents_with_own_policy(policy, using)
    table: type[models.Snapshot | models.Transition] = (
        models.Snapshot if policy.table == PolicyTable.SNAPSHOTS else models.Transition
    )
    ids = table.objects.using(using).order_by("agent_id").values_list("agent_id", flat=True)
    agent_id = ids.first()
    while agent_id is not None:
        if own is None or not own.filter(agent_id=agent_id).exists():
            yield agent_id
        agent_id = ids.filter(agent_id__gt=agent_id).first()


def _agents_with_own_policy(policy: RetentionPolicy, using: str) -> QuerySet[models.AgentState] | None:
    """Return the agents of namespaces for which another policy of the table is on; None without one."""
    others = RetentionPolicy.objects.using(using).switched_on().filter(table=policy.table, namespace__isnull=False)
    names = tuple(str(name) for name in others.exclude(pk=policy.pk).values_list("namespace", flat=True))
    return Scope(names, using).agents() if names else None


def _old_events(policy: RetentionPolicy, using: str, now: int, go_on: Callable[[], bool]) -> Iterator[Row]:
    """Yield the events older than a policy keeps, in order of insertion: no index has them by time alone."""
    scope = Scope(None if policy.namespace is None else (policy.namespace,), using)
    events = scope.events().order_by("rowid")
    held = models.Hold.objects.using(using).of("agent").values("row_id")
    last: int | None = None
    while go_on():
        page = events if last is None else events.filter(rowid__gt=last)
        found = list(page.values_list("rowid", "pk", "timestamp", "actor_id")[: limits.READ_ROWS])
        if not found:
            return
        last = found[-1][0]
        old = [(pk, int(at)) for _, pk, at, actor in found if at < now - (policy.keep_seconds or now)]
        kept = _of_held_agents([pk for pk, _ in old], held, using) if old else set()
        yield from (Row(pk, at, 0) for pk, at in old if pk not in kept)


def _of_held_agents(pks: list[str], held: QuerySet[models.Hold, object], using: str) -> set[str]:
    return set(models.Event.objects.using(using).filter(pk__in=pks, actor_id__in=held).values_list("pk", flat=True))


def _old_entries(policy: RetentionPolicy, using: str, now: int, go_on: Callable[[], bool]) -> Iterator[Row]:
    """Yield the oldest entries of the audit log up to the first that a policy keeps: the chain goes on from there."""
    entries = models.AuditEntry.objects.using(using).order_by("id").values_list("pk", "at")
    last = 0
    while go_on() and (found := list(entries.filter(pk__gt=last)[: limits.READ_ROWS])):
        for pk, at in found:
            if at >= now - (policy.keep_seconds or now):
                return
            yield Row(str(pk), int(at), 0)
        last = found[-1][0]
