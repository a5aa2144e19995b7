"""What readers ask of a database besides rows, in the words of SQLite and of PostgreSQL."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from statestore.sources.contract import Shape, Value

_MARKS: Final = re.compile(r"""'[^']*'|"(?:[^"]|"")*"|\?|%""")
# Of the tables that an unqualified name means on this connection.
_COLUMNS: Final = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
AND c.relnamespace <> 'pg_catalog'::regnamespace AND pg_table_is_visible(c.oid)
ORDER BY c.relname, a.attnum
"""
_REFERENCES: Final = """
SELECT DISTINCT o.relname FROM pg_constraint AS k JOIN pg_class AS o ON o.oid = k.confrelid
WHERE k.contype = 'f' AND k.conrelid = to_regclass(?)
"""


class Dialect(ABC):
    """A database's own words."""

    # The name of the database.
    database: ClassVar[str]
    # What orders the rows of one time as they were inserted, and what differs once a row was added to a group.
    order: ClassVar[str]
    newest: ClassVar[str]

    @abstractmethod
    def size(self, column: str) -> str:
        """Return SQL of a value's size, told without reading the value."""

    @abstractmethod
    def execute(self, sql: str, values: Iterable[Value] = (), /) -> Iterator[tuple[Value, ...]]:
        """Run a statement, and return its rows."""

    @abstractmethod
    def tables(self) -> dict[str, Shape]:
        """Return the columns of each table and their types in capitals; a view or a virtual table is none."""

    @abstractmethod
    def references(self, table: str) -> list[str]:
        """Return the tables that a table's foreign keys name."""

    @abstractmethod
    def gives_ids_again(self, table: str) -> bool:
        """Return whether a new row of a table may have the number of one that was deleted."""

    def _shapes(self, rows: Iterable[tuple[Value, ...]]) -> dict[str, Shape]:
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in rows:
            found.setdefault(str(table), {})[str(column)] = str(kind).upper()
        return dict(found)


class SQLiteDialect(Dialect):
    """SQLite's words."""

    database = "SQLite"
    order = "rowid"
    newest = "max(rowid)"

    def size(self, column: str) -> str:
        """Return SQL of a value's size, told without reading the value."""
        return f"octet_length({column})"

    def tables(self) -> dict[str, Shape]:
        """Return the columns of each table and their types in capitals; a view or a virtual table is none."""
        return self._shapes(
            self.execute(
                "SELECT m.name, c.name, c.type FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c"
                " WHERE m.type = 'table' AND m.sql LIKE 'CREATE TABLE%' AND m.name NOT LIKE 'sqlite%'"
            )
        )

    def references(self, table: str) -> list[str]:
        """Return the tables that a table's foreign keys name."""
        return [str(name) for (name,) in self.execute('SELECT "table" FROM pragma_foreign_key_list(?)', [table])]

    def gives_ids_again(self, table: str) -> bool:
        """Return whether a new row of a table may have the number of one that was deleted."""
        sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? AND sql LIKE '%AUTOINCREMENT%'"
        return next(self.execute(sql, [table]), None) is None


class PostgreSQLDialect(Dialect):
    """PostgreSQL's words. Its rows have no number: the transaction that wrote one last stands for that."""

    database = "PostgreSQL"
    order = "ctid"
    newest = "max(xmin::text::bigint)"

    def size(self, column: str) -> str:
        """Return SQL of a value's size, told without reading the value."""
        return f"pg_column_size({column})"

    def tables(self) -> dict[str, Shape]:
        """Return the columns of each table that the search path leads to, and their types in capitals."""
        return self._shapes(self.execute(_COLUMNS))

    def references(self, table: str) -> list[str]:
        """Return the tables that a table's foreign keys name."""
        name = '"' + table.replace('"', '""') + '"'
        return [str(found) for (found,) in self.execute(_REFERENCES, [name])]

    def gives_ids_again(self, table: str) -> bool:
        """Return False: a sequence goes on."""
        return False


def with_marks_of_psycopg(sql: str) -> str:
    """Return a statement in which `%s` stands for a value instead of `?`; texts and names stay as they are."""
    return _MARKS.sub(lambda found: "%s" if found[0] == "?" else found[0].replace("%", "%%"), sql)
