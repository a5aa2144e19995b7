"""The tables, triggers and indexes of partitions, and what of them is there.

`dash_events_copy` is the table that will stand in the place of `events`, with partitions or without them. Triggers on
`events` mirror into it what is written, in the same transaction: at any moment, what was copied is as in `events`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.db import connections
from django.db.backends.utils import CursorWrapper

from statestore.db import partitioned, vendor
from statestore.partitions.months import Month

TABLES: Final = tuple(partitioned.IDS)
_CHANGES: Final = {
    "insert": "REFERENCING NEW TABLE AS new_rows",
    "update": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "REFERENCING OLD TABLE AS old_rows",
    "truncate": "",
}
_PARTITION: Final = re.compile(rf"dash_({'|'.join(TABLES)})_(?:\d{{4}}_\d\d|other)")
# Indexes of the copy have these before the names that they get in the end.
_INDEX_PREFIX: Final = "copy_"
_INDEXES: Final = """
SELECT index.relname, pg_get_indexdef(index.oid) FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
 WHERE indrelid = to_regclass(%s) AND NOT indisunique ORDER BY 1
"""
_TRIGGERS: Final = """
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal
   AND tgname NOT LIKE 'dash\\_mirror\\_%%' AND tgname NOT LIKE 'dash\\_ids\\_%%' ORDER BY tgname
"""
_GRANTS: Final = """
SELECT privilege_type, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
  FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(%s) AND grantee <> relowner
"""
_DEPENDENTS: Final = """
SELECT DISTINCT 'the view ' || view.relname FROM pg_depend JOIN pg_rewrite AS rule ON rule.oid = objid
  JOIN pg_class AS view ON view.oid = rule.ev_class
 WHERE refobjid = to_regclass(%s) AND classid = 'pg_rewrite'::regclass
UNION SELECT 'a foreign key of ' || conrelid::regclass FROM pg_constraint
 WHERE confrelid = to_regclass(%s) AND contype = 'f'
"""


@dataclass(frozen=True, slots=True)
class Names:
    """What belongs to a table, by name; the functions of its triggers with the schema."""

    table: str
    schema: str

    @property
    def copy(self) -> str:
        return f"dash_{self.table}_copy"

    @property
    def ids(self) -> str:
        return partitioned.IDS[self.table]

    @property
    def other(self) -> str:
        """The partition of all times that have no month."""
        return f"dash_{self.table}_other"

    @property
    def sequence(self) -> str:
        return f"dash_{self.table}_rowid"

    def month(self, month: Month) -> str:
        """Return the name of a month's partition."""
        return f"dash_{self.table}_{month.year:04d}_{month.number:02d}"

    def within(self, name: str) -> str:
        """Return a name with its schema, as the body of a function must have it."""
        quoted = self.schema.replace('"', '""')
        return f'"{quoted}".{name}'


def names_of(cursor: CursorWrapper, table: str) -> Names:
    """Return the names of what belongs to a table of the store."""
    cursor.execute("SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass(%s)", [table])
    (schema,) = cursor.fetchone()
    return Names(table, str(schema).strip('"').replace('""', '"'))


def kind_of(cursor: CursorWrapper, name: str) -> str:
    """Return `p` for a table with partitions, `r` for one without them, "" for none."""
    cursor.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)", [name])
    row = cursor.fetchone()
    return "" if row is None else str(row[0])


def table_of(partition: str) -> str:
    """Return the table that a partition, by its name, is one of; "" for a table that is none."""
    match = _PARTITION.fullmatch(partition)
    return "" if match is None else match[1]


def is_partitioned(using: str, table: str) -> bool:
    """Return whether a table of the store has partitions."""
    if table not in TABLES or vendor.is_sqlite(connections[using]):
        return False
    with connections[using].cursor() as cursor:
        return kind_of(cursor, table) == "p"


def dependents(cursor: CursorWrapper, table: str) -> list[str]:
    """Return what would keep a table from being replaced: views and foreign keys of other programs."""
    cursor.execute(_DEPENDENTS, [table, table])
    return [str(name) for (name,) in cursor.fetchall()]


def create_partitioned_copy(names: Names, months: Iterable[Month]) -> Iterator[str]:
    """Yield the statements that make an empty copy with partitions, whose ids are unique."""
    yield f"CREATE TABLE {names.ids} (id TEXT PRIMARY KEY, timestamp BIGINT NOT NULL)"
    yield (
        f"CREATE TABLE {names.copy} (LIKE {names.table} INCLUDING DEFAULTS INCLUDING STORAGE,"
        " PRIMARY KEY (id, timestamp)) PARTITION BY RANGE (timestamp)"
    )
    yield f"CREATE SEQUENCE {names.sequence} OWNED BY {names.copy}.rowid"
    yield f"ALTER TABLE {names.copy} ALTER rowid SET DEFAULT nextval('{names.within(names.sequence)}')"
    yield f"CREATE TABLE {names.other} PARTITION OF {names.copy} DEFAULT"
    for month in months:
        values = f"FROM ({month.start}) TO ({month.end})"
        yield f"CREATE TABLE {names.month(month)} PARTITION OF {names.copy} FOR VALUES {values}"
    yield _function(names, "ids", _KEEP_IDS.format(ids=names.within(names.ids)))
    yield from _triggers(names, "ids", names.copy)


def create_plain_copy(names: Names) -> Iterator[str]:
    """Yield the statements that make an empty copy without partitions."""
    yield f"CREATE TABLE {names.copy} (LIKE {names.table} INCLUDING DEFAULTS INCLUDING STORAGE, PRIMARY KEY (id))"
    yield f"ALTER TABLE {names.copy} ALTER rowid DROP DEFAULT"
    yield f"ALTER TABLE {names.copy} ALTER rowid ADD GENERATED BY DEFAULT AS IDENTITY"


def copy_indexes(cursor: CursorWrapper, names: Names) -> Iterator[str]:
    """Yield the statements that give the copy the indexes of the table."""
    cursor.execute(_INDEXES, [names.table])
    for name, definition in cursor.fetchall():
        _, _, columns = str(definition).partition(" USING ")
        yield f'CREATE INDEX "{_INDEX_PREFIX}{name}" ON {names.copy} USING {columns}'


def mirror(names: Names) -> Iterator[str]:
    """Yield the statements that mirror all changes of the table into the copy."""
    yield _function(names, "mirror", _MIRROR.format(copy=names.within(names.copy)))
    yield from _triggers(names, "mirror", names.table)


def _function(names: Names, what: str, body: str) -> str:
    # With the rights of the owner: another program's user may write the table, and nothing else.
    return (
        f"CREATE OR REPLACE FUNCTION dash_{names.table}_{what}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        f" SET search_path = pg_catalog, pg_temp AS $body$ {body} $body$"
    )


def _triggers(names: Names, what: str, table: str) -> Iterator[str]:
    for change, rows in _CHANGES.items():
        yield (
            f"CREATE TRIGGER dash_{what}_{change} AFTER {change.upper()} ON {table} {rows}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {names.within(f'dash_{names.table}_{what}')}()"
        )


# A table of all ids, instead of the index that partitions cannot have: a second row of an id is refused by it. The time
# says in which partition the row is.
_KEEP_IDS: Final = """
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {ids} SELECT id, timestamp FROM new_rows;
    ELSIF TG_OP = 'UPDATE' THEN
        DELETE FROM {ids} USING old_rows WHERE {ids}.id = old_rows.id
           AND NOT EXISTS (SELECT FROM new_rows WHERE new_rows.id = old_rows.id);
        UPDATE {ids} AS kept SET timestamp = new_rows.timestamp FROM new_rows
         WHERE kept.id = new_rows.id AND kept.timestamp <> new_rows.timestamp;
        INSERT INTO {ids} SELECT id, timestamp FROM new_rows
         WHERE NOT EXISTS (SELECT FROM old_rows WHERE old_rows.id = new_rows.id);
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM {ids} USING old_rows WHERE {ids}.id = old_rows.id;
    ELSE
        TRUNCATE {ids};
    END IF;
    RETURN NULL;
END
"""
_MIRROR: Final = """
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {copy} SELECT * FROM new_rows;
    ELSIF TG_OP = 'UPDATE' THEN
        DELETE FROM {copy} AS gone USING old_rows WHERE gone.id = old_rows.id AND gone.timestamp = old_rows.timestamp;
        INSERT INTO {copy} SELECT * FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM {copy} AS gone USING old_rows WHERE gone.id = old_rows.id AND gone.timestamp = old_rows.timestamp;
    ELSE
        TRUNCATE {copy};
    END IF;
    RETURN NULL;
END
"""


def remove_copy(names: Names, *, is_partitioned: bool) -> Iterator[str]:
    """Yield the statements that take an unfinished copy back."""
    for change in _CHANGES:
        yield f"DROP TRIGGER IF EXISTS dash_mirror_{change} ON {names.table}"
    yield f"DROP FUNCTION IF EXISTS dash_{names.table}_mirror()"
    yield f"DROP TABLE {names.copy}"
    if is_partitioned:
        yield from _remove_ids(names)


def _remove_ids(names: Names) -> Iterator[str]:
    yield f"DROP FUNCTION IF EXISTS dash_{names.table}_ids()"
    yield f"DROP TABLE IF EXISTS {names.ids}"


def swap(cursor: CursorWrapper, names: Names, *, is_partitioned: bool) -> Iterator[str]:
    """Yield the statements that let the copy, with partitions or without them, stand in the place of the table.

    The sequence goes on, and indexes, triggers and grants are as before; locks are the caller's.
    """
    cursor.execute(_TRIGGERS, [names.table])
    triggers = [str(sql) for (sql,) in cursor.fetchall()]
    cursor.execute(_GRANTS, [names.table])
    grants = cursor.fetchall()
    cursor.execute(_INDEXES, [names.copy])
    indexes = [str(name) for name, _ in cursor.fetchall()]
    yield (
        f"SELECT setval(pg_get_serial_sequence('{names.copy}', 'rowid'),"
        f" nextval(pg_get_serial_sequence('{names.table}', 'rowid')))"
    )
    yield f"DROP TABLE {names.table}"
    yield f"DROP FUNCTION dash_{names.table}_mirror()"
    if not is_partitioned:
        yield from _remove_ids(names)
    yield f"ALTER TABLE {names.copy} RENAME TO {names.table}"
    yield f"ALTER TABLE {names.table} RENAME CONSTRAINT {names.copy}_pkey TO {names.table}_pkey"
    yield f"COMMENT ON TABLE {names.table} IS NULL"
    for name in indexes:
        yield f'ALTER INDEX "{name}" RENAME TO "{name.removeprefix(_INDEX_PREFIX)}"'
    yield from triggers
    for privilege, grantee in grants:
        yield f"GRANT {privilege} ON {names.table} TO {grantee}"
        if privilege == "INSERT" and is_partitioned:
            yield f"GRANT USAGE ON SEQUENCE {names.sequence} TO {grantee}"
