"""An orchestrator's agent history is imported as events and snapshots."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from statestore import models
from statestore.adoption import probe_process
from statestore.db.routers import store_alias
from statestore.operations import doctor
from tests.stores import execute

pytestmark = pytest.mark.django_db

EVENT, LATER, SNAPSHOT, BARE = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(4))
TABLES = (
    "CREATE TABLE agent_history_events (event_id TEXT PRIMARY KEY NOT NULL, agent_id TEXT NOT NULL, timestamp INTEGER"
    " NOT NULL, event_type TEXT NOT NULL, event_data TEXT NOT NULL, git_commit_hash TEXT, session_id TEXT,"
    " parent_event_id TEXT, tags TEXT, metadata TEXT, created_at INTEGER NOT NULL)",
    "CREATE TABLE history_snapshots (snapshot_id TEXT PRIMARY KEY NOT NULL, agent_id TEXT NOT NULL, timestamp INTEGER"
    " NOT NULL, git_commit TEXT, description TEXT, metadata TEXT, agent_state TEXT, created_at INTEGER NOT NULL)",
)
ROWS = (
    f"INSERT INTO agent_history_events VALUES ('{EVENT}', 'coder', 1790000000, 'tool_use', '{{\"tool\": \"ls\"}}',"
    " 'abc123', 's1', NULL, '[\"slow\"]', '{\"n\": 1}', 1790000001)",
    f"INSERT INTO agent_history_events VALUES ('{LATER}', 'coder', 1790000002, 'thought', x'ff', NULL, NULL,"
    f" '{EVENT}', '[]', NULL, 1790000003)",
    f"INSERT INTO history_snapshots VALUES ('{SNAPSHOT}', 'coder', 1790000004, 'abc123', 'before', NULL,"
    " '{\"a\":  1}', 1790000005)",
    f"INSERT INTO history_snapshots VALUES ('{BARE}', 'coder', 1790000006, NULL, 'events', NULL, NULL, 1790000007)",
)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "history #1.db"
    execute(path, *TABLES, *ROWS)
    return path


def imported(path: Path, **options: Any) -> str:
    out = StringIO()
    call_command("import", str(path), yes=True, stdout=out, **options)
    return out.getvalue()


@pytest.mark.sqlite
def test_its_events_and_snapshots_become_ours(history: Path):
    assert "2 inserted" in imported(history)
    event, later = models.Event.objects.order_by("timestamp")
    assert (event.pk, event.event_type, event.actor_type, event.actor_id) == (EVENT, "tool_use", "Agent", "coder")
    assert (event.content, event.session_id, event.git_commit) == ('{"tool": "ls"}', "s1", "abc123")
    assert json.loads(str(event.metadata)) == {"tags": ["slow"], "metadata": {"n": 1}}
    assert (later.content, later.session_id) == ("\udcff", "")
    assert json.loads(str(later.metadata)) == {"parent_event_id": EVENT}
    (snapshot,) = models.Snapshot.objects.all()
    assert (snapshot.pk, snapshot.state_data, int(snapshot.created_at)) == (SNAPSHOT, '{"a":  1}', 1790000004)
    assert snapshot.description == "before — commit abc123"
    assert "2 overwritten" in imported(history)


def test_a_dry_run_writes_nothing(history: Path):
    assert "would be inserted" in imported(history, dry_run=True)
    assert not models.Event.objects.exists()


def test_a_view_that_poses_as_the_history_is_not_read(tmp_path: Path):
    path = tmp_path / "history.db"
    execute(path, "CREATE VIEW agent_history_events AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS event_id FROM n")  # fmt: skip
    with pytest.raises(CommandError, match="not a state store export"):
        imported(path)


def test_a_damaged_history_is_named(history: Path):
    raw = bytearray(history.read_bytes())
    raw[4096:8192] = b"\xff" * 4096
    history.write_bytes(raw)
    with pytest.raises(CommandError, match="cannot be read"):
        imported(history)


def test_a_file_with_nothing_else_is_not_adopted_but_offered(history: Path):
    refusal = probe_process.inspect(history, stopped=False)["refusal"]
    assert "`manage.py import` takes the agent history in it into a store" in refusal


@pytest.mark.sqlite
def test_the_doctor_offers_a_history_in_the_store_itself():
    def titles() -> list[str]:
        return [finding.title for finding in doctor.examine(store_alias(), thorough=False)]

    assert "The file has an agent history, which is not shown" not in titles()
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(TABLES[0])
    assert "The file has an agent history, which is not shown" in titles()


def test_reading_leaves_the_file_as_it_is(history: Path):
    before = history.read_bytes()
    imported(history, dry_run=True)
    assert history.read_bytes() == before
