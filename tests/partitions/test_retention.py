"""Retention drops a month at once if nothing of it is kept, row by row otherwise; what the simulator names goes."""

import json

import pytest
from django.db import IntegrityError, transaction

from statestore import models, partitions, restore, retention
from statestore.access.audit import SYSTEM, Actor
from statestore.access.scope import Scope
from statestore.history import sentences
from statestore.models import RetentionPolicy
from statestore.models.audit import Action
from statestore.partitions import Month
from statestore.retention import Limits
from tests.builders import NOW, make_agent, make_event, make_snapshot, make_transition
from tests.partitions.conftest import MONTH

pytestmark = [pytest.mark.slow]

ADA = Actor("ada")
NAMES = {"events": "events", "transitions": "state_transitions"}


def policy(using: str, table: str, namespace: str | None = None) -> RetentionPolicy:
    made = retention.create(using, table, namespace, Limits(keep_seconds=2 * MONTH), by=ADA)
    return retention.switch(using, made.pk, on=True, by=ADA)


def old_months(using: str, table: str) -> list[Month]:
    found = partitions.months_of(using, NAMES[table])
    return [month for month in found if month.end <= NOW - 2 * MONTH]


def carry_out(using: str, of: RetentionPolicy) -> list[dict[str, object]]:
    """Delete what the simulator names and nothing else, and return what the audit log says of whole months."""
    simulated = retention.simulate(of, using=using, now=NOW)
    table = models.Event if of.table == "events" else models.Transition
    before = table.objects.using(using).count()
    gone = retention.carry_out(of, using, by=SYSTEM, now=NOW)
    assert (gone.rows, gone.bytes) == (simulated.rows, simulated.bytes)
    assert table.objects.using(using).count() == before - gone.rows
    assert retention.simulate(of, using=using, now=NOW).rows == 0
    entries = models.AuditEntry.objects.using(using).with_action(Action.EXPIRE)
    details = [json.loads(entry.detail) for entry in entries]
    assert sum(detail["rows"] for detail in details) == gone.rows, "Each row is in the audit log."
    return [detail for detail in details if "month" in detail]


@pytest.mark.parametrize("table", ["events", "transitions"])
def test_old_months_go_whole(parted: str, table: str):
    months = old_months(parted, table)
    assert months, "the canary: there are old months"
    dropped = carry_out(parted, policy(parted, table))
    assert old_months(parted, table) == []
    assert [detail["month"] for detail in dropped] == [str(month) for month in months]
    entry = models.AuditEntry.objects.with_action(Action.EXPIRE).filter(row_id="").newest_first().last()
    assert entry is not None
    (sentence,) = sentences([entry], Scope())
    assert str(sentence) == f"system deleted 3 {table} of the month {months[0]} by a policy"


def test_an_id_of_a_month_that_is_gone_is_free_again(parted: str):
    carry_out(parted, policy(parted, "events"))
    gone = f"event 0 {NOW - 5 * MONTH}"
    make_event(id=gone, timestamp=NOW)
    with pytest.raises(IntegrityError), transaction.atomic(using=parted):
        make_event(id=gone, timestamp=NOW - MONTH)


@pytest.mark.parametrize("table", ["events", "transitions"])
def test_months_of_a_held_agent_stay_and_the_others_rows_go(parted: str, table: str):
    retention.hold(parted, "agent", "agent-1", by=ADA)
    months = old_months(parted, table)
    assert carry_out(parted, policy(parted, table)) == []
    assert old_months(parted, table) == months
    model = models.Event if table == "events" else models.Transition
    column = "actor_id" if table == "events" else "agent_id"
    old = model.objects.filter(timestamp__gte=months[0].start, timestamp__lt=months[-1].end)
    assert set(old.values_list(column, flat=True)) == {"agent-1"}


def test_the_month_of_a_transition_by_which_a_restore_is_shown_stays(parted: str):
    agent = models.AgentState.objects.get(agent_id="agent-0")
    snapshot = make_snapshot(agent, {"n": 1}, created_at=NOW)
    done = restore.apply(restore.plan("agent-0", f"snapshot:{snapshot.pk}"), by=ADA)
    models.Transition.objects.filter(pk=done.transition_id).update(timestamp=NOW - 4 * MONTH)
    month = Month.of(NOW - 4 * MONTH)
    dropped = carry_out(parted, policy(parted, "transitions"))
    assert str(month) not in {detail["month"] for detail in dropped}
    assert models.Transition.objects.filter(pk=done.transition_id).exists()
    assert dropped, "Other months went."


def test_the_month_of_an_agents_newest_transition_stays(parted: str):
    make_agent("resting")
    make_transition("resting", {"n": 1}, {"n": 2}, timestamp=NOW - 5 * MONTH, id="its last")
    dropped = carry_out(parted, policy(parted, "transitions"))
    assert models.Transition.objects.filter(pk="its last").exists()
    assert str(Month.of(NOW - 5 * MONTH)) not in {detail["month"] for detail in dropped}


def test_a_policy_of_a_namespace_drops_no_month(parted: str):
    make_agent("other", namespace="team")
    policy(parted, "transitions", "team")
    months = old_months(parted, "transitions")
    assert carry_out(parted, policy(parted, "transitions")) == [], "The namespace has its own policy."
    assert old_months(parted, "transitions") == months


def test_without_partitions_old_rows_go_one_by_one(using: str):
    assert carry_out(using, policy(using, "events")) == []
