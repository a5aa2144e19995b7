"""The indexes that a store of mirrors is without: nothing of ours scans a whole table for want of them."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from statestore import archive, models, restore, retention
from statestore.access.audit import SYSTEM
from statestore.db.orchestrator_schema import INDEXES, UNREAD_INDEXES
from statestore.db.routers import store_alias
from statestore.retention import Limits
from tests.archive.test_answers import DAY, NOW, addresses, make_history
from tests.builders import make_event

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

Statement = tuple[str, Any]
# Which of two indexes is walked does not matter.
_INDEX = re.compile(r"INDEX \w+")


@contextmanager
def statements() -> Iterator[list[Statement]]:
    """Give what is asked of the store meanwhile: (SQL, values)."""
    asked: list[Statement] = []

    def note(execute: Callable[..., object], sql: str, values: Any, many: bool, context: object) -> object:
        if not many and sql.startswith(("SELECT", "DELETE", "UPDATE", "WITH", "INSERT")):
            asked.append((sql, values))
        return execute(sql, values, many, context)

    with connections[store_alias()].execute_wrapper(note):
        yield asked


def scans(asked: list[Statement]) -> set[tuple[str, str]]:
    """Return which statements read a whole table, row by row or by an index: (SQL, step of the plan)."""
    found = set()
    with connections[store_alias()].cursor() as cursor:
        for sql, values in dict(asked).items():
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)
            steps = [_INDEX.sub("INDEX", row[3]) for row in cursor.fetchall()]
            found |= {(sql, step) for step in steps if step.startswith("SCAN")}
    return found


def only_without_the_indexes(asked: list[Statement]) -> set[tuple[str, str]]:
    """Return the scans that there are without the indexes, and not with them."""
    with connections[store_alias()].cursor() as cursor:
        for name in UNREAD_INDEXES:
            cursor.execute(f"DROP INDEX IF EXISTS {name}")
        without = scans(asked)
        for name in UNREAD_INDEXES:
            table, columns = INDEXES[name]
            cursor.execute(f"CREATE INDEX {name} ON {table} {columns}")
        return without - scans(asked)


def test_no_page_call_or_deletion_scans_a_table_for_want_of_them(operator: Client):
    agent = make_history("agent-1")
    for number in range(20):
        make_event(content=f"event {number}", actor_id="agent-1")
    with statements() as asked:
        for address in [*addresses(agent), "/", "/events/", "/events/?q=event", "/api/v1/events"]:
            operator.get(address)
        row = models.Transition.objects.of_agent("agent-1").oldest_first()[3]
        restore.undo(restore.apply(restore.plan("agent-1", f"transition:{row.pk}:after"), by=SYSTEM), by=SYSTEM)
        for table in ("snapshots", "transitions"):
            policy = retention.create(store_alias(), table, None, Limits(keep_seconds=DAY), by=SYSTEM)
            retention.simulate(policy, using=store_alias(), now=NOW + DAY // 2)
            policy = retention.switch(store_alias(), policy.pk, on=True, by=SYSTEM)
            retention.carry_out(policy, store_alias(), by=SYSTEM, now=NOW + DAY)
        for _ in archive.archive_before(store_alias(), NOW + 10 * DAY, by=SYSTEM):
            pass
    assert len(asked) > 100
    assert only_without_the_indexes(asked) == set()


def test_a_query_that_needs_one_is_noticed():
    """The canary."""
    asked: list[Statement] = [("SELECT count(*) FROM events WHERE content = %s", ("x",))]
    assert len(only_without_the_indexes(asked)) == 1
