"""Ingestion of many events: checked one by one, written in chunks; an event replaces one of the same id."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from statestore import models
from statestore.access.scope import Scope
from statestore.db import bulk, transactions
from statestore.db.fields import bindable
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
_UNREADABLE: Final = f"has an id that {NEEDS_UUID}."
# Texts that need no parsing; and metadata too where it was not given as a text, but made here.
_TEXTS: Final = frozenset({"id", *COLUMNS}) - {"timestamp", "metadata"}
_TEXTS_AND_JSON: Final = _TEXTS | {"metadata"}
_TAKEN: Final = "has an id that is already in use. Choose another id."
# Places of these columns in a row.
_SESSION, _ACTOR_TYPE, _ACTOR = (1 + COLUMNS.index(name) for name in ("session_id", "actor_type", "actor_id"))
_ACTOR_TYPES: Final = frozenset(models.ActorType.values)


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
    rows = []
    for position, event in enumerate(events):
        try:
            rows.append(event_row(event))
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
    done, rows = Ingested(), list[tuple[object, ...] | None]()
    for position, event in enumerate(events):
        row = _checked(position, event, author, seed, done)
        if row is None and whole:
            raise BadEvent(position, done.refused[0].reason, done.refused[0].field)
        rows.append(row)
        done.ids.append(None if row is None else row[0])
    size = len(rows) if whole else limits.CHUNK_ROWS
    for start in range(0, len(rows), max(size, 1)):
        _write_chunk(using, rows[start : start + size], start, (scope, author), done, whole=whole)
    return done


def _checked(position: int, event: object, author: str | None, seed: str | None, done: Ingested) -> SqlRow | None:
    try:
        if isinstance(event, StateStoreError):
            raise event
        made = None if seed is None else str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} {position}"))
        row = event_row(event, made)
        _check_lengths(row)
        _check_author(row, author)
        return row
    except StateStoreError as error:
        done.refused.append(Refusal(position, str(error), getattr(error, "field", "")))
        return None


def event_row(event: object, made_id: str | None = None) -> tuple[object, ...]:
    """Return an event's row for insertion. Raises ValidationError with a clause that says what is wrong."""
    if not isinstance(event, Mapping):
        raise ValidationError("is not an object.")
    if not event.keys() <= _KNOWN:
        raise ValidationError(f"has an unknown field {min(map(str, event.keys() - _KNOWN))}.")
    now = models.now()
    values = dict(event)
    values["metadata"] = optional_text(event.get("metadata"))
    if values.get("id") is None:
        values["id"] = made_id or models.new_id()
    if values.get("timestamp") is None:
        values["timestamp"] = now
    _check_values(values, plain=_TEXTS if isinstance(event.get("metadata"), str) else _TEXTS_AND_JSON)
    if values["actor_type"] not in _ACTOR_TYPES:
        word = values["actor_type"][:40]
        raise ValidationError(f"has an invalid actor_type “{word}”. Use User, Agent or System.", field="actor_type")
    return (values["id"], *(values.get(column) for column in COLUMNS), now)


def _check_values(values: Mapping[str, object], *, plain: frozenset[str]) -> None:
    """Raise ValidationError for the first value that its column may not hold; in `plain` ones any ASCII text may be."""
    for column, rule in _RULES:
        value = values.get(column)
        if column in plain and type(value) is str and value.isascii() and "\0" not in value:
            continue  # As most are: asking the rule of each took as long as all else.
        if reason := rule(value):
            clause = f"has no {column}." if reason == validation.MISSING else f"has a {column} that {reason}."
            raise ValidationError(clause, field=column)


def _check_lengths(row: SqlRow) -> None:
    for column, value in zip(_INSERTED, row, strict=True):
        most = _MOST_CHARACTERS.get(column)
        if most and value is not None and not 1 <= len(value) <= most:
            raise ValidationError(f"has a {column} that is not 1 to {most} characters long.", field=column)


def _check_author(row: SqlRow, author: str | None) -> None:
    """Raise ValidationError for words put into the mouth of another user than the one who sends them."""
    if author is not None and row[_ACTOR_TYPE] == models.ActorType.USER and row[_ACTOR] != author:
        raise ValidationError(
            f"has the actor_type User, but an actor_id other than your user name “{author}”.", field="actor_id"
        )


def _write_chunk(
    using: str,
    rows: Sequence[tuple[object, ...] | None],
    start: int,
    sender: tuple[Scope | None, str | None],
    done: Ingested,
    *,
    whole: bool,
) -> None:
    good = [(start + n, row) for n, row in enumerate(rows) if row is not None]
    if not good:
        return
    with transactions.writing(using):
        faults = _faults(using, *sender, [row for _, row in good])
        for position, row in good:
            if row[0] not in faults:
                continue
            if whole:
                raise BadEvent(position, *faults[row[0]])
            done.refused.append(Refusal(position, *faults[row[0]]))
            done.ids[position] = None
        good = [(position, row) for position, row in good if row[0] not in faults]
        write_rows(using, [row for _, row in good])
    done.saved += len(good)


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


def write_rows(using: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows from `event_row`, replacing those of the same id; call it inside a transaction."""
    plain: list[tuple[object, ...]] = []
    odd: list[tuple[object, ...]] = []
    for row in rows:
        (plain if all(bindable(value) for value in row) else odd).append(row)
    bulk.upsert(using, "events", _INSERTED, plain, key="id", kept=("created_at",))
    for event in _events(odd):
        models.Event.objects.using(using).bulk_create(
            [event], update_conflicts=True, unique_fields=["id"], update_fields=COLUMNS
        )


def _events(rows: Iterable[tuple[object, ...]]) -> Iterator[models.Event]:
    for row in rows:
        yield models.Event(**dict(zip(_INSERTED, row, strict=True)))
