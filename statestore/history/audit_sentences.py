"""What an audit entry says, as one sentence: “demo moved Parser from InProgress to Blocked”.

The sentence is data: who, the verb, what it was done to, and what changed. Pages link its names; `str` is its text.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias

from django.db.models import Model, QuerySet

from statestore import models
from statestore.access.scope import Scope
from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.errors import ValidationError
from statestore.history import moments
from statestore.models.audit import Action
from statestore.models.rows import LAST_SECOND

# Longer values are named by their column alone; so are those of these columns, which are JSON or prose.
VALUE_CHARACTERS: Final = 80
_UNQUOTED: Final = frozenset({"description", "dependencies", "metadata", "state_data"})
_TIMES: Final = frozenset({"started_at", "ended_at", "created_at"})
# The services fill this in: it changes with each edit.
_MANAGED: Final = frozenset({"updated_at"})
_COLUMNS: Final = {"assigned_to": "assignee", "agent_id": "agent", "state_data": "state"}
_NAMES_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Reference:
    """A row that a sentence names, by what it is called. `noun` is empty for one that has no page, or no longer."""

    noun: str
    row_id: str
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def is_quoted(self) -> bool:
        """Whether it is called by words of its own."""
        return self.text.startswith("“")


Part: TypeAlias = str | Reference


@dataclass(frozen=True, slots=True)
class Sentence:
    """One audit entry: `actor` `verb` `target` `rest`; the spaces around `rest` are its own.

    `page` is the noun and the id of what shows the action itself: the edit, the restore, the plan.
    """

    actor: str
    verb: str
    target: Reference | None = None
    rest: tuple[Part, ...] = ()
    page: tuple[str, str | int] | None = None

    @property
    def predicate(self) -> str:
        """The sentence without who did it."""
        target = "" if self.target is None else f" {self.target}"
        return f"{self.verb}{target}{''.join(map(str, self.rest))}"

    def __str__(self) -> str:
        return f"{self.actor} {self.predicate}"


def sentences(entries: Iterable[models.AuditEntry], scope: Scope) -> list[Sentence]:
    """Return the sentence of each entry. Rows that they name are looked up in the scope, each kind by one query."""
    told = [_Entry(entry) for entry in entries]
    names = _Names(scope, {row for one in told for row in one.rows})
    return [one.sentence(names) for one in told]


@dataclass(slots=True)
class _Names:
    """What rows are called: {(noun, id): name} of those that exist in the scope."""

    scope: Scope
    rows: set[tuple[str, str]]
    known: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted: dict[str, list[str]] = defaultdict(list)
        for noun, row_id in self.rows:
            wanted[noun].append(row_id)
        for noun, ids in wanted.items():
            rows, key, name = _NAMED[noun](self.scope)
            with translated_errors():
                for batch in batched(ids, _NAMES_AT_ONCE):
                    found = rows.filter(**{f"{key}__in": batch}).order_by().values_list(key, name)
                    self.known |= {(noun, row_id): text or "" for row_id, text in found}

    def of(self, noun: str, given: object, otherwise: object = "") -> Reference:
        """Return a row by its name, or if it is gone by what it was called, or by its id."""
        row_id = given if isinstance(given, str) else str(given)
        name = self.known.get((noun, row_id)) if isinstance(given, str) else None
        text = str(name or otherwise or "")
        page = noun if name is not None else ""
        if noun in ("snapshot", "transition"):
            what = "a snapshot" if noun == "snapshot" else "a change"
            return Reference(page, row_id, f"“{text}”" if text else what)
        return Reference(page, row_id, text or row_id or f"a {noun} without an id")


_NAMED: Final[dict[str, Callable[[Scope], tuple[QuerySet[Model], str, str]]]] = {
    "agent": lambda scope: (scope.agents(), "agent_id", "name"),
    "task": lambda scope: (scope.tasks(), "pk", "title"),
    "session": lambda scope: (scope.sessions(), "pk", "pk"),
    "snapshot": lambda scope: (scope.snapshots(), "pk", "description"),
    "transition": lambda scope: (scope.transitions(), "pk", "reason"),
}


class _Entry:
    """An audit entry with its JSON read."""

    def __init__(self, entry: models.AuditEntry) -> None:
        self.entry = entry
        self.before, self.after, self.detail = map(_object, (entry.before, entry.after, entry.detail))
        self.moment = _moment(self.detail.get("moment"), str(self.detail.get("label") or ""))

    @property
    def rows(self) -> Iterator[tuple[str, str]]:
        """The rows that the sentence names."""
        noun = "agent" if self.entry.noun == "snapshot" or "policy" in self.detail else self.entry.noun
        if noun in _NAMED:
            yield noun, self.entry.row_id
        for name, of_noun in (("snapshot", "snapshot"), ("parent", "agent")):
            if isinstance(named := self.detail.get(name), str):
                yield of_noun, named
        if isinstance(agent_id := self.after.get("agent_id"), str):
            yield "agent", agent_id
        if self.moment is not None and self.moment.noun and isinstance(self.moment.row_id, str):
            yield self.moment.noun, self.moment.row_id

    def sentence(self, names: _Names) -> Sentence:
        """Return what the entry says."""
        if self.entry.noun == "retention policy":
            return _of_policy(self)
        tell = _TELL.get(self.entry.action, _unknown)
        return tell(self, names)

    def tell(
        self, verb: str, target: Reference | None, *rest: Part, page: tuple[str, str | int] | None = None
    ) -> Sentence:
        """Return the sentence with a verb; edits of tasks and sessions have a page of their own."""
        if page is None and self.entry.noun in ("task", "session"):
            page = "edit", self.entry.pk
        return Sentence(str(self.entry.actor), verb, target, tuple(part for part in rest if part), page)

    def target(self, names: _Names) -> Reference:
        """Return the row that the entry is about."""
        row = self.before | self.after
        called = self.detail.get("name") or row.get("title") or row.get("name")
        return names.of(self.entry.noun, self.entry.row_id, called)

    def page(self, noun: str, name: str) -> tuple[str, str] | None:
        """Return the page of what the detail names, if it names any."""
        row_id = self.detail.get(name)
        return (noun, str(row_id)) if row_id else None

    def because(self) -> str:
        """Return the reason, if one was given."""
        return f" — {self.detail['reason']}" if self.detail.get("reason") else ""


@dataclass(frozen=True, slots=True)
class _Moment:
    """A moment of the past in words, around the row that it names, if any; `label` is for when that is gone."""

    words: str
    noun: str = ""
    row_id: object = ""
    label: str = ""

    def parts(self, names: _Names) -> tuple[Part, ...]:
        named = names.of(self.noun, self.row_id)
        if not named.noun:
            return (self.label or self.words,)
        # A snapshot without a description is “a snapshot”, and not “snapshot a snapshot”.
        return (f"{self.words} ", named) if named.is_quoted or self.noun != "snapshot" else (named,)


def _moment(text: object, label: str) -> _Moment | None:
    try:
        moment = moments.parse(str(text or ""))
    except ValidationError:
        return None
    match moment:
        case moments.AtSnapshot(snapshot_id):
            return _Moment("snapshot", "snapshot", snapshot_id, label)
        case moments.AtTransition(transition_id, side):
            words = f"the state {side}"
            return _Moment(words, "transition", transition_id, f"the state {label}" if label else f"{words} a change")
        case moments.AtTime(seconds):
            return _Moment(_time(seconds))
        case _:
            return _Moment("its present state")


def _object(text: str | None) -> dict[str, object]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _time(seconds: object) -> str:
    if not isinstance(seconds, int) or not 0 <= seconds <= LAST_SECOND:
        return str(seconds)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _value(column: str, value: object) -> str:
    """Return a value in a few words."""
    if value is None or value == "":
        return "none"
    return _time(value) if column in _TIMES else str(value)


def _is_short(column: str, values: Sequence[object]) -> bool:
    return column not in _UNQUOTED and all(len(str(value)) <= VALUE_CHARACTERS for value in values)


def _changes(before: Mapping[str, object], after: Mapping[str, object], arrow: str) -> list[tuple[str, str]]:
    """Return (column, what it was and is) of each changed column; of long values the column alone."""
    return [
        (
            _COLUMNS.get(column, column.removesuffix("_at") if column in _TIMES else column),
            arrow.format(_value(column, before.get(column)), _value(column, value))
            if _is_short(column, (before.get(column), value))
            else "",
        )
        for column, value in after.items()
        if column not in _MANAGED
    ]


def _created(one: _Entry, names: _Names) -> Sentence:
    entry, target = one.entry, one.target(names)
    if entry.noun == "session":
        agent_id = one.after.get("agent_id")
        of_agent = (" of ", names.of("agent", agent_id)) if agent_id else ()
        return one.tell("recreated session" if entry.reverts else "started session", target, *of_agent)
    if entry.noun == "task":
        return one.tell("recreated the task" if entry.reverts else "created the task", target)
    return one.tell("created the token", _token(one), _owner(one))


def _token(one: _Entry) -> Reference:
    return Reference("", one.entry.row_id, f"“{one.detail.get('name') or one.entry.row_id}”")


def _owner(one: _Entry) -> str:
    owner = one.detail.get("user")
    return f" of {owner}" if owner and owner != one.entry.actor else ""


def _edited(one: _Entry, names: _Names) -> Sentence:
    target, changes = one.target(names), _changes(one.before, one.after, "{} → {}")
    told = ": " + ", ".join(f"{column} {change}".strip() for column, change in changes)
    if one.entry.reverts:
        return one.tell("undid an edit of", target, told if changes else "")
    if not changes:
        return one.tell("saved", target, " without changes" if one.after else "")
    if len(changes) == 1:
        ((column, change),) = _changes(one.before, one.after, " from {} to {}")
        return one.tell(f"changed the {column} of", target, change)
    return one.tell("edited", target, told)


def _moved(one: _Entry, names: _Names) -> Sentence:
    before, after = (_value("status", side.get("status")) for side in (one.before, one.after))
    back = " back" if one.entry.reverts else ""
    return one.tell("moved", one.target(names), f"{back} from {before} to {after}")


def _ended(one: _Entry, names: _Names) -> Sentence:
    status = one.after.get("status")
    usual = models.SessionStatus.COMPLETED.value
    return one.tell("ended session", one.target(names), f" as {status}" if status and status != usual else "")


def _deleted(one: _Entry, names: _Names) -> Sentence:
    noun, target = one.entry.noun, one.target(names)
    if noun == "agent":
        return one.tell("moved", target, " to the trash", one.because())
    if noun == "snapshot":
        return one.tell("deleted", *_snapshot(one, names, "snapshot"))
    return one.tell(f"deleted {'the task' if noun == 'task' else noun}", target)


def _snapshot(one: _Entry, names: _Names, words: str) -> tuple[Reference, *tuple[Part, ...]]:
    """Return the snapshot of an entry, and of which agent it is."""
    snapshot = names.of("snapshot", one.detail.get("snapshot"), one.detail.get("description"))
    text = f"the {words} {snapshot}" if snapshot.is_quoted else f"{'an' if words[0] == 'e' else 'a'} {words}"
    return Reference(snapshot.noun, snapshot.row_id, text), " of ", names.of("agent", one.entry.row_id)


def _undeleted(one: _Entry, names: _Names) -> Sentence:
    return one.tell("restored", one.target(names), " from the trash")


def _purged(one: _Entry, names: _Names) -> Sentence:
    return one.tell("deleted", one.target(names), " for good")


def _expired(one: _Entry, names: _Names) -> Sentence:
    if "policy" in one.detail:
        of_agent = (" of ", names.of("agent", one.entry.row_id)) if one.entry.row_id else ()
        of_month = f" of the month {one.detail['month']}" if "month" in one.detail else ""
        what = f"deleted {one.detail.get('rows', 0):,} {one.entry.noun}{of_month}"
        return one.tell(what, None, *of_agent, " by a policy")
    return one.tell("deleted", *_snapshot(one, names, "expired snapshot"))


def _changed(one: _Entry, names: _Names) -> Sentence:
    columns = [_COLUMNS.get(column, column) for column in str(one.detail.get("columns") or "row").split(", ")]
    return one.tell(f"changed the {_listed(columns)} of", one.target(names), one.because())


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _status(one: _Entry, names: _Names) -> Sentence:
    before, after = (_value("status", side.get("status")) for side in (one.before, one.after))
    return one.tell("set the status of", one.target(names), f" from {before} to {after}")


def _snapshot_taken(one: _Entry, names: _Names) -> Sentence:
    return one.tell("took", *_snapshot(one, names, "snapshot"))


def _planned(one: _Entry, names: _Names) -> Sentence:
    to = (" to ", *one.moment.parts(names)) if one.moment else ()
    if one.entry.noun == "batch":
        number = one.detail.get("agents")
        agents = f" {number} agent{'' if number == 1 else 's'}" if number is not None else " agents"
        return one.tell(f"planned to restore{agents}", None, *to, page=("batch", one.entry.row_id))
    return one.tell("planned a restore of", one.target(names), *to, page=one.page("restore", "plan"))


def _approved(one: _Entry, names: _Names) -> Sentence:
    if one.entry.noun == "batch":
        return one.tell("approved a batch of restores", None, page=("batch", one.entry.row_id))
    return one.tell("approved the plan to restore", one.target(names), page=one.page("restore", "plan"))


def _restored(one: _Entry, names: _Names) -> Sentence:
    verb, link, after = _RESTORES.get(str(one.detail.get("kind")), _RESTORES["whole"])
    to = (link, *one.moment.parts(names)) if link and one.moment else ()
    return one.tell(verb, one.target(names), *to, after, one.because(), page=one.page("restore", "restore"))


# How each kind of restore is told: the verb, what leads to the moment, and what is said after it.
_RESTORES: Final = {
    "whole": ("restored", " to ", ""),
    "part": ("restored fields of", " from ", ""),
    "edit": ("restored", " to ", ", with corrected values"),
    "merge": ("restored", " to ", ", merged with later changes"),
    "revert": ("reverted a change of", "", ""),
    "backup": ("restored", " to ", ", from a backup"),
}


def _undone(one: _Entry, names: _Names) -> Sentence:
    return one.tell("undid a restore of", one.target(names), one.because(), page=one.page("restore", "restore"))


def _forked(one: _Entry, names: _Names) -> Sentence:
    parent = names.of("agent", one.detail.get("parent", ""))
    at = (", ", *one.moment.parts(names)) if one.moment and one.detail.get("moment") != "now" else ()
    return one.tell("created", one.target(names), " as a fork of ", parent, *at)


def _imported(one: _Entry, names: _Names) -> Sentence:
    numbers = (f"{one.detail.get(word, 0)} {word}" for word in ("inserted", "updated", "refused"))
    return one.tell("imported rows", None, f": {', '.join(numbers)}")


def _captures(one: _Entry, names: _Names) -> Sentence:
    return one.tell(f"turned change capture {one.entry.action.removeprefix('capture ')}", None)


def _revoked(one: _Entry, names: _Names) -> Sentence:
    return one.tell("revoked the token", _token(one), _owner(one))


def _pruned(one: _Entry, names: _Names) -> Sentence:
    return one.tell(f"deleted the {one.detail.get('rows', 0):,} oldest entries of the audit log", None)


def _archived(one: _Entry, names: _Names) -> Sentence:
    if one.entry.action == Action.UNARCHIVE:
        return one.tell(f"put {one.detail.get('records', 0):,} archived records back", None)
    return one.tell(f"archived {one.detail.get('records', 0):,} records of", one.target(names))


def _partitioned(one: _Entry, names: _Names) -> Sentence:
    table, rows = one.detail.get("table", ""), one.detail.get("rows", 0)
    what = "by month" if one.entry.action == Action.PARTITION else "as a table without partitions"
    return one.tell(f"made {table} anew {what}, with {rows:,} rows", None)


def _sealed(one: _Entry, names: _Names) -> Sentence:
    ranges = one.detail.get("ranges")
    names_of = list(ranges) if isinstance(ranges, dict) else []
    of = f" {names_of[0].partition('-')[0]} to {names_of[-1].partition('-')[2]}" if names_of else ""
    return one.tell(f"sealed the captured changes{of}", None)


def _held(one: _Entry, names: _Names) -> Sentence:
    return one.tell("held", _kept(one, names), one.because())


def _released(one: _Entry, names: _Names) -> Sentence:
    return one.tell("took the hold off", _kept(one, names))


def _kept(one: _Entry, names: _Names) -> Reference:
    """Return what is held: a snapshot by its description, a restore by its id."""
    noun, target = one.entry.noun, names.of(one.entry.noun, one.entry.row_id)
    if noun == "agent":
        return target
    text = str(target) if noun == "snapshot" and not target.is_quoted else f"the {noun} {target}"
    return replace(target, text=text)


def _mirrored(one: _Entry, names: _Names) -> Sentence:
    """Return what is told of a source that came or went; the agents of one that went stay."""
    source = Reference("", one.entry.row_id, f"“{one.detail.get('name') or one.entry.row_id}”")
    if one.entry.action == Action.UNMIRROR:
        number = one.detail.get("agents", 0)
        agents = f"{number:,} agent{'' if number == 1 else 's'}" if isinstance(number, int) else "agents"
        return one.tell("removed the source", source, f"; its {agents} stayed")
    upload = one.detail.get("upload")
    of = f", the upload {upload}" if upload else f", {one.detail.get('path') or 'a file'}"
    return one.tell("began to mirror the source", source, of)


def _served(one: _Entry, names: _Names) -> Sentence:
    """Return what is told of a store that was added on a page, or removed there; its file stayed."""
    store = Reference("", one.entry.row_id, f"“{one.entry.row_id}”")
    verb = (
        "added this store as"
        if one.entry.action == Action.ADD
        else "removed this store from the dashboard, where it was"
    )
    return one.tell(verb, store, f", {one.detail.get('path') or 'a file'}")


def _replaced(one: _Entry, names: _Names) -> Sentence:
    return one.tell(f"replaced the {one.entry.noun} with the backup {one.detail.get('backup')}", None)


def _of_policy(one: _Entry) -> Sentence:
    """Return what an entry says of a retention policy."""
    row = one.before | one.after
    namespace = row.get("namespace")
    of = f" of namespace {namespace}" if namespace else ""
    target = Reference("", one.entry.row_id, f"the policy for {row.get('table') or 'rows'}{of}")
    if one.entry.action == Action.EDIT and set(one.after) == {"is_on"}:
        return one.tell(f"switched {'on' if one.after['is_on'] else 'off'} the policy", None)
    verb = {Action.CREATE: "made", Action.DELETE: "deleted"}.get(Action(one.entry.action), "changed")
    return one.tell(verb, target)


def _unknown(one: _Entry, names: _Names) -> Sentence:
    """Return what can be said of an action that another release wrote."""
    return one.tell(f"{one.entry.action} {one.entry.noun}", one.target(names))


_TELL: Final[dict[str, Callable[[_Entry, _Names], Sentence]]] = {
    Action.CREATE: _created,
    Action.EDIT: _edited,
    Action.MOVE: _moved,
    Action.END: _ended,
    Action.DELETE: _deleted,
    Action.UNDELETE: _undeleted,
    Action.PURGE: _purged,
    Action.EXPIRE: _expired,
    Action.CHANGE: _changed,
    Action.STATUS: _status,
    Action.SNAPSHOT: _snapshot_taken,
    Action.PLAN: _planned,
    Action.APPROVE: _approved,
    Action.RESTORE: _restored,
    Action.UNDO: _undone,
    Action.FORK: _forked,
    Action.IMPORT: _imported,
    Action.CAPTURE_ON: _captures,
    Action.CAPTURE_OFF: _captures,
    Action.REVOKE: _revoked,
    Action.PRUNE: _pruned,
    Action.SEAL: _sealed,
    Action.ARCHIVE: _archived,
    Action.UNARCHIVE: _archived,
    Action.PARTITION: _partitioned,
    Action.UNPARTITION: _partitioned,
    Action.HOLD: _held,
    Action.RELEASE: _released,
    Action.MIRROR: _mirrored,
    Action.UNMIRROR: _mirrored,
    Action.ADD: _served,
    Action.REMOVE: _served,
    Action.REPLACE: _replaced,
}
