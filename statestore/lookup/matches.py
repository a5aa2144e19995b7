"""What a text finds of each kind: the row with that id first, then rows by their names, those that changed last first.

Ids are found exactly, or by their beginning; names by any part. Each kind takes the same number of queries, however
large the store is, and looks through a bounded number of rows (limits.py).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model
from django.urls import reverse
from django.utils.http import urlencode

from statestore import models, search
from statestore.access import rights
from statestore.access.scope import Scope
from statestore.db.errors import translated_errors
from statestore.db.ids import url_of
from statestore.events import saved_searches
from statestore.lookup import limits
from statestore.models.querysets import BY_CHANGE, AddressedQuerySet
from statestore.sessions.listing import NOT_RECORDED

User = AbstractBaseUser | AnonymousUser
Rows = TypeVar("Rows", bound=AddressedQuerySet[Model])


@dataclass(frozen=True, slots=True)
class Match:
    """One row that was found: its id, what it is called, and what tells it from others of its name."""

    kind: str
    row_id: str
    title: str
    note: str = ""
    status: str = ""
    at: int | None = None
    is_in_trash: bool = False

    @property
    def page(self) -> str:
        """The address of its page."""
        if self.kind == "saved_search":
            return f"{reverse('events')}?{urlencode({'q': self.note})}"
        return url_of("restore" if self.kind == "plan" else self.kind, self.row_id)


@dataclass(frozen=True, slots=True)
class Matches:
    """What was found of one kind. `kind` is the noun that its pages and calls are named by."""

    kind: str
    rows: list[Match]
    has_more: bool


def look_up(text: str, scope: Scope, user: User) -> list[Matches]:
    """Return what a text finds of each kind that a user may see, a few of each; the kind with that very id first."""
    text = text.strip()
    if not text:
        return []
    with translated_errors():
        found = [_few(kind, look(text, scope)) for kind, codename, look in _KINDS if rights.may(user, codename)]
    found = [matches for matches in [*found, _saved_searches(text, scope, user)] if matches.rows]
    return sorted(found, key=lambda matches: matches.rows[0].row_id != text)


def agents(text: str, scope: Scope) -> list[Match]:
    """Return the agents to choose from while a text is typed: without one, those that changed last."""
    with translated_errors():
        return list(islice((agent for agent in _agents(text, scope) if not agent.is_in_trash), limits.OFFERED_AGENTS))


def agents_called(text: str, scope: Scope) -> list[models.AgentState]:
    """Return the agent with an id, otherwise the agents with that name, a few of them."""
    with translated_errors():
        same_id = list(scope.agents().filter(agent_id=text))
        named = scope.agents(models.AgentState.objects.walked()).called(text)
        return same_id or list(named.without_state()[: limits.SHOWN])


def _few(kind: str, rows: Iterable[Match]) -> Matches:
    few = list(islice(rows, limits.SHOWN + 1))
    return Matches(kind, few[: limits.SHOWN], len(few) > limits.SHOWN)


def _in_scope(rows: Rows, *candidates: Rows) -> list[Any]:
    """Return those of some rows that are among the candidates, in their order, each once.

    The scope's own condition is a list of agents, which takes long to make for a large namespace: it is asked about
    candidates alone, and not at all where there are none.
    """
    ids = dict.fromkeys(
        chain.from_iterable(some.values_list("pk", flat=True)[: limits.CANDIDATES] for some in candidates)
    )
    if not ids:
        return []
    found = {row.pk: row for row in rows.filter(pk__in=list(ids))}
    return [found[pk] for pk in ids if pk in found]


def _by_id(rows: Rows, text: str) -> Rows:
    """Return the rows whose id is the text, or begins with it where it is long enough to name few."""
    if len(text) < limits.SHORTEST_ID_CHARACTERS:
        return rows.filter(pk=text)
    return rows.beginning_with(text).order_by("pk")


def _agents(text: str, scope: Scope) -> Iterator[Match]:
    named = scope.agents(models.AgentState.objects.walked()).matching(text).order_by(*BY_CHANGE)
    exact = scope.agents().filter(agent_id=text)
    for agent in _in_scope(scope.agents().without_state(), exact, named):
        is_in_trash = bool(agent.is_deleted)
        status = "in trash" if is_in_trash else agent.status
        yield Match("agent", agent.agent_id, str(agent), agent.agent_id, status, agent.updated_at, is_in_trash)


def _sessions(text: str, scope: Scope) -> Iterator[Match]:
    everything = scope.whole().sessions()
    named = everything.inserted_last(limits.SESSIONS).matching(text, "", "").newest_first()
    recorded = _in_scope(scope.sessions(), _by_id(everything, text), named)
    for session in recorded:
        yield Match("session", session.pk, session.pk, session.agent_id, session.status, session.started_at)
    if scope.is_unrestricted:
        # Whose session it is that events alone name is not known.
        for session_id in _session_ids_of_events(text, scope, {session.pk for session in recorded}):
            yield Match("session", session_id, session_id, "", NOT_RECORDED)


def _session_ids_of_events(text: str, scope: Scope, known: set[str]) -> list[str]:
    exact = scope.events().in_session(text).values_list("session_id", flat=True)[:1]
    ids = dict.fromkeys([*exact, *search.values_of("session", text, using=scope.using)])
    recorded = set(scope.sessions().filter(pk__in=list(ids)).values_list("pk", flat=True)) if ids else set()
    return [session_id for session_id in ids if session_id not in known | recorded]


def _tasks(text: str, scope: Scope) -> Iterator[Match]:
    everything = scope.whole().tasks()
    titled = everything.inserted_last(limits.TASKS).with_text(text).last_changed_first()
    for task in _in_scope(scope.tasks(), _by_id(everything, text), titled):
        yield Match("task", task.pk, str(task), task.assigned_to or "", task.status, task.updated_at)


def _snapshots(text: str, scope: Scope) -> Iterator[Match]:
    everything = scope.whole().snapshots()
    described = everything.inserted_last(limits.SNAPSHOTS).described(text).newest_first()
    for snapshot in _in_scope(scope.snapshots().without_state(), _by_id(everything, text), described):
        yield Match("snapshot", snapshot.pk, str(snapshot), snapshot.agent_id, "", snapshot.created_at)


def _restores(text: str, scope: Scope) -> Iterator[Match]:
    everything = scope.whole().restores()
    said = everything.newest(limits.RESTORES).matching(text).newest_first()
    for restore in _in_scope(scope.restores(), _by_id(everything, text), said):
        yield Match("restore", restore.pk, f"Restore of {restore.agent_id}", restore.reason, "", restore.at)


def _plans(text: str, scope: Scope) -> Iterator[Match]:
    now = models.now()
    for plan in _in_scope(scope.plans().waiting(now), _by_id(scope.whole().plans(), text)):
        yield Match("plan", plan.pk, f"Plan for {plan.agent_id}", plan.reason or plan.label, "", plan.created_at)


def _batches(text: str, scope: Scope) -> Iterator[Match]:
    everything = scope.whole().batches()
    said = everything.newest(limits.BATCHES).matching(text).newest_first()
    for batch in _in_scope(scope.batches(), _by_id(everything, text), said):
        yield Match("batch", batch.pk, f"Batch of {batch.scope or 'agents'}", batch.reason, "", batch.created_at)


def _transitions(text: str, scope: Scope) -> Iterator[Match]:
    for transition in _in_scope(scope.transitions().without_states(), _by_id(scope.whole().transitions(), text)):
        yield Match("transition", transition.pk, str(transition), transition.agent_id, "", transition.timestamp)


def _events(text: str, scope: Scope) -> Iterator[Match]:
    """Yield the event with an id: what events say is for the search of events."""
    for event in scope.events().filter(pk=text).defer("content", "metadata"):
        yield Match("event", event.pk, event.event_type, event.session_id, "", event.timestamp)


def _commits(text: str, scope: Scope) -> Iterator[Match]:
    """Yield the commits that begin with a text. In namespaces none: no index has the commits of some agents."""
    if scope.is_unrestricted and len(text) >= limits.SHORTEST_ID_CHARACTERS:
        for commit in search.values_of("commit", text, using=scope.using):
            if commit.startswith(text):
                yield Match("commit", commit, commit)


def _saved_searches(text: str, scope: Scope, user: User) -> Matches:
    """Return the user's own saved searches. A token that sees less than its user has none: they may name other rows."""
    is_hidden = scope.holder == "token" and not scope.is_unrestricted
    if is_hidden or not rights.may(user, "view_event"):
        return Matches("saved_search", [], False)
    rows = saved_searches.of_user(int(user.pk or 0)).filter(name__icontains=text)
    return _few("saved_search", (Match("saved_search", str(row.pk), row.name, row.query) for row in rows))


# Each kind, the permission to see it, and what finds it.
_KINDS: Final[tuple[tuple[str, str, Callable[[str, Scope], Iterator[Match]]], ...]] = (
    ("agent", "view_agentstate", _agents),
    ("session", "view_session", _sessions),
    ("task", "view_task", _tasks),
    ("snapshot", "view_snapshot", _snapshots),
    ("restore", "view_restore", _restores),
    ("plan", "view_restore", _plans),
    ("batch", "view_restore", _batches),
    ("transition", "view_agentstate", _transitions),
    ("event", "view_event", _events),
    ("commit", "view_event", _commits),
)
