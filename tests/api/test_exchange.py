"""Export and import: lossless, resumable, told line by line."""

import codecs
import gzip
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Busy, ValidationError
from statestore.import_export import Wanted, export_lines, import_lines
from statestore.import_export.codec import FORMAT, line
from statestore.import_export.compression import packed, unpacked_lines, zstd
from statestore.import_export.tables import BY_NAME, TABLES
from statestore.tasks import service as task_service
from tests.api.conftest import Script, script_of
from tests.builders import make_agent, make_event, make_session, make_snapshot, make_task, make_transition
from tests.commands import manage
from tests.conftest import migrate_into
from tests.foreign import population
from tests.templates import Templates

pytestmark = pytest.mark.django_db
NDJSON = "application/x-ndjson"


def whole() -> list[bytes]:
    return list(export_lines(Wanted()))


def emptied() -> None:
    """Delete all rows, edges first."""
    for table in reversed(TABLES):
        table.model.objects.using(store_alias()).all().delete()


def taken(lines: list[bytes], **how: Any) -> Any:
    return import_lines(lines, using=store_alias(), by=SYSTEM, **how)


@pytest.fixture
def rows() -> None:
    """A row of each table, with what is awkward on either database."""
    for number in range(3):
        agent = make_agent(f"a/{number}", namespace="n" if number else "", state='{"big":1e400, "e":"\\u0000é"}')
        make_transition(agent, timestamp=5)
        make_snapshot(agent, expires_at=2**40)
    make_event(content="line\nbreak", metadata="{}")
    make_session("a/1")
    first = make_task("first")
    task_service.save_task(store_alias(), {"title": "second", "dependencies": [first.pk]}, by=SYSTEM)
    snapshot = models.Snapshot.objects.first()
    assert snapshot
    restore.save(restore.plan(snapshot.agent_id, f"snapshot:{snapshot.pk}"), by=SYSTEM)
    restore.apply(restore.plan(snapshot.agent_id, f"snapshot:{snapshot.pk}"), by=SYSTEM)
    restore.fork("a/1", "now", "a/9", by=SYSTEM)
    models.Tombstone.objects.create(agent_id="a/2", at=1, actor="x")
    models.SnapshotExpiry.objects.create(snapshot_id=snapshot.pk, expires_at=2**40)


def test_an_import_of_an_export_gives_an_equal_export(rows: None):
    before = whole()
    assert {json.loads(one).get("table") for one in before[1:-1]} == {table.name for table in TABLES}
    emptied()
    report = taken(before)
    assert (report.is_complete, report.refused_count, report.problem) == (True, 0, "")
    assert whole() == before
    assert sum(report.inserted.values()) == len(before) - 2


def test_an_import_goes_over_itself(rows: None):
    before = whole()
    report = taken(before)
    assert not any(report.inserted.values())
    assert whole() == before


def test_what_was_cut_is_noticed_and_goes_on_when_sent_again(rows: None):
    before = whole()
    emptied()
    report = taken(before[:-4])
    assert not report.is_complete
    assert "truncated" in report.problem
    assert taken(before).is_complete
    assert whole() == before


def test_what_was_changed_on_its_way_is_noticed(rows: None):
    before = whole()
    report = taken([one.replace(b"because", b"BECAUSE") for one in before])
    assert not report.is_complete
    assert "modified" in report.problem


def test_a_dry_run_tells_the_same_and_writes_nothing(rows: None):
    before = whole()
    emptied()
    tried = taken(before, dry_run=True)
    assert len(whole()) == 2
    done = taken(before)
    assert (tried.inserted, tried.updated) == (done.inserted, done.updated)


def test_what_cannot_be_is_left_out_and_told(rows: None):
    before = whole()
    bad = [
        b"no json\n",
        line({"table": "users", "row": {}}),
        line({"table": "events", "row": {"id": "x"}}),
        # An id that is taken under another key: the database refuses it.
        line({"table": "agent_states", "row": _agent(key="other", agent_id="a/1")}),
    ]
    report = taken([*before[:-1], *bad])
    assert [one.line for one in report.refused] == [len(before), len(before) + 1, len(before) + 2, len(before) + 3]
    assert whole() == before
    with pytest.raises(ValidationError, match="not a state store export"):
        taken([b"{}\n"])


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_file_that_windows_programs_wrote_is_the_same_export(mark: bytes, end: bytes):
    make_agent("a1", state='\ufeff{"text": 1}\r\n\r')
    make_event(content="first\r\nsecond\n")
    before = whole()
    emptied()
    report = taken([mark + before[0].replace(b"\n", end), *(each.replace(b"\n", end) for each in before[1:])])
    assert (report.is_complete, report.refused_count, report.problem) == (True, 0, "")
    assert whole() == before


def test_such_a_file_is_taken_by_the_api_too(rows: None, script: Script):
    before = b"".join(whole())
    answer = script("POST", "/import", codecs.BOM_UTF8 + before.replace(b"\n", b"\r\n"), content_type=NDJSON)
    assert (answer.status_code, answer.json()["is_complete"]) == (200, True)


def _agent(**columns: str) -> dict[str, Any]:
    numbers = {"version": 1, "created_at": 1, "updated_at": 1, "is_deleted": 0}
    return {"name": "n", "status": "idle", "metadata": "{}", "state_data": "{}", **numbers, **columns}


@pytest.mark.sqlite
def test_any_bytes_survive_the_way_out_and_in():
    make_agent("a1", state="\udcff\udc80", name="\0")
    store = connections[store_alias()]
    with store.cursor() as cursor:
        cursor.execute("UPDATE agent_states SET status = x'00ff', version = 'one', created_at = '2026-11-22 21:28:06'")
        make_event(content="x")
        cursor.execute("UPDATE events SET timestamp = 1.5, metadata = x''")
    before, raw = whole(), _raw()
    emptied()
    assert taken(before).refused_count == 0
    assert (whole(), _raw()) == (before, raw)


def _raw() -> list[Any]:
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("SELECT typeof(status), hex(status), typeof(version), created_at, hex(state_data), hex(name)"
                       " FROM agent_states")  # fmt: skip
        agents = cursor.fetchall()
        cursor.execute("SELECT typeof(timestamp), timestamp, typeof(metadata) FROM events")
        return [agents, cursor.fetchall()]


def test_one_agent_and_one_namespace_are_exported_alone(rows: None, script: Script):
    lines = list(export_lines(Wanted(agent_id="a/1")))
    agents = {json.loads(one)["row"].get("agent_id") for one in lines[1:-1]}
    assert agents <= {"a/1"}
    inside = script.get("/export?namespace=n&tables=agent_states").getvalue().split(b"\n")
    assert [json.loads(one)["row"]["agent_id"] for one in inside[1:-2]] == ["a/1", "a/2", "a/9"]
    assert script.get("/export?tables=auth_user").status_code == 422


def test_a_token_of_a_namespace_exports_only_that(rows: None, people: dict[str, User]):
    script = script_of(people["administrator"], namespaces=["n"])
    text = script.get("/export").getvalue().decode()
    assert '"agent_id":"a/1"' in text
    assert '"agent_id":"a/0"' not in text
    assert script("POST", "/import", whole()[0], content_type=NDJSON).status_code == 403


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br, zstd, gzip", "zstd"),
        ("", None),
        ("zstd;q=0.1, gzip;q=1.0", "gzip"),
        ("gzip; q=0.5", "gzip"),
        ("*", "zstd"),
        ("*;q=0", None),
        ("gzip;q=0, *", "zstd"),
        ("gzip;q=x", None),
    ],
)
def test_an_export_is_packed_as_the_caller_takes_it(rows: None, script: Script, accepted: str, encoding: str | None):
    answer = script.get("/export", accept_encoding=accepted)
    raw = answer.getvalue()
    assert answer.get("Content-Encoding") == encoding
    plain = gzip.decompress(raw) if encoding == "gzip" else zstd.decompress(raw) if encoding else raw
    assert plain == b"".join(whole())
    sent = {"content_encoding": encoding} if encoding else {}
    report = script("POST", "/import?dry_run=true", raw, content_type=NDJSON, **sent).json()
    assert report["is_complete"]
    assert report["refused_count"] == 0


@pytest.mark.slow
def test_a_small_file_that_unpacks_to_a_huge_line_fills_no_memory(script: Script):
    bomb = gzip.compress(line(FORMAT) + b"x" * (300 * 1024 * 1024), compresslevel=1)
    answer = script("POST", "/import", bomb, content_type=NDJSON, content_encoding="gzip")
    assert answer.status_code == 422
    assert "256 MB" in answer.json()["detail"]


def test_damaged_data_is_refused_in_words(script: Script):
    answer = script("POST", "/import", b"\x1f\x8bnothing", content_type=NDJSON, content_encoding="gzip")
    assert (answer.status_code, "damaged" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", ""])
def test_packing_and_unpacking_are_inverse(encoding: str):
    lines = [line({"n": number, "text": "é" * (number % 50)}) for number in range(5_000)]
    stream = io.BytesIO(b"".join(packed(lines, encoding)))
    assert list(unpacked_lines(stream.read, encoding)) == lines


def test_an_import_is_noted(rows: None):
    taken(whole())
    entry = models.AuditEntry.objects.filter(action="import").get()
    assert entry.noun == "store"


@pytest.fixture
def foreign(tmp_path: Path, templates: Templates) -> Path:
    """An SQLite store as our own migrations make it, with rows that an orchestrator wrote."""
    path = tmp_path / "one.db"
    shutil.copy(templates.get("migrated", migrate_into) / "store.db", path)
    population.populate(path)
    return path


def test_sqlite_to_the_other_database_and_back_is_equal(
    foreign: Path, templates: Templates, tmp_path: Path, on_sqlite: bool
):
    """On PostgreSQL the rows go through the test's own store; on SQLite through a second file."""
    with closing(sqlite3.connect(foreign)) as connection:
        (texts,) = connection.execute("SELECT count(*) FROM events WHERE typeof(created_at) = 'text'").fetchone()
    assert texts, "CURRENT_TIMESTAMP fills in text"
    there, back, again = tmp_path / "there.ndjson", tmp_path / "back.ndjson.zst", tmp_path / "again.ndjson"
    own = {"DATABASE_URL": f"sqlite:///{tmp_path / 'own.db'}"}
    manage({**own, "STORE_URL": f"sqlite:///{foreign}"}, ("export", str(there)))
    report = taken(there.read_bytes().splitlines(keepends=True))
    left_out = {one.line for one in report.refused}
    kept = [
        one for number, one in enumerate(there.read_bytes().splitlines(True)[1:-1], start=2) if number not in left_out
    ]
    # What PostgreSQL cannot hold is told and left out.
    assert on_sqlite is False or not left_out
    assert (report.normalised > 0) is not on_sqlite
    middle = whole()
    assert middle[1:-1] == kept
    back.write_bytes(b"".join(packed(middle, "zstd")))
    shutil.copy(templates.get("migrated", migrate_into) / "store.db", tmp_path / "two.db")
    second = {**own, "STORE_URL": f"sqlite:///{tmp_path / 'two.db'}"}
    manage(second, ("import", "--yes", str(back)), ("export", str(again)))
    assert again.read_bytes() == b"".join(middle)


def _event(event_id: str, created_at: Any) -> bytes:
    given = {"id": event_id, "event_type": "note", "timestamp": 1, "content": "c", "created_at": created_at}
    usual = dict.fromkeys(BY_NAME["events"].columns, "x") | {"metadata": None, "git_commit": None}
    return line({"table": "events", "row": usual | given})


def test_a_time_that_was_text_comes_back_as_text_until_it_changes():
    sent = [_event("e1", {"odd": "2026-01-01 00:00:00"}), _event("e2", {"odd": {"real": (1.5).hex()}}), _event("e3", 7)]
    taken([line(FORMAT), *sent])
    assert models.Event.objects.get(id="e1").created_at == 1_767_225_600
    assert whole()[1:-1] == sent
    models.Event.objects.filter(id="e1").update(created_at=1_767_225_601)
    assert whole()[1] == _event("e1", 1_767_225_601)
    taken([line(FORMAT), *sent])
    assert whole()[1:-1] == sent
    taken([line(FORMAT), _event("e1", 1_767_225_600)])
    assert whole()[1] == _event("e1", 1_767_225_600)


def test_a_number_that_is_none_is_refused_alone_where_it_cannot_be_kept(on_sqlite: bool):
    sent = [_event("e1", 1), _event("e2", {"odd": "soon"}), _event("e3", 3)]
    tried = taken([line(FORMAT), *sent], dry_run=True)
    report = taken([line(FORMAT), *sent])
    assert report.refused == tried.refused
    if on_sqlite:
        assert whole()[1:-1] == sent
    else:
        assert [one.reason for one in report.refused] == [
            "events: created_at is not a number, which PostgreSQL cannot store."
        ]
        assert whole()[1:-1] == [sent[0], sent[2]]


def test_a_text_that_cannot_be_kept_is_refused_alone(on_sqlite: bool):
    sent = [_event("e1", 1), _event("e\0", 2), _event("e3", 3)]
    report = taken([line(FORMAT), *sent])
    assert len(report.refused) == (0 if on_sqlite else 1)
    assert whole()[1:-1] == (sent if on_sqlite else [sent[0], sent[2]])


def test_a_store_that_is_busy_ends_the_import_and_blames_no_row(monkeypatch: pytest.MonkeyPatch):
    def busy(*_: Any, **__: Any) -> None:
        raise Busy("Store is busy.")

    monkeypatch.setattr("statestore.db.bulk.upsert", busy)
    with pytest.raises(Busy):
        taken([line(FORMAT), _event("e1", 1)])
