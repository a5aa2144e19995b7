"""The moments of an agent to choose from: named ones, such as before the last change, its snapshots, its changes."""

from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.db.routers import store_alias
from statestore.history import moments
from statestore.history.past import CHANGES, Record
from statestore.history.timeline import timeline

# The last change is looked for in so many records: changes of status alone leave the state as it is.
_RECORDS: Final = 30
_OFFERED: Final = 15
_DAY_SECONDS: Final = 86400
NAMES: Final = {
    "now": "Now",
    "before-last-change": "Before the last change",
    "after-last-change": "After the last change",
    "yesterday": "Yesterday at this time",
    "last-snapshot": "Last snapshot",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One moment to choose: what a form sends for it, what it is called, and when it was."""

    value: str
    moment: moments.Moment
    label: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """The moments of one agent, each group newest first. `named` has those of NAMES that there are."""

    named: tuple[Choice, ...]
    snapshots: tuple[Choice, ...]
    changes: tuple[Choice, ...]

    def first_of(self, *names: str) -> str:
        """Return the first of some names that there is, otherwise “now”."""
        known = {choice.value for choice in self.named}
        return next((name for name in names if name in known), "now")

    def moment(self, text: str) -> moments.Moment | None:
        """Return the moment that a text names, None for a name that this agent lacks. Raises ValidationError."""
        if text in NAMES:
            return next((choice.moment for choice in self.named if choice.value == text), None)
        return moments.parse(text)

    def value_of(self, moment: moments.Moment) -> str:
        """Return what a form sends for a moment that is offered, or an empty text."""
        every = (*self.snapshots, *self.changes, *self.named)
        return next((choice.value for choice in every if choice.moment == moment), "")


def choices(agent: models.AgentState, *, using: str | None = None) -> Choices:
    """Return the moments to choose from, those that happened last."""
    using = using or store_alias()
    records, _ = timeline(agent.agent_id, limit=_RECORDS, using=using)
    kept = models.Snapshot.objects.using(using).of_agent(agent.agent_id).newest_first()
    snapshots = list(kept.without_state()[:_OFFERED])
    return Choices(
        tuple(_named(agent, records, snapshots, using)),
        tuple(_snapshot(row) for row in snapshots),
        tuple(_change(record) for record in records if record.kind in CHANGES)[:_OFFERED],
    )


def _named(
    agent: models.AgentState, records: list[Record], snapshots: list[models.Snapshot], using: str
) -> list[Choice]:
    named = [] if agent.is_gone else [Choice("now", moments.Now(), NAMES["now"])]
    if (last := _last_change(agent.agent_id, records, using)) is not None:
        after = last.moment
        assert isinstance(after, moments.AtTransition)
        before = moments.AtTransition(after.transition_id, "before")
        for name, moment in (("before-last-change", before), ("after-last-change", after)):
            named.append(Choice(name, moment, f"{NAMES[name]}{_quoted(last.row)}", int(last.at)))
    yesterday = models.now() - _DAY_SECONDS
    named.append(Choice("yesterday", moments.AtTime(yesterday), NAMES["yesterday"], yesterday))
    own = [row for row in snapshots if not row.is_safety] or snapshots
    for row in own[:1]:
        label = f"{NAMES['last-snapshot']}{_quoted(row)}"
        named.append(Choice("last-snapshot", moments.AtSnapshot(row.pk), label, int(row.created_at)))
    return named


def _last_change(agent_id: str, records: list[Record], using: str) -> Record | None:
    """Return the newest record that changed the state: captured changes do, transitions may."""
    since = min((int(record.at) for record in records), default=0)
    transitions = models.Transition.objects.using(using).of_agent(agent_id).since(since)
    newest = transitions.of_changes().newest_first().values_list("pk", "timestamp", "rowid").first()
    after = None if newest is None else moments.AtTransition(newest[0], "after")
    return next((one for one in records if one.kind == "captured" or one.moment == after), None)


def _quoted(row: object) -> str:
    text = getattr(row, "description", None) or getattr(row, "reason", None)
    return f": “{text}”" if text else ""


def _snapshot(row: models.Snapshot) -> Choice:
    moment = moments.AtSnapshot(row.pk)
    return Choice(str(moment), moment, str(row.description or "Snapshot without a description"), int(row.created_at))


def _change(record: Record) -> Choice:
    return Choice(str(record.moment), record.moment, f"After {_quoted(record.row)[2:] or 'a change'}", int(record.at))
