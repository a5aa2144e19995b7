"""Edits of tasks taken back, in any order and more than once, leave what the naive table has."""

from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from statestore import models
from statestore.access import audited_rows
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Conflict, NotFound
from statestore.tasks import edits
from statestore.tasks import service as task_service
from tests.examples import thoroughly_on_the_store
from tests.oracles.edits import Refused, Table

pytestmark = pytest.mark.django_db
BLANK = {"title": "new", "status": "Todo", "description": None}
COLUMNS = st.sampled_from(
    [
        ("title", "a"),
        ("title", "b"),
        ("status", "Done"),
        ("status", "Todo"),
        ("description", "x"),
        ("description", None),
    ]
)
ids = st.sampled_from(["t1", "t2"])
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("save"), ids, COLUMNS),
        st.tuples(st.just("save"), ids, COLUMNS),
        st.tuples(st.just("delete"), ids, st.none()),
        st.tuples(st.just("take back"), st.integers(0, 7), st.none()),
        st.tuples(st.just("take back"), st.integers(0, 7), st.none()),
    ),
    max_size=9,
)


@thoroughly_on_the_store
@given(deeds)
def test_what_is_taken_back_leaves_what_the_naive_table_has(drawn: list[tuple[str, Any, Any]]):
    models.Task.objects.all().delete()
    # The audit log cannot be emptied: what earlier examples did is left out.
    table, older = Table(), models.AuditEntry.objects.count()
    for deed, what, column in drawn:
        if deed == "save":
            columns = BLANK | dict([column]) if what not in table.rows else dict([column])
            task_service.save_task(store_alias(), {"id": what, **columns}, by=SYSTEM)
            table.write(what, (table.rows.get(what) or BLANK) | columns)
        elif deed == "delete" and what in table.rows:
            audited_rows.delete(store_alias(), models.Task.objects.get(pk=what), by=SYSTEM)
            table.write(what, None)
        elif deed == "take back" and table.log:
            number = what % len(table.log)
            assert taken_back(older + number) == naively_taken_back(table, number)
        assert rows() == table.rows
        assert models.AuditEntry.objects.count() == older + len(table.log)


def taken_back(number: int) -> bool:
    """Take back an edit by its place in the audit log, and return whether it could be."""
    entry = models.AuditEntry.objects.order_by("pk")[number]
    try:
        # A savepoint: all examples are in one transaction.
        with transaction.atomic(store_alias()):
            edits.revert(entry, by=SYSTEM)
    except (Conflict, NotFound):
        return False
    return True


def naively_taken_back(table: Table, number: int) -> bool:
    try:
        table.take_back(number)
    except Refused:
        return False
    return True


def rows() -> dict[str, dict[str, Any]]:
    return {task.pk: {column: getattr(task, column) for column in BLANK} for task in models.Task.objects.all()}
