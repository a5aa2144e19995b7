"""A store with partitions reads, writes and refuses as one without them, and goes back as it came."""

import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connections, transaction

from statestore import models, partitions
from statestore.access import audit
from statestore.db import bulk, fast_rows, partitioned
from statestore.errors import Conflict, DatabaseError
from statestore.events import ingest
from statestore.models.audit import Action
from statestore.partitions import Month, layout, limits, moving
from tests.builders import NOW, make_event
from tests.partitions.conftest import MONTH, TIMES, ask, rows_of

pytestmark = [pytest.mark.slow]

# What a table looks like to others, whatever it is made of; names of sequences apart.
_LOOKS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute AS a
 WHERE attrelid = '{0}'::regclass AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT indexname, substr(indexdef, strpos(indexdef, ' USING ')), NULL FROM pg_indexes
 WHERE tablename = '{0}' AND indexname NOT LIKE '%pkey'
UNION ALL SELECT tgname, pg_get_triggerdef(oid), NULL FROM pg_trigger
 WHERE tgrelid = '{0}'::regclass AND NOT tgisinternal AND tgname NOT LIKE 'dash_ids%'
UNION ALL SELECT grantee, string_agg(privilege_type, ' ' ORDER BY privilege_type), NULL
  FROM information_schema.role_table_grants WHERE table_name = '{0}' GROUP BY grantee
"""


def looks(using: str) -> list[tuple[object, ...]]:
    return sorted((row for table in layout.TABLES for row in ask(using, _LOOKS.format(table))), key=repr)


def event(event_id: str, at: int = NOW, content: str = "said") -> dict[str, object]:
    return {
        "id": event_id, "event_type": "note", "timestamp": at, "session_id": "s", "actor_type": "System",
        "actor_id": "test", "content": content,
    }  # fmt: skip


def test_every_row_is_as_before_and_in_the_partition_of_its_month(using: str):
    before, looked = rows_of(using), looks(using)
    done = partitions.partition(using, by=audit.SYSTEM)
    assert rows_of(using) == before
    assert looks(using) == looked
    assert done == {"events": len(before["events"]), "state_transitions": len(before["state_transitions"])}
    month = Month.of(NOW)
    assert month is not None
    assert {at for (at,) in ask(using, "SELECT timestamp FROM dash_events_2026_09")} == {
        at for at in TIMES if Month.of(at) == month
    }
    assert {at for (at,) in ask(using, "SELECT timestamp FROM dash_events_other")} >= {-5, 2**62}
    sentences = models.AuditEntry.objects.using(using).with_action(Action.PARTITION).count()
    assert sentences == 2, "one for each table"


def test_rows_go_on_being_counted_from_where_they_were(parted: str):
    last = max(models.Event.objects.values_list("rowid", flat=True))
    assert models.Event.objects.get(pk=make_event().pk).rowid > last


@pytest.mark.parametrize("number", [3, bulk._COPIED_ROWS + 1])
def test_an_event_that_is_sent_again_replaces_itself_also_in_another_month(parted: str, number: int):
    ingest.save_events(parted, [event(f"e{n}", content="first") for n in range(number)])
    rowids = dict(models.Event.objects.filter(event_type="note").values_list("pk", "rowid"))
    again = [event(f"e{n}", NOW - MONTH, "second") for n in range(number)]
    ingest.save_events(parted, [*again, event("e0", NOW - 2 * MONTH, "third"), event("new")])
    found = {row.pk: row for row in models.Event.objects.filter(event_type="note")}
    assert len(found) == number + 1, "None is there twice."
    assert (found["e0"].content, found["e0"].timestamp) == ("third", NOW - 2 * MONTH)
    assert {(found[f"e{n}"].content, found[f"e{n}"].timestamp) for n in range(1, number)} == {("second", NOW - MONTH)}
    assert {pk: row.rowid for pk, row in found.items() if pk != "new"} == rowids, "Each keeps its place."


def test_a_second_row_of_an_id_is_refused_whatever_its_month(parted: str):
    make_event(id="once", timestamp=NOW)
    for at in (NOW, NOW - MONTH, -7):
        with pytest.raises(IntegrityError), transaction.atomic(using=parted):
            make_event(id="once", timestamp=at)
    models.Event.objects.filter(pk="once").delete()
    make_event(id="once", timestamp=NOW - MONTH)
    models.Event.objects.filter(pk="once").update(timestamp=NOW)
    with pytest.raises(IntegrityError), transaction.atomic(using=parted):
        make_event(id="once", timestamp=NOW - MONTH)


def test_rows_that_are_there_stay_where_only_new_ones_are_inserted(parted: str):
    kept = models.Transition.objects.get(pk=f"transition 0 {NOW}")
    given = {"agent_id": "agent-0", "state_before": "{}", "state_after": "{}"}
    rows = [
        models.Transition(id=kept.pk, timestamp=NOW - MONTH, **given),
        models.Transition(id="new", timestamp=NOW, **given),
        models.Transition(id="new", timestamp=NOW - 1, **given),
    ]
    with transaction.atomic(using=parted):
        fast_rows.insert_new(rows, parted)
    assert models.Transition.objects.get(pk=kept.pk).timestamp == NOW
    assert models.Transition.objects.get(pk="new").timestamp == NOW, "the first of an id"


def test_two_that_insert_the_same_event_at_once_leave_one(parted: str):
    """The second one finds no such row, waits for the first at its insertion, and then writes over it."""
    held, done = threading.Event(), []

    def other() -> None:
        held.wait(10)
        ingest.save_events(parted, [event("both", NOW - MONTH, "second")])
        done.append(True)
        connections[parted].close()

    thread = threading.Thread(target=other)
    thread.start()
    with transaction.atomic(using=parted):
        ingest.save_events(parted, [event("both", NOW, "first")])
        held.set()
        thread.join(0.5)
        assert done == [], "It waits for this transaction."
    thread.join(10)
    assert list(models.Event.objects.filter(pk="both").values_list("content", "timestamp")) == [("second", NOW - MONTH)]


def test_without_partitions_again_all_is_as_it_was(using: str):
    before, looked = rows_of(using), looks(using)
    for _ in range(2):
        partitions.partition(using, by=audit.SYSTEM)
        partitions.unpartition(using, by=audit.SYSTEM)
    assert rows_of(using) == before
    assert looks(using) == looked
    assert (
        ask(using, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^dash_(events|state_transitions)_'")
        == []
    )
    assert ask(using, "SELECT proname FROM pg_proc WHERE proname ~ '^dash_.*_(ids|mirror)$'") == []
    last = max(models.Event.objects.values_list("rowid", flat=True))
    assert models.Event.objects.get(pk=make_event().pk).rowid > last
    partitioned.forget(connections[using])
    ingest.save_events(using, [event("e", NOW), event("e", NOW - MONTH)])
    assert models.Event.objects.filter(pk="e").count() == 1


def test_what_other_programs_gave_the_table_stays_with_it(using: str):
    connections[using].cursor().execute(
        "CREATE ROLE writer; GRANT SELECT, INSERT ON events TO writer; GRANT SELECT ON state_transitions TO PUBLIC;"
        " CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER noted AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION noted();"
        " CREATE INDEX of_theirs ON events (git_commit) WHERE git_commit IS NOT NULL"
    )
    try:
        looked = looks(using)
        partitions.partition(using, by=audit.SYSTEM)
        assert looks(using) == looked
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute("SET LOCAL ROLE writer")
            cursor.execute(
                "INSERT INTO events (id, event_type, timestamp, session_id, actor_type, actor_id, content, created_at)"
                " VALUES ('theirs', 't', 1, 's', 'User', 'u', 'c', 1)"
            )
            cursor.execute("RESET ROLE")
        assert models.Event.objects.filter(pk="theirs").exists()
    finally:
        connections[using].cursor().execute("DROP OWNED BY writer; DROP ROLE writer")


def test_a_view_of_another_program_is_named_and_nothing_is_changed(using: str):
    connections[using].cursor().execute("CREATE VIEW newest AS SELECT * FROM events")
    with pytest.raises(Conflict, match="needed by the view newest"):
        partitions.partition(using, by=audit.SYSTEM)
    assert ask(using, "SELECT to_regclass('dash_events_copy'), to_regclass('dash_events_ids')") == [(None, None)]


def test_a_copy_that_differs_never_takes_the_place_of_the_table(using: str, monkeypatch: pytest.MonkeyPatch):
    """The canary: with a broken mirror, the comparison finds it, and --undo removes the copy."""
    compare = moving._compare_chunk

    def broken(cursor: Any, table: str) -> object:
        cursor.execute(f"UPDATE dash_{table}_copy SET metadata = 'torn' WHERE id LIKE '% 1 -5'")
        return compare(cursor, table)

    monkeypatch.setattr(moving, "_compare_chunk", broken)
    before = rows_of(using)
    with pytest.raises(DatabaseError, match="differs"):
        partitions.partition(using, by=audit.SYSTEM)
    assert not partitions.is_partitioned(using, "events")
    partitions.unpartition(using, by=audit.SYSTEM)
    assert rows_of(using) == before
    assert ask(using, "SELECT to_regclass('dash_events_copy'), to_regclass('dash_events_ids')") == [(None, None)]
    make_event()


def test_a_second_run_makes_the_coming_months_and_moves_what_came_before_them(
    parted: str, monkeypatch: pytest.MonkeyPatch
):
    later = NOW + 8 * MONTH
    make_event(id="early", timestamp=later)
    assert ("early",) in ask(parted, "SELECT id FROM dash_events_other")
    monkeypatch.setattr(models, "now", lambda: later)
    assert partitions.partition(parted, by=audit.SYSTEM) == {}, "No row is copied again."
    month = Month.of(later)
    assert month is not None
    assert month.following.following in partitions.months_of(parted, "state_transitions")
    assert ask(parted, f"SELECT id FROM dash_events_{month.year}_{month.number:02d}") == [("early",)]
    assert partitions.make_coming(parted, later) == 0
    with pytest.raises(IntegrityError), transaction.atomic(using=parted):
        make_event(id="early", timestamp=NOW)


def test_no_more_months_are_made_than_a_server_can_lock(using: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MOST_MONTHS", 4)
    before = rows_of(using)
    partitions.partition(using, by=audit.SYSTEM)
    assert len(partitions.months_of(using, "events")) >= 4
    assert rows_of(using) == before


def test_the_command_asks_tells_and_takes_back(using: str):
    with pytest.raises(CommandError, match="no terminal to confirm on"):
        call_command("partition")
    said = StringIO()
    call_command("partition", yes=True, stdout=said, stderr=StringIO())
    assert "events: 27 rows were copied and compared. It has partitions of" in said.getvalue()
    call_command("partition", yes=True, undo=True, stdout=said, stderr=StringIO())
    assert "It has no partitions." in said.getvalue()


def test_sqlite_has_no_partitions(tmp_path: Any, settings: Any):
    from statestore.transfer.places import store_at

    with store_at(tmp_path / "store.db") as alias, pytest.raises(Conflict, match="stores on PostgreSQL"):
        partitions.partition(alias, by=audit.SYSTEM)
