"""Which schema a file has, judged by tables and columns; a table's name proves nothing."""

import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from descartes_site.locations import COMMAND
from statestore.db import orchestrator_schema as schema

VERSION_5: Final = "version 5"
VERSION_4: Final = "version 4"
INIT: Final = "the init layout"
NOTHING: Final = "nothing"
UNKNOWN: Final = "another program's file"

# What version 5 added to the tables of version 4, and to those that `descartes init` makes.
_ADDED_IN_5: Final = {"tasks": {"priority", "complexity", "dependencies"}}
_ADDED_TO_INIT: Final = {"tasks": _ADDED_IN_5["tasks"] | {"created_timestamp"}, "events": {"created_at"}}
_INIT_AGENTS: Final = {"id", "name", "status", "model_backend", "started_at", "completed_at", "task", "metadata"}

_HISTORY_OFFER: Final = f". `{COMMAND} import` takes the agent history in it into a store"

Shape = Mapping[str, str]


class Executes(Protocol):
    """An SQLite connection or cursor, as far as reading it goes."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...


class SchemaObject(NamedTuple):
    """A row of sqlite_master without its page number: two equal lists of them are two equal schemas."""

    type: str
    name: str
    table: str
    sql: str | None


class Recognised(NamedTuple):
    """The detected schema. With differences it cannot be adopted."""

    layout: str
    differences: tuple[str, ...] = ()


def read_objects(connection: Executes) -> list[SchemaObject]:
    """Return the whole schema, sorted. SQLite's own statistics tables come and go by themselves and are left out."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return sorted((SchemaObject(*row) for row in rows if not row[2].startswith("sqlite_stat")), key=lambda o: o[:3])


def is_ours(name: str) -> bool:
    """Return whether a schema object has a name that only this dashboard uses."""
    return name.startswith("dash_") or name == "django_migrations"


def our_migrations() -> list[str]:
    """Return the names of this app's migrations, oldest first, without importing them."""
    folder = Path(__file__).resolve().parent.parent / "migrations"
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]))


def applied_migrations(connection: Executes, objects: Iterable[SchemaObject]) -> set[str]:
    """Return the names of this app's migrations that a schema has seen."""
    if not any(item.type == "table" and item.name == "django_migrations" for item in objects):
        return set()
    rows = connection.execute("SELECT name FROM django_migrations WHERE app = 'statestore'").fetchall()
    return {row[0] for row in rows}


def shape_of(connection: Executes, table: str) -> dict[str, str]:
    """Return a table's columns and their declared types; hidden and generated columns are named as such."""
    rows = connection.execute("SELECT name, type, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
    return {name: f"{kind.upper()}{' GENERATED' if hidden else ''}" for name, kind, hidden in rows}


def expected_shape(table: str) -> dict[str, str]:
    """Return a table's columns and types in version 5."""
    return {column: schema.column_definition(table, column).split()[1] for column in schema.columns(table)}


def without(shape: Shape, columns: Iterable[str]) -> dict[str, str]:
    """Return a shape without some of its columns."""
    return {name: kind for name, kind in shape.items() if name not in set(columns)}


def migrations_of_leases() -> dict[str, str]:
    """Return the shape of the table `migrations` where the orchestrator's lease manager came first and made it.

    The state store then finds its table there and goes on: it names the columns that both have.
    """
    return {**without(expected_shape("migrations"), ["rollback_script"]), "status": "TEXT", "error_message": "TEXT"}


def recognise(connection: Executes, objects: list[SchemaObject]) -> Recognised:
    """Return the schema, and for an unknown one its differences."""
    tables = {recognised.name: recognised for recognised in objects if recognised.type in {"table", "view"}}
    names = [name for name in tables if not name.startswith("sqlite_") and not is_ours(name)]
    if not names:
        return Recognised(NOTHING, ("it holds no tables",))
    if not set(names) & set(schema.TABLES):
        listed = ", ".join(sorted(names)[:8])
        more = _HISTORY_OFFER if schema.AGENT_HISTORY in names else ""
        return Recognised(UNKNOWN, (f"none of its tables is a state store's; it has: {listed}{more}",))
    if posing := [_posing(tables[name]) for name in schema.TABLES if name in tables and _posing(tables[name])]:
        return Recognised(UNKNOWN, tuple(posing))
    shapes = {name: shape_of(connection, name) for name in (*schema.TABLES, "agents") if name in tables}
    recognised = _layout_of(shapes)
    return recognised if recognised.differences else _checked_against_migrations(connection, recognised, shapes)


def _posing(table: SchemaObject) -> str:
    if table.type == "view":
        return f"{table.name} is a view that poses as a table"
    if table.sql and not table.sql.upper().startswith("CREATE TABLE"):
        return f"{table.name} is a virtual table"
    return ""


def _layout_of(shapes: Mapping[str, Shape]) -> Recognised:
    version_5 = {table: expected_shape(table) for table in schema.TABLES}
    version_4 = {t: without(s, _ADDED_IN_5.get(t, ())) for t, s in version_5.items() if t != "task_dependencies"}
    init = {table: without(version_5[table], added) for table, added in _ADDED_TO_INIT.items()}
    orchestrators = {table: shape for table, shape in shapes.items() if table != "agents"}
    if orchestrators.get("migrations") == migrations_of_leases():
        orchestrators["migrations"] = version_5["migrations"]
    if orchestrators == version_5:
        return Recognised(VERSION_5)
    if orchestrators == version_4:
        return Recognised(VERSION_4)
    # An orchestrator that was started on an `init` file made its other tables before it failed.
    known = {**version_5, **init}
    is_init = set(shapes.get("agents", ())) == _INIT_AGENTS and set(init) <= set(orchestrators)
    if is_init and all(known[table] == shape for table, shape in orchestrators.items()):
        return Recognised(INIT)
    return Recognised(UNKNOWN, tuple(_differences(orchestrators, version_5)))


def _differences(shapes: Mapping[str, Shape], expected: Mapping[str, Shape]) -> Iterable[str]:
    for table, shape in expected.items():
        if table not in shapes:
            yield f"table {table} is missing"
            continue
        columns = shapes[table]
        missing, strange = sorted(set(shape) - set(columns)), sorted(set(columns) - set(shape))
        if missing:
            yield f"{table} lacks {', '.join(missing)}"
        if strange:
            yield f"{table} has {', '.join(strange[:8])}, which the orchestrator's has not"
        for column in sorted(set(shape) & set(columns)):
            if shape[column] != columns[column]:
                yield f"{table}.{column} is {columns[column] or 'untyped'} instead of {shape[column]}"


def migration_versions(connection: Executes, tables: Iterable[str]) -> set[int]:
    """Return the orchestrator's migrations that a file has seen."""
    if "migrations" not in tables:
        return set()
    return {row[0] for row in connection.execute("SELECT version FROM migrations LIMIT 1000").fetchall()}


def _checked_against_migrations(
    connection: Executes, recognised: Recognised, shapes: Mapping[str, Shape]
) -> Recognised:
    versions = migration_versions(connection, shapes)
    expected = {VERSION_5: {1, 2, 3, 4, 5}, VERSION_4: {1, 2, 3, 4}}.get(recognised.layout)
    if expected is None:
        expected = versions & {1, 2, 3, 4}
    if newer := [version for version in versions if not isinstance(version, int) or version > 5]:
        return Recognised(UNKNOWN, (f"its migrations table names version {newer[0]}; this dashboard knows up to 5",))
    if versions != expected:
        listed = ", ".join(map(str, sorted(versions))) or "none"
        return Recognised(
            UNKNOWN,
            (
                f"its tables are those of {recognised.layout}, but its migrations table names {listed}: "
                "a migration was interrupted. Let the orchestrator finish it first",
            ),
        )
    return recognised


def foreign_triggers(objects: Iterable[SchemaObject], *, adopted: bool) -> list[str]:
    """Return the names of triggers on the orchestrator's tables that are not ours; ours count where we moved in."""
    return [
        trigger.name
        for trigger in objects
        if trigger.type == "trigger" and trigger.table in schema.TABLES and not (adopted and is_ours(trigger.name))
    ]
