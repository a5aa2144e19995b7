"""What live code takes the store's schema to be is what the migrations, which repeat it as literals, make."""

import importlib
import sqlite3
from typing import Any

import pytest
from django.db import connections

from statestore.access.audit import SYSTEM
from statestore.agents import capture
from statestore.db import orchestrator_schema as schema
from statestore.db.routers import store_alias
from statestore.import_export import original_types, tables
from statestore.search.fts import change_log

pytestmark = pytest.mark.django_db

OBJECTS = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type IN ('table', 'index')"


@pytest.fixture
def sqlite_alone(on_sqlite: bool) -> None:
    if not on_sqlite:
        pytest.skip("about SQLite's schema")


@pytest.fixture
def postgres_alone(on_sqlite: bool) -> None:
    if on_sqlite:
        pytest.skip("about PostgreSQL's schema")


def rows(sql: str) -> list[Any]:
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def definitions(objects: list[Any]) -> dict[str, str]:
    """Return {name: SQL} of the orchestrator's tables and the indexes on them, without needless white space."""
    return {name: " ".join((sql or "").split()) for name, table, sql in objects if table in schema.TABLES}


@pytest.mark.usefixtures("sqlite_alone")
def test_sqlite_has_the_tables_and_indexes_that_adoption_and_the_doctor_expect():
    described = sqlite3.connect(":memory:")
    for statement in (
        *schema.create_statements(),
        *map(schema.create_index, schema.OWN_INDEXES),
    ):
        described.execute(statement)
    assert definitions(rows(OBJECTS)) == definitions(described.execute(OBJECTS).fetchall())
    described.close()


@pytest.mark.usefixtures("sqlite_alone")
def test_sqlite_has_the_triggers_that_the_search_index_relies_on():
    triggers = rows("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'")
    assert {name for (name,) in triggers} == set(change_log.TRIGGERS)


def test_the_orchestrators_migrations_are_noted_as_the_doctor_expects():
    noted = rows("SELECT version, name, description FROM migrations ORDER BY version")
    assert noted == list(schema.ORCHESTRATOR_MIGRATIONS)


def postgres_columns(table: str) -> list[tuple[str, str]]:
    """Return the names and types of a table's columns: SQLite's, and those that PostgreSQL needs besides."""
    types = {"INTEGER": "bigint", "TEXT": "text"}
    columns = [(name, types[schema.column_definition(table, name).split()[1]]) for name in schema.columns(table)]
    exported = tables.BY_NAME.get(table)
    if exported and exported.has_rowid:
        columns.append(("rowid", "bigint"))
    if exported and original_types.are_kept(exported, store_alias()):
        columns.append((original_types.COLUMN, "text"))
    return columns


@pytest.mark.usefixtures("postgres_alone")
def test_postgresql_has_the_columns_that_live_code_expects():
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in rows(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
    ):
        found.setdefault(table, []).append((column, kind))
    expected = {table: postgres_columns(table) for table in schema.TABLES}
    assert {table: found.get(table) for table in schema.TABLES} == expected


@pytest.mark.usefixtures("postgres_alone")
def test_postgresql_has_the_indexes_of_sqlite_but_one():
    found = rows("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname LIKE 'idx_%'")
    # An index entry of PostgreSQL's is too small for the content of long events.
    assert {name for (name,) in found} == set(schema.INDEXES) - {"idx_events_content_search"}


def test_taking_the_time_machine_back_takes_the_triggers_of_capture_away(on_sqlite: bool):
    migration = importlib.import_module("statestore.migrations.0004_time_machine")
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'dash_capture%'"
        if on_sqlite
        else "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'dash_capture%'"
        " UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'dash_capture%'"
    )
    capture.switch_on(by=SYSTEM)
    assert rows(names)
    with connections[store_alias()].cursor() as cursor:
        for statement in migration.DROP_SQLITE_CAPTURE if on_sqlite else migration.DROP_POSTGRES_CAPTURE:
            cursor.execute(statement)
    assert rows(names) == []
