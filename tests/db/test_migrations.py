"""The migrations make what the orchestrator would make, can be taken back, and depend on no code that may change."""

import ast
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Final

import pytest

from statestore.adoption import schema_detection
from tests.commands import ROOT, manage
from tests.conftest import migrate_into
from tests.foreign import orchestrator
from tests.templates import Templates

pytestmark = [pytest.mark.sqlite, pytest.mark.slow]


STORE: Final = ("migrate", "--database", "store")


def urls(home: Path) -> dict[str, str]:
    return {"STORE_URL": f"sqlite:///{home / 'store.db'}", "DATABASE_URL": f"sqlite:///{home / 'own.db'}"}


def shape(path: Path) -> dict[str, Any]:
    """Return each table's columns, keys and indexes, whatever the spelling of the statements that made them."""
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found: dict[str, Any] = {}
    for table in tables:
        indexes = sorted(row[1:5] for row in connection.execute(f"PRAGMA index_list({table})") if row[1][:5] != "dash_")
        found[table] = {
            "columns": [
                (*column[:4], column[4] and column[4].replace(" ", ""), column[5])
                for column in connection.execute(f"PRAGMA table_info({table})")
            ],
            "foreign keys": sorted(row[2:7] for row in connection.execute(f"PRAGMA foreign_key_list({table})")),
            "indexes": [
                (*index, connection.execute(f"PRAGMA index_xinfo('{index[0]}')").fetchall()) for index in indexes
            ],
        }
    connection.close()
    return found


@pytest.fixture
def migrated(tmp_path: Path, templates: Templates) -> dict[str, str]:
    """Return the URLs of a store and a dashboard database that are migrated whole."""
    made = templates.get("migrated", migrate_into)
    shutil.copy(made / "store.db", tmp_path / "store.db")
    shutil.copy(made / "default.db", tmp_path / "own.db")
    return urls(tmp_path)


def test_an_empty_store_becomes_what_the_orchestrator_would_make(migrated: dict[str, str], tmp_path: Path):
    orchestrator.create(tmp_path / "theirs.db")
    ours, theirs = shape(tmp_path / "store.db"), shape(tmp_path / "theirs.db")
    assert {table: ours[table] for table in theirs if table != "sqlite_sequence"} == {
        table: theirs[table] for table in theirs if table != "sqlite_sequence"
    }
    others = set(ours) - set(theirs)
    assert all(name.startswith("dash_") or name == "django_migrations" for name in others)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        versions = connection.execute("SELECT version, name, description FROM migrations").fetchall()
    with sqlite3.connect(tmp_path / "theirs.db") as connection:
        assert versions == connection.execute("SELECT version, name, description FROM migrations").fetchall()


def test_the_stores_tables_stay_out_of_our_database_and_ours_out_of_the_store(migrated: dict[str, str], tmp_path: Path):
    assert not any(table.startswith(("dash_", "agent", "state_")) for table in shape(tmp_path / "own.db"))
    assert not any(table.startswith(("auth_", "axes_", "django_session")) for table in shape(tmp_path / "store.db"))


def test_every_migration_can_be_taken_back(migrated: dict[str, str], tmp_path: Path):
    manage(migrated, ("migrate", "statestore", "zero", *STORE[1:]), ("migrate", "statestore", "zero"))
    assert set(shape(tmp_path / "store.db")) <= {"django_migrations", "sqlite_sequence"}
    with sqlite3.connect(tmp_path / "own.db") as connection:
        assert connection.execute("SELECT count(*) FROM auth_group").fetchone() == (0,)
    manage(migrated, STORE)


def test_taking_back_while_capture_is_on_leaves_saves_working(migrated: dict[str, str], tmp_path: Path):
    """A trigger without its table would make every save of the orchestrator's fail."""
    manage(migrated, ("capture", "on"), ("migrate", "statestore", "0001", *STORE[1:]))
    with orchestrator.Orchestrator(tmp_path / "store.db") as saving:
        for step in range(2):
            saving.save_agent("a1", f'{{"step": {step}}}')
        assert saving.rows("SELECT state_data FROM agent_states") == [('{"step": 1}',)]
        assert saving.rows("SELECT name FROM sqlite_master WHERE name LIKE 'dash_%'") == []


EARLY_ENTRIES: Final = {
    # noun, verb, detail in the form of the first releases: before, after, reverts
    ("task", "move", '{"status": ["Todo", "Done"]}'): ('{"status": "Todo"}', '{"status": "Done"}', None),
    ("task", "edit", '{"title": ["a", null], "reverts": 1}'): ('{"title": "a"}', '{"title": null}', 1),
    ("session", "create", '{"id": "s", "ended_at": null}'): (None, '{"id": "s", "ended_at": null}', None),
    ("task", "delete", '{"id": "t", "title": "\\u00e9"}'): ('{"id": "t", "title": "\\u00e9"}', None, None),
    ("agent", "status", '{"before": "idle", "after": "paused"}'): (
        '{"status": "idle"}', '{"status": "paused"}', None,
    ),
    ("agent", "restore", '{"restore": "r"}'): (None, None, None),
}  # fmt: skip


def test_edits_of_an_earlier_release_become_columns_and_details_again(migrated: dict[str, str], tmp_path: Path):
    manage(migrated, ("migrate", "statestore", "0010", *STORE[1:]))
    insert = "INSERT INTO dash_audit (at, actor, address, verb, noun, row_id, hash_before, hash_after, detail)"
    with sqlite3.connect(tmp_path / "store.db") as connection:
        for noun, verb, detail in EARLY_ENTRIES:
            connection.execute(f"{insert} VALUES (1, 'ada', '', ?, ?, 'x', '', '', ?)", (verb, noun, detail))
    manage(migrated, STORE)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        columns = connection.execute("SELECT before, after, reverts FROM dash_audit ORDER BY id").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("UPDATE dash_audit SET actor = 'eve'")
    assert columns == list(EARLY_ENTRIES.values())
    manage(migrated, ("migrate", "statestore", "0010", *STORE[1:]))
    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("SELECT noun, verb, detail FROM dash_audit ORDER BY id").fetchall() == list(
            EARLY_ENTRIES
        )


def test_no_more_entries_are_converted_than_the_orchestrator_can_wait_for(migrated: dict[str, str], tmp_path: Path):
    """Older ones keep their details: they are still read, and nothing is lost."""
    manage(migrated, ("migrate", "statestore", "0010", *STORE[1:]))
    edit = ("move", "task", '{"status": ["Todo", "Done"]}')
    insert = "INSERT INTO dash_audit (at, actor, address, verb, noun, row_id, hash_before, hash_after, detail)"
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.executemany(f"{insert} VALUES (1, 'ada', '', ?, ?, 'x', '', '', ?)", [edit] * 5_001)
    manage(migrated, STORE)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        kept = connection.execute("SELECT id, detail FROM dash_audit WHERE before IS NULL").fetchall()
    assert kept == [(1, edit[2])]


@pytest.mark.parametrize("name", schema_detection.our_migrations())
def test_a_migration_imports_nothing_of_the_project_but_its_fields(name: str):
    """A migration that read its SQL from live code would do something else once that code is edited."""
    tree = ast.parse((ROOT / "statestore" / "migrations" / f"{name}.py").read_text())
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            imported.update(f"{package}.{alias.name}" for alias in node.names)
    ours = {name for name in imported if name.startswith((".", "statestore", "descartes_site", "tests"))}
    assert ours <= {"statestore.db.fields"}
