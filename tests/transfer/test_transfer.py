"""A store that moves between SQLite and PostgreSQL is the same store afterwards."""

import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from statestore import history, transfer
from statestore.access import audit_chain
from statestore.adoption.status import forget_store_status, store_status
from statestore.adoption.temporary_store import database_at, store_at
from statestore.backups import sqlite_copy
from statestore.db import bulk
from statestore.db.routers import chosen
from statestore.errors import Conflict, DatabaseError
from statestore.store import StateStore
from statestore.transfer import moving
from tests.builders import make_agent, make_event
from tests.stores import adopt_by_command, execute, fingerprint, make_store
from tests.transfer.conftest import Database, fill, migrated, rows, sqlite_url

pytestmark = pytest.mark.slow


def rows_at(place: str) -> dict[str, list[dict[str, Any]]]:
    with database_at(place) as alias, chosen(alias):
        return rows(alias)


def rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    with store_at(path) as alias:
        return rows(alias)


def order_of_insertion(alias: str) -> list[str]:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT id FROM state_transitions ORDER BY rowid")
        return [row[0] for row in cursor.fetchall()]


def test_a_store_goes_to_postgresql_and_comes_back_with_each_row_as_it_was(
    origin: Path, database: Database, tmp_path: Path
):
    place, back = database(), tmp_path / "back.db"
    there = transfer.transfer(sqlite_url(origin), place)
    home = transfer.transfer(place, sqlite_url(back))
    assert there.contents == home.contents
    assert rows_of(back) == rows_of(origin)
    with store_at(origin) as first:
        before = order_of_insertion(first)
    with store_at(back) as second:
        assert order_of_insertion(second) == before


@pytest.mark.django_db(databases=["default"])
def test_the_copy_is_a_store_that_goes_on(origin: Path, database: Database):
    place = database()
    transfer.transfer(sqlite_url(origin), place)
    with database_at(place) as alias, chosen(alias):
        forget_store_status()
        assert store_status(alias).is_ready
        store = StateStore(using=alias)
        assert store.load_agent_state("agent-1").state_data == '{"step": 3}'
        store.save_agent_state("agent-1", '{"step": 4}')
        store.save_event({
            "event_type": "note", "session_id": "s", "actor_type": "Agent", "actor_id": "agent-1", "content": "after",
        })  # fmt: skip
        assert audit_chain.verify(alias).faults == []
        records, _ = history.timeline("agent-2", limit=50)
        assert len(records) > 12


def test_the_copy_has_all_indexes(origin: Path, database: Database):
    place, fresh = database(), database()
    transfer.transfer(sqlite_url(origin), place)
    with database_at(fresh) as alias, chosen(alias):
        call_command("migrate", database=alias, verbosity=0)
        expected = index_definitions(alias)
    with database_at(place) as alias:
        assert index_definitions(alias) == expected


def index_definitions(alias: str) -> list[str]:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
        return [row[0] for row in cursor.fetchall()]


def test_two_stores_in_two_schemas_of_one_database_are_not_mixed(origin: Path, database: Database, tmp_path: Path):
    first = database("alpha")
    second = database("beta", within=first.rpartition("/")[2].partition("?")[0])
    other = tmp_path / "other.db"
    with migrated(other) as alias:
        fill(alias, agents=1)
    transfer.transfer(sqlite_url(origin), first)
    transfer.transfer(sqlite_url(other), second)
    assert rows_at(first) == rows_of(origin)
    assert rows_at(second) == rows_of(other)


def test_an_orchestrators_file_is_read_and_left_as_it_was(database: Database, tmp_path: Path):
    folder = tmp_path / "orchestrator"
    folder.mkdir()
    path = make_store(folder / "store.db")
    adopt_by_command(path)
    execute(path, "CREATE TABLE leases (id INTEGER)", "UPDATE events SET created_at = '2026-11-28 08:00:00'")
    before = fingerprint(folder)
    out = StringIO()
    place = database()
    call_command("transfer", sqlite_url(path), place, stdout=out)
    assert fingerprint(folder) == before
    assert "Not copied, being no tables of a store: leases." in out.getvalue()
    with database_at(place) as alias, connections[alias].cursor() as cursor:
        cursor.execute("SELECT DISTINCT created_at FROM events")
        assert cursor.fetchall() == [(1_795_852_800,)]
    transfer.transfer(place, sqlite_url(tmp_path / "back.db"))
    assert rows_of(tmp_path / "back.db") == rows_of(path)


def test_a_large_file_in_rollback_mode_waits_until_the_orchestrator_is_stopped(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = make_store(tmp_path / "store.db")
    adopt_by_command(path)
    monkeypatch.setattr(sqlite_copy, "BLOCKING_SECONDS", -1.0)
    place = database()
    with pytest.raises(CommandError, match="Stop the orchestrator and add --stopped"):
        call_command("transfer", sqlite_url(path), place)
    call_command("transfer", sqlite_url(path), place, stopped=True, stdout=StringIO())
    assert len(rows_at(place)["events"]) == len(rows_of(path)["events"]) > 0


class Stopped(Exception):
    """The transfer was stopped on purpose."""


@pytest.mark.parametrize("chunks", [1, 4, 20])
def test_a_transfer_that_was_stopped_goes_on_with_what_the_source_has_now(
    origin: Path, database: Database, monkeypatch: pytest.MonkeyPatch, chunks: int
):
    monkeypatch.setattr(moving, "_CHUNK_ROWS", 7)
    place, left = database(), chunks

    def stop(table: str, count: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Stopped

    with pytest.raises(Stopped):
        transfer.transfer(sqlite_url(origin), place, progress=stop)
    with database_at(place) as alias, chosen(alias):
        forget_store_status()
        assert store_status(alias).state == "half filled"
    with store_at(origin) as alias:
        store = StateStore(using=alias)
        store.save_agent_state("agent-0", '{"step": 99}')
        make_agent("agent-late")
        make_event(content="late")
    execute(origin, "DELETE FROM events WHERE content LIKE 'said 2%'", "DELETE FROM task_dependencies")
    transfer.transfer(sqlite_url(origin), place)
    assert rows_at(place) == rows_of(origin)
    forget_store_status()


def test_numbers_that_were_something_else_come_back_as_they_were(origin: Path, database: Database, tmp_path: Path):
    place, back = database(), tmp_path / "back.db"
    execute(
        origin, "UPDATE events SET timestamp = 'soon' WHERE content LIKE 'said 5%'",
        "UPDATE events SET timestamp = 1.5 WHERE content LIKE 'said 6%'",
        "UPDATE events SET timestamp = x'00ff' WHERE content LIKE 'said 7%'",
    )  # fmt: skip
    transfer.transfer(sqlite_url(origin), place)
    transfer.transfer(place, sqlite_url(back))
    assert rows_of(back) == rows_of(origin)


def test_a_number_that_was_changed_meanwhile_is_no_longer_what_it_was(origin: Path, database: Database, tmp_path: Path):
    place, back = database(), tmp_path / "back.db"
    execute(origin, "UPDATE events SET timestamp = '2026-11-28 08:00:00'")
    transfer.transfer(sqlite_url(origin), place)
    with database_at(place) as alias, connections[alias].cursor() as cursor:
        cursor.execute("UPDATE events SET timestamp = 7")
    transfer.transfer(place, sqlite_url(back))
    assert {row["timestamp"] for row in rows_of(back)["events"]} == {7}


def test_a_text_that_was_a_blob_is_counted(origin: Path, database: Database):
    execute(origin, "UPDATE events SET content = CAST(content AS BLOB) WHERE content LIKE 'said 5%'")
    place = database()
    assert transfer.transfer(sqlite_url(origin), place).converted == 4


def test_a_database_that_is_not_empty_is_refused_and_stays(origin: Path, database: Database, tmp_path: Path):
    place = database()
    with database_at(place) as alias, connections[alias].cursor() as cursor:
        cursor.execute("CREATE TABLE invoices (id integer)")
    with pytest.raises(Conflict, match=r"is not empty\. Nothing was changed"):
        transfer.transfer(sqlite_url(origin), place)
    file, filled = tmp_path / "taken.db", database()
    transfer.transfer(sqlite_url(origin), filled)
    execute(file, "CREATE TABLE invoices (id INTEGER)")
    before = file.read_bytes()
    with pytest.raises(Conflict, match=r"is not empty\. Nothing was changed"):
        transfer.transfer(filled, sqlite_url(file))
    assert file.read_bytes() == before


def test_a_half_filled_database_takes_rows_from_its_own_source_alone(origin: Path, database: Database, tmp_path: Path):
    place, other = database(), tmp_path / "other.db"
    with migrated(other) as alias:
        fill(alias, agents=1)

    def stop(table: str, count: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        transfer.transfer(sqlite_url(origin), place, progress=stop)
    with pytest.raises(Conflict, match=f"half filled from {origin}"):
        transfer.transfer(sqlite_url(other), place)
    with pytest.raises(DatabaseError, match="being filled by another transfer"):
        transfer.transfer(place, sqlite_url(tmp_path / "third.db"))
    assert not (tmp_path / "third.db").exists()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE events SET content = 'a' || char(0) WHERE content LIKE 'said 5%'", "A text has NUL characters"),
        ("UPDATE events SET content = CAST(x'ff41' AS TEXT) WHERE content LIKE 'said 5%'", "invalid UTF-8"),
        ("UPDATE dash_restore SET at = 'soon'", "dash_restore, row .*: soon is no whole number"),
        ("INSERT INTO task_dependencies (task_id, depends_on_task_id) VALUES ('gone', 'away')", "task_dependencies: "),
    ],
)
def test_a_row_that_postgresql_cannot_hold_is_named_and_once_mended_the_transfer_goes_on(
    origin: Path, database: Database, statement: str, words: str
):
    place, copy = database(), origin.with_name("before.db")
    copy.write_bytes(origin.read_bytes())
    execute(origin, statement)
    with pytest.raises(DatabaseError, match=words):
        transfer.transfer(sqlite_url(origin), place)
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(origin)) as target:
        source.backup(target)
    transfer.transfer(sqlite_url(origin), place)
    assert rows_at(place) == rows_of(origin)


def test_a_copy_that_differs_is_no_store(origin: Path, database: Database, monkeypatch: pytest.MonkeyPatch):
    insert, place = bulk.insert, database()

    def insert_less(using: str, table: str, columns: Any, rows: Any) -> None:
        insert(using, table, columns, rows[:-1] if table == "events" else rows)

    monkeypatch.setattr(bulk, "insert", insert_less)
    with pytest.raises(DatabaseError, match=r"The copy differs: The table events has 47 rows instead of 48"):
        transfer.transfer(sqlite_url(origin), place)
    with database_at(place) as alias, chosen(alias):
        forget_store_status()
        assert store_status(alias).state == "half filled"


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("sqlite:////nowhere/store.db", "postgres://nowhere/copy", "/nowhere/store.db does not exist"),
        ("store.db", "copy.db", "FROM and TO are places of stores: use sqlite:////absolute/path or postgres://"),
    ],
)
def test_a_place_that_is_none_is_named(source: str, target: str, words: str):
    with pytest.raises(CommandError, match=words):
        call_command("transfer", source, target)


def test_a_file_that_is_not_adopted_is_refused(database: Database, tmp_path: Path):
    path = make_store(tmp_path / "store.db")
    with pytest.raises(DatabaseError, match=r"is no store of this release.* Run `manage\.py adopt"):
        transfer.transfer(sqlite_url(path), database())


def test_a_pooler_of_transactions_is_refused(origin: Path, database: Database):
    with pytest.raises(Conflict, match=r"behind a pooler.* Name the server itself"):
        transfer.transfer(sqlite_url(origin), f"{database()}?pooler=transaction")


def test_a_file_goes_to_a_file_as_a_backup(origin: Path, tmp_path: Path):
    copy = tmp_path / "copy.db"
    with pytest.raises(Conflict, match=r"Both are SQLite files.*manage\.py backup"):
        transfer.transfer(sqlite_url(origin), sqlite_url(copy))
    assert not copy.exists()
