"""Version 4 and `init` tables brought to version 5, as the orchestrator's own migrations would leave them."""

# ruff: noqa: S608  (names and conditions that are put into SQL here are constants of ours)

from statestore.adoption.schema_detection import (
    Executes,
    migration_versions,
    migrations_of_leases,
    read_objects,
    shape_of,
)
from statestore.db import orchestrator_schema as schema

# ADD COLUMN cannot give these to a table that has rows: their default is not a constant.
_STAMPED = {"created_at", "created_timestamp"}


def bring_to_version_5(connection: Executes, at: int) -> list[int]:
    """Add what version 5 has and the file lacks; return the migrations that were noted as applied.

    Runs in the caller's transaction, with foreign keys off: a table that is rebuilt would cascade its edges away.
    """
    present = {recognised.name for recognised in read_objects(connection) if recognised.type == "table"}
    for table in schema.TABLES:
        if table in present:
            _complete(connection, table)
        else:
            connection.execute(schema.create_table(table))
    for name in schema.INDEXES:
        connection.execute(schema.create_index(name))
    return _note_migrations(connection, at)


def _complete(connection: Executes, table: str) -> None:
    if table == "migrations" and shape_of(connection, table) == migrations_of_leases():
        return
    missing = [column for column in schema.columns(table) if column not in shape_of(connection, table)]
    if _STAMPED.intersection(missing):
        rebuild(connection, table, schema.create_table(table))
        return
    for column in missing:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {schema.column_definition(table, column)}")


def _note_migrations(connection: Executes, at: int) -> list[int]:
    applied = migration_versions(connection, ["migrations"])
    missing = [step for step in schema.ORCHESTRATOR_MIGRATIONS if step[0] not in applied]
    for version, name, description in missing:
        connection.execute(
            "INSERT INTO migrations (version, name, description, applied_at)"
            f" VALUES ({version}, '{name}', '{description}', {at})"
        )
    return [version for version, _, _ in missing]


def rebuild(connection: Executes, table: str, create_table: str) -> None:
    """Rebuild a table with another definition; rows keep their rowids and the columns of both definitions.

    Its indexes and triggers are made again. Nothing is renamed, so that no view and no foreign key is rewritten.
    """
    attached = [
        o.sql for o in read_objects(connection) if o.table == table and o.type in {"index", "trigger"} and o.sql
    ]
    connection.execute(f"CREATE TABLE dash_moving AS SELECT rowid AS dash_rowid, * FROM {table}")
    before = shape_of(connection, table)
    connection.execute(f"DROP TABLE {table}")
    connection.execute(create_table)
    shared = ", ".join(column for column in shape_of(connection, table) if column in before)
    connection.execute(
        f"INSERT INTO {table} (rowid, {shared}) SELECT dash_rowid, {shared} FROM dash_moving ORDER BY dash_rowid"
    )
    connection.execute("DROP TABLE dash_moving")
    for statement in attached:
        connection.execute(statement)
