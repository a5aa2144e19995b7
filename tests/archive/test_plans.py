"""With an archive, pages still walk the indexes: SQLite reads both tables in order, and sorts no more than a page."""

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import archive, models
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from tests.archive.test_answers import DAY, NOW, addresses, make_history

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def sorted_in_memory(sql: str) -> bool:
    """Return whether SQLite would read all that a query matches in both tables, and sort it."""
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql.replace('%', '%%')}")
        steps = [row[3] for row in cursor.fetchall()]
    return any(step.startswith("CO-ROUTINE state_") for step in steps) and any(
        "TEMP B-TREE FOR ORDER BY" in step for step in steps
    )


def test_no_page_sorts_the_archive(operator: Client):
    for number in range(3):
        make_history(f"agent-{number}")
    for _ in archive.archive_before(store_alias(), NOW + 10 * DAY, by=SYSTEM):
        pass
    agent = models.AgentState.objects.get(agent_id="agent-1")
    slow = []
    for address in [*addresses(agent), "/", "/upkeep/", "/restores/"]:
        with CaptureQueriesContext(connections[store_alias()]) as asked:
            operator.get(address)
        read = [query["sql"] for query in asked.captured_queries if "dash_archived" in query["sql"]]
        slow += [f"{address}: {sql}" for sql in read if sql.startswith("SELECT") and sorted_in_memory(sql)]
    assert slow == []
