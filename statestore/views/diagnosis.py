"""The diagnosis of an agent as its page shows it: short answers, each with what can be done next."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from statestore import history, models
from statestore.db.ids import to_address
from statestore.history import moments
from statestore.history.diagnosis import Diagnosis
from statestore.jsondiff import limits
from statestore.views.diff_view import ComparisonView
from statestore.views.formatting import line, size

SHOWN_GROUPS: Final = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One row: a label, what is the case with its time, and the page and the moment that it leads to.

    `times` is how often in a row. `is_best` is the one moment that is offered first.
    """

    label: str
    text: str
    at: int | None = None
    note: str = ""
    link: str = ""
    times: int = 0
    since: int | None = None
    moment: str = ""
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class DiagnosisView:
    """The answers, what they are based on, and since when the agent is in trouble."""

    level: str
    since: int | None
    answers: tuple[Answer, ...]
    basis: str


def diagnosis(agent: models.AgentState) -> DiagnosisView | None:
    """Return what an agent's records say of its trouble, None for an agent that is in none."""
    found = history.diagnose(agent, silent_since=models.now() - settings.SILENT_AFTER_SECONDS)
    if found is None:
        return None
    since = found.run.first.timestamp if found.run else agent.updated_at
    basis = (
        f"Based on {_count(found.transitions, 'transition')} and {_count(found.snapshots, 'snapshot')} of this agent."
    )
    return DiagnosisView(
        "error" if found.has_failed else "warning",
        int(found.began.timestamp if found.began and found.has_failed else since),
        tuple(_answers(agent, found)),
        f"{basis} Nothing else is known.",
    )


def _count(number: int, noun: str) -> str:
    most = history.limits.DIAGNOSED_TRANSITIONS
    return f"{number}{'+' if number == most else ''} {noun}{'' if number == 1 else 's'}"


def _answers(agent: models.AgentState, found: Diagnosis) -> Iterator[Answer]:
    yield _now(agent, found)
    if found.growth:
        times = found.growth.after // max(found.growth.before, 1)
        sizes = f"{size(found.growth.before)} → {size(found.growth.after)}"
        yield Answer("Growth", f"Its state grew {times:,} × within an hour", note=sizes)
    if found.is_unchanged:
        number = history.limits.REPEATED_STATES
        yield Answer("State", f"The last {number} transitions changed nothing in it")
    is_silence = found.is_silent and not (found.run or found.growth)
    if found.began is not None:
        yield _beginning(found.began, "Last change" if is_silence else "Began with")
    elif found.run is not None:
        yield Answer("Began with", "No transition before that is recorded")
    if found.began is not None and not is_silence and found.began.size_before:  # type: ignore[attr-defined]
        yield Answer(
            "Last good", "The moment before it began", int(found.began.timestamp),
            moment=f"transition:{to_address(found.began.pk)}:before", is_best=True,
        )  # fmt: skip
    yield _snapshot(found)


def _now(agent: models.AgentState, found: Diagnosis) -> Answer:
    if found.run is not None:
        text = f"“{line(found.run.reason, 200)}”"
        return Answer("Now", text, found.run.last.timestamp, times=found.run.count, since=found.run.first.timestamp)
    if found.is_silent:
        return Answer("Now", f"{str(agent.status).capitalize()}, but nothing has changed since", int(agent.updated_at))
    reason = line(found.last.reason, 200) if found.last and found.last.reason else ""
    return Answer("Now", f"“{reason}”" if reason else f"{str(agent.status).capitalize()}; no reason is recorded",
                  int(agent.updated_at))  # fmt: skip


def _beginning(began: Any, label: str) -> Answer:
    """Return the transition with which it began, with what it changed most."""
    sizes = f"{size(began.size_before)} → {size(began.size_after)}" if began.size_before != began.size_after else ""
    is_small = max(began.size_before, began.size_after) <= limits.MAX_PARSED_BYTES
    return Answer(
        label, line(began.reason, 200) or "a transition without a reason", int(began.timestamp),
        note="; ".join(filter(None, [_changed(began) if is_small else "", sizes])), link=began.get_absolute_url(),
    )  # fmt: skip


def _changed(began: models.Transition) -> str:
    """Return what a transition changed, the most first: `messages +1 −24, plan −5 ~1`."""
    whole = history.find_transition(began.pk)
    if whole is None:
        return ""
    groups = ComparisonView(whole.state_before, whole.state_after).groups
    groups = sorted(groups, key=lambda group: -sum(number for _, _, number in group.counts))
    told = [
        f"{line(one.name, 60)} {' '.join(f'{sign}{n}' for _, sign, n in one.counts)}" for one in groups[:SHOWN_GROUPS]
    ]
    return ", ".join([*told, *(["…"] if len(groups) > SHOWN_GROUPS else [])])


def _snapshot(found: Diagnosis) -> Answer:
    snapshot: Any = found.snapshot
    if snapshot is None:
        return Answer("Last snapshot", "None before it" if found.began is not None else "None")
    return Answer(
        "Last snapshot", line(snapshot.description, 200) or "Snapshot without a description", int(snapshot.created_at),
        note=size(snapshot.size), link=snapshot.get_absolute_url(), moment=str(moments.AtSnapshot(snapshot.pk)),
        is_best=found.began is None,
    )  # fmt: skip
