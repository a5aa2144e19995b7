"""Many rows at once are written as one by one: the last of a key counts, what is kept stays, on both databases."""

from collections.abc import Sequence

import pytest
from django.db import IntegrityError, connections
from django.db import transaction as transactions

from statestore import models
from statestore.db import bulk, partitioned
from statestore.db.routers import store_alias
from statestore.events import ingest
from statestore.models.rows import is_uuid
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


@pytest.mark.parametrize("number", [FEW, MANY])
def test_new_events_are_written_beside_those_that_are_sent_again(number: int):
    ingest.save_events(store_alias(), [event(n, "first") for n in range(number)])
    ingest.save_events(store_alias(), [event(n, "second") for n in range(number - 1, number * 2)])
    contents = models.Event.objects.order_by("id").values_list("content", flat=True)
    assert list(contents) == ["first"] * (number - 1) + ["second"] * (number + 1)


def test_a_row_that_another_process_inserts_after_the_look_up_is_written_over(monkeypatch: pytest.MonkeyPatch):
    using, insert = store_alias(), bulk.insert
    if connections[using].vendor == "sqlite" or partitioned.may_be(connections[using], bulk.EVENTS):
        pytest.skip("SQLite has one writer at a time, and partitions have tests of their own.")
    ingest.save_events(using, [event(n, "first") for n in range(MANY)])
    ids = models.Event.objects.filter(content="first")

    def insert_after_the_other(using: str, table: str, columns: Sequence[str], rows: bulk.Rows) -> None:
        assert not ids.exists(), "the look-up met the rows: nothing was tried"
        insert(using, table, columns, theirs)
        insert(using, table, columns, rows)

    columns = ("id", *ingest.COLUMNS, "created_at")
    theirs = list(ids.values_list(*columns))
    ids.delete()
    monkeypatch.setattr(bulk, "insert", insert_after_the_other)
    ingest.save_events(using, [event(n, "second") for n in range(MANY)])
    assert set(models.Event.objects.values_list("content", flat=True)) == {"second"}
    assert models.Event.objects.count() == MANY


def test_events_whose_ids_are_made_here_are_copied_without_a_look_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk, "_insert_new", None)
    monkeypatch.setattr(bulk, "_write_looked_up", None)
    events = [{name: value for name, value in event(n, "new").items() if name != "id"} for n in range(MANY)]
    done = ingest.ingest(store_alias(), events)
    assert done.saved == MANY
    assert set(models.Event.objects.values_list("id", flat=True)) == set(done.ids)
    assert all(is_uuid(str(made)) for made in done.ids), "an orchestrator reads them"


def test_a_transaction_that_copies_events_gives_the_trigram_indexes_memory_and_no_other_does():
    using = store_alias()
    if connections[using].vendor == "sqlite":
        pytest.skip("SQLite has no trigram indexes.")

    def memory() -> str:
        with connections[using].cursor() as cursor:
            cursor.execute("SHOW work_mem")
            return str(cursor.fetchone()[0])

    with transactions.atomic(using=using):
        ingest.save_events(using, [event(n, "first") for n in range(FEW)])
        assert memory() == "4MB", "few events are not copied"
        ingest.save_events(using, [event(n, "first") for n in range(FEW, MANY * 2)])
        assert memory() == "32MB"
        with connections[using].cursor() as cursor:
            cursor.execute("SET LOCAL work_mem = '64MB'")
        ingest.save_events(using, [event(n, "first") for n in range(MANY * 2, MANY * 3)])
        assert memory() == "64MB", "what the server has set higher stays"


def test_each_trigram_index_of_events_collects_eight_megabytes():
    using = store_alias()
    if connections[using].vendor == "sqlite":
        pytest.skip("SQLite has no trigram indexes.")
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT reloptions FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid"
            " WHERE relname LIKE 'dash_events_%' AND pg_get_indexdef(indexrelid) LIKE '%USING gin%'"
        )
        found = [options for (options,) in cursor.fetchall()]
    assert len(found) >= 3, "those of partitions too"
    assert all(options == ["gin_pending_list_limit=8192"] for options in found)


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
