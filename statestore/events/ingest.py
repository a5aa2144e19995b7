"""Ingestion of many events: checked one by one, written in chunks; an event replaces one of the same id."""

import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db import connections

from statestore import models
from statestore.access.scope import Scope
from statestore.db import bulk, transactions, vendor
from statestore.db.fields import bindable, new_ids
from statestore.db.json_columns import optional_text
from statestore.db.vendor import SqlRow
from statestore.errors import StateStoreError, ValidationError
from statestore.events import limits
from statestore.models import validation
from statestore.models.adoption import NEEDS_UUID, unreadable_ids

COLUMNS: Final = (
    "event_type", "timestamp", "session_id", "actor_type", "actor_id", "content", "metadata", "git_commit",
)  # fmt: skip
_KNOWN: Final = frozenset({"id", *COLUMNS})
_RULES: Final = tuple((column, validation.rule(models.Event._meta.get_field(column))) for column in ("id", *COLUMNS))
_INSERTED: Final = ("id", *COLUMNS, "created_at")
_MOST_CHARACTERS: Final = {
    "id": 500, "session_id": 500, "actor_id": 500, "event_type": 200, "git_commit": 200,
}  # fmt: skip
_BOUNDED: Final = tuple((_INSERTED.index(column), column, most) for column, most in _MOST_CHARACTERS.items())
_UNREADABLE: Final = f"has an id that {NEEDS_UUID}."
_TAKEN: Final = "has an id that is already in use. Choose another id."
# Places of these columns in a row.
_SESSION, _ACTOR_TYPE, _ACTOR = (1 + COLUMNS.index(name) for name in ("session_id", "actor_type", "actor_id"))
_ACTOR_TYPES: Final = frozenset(models.ActorType.values)
_ONLY_TEXT: Final = frozenset({str})
_FAULT_OF: Final = dict(_RULES)


class BadEvent(ValidationError):
    """One of many events cannot be saved; `position` counts from 0."""

    def __init__(self, position: int, reason: str, field: str = "") -> None:
        super().__init__(f"Event {position} {reason} Nothing was saved.", field=field)
        self.position_in_batch = position
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that was refused, by its position from 0, the reason, and the field if it is about one."""

    position: int
    reason: str
    field: str = ""


@dataclass(slots=True)
class Ingested:
    """How many events were saved, their ids in the order of sending (None for refused ones), and what was refused."""

    saved: int = 0
    ids: list[str | None] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def save_events(using: str, events: Iterable[Mapping[str, object]], *, scope: Scope | None = None) -> int:
    """Save events in one transaction and return how many; an event replaces one of the same id.

    In a limited `scope` each must be by one of its agents, or by a user, and in a session of it.
    """
    rows, now, made_ids = [], models.now(), new_ids()
    for position, event in enumerate(events):
        try:
            rows.append(event_row(event, now, made_ids))
        except ValidationError as error:
            raise BadEvent(position, str(error), error.field) from None
    with transactions.writing(using):
        faults = _faults(using, scope, None, rows)
        for position, row in enumerate(rows):
            if row[0] in faults:
                raise BadEvent(position, *faults[row[0]])
        write_rows(using, rows)
    return len(rows)


def ingest(
    using: str,
    events: Sequence[object],
    *,
    scope: Scope | None = None,
    author: str | None = None,
    whole: bool = False,
    seed: str | None = None,
) -> Ingested:
    """Save the valid events, and return the result for each.

    In a limited `scope` actor and session of each must be in it. With an `author`, the name of the user who sends them,
    events of the actor type User must be by that one.

    `whole`: all or nothing, in one transaction; raises BadEvent for the first invalid one. With a `seed` an event
    without an id gets the same one each time: sent again, it replaces itself. An event may also be the error that its
    reader raised.
    """
    if len(events) > limits.CALL_EVENTS:
        raise ValidationError(
            f"At most {limits.CALL_EVENTS:,} events per call; this call has {len(events):,}. Nothing was saved."
        )
    are_new = seed is None and not any(isinstance(event, Mapping) and event.get("id") is not None for event in events)
    sender = _Sender(using, scope, author, seed, are_new=are_new)
    done, rows = Ingested(), list[SqlRow | None]()
    for position, event in enumerate(events):
        row = _checked(position, event, sender, done)
        if row is None and whole:
            raise BadEvent(position, done.refused[0].reason, done.refused[0].field)
        rows.append(row)
        done.ids.append(None if row is None else row[0])
    size = len(rows) if whole else _chunk_rows(using)
    for start in range(0, len(rows), max(size, 1)):
        _write_chunk(rows[start : start + size], start, sender, done, whole=whole)
    return done


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who sends events to which store, and the ids of those that come without one; if all do, they `are_new`."""

    using: str
    scope: Scope | None
    author: str | None
    seed: str | None
    are_new: bool
    now: int = field(default_factory=models.now)
    new_ids: Iterator[str] = field(default_factory=new_ids)

    def made_ids(self, position: int) -> Iterator[str]:
        """Return where an event takes its id from if it has none."""
        if self.seed is None:
            return self.new_ids
        return itertools.repeat(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.seed} {position}")))


def _chunk_rows(using: str) -> int:
    return limits.CHUNK_ROWS if vendor.is_sqlite(connections[using]) else limits.COPIED_CHUNK_ROWS


def _checked(position: int, event: object, sender: _Sender, done: Ingested) -> SqlRow | None:
    try:
        if isinstance(event, StateStoreError):
            raise event
        row = event_row(event, sender.now, sender.made_ids(position))
        _check_lengths(row)
        _check_author(row, sender.author)
        return row
    except StateStoreError as error:
        done.refused.append(Refusal(position, str(error), getattr(error, "field", "")))
        return None


def event_row(event: object, now: int, made_ids: Iterator[str]) -> SqlRow:
    """Return an event's row for insertion. Raises ValidationError with a clause that says what is wrong."""
    if not isinstance(event, Mapping):
        raise ValidationError("is not an object.")
    if not event.keys() <= _KNOWN:
        raise ValidationError(f"has an unknown field {min(map(str, event.keys() - _KNOWN))}.")
    metadata = optional_text(event.get("metadata"))
    if (row := _usual_row(event, metadata, now, made_ids)) is not None:
        return row
    values = {**event, "metadata": metadata}
    if values.get("id") is None:
        values["id"] = next(made_ids)
    if values.get("timestamp") is None:
        values["timestamp"] = now
    _check_values(values)
    return (values["id"], *map(values.get, COLUMNS), now)


def _usual_row(event: Mapping[str, object], metadata: str | None, now: int, made_ids: Iterator[str]) -> SqlRow | None:
    """Return the row of an event as most are, whose texts are looked at all at once; None for any other.

    What is wrong, and where, is found value by value, which takes several times as long.
    """
    read = event.get
    event_id, timestamp, commit = read("id"), read("timestamp"), read("git_commit")
    if event_id is None:
        event_id = next(made_ids)
    if timestamp is None:
        timestamp = now
    event_type, session, actor_type = read("event_type"), read("session_id"), read("actor_type")
    actor, content = read("actor_id"), read("content")
    texts: SqlRow = (event_id, event_type, session, actor_type, actor, content)
    if metadata is not None:
        texts += (metadata,)
    if commit is not None:
        texts += (commit,)
    is_valid = (
        {*map(type, texts)} == _ONLY_TEXT
        and bindable("".join(texts))
        and actor_type in _ACTOR_TYPES
        and (timestamp is now or not _FAULT_OF["timestamp"](timestamp))
        # What was not given as a text was made here, and is JSON.
        and (metadata is None or metadata is not read("metadata") or not _FAULT_OF["metadata"](metadata))
    )
    if not is_valid:
        return None
    return event_id, event_type, timestamp, session, actor_type, actor, content, metadata, commit, now


def _check_values(values: Mapping[str, object]) -> None:
    """Raise ValidationError for the first value that its column may not hold."""
    for column, rule in _RULES:
        if reason := rule(values.get(column)):
            clause = f"has no {column}." if reason == validation.MISSING else f"has a {column} that {reason}."
            raise ValidationError(clause, field=column)
    if values["actor_type"] not in _ACTOR_TYPES:
        word = str(values["actor_type"])[:40]
        raise ValidationError(f"has an invalid actor_type “{word}”. Use User, Agent or System.", field="actor_type")


def _check_lengths(row: SqlRow) -> None:
    for place, column, most in _BOUNDED:
        value = row[place]
        if value is not None and not 1 <= len(value) <= most:
            raise ValidationError(f"has a {column} that is not 1 to {most} characters long.", field=column)


def _check_author(row: SqlRow, author: str | None) -> None:
    """Raise ValidationError for words put into the mouth of another user than the one who sends them."""
    if author is not None and row[_ACTOR_TYPE] == models.ActorType.USER and row[_ACTOR] != author:
        raise ValidationError(
            f"has the actor_type User, but an actor_id other than your user name “{author}”.", field="actor_id"
        )


def _write_chunk(rows: Sequence[SqlRow | None], start: int, sender: _Sender, done: Ingested, *, whole: bool) -> None:
    good = [(start + n, row) for n, row in enumerate(rows) if row is not None]
    if not good:
        return
    using = sender.using
    with transactions.writing(using):
        faults = _faults(using, sender.scope, sender.author, [row for _, row in good])
        for position, row in good if faults else ():
            if row[0] not in faults:
                continue
            if whole:
                raise BadEvent(position, *faults[row[0]])
            done.refused.append(Refusal(position, *faults[row[0]]))
            done.ids[position] = None
        written = [row for _, row in good if row[0] not in faults]
        write_rows(using, written, are_new=sender.are_new)
    done.saved += len(written)


def _faults(
    using: str, scope: Scope | None, author: str | None, rows: Sequence[SqlRow]
) -> dict[object, tuple[str, str]]:
    """Return {id: (reason, field)} of the events that may not be saved, as far as only the store tells."""
    unreadable = unreadable_ids(using, models.Event, [str(row[0]) for row in rows])
    faults: dict[object, tuple[str, str]] = dict.fromkeys(unreadable, (_UNREADABLE, "id"))
    if scope is None or scope.is_unrestricted:
        return faults
    # An event that is there is overwritten: it must be in scope as a whole too.
    stored = models.Event.objects.using(using).filter(pk__in=[row[0] for row in rows])
    present = list(stored.order_by().values_list("id", *COLUMNS))
    reach = _Reach.of(scope, author, [*rows, *present])
    faults |= {row[0]: (_TAKEN, "id") for row in present if reach.fault(row)}
    return {row[0]: fault for row in rows if (fault := reach.fault(row))} | faults


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a limited sender may write: the agents and sessions that are theirs, among those that some rows name."""

    scope: Scope
    author: str | None
    own_agents: set[str]
    agents: set[str]
    own_sessions: set[str]

    @classmethod
    def of(cls, scope: Scope, author: str | None, rows: Sequence[SqlRow]) -> "_Reach":
        actors, sessions = {row[_ACTOR] for row in rows}, {row[_SESSION] for row in rows}
        agents = models.AgentState.objects.using(scope.using).filter(agent_id__in=actors)
        own_agents = scope.agents(agents).order_by().values_list("agent_id", flat=True)
        return cls(
            scope, author, set(own_agents), set(agents.order_by().values_list("agent_id", flat=True)),
            scope.own_sessions(sessions, author=author),
        )  # fmt: skip

    def fault(self, row: SqlRow) -> tuple[str, str] | None:
        """Return why a row is out of reach, and the field, or None. Both the actor and the session must be in scope."""
        whose = f"in your {self.scope.holder}'s namespaces"
        if not self._may_act(row):
            return f"has an actor_id that is not an agent {whose}.", "actor_id"
        if row[_SESSION] not in self.own_sessions:
            return f"has a session_id that is not a session {whose}.", "session_id"
        return None

    def _may_act(self, row: SqlRow) -> bool:
        if row[_ACTOR] in self.own_agents:
            return True
        # Agents of other namespaces would be shown these words as their own.
        is_person = row[_ACTOR_TYPE] == models.ActorType.USER and row[_ACTOR] not in self.agents
        return is_person and self.author in (None, row[_ACTOR])


def write_rows(using: str, rows: Sequence[SqlRow], *, are_new: bool = False) -> None:
    """Insert rows from `event_row`, replacing those of the same id; call it inside a transaction.

    `are_new`: their ids were all made here.
    """
    bulk.upsert(using, bulk.EVENTS, _INSERTED, rows, key="id", kept=("created_at",), are_new=are_new)
