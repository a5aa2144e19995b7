"""Many rows at once are written as one by one: the last of a key counts, what is kept stays, on both databases."""

import pytest
from django.db import IntegrityError, connections
from django.db import transaction as transactions

from statestore import models
from statestore.db import bulk
from statestore.db.routers import store_alias
from statestore.events import ingest
from tests.builders import NOW

pytestmark = pytest.mark.django_db

FEW, MANY = 3, bulk._COPIED_ROWS + 1


def event(number: int, content: str) -> dict[str, object]:
    return {
        "id": f"{number:032x}", "event_type": "note", "timestamp": NOW, "session_id": "s", "actor_type": "System",
        "actor_id": "test", "content": content,
    }  # fmt: skip


@pytest.mark.parametrize("number", [FEW, MANY])
def test_the_last_of_an_id_counts_and_stands_where_the_first_one_did(number: int):
    events = [event(n, "first") for n in range(number)]
    assert ingest.save_events(store_alias(), [*events, event(0, "again")]) == number + 1
    rows = list(models.Event.objects.order_by("rowid").values_list("content", flat=True))
    assert rows == ["again", *["first"] * (number - 1)]


@pytest.mark.parametrize("number", [FEW, MANY])
def test_a_row_of_the_same_key_keeps_what_is_to_be_kept(number: int):
    using = store_alias()
    ingest.save_events(using, [event(n, "first") for n in range(number)])
    models.Event.objects.update(created_at=7)
    ingest.save_events(using, [event(n, "second, \\ with\ttabs\nand lines, é 😀 \\N") for n in range(number)])
    assert set(models.Event.objects.values_list("content", "created_at")) == {
        ("second, \\ with\ttabs\nand lines, é 😀 \\N", 7)
    }


def test_two_writes_of_one_transaction_do_not_meet():
    with transactions.atomic(using=store_alias()):
        for content in ("first", "second"):
            ingest.save_events(store_alias(), [event(n, content) for n in range(MANY)])
    assert set(models.Event.objects.values_list("content", flat=True)) == {"second"}


def test_a_user_who_may_make_no_temporary_tables_is_noticed():
    using = store_alias()
    if connections[using].vendor == "sqlite":
        assert not bulk._may_copy(using)
        return
    name = connections[using].settings_dict["NAME"]
    with connections[using].cursor() as cursor:
        assert bulk._may_copy(using)
        cursor.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
        cursor.execute("SET LOCAL ROLE pg_monitor")
        assert not bulk._may_copy(using)
        cursor.execute("RESET ROLE")


def test_without_temporary_tables_many_rows_are_written_all_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk, "_may_copy", lambda using: False)
    assert ingest.save_events(store_alias(), [event(n, "first") for n in range(MANY)]) == MANY
    assert models.Event.objects.count() == MANY


@pytest.mark.parametrize("number", [FEW, MANY])
def test_a_row_that_breaks_a_rule_is_an_error_of_the_database_and_nothing_is_written(number: int):
    columns = ("id", "agent_id", "state_data", "created_at")
    rows = [(f"{n}", "a", None if n == 1 else "{}", NOW) for n in range(number)]
    with pytest.raises(IntegrityError), transactions.atomic(using=store_alias()):
        bulk.upsert(store_alias(), "state_snapshots", columns, rows, key="id")
    assert not models.Snapshot.objects.exists()
