"""A table made anew, with partitions or without them, while programs write it.

An empty copy is made, into which triggers mirror what is written; the rows that were there are copied in chunks, and
both are compared; then the copy takes the table's place within one short transaction. Where it stands is in the
comment of the copy, which each chunk writes: killed at any point, the next run goes on from there.
"""

# ruff: noqa: S608  (names that are put into SQL here are those of our own tables)

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

from django.db import connections
from django.db.backends.utils import CursorWrapper

from descartes_site.locations import COMMAND
from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.db import partitioned, vendor
from statestore.db.errors import translated_errors
from statestore.errors import Conflict, DatabaseError
from statestore.models.audit import Action
from statestore.partitions import layout, limits
from statestore.partitions.coming import make_coming
from statestore.partitions.layout import Names
from statestore.partitions.locks import soon
from statestore.partitions.months import Month, coming

# Called with the name of a table, what is done to it, and how many rows were read so far.
Progress = Callable[[str, str, int], object]
_NEXT_TIME: Final = "SELECT timestamp FROM {table} WHERE timestamp >= %s ORDER BY timestamp LIMIT 1"


@dataclass(slots=True)
class _Standing:
    """How far a copy has come: the last id that was copied and compared; None where nothing was, or all."""

    copied: str | None = None
    compared: str | None = None
    rows: int = 0
    is_copied: bool = False
    is_compared: bool = False


def partition(using: str, *, by: Actor, progress: Progress = lambda table, what, rows: None) -> dict[str, int]:
    """Partition events and transitions by month, and return {table: rows copied}; those that are get coming months.

    Raises Conflict on SQLite, and where another program's views or foreign keys need a table.
    """
    _check_server(using)
    done = {}
    with translated_errors():
        for table in layout.TABLES:
            if not layout.is_partitioned(using, table):
                done[table] = _make_anew(using, table, by, progress, is_partitioned=True)
        make_coming(using, models.now())
    return done


def unpartition(using: str, *, by: Actor, progress: Progress = lambda table, what, rows: None) -> dict[str, int]:
    """Make events and transitions tables without partitions again, and return {table: rows copied}.

    Of partitions that are still being made, what there is of them is removed.
    """
    _check_server(using)
    done = {}
    with translated_errors():
        for table in layout.TABLES:
            if layout.is_partitioned(using, table):
                done[table] = _make_anew(using, table, by, progress, is_partitioned=False)
            else:
                soon(using, lambda cursor, table=table: _remove_unfinished(cursor, table, "p"))  # type: ignore[misc]
    return done


def _check_server(using: str) -> None:
    if vendor.is_sqlite(connections[using]):
        raise Conflict("Partitions are for stores on PostgreSQL; this one is an SQLite file. Nothing was changed.")


def _make_anew(using: str, table: str, by: Actor, progress: Progress, *, is_partitioned: bool) -> int:
    soon(using, lambda cursor: _begin(cursor, table, is_partitioned=is_partitioned))
    # Until here, another process may have asked and found no partitions: its ON CONFLICT needs the index of ids.
    time.sleep(2 * partitioned.NOTICED_SECONDS)
    partitioned.forget(connections[using])
    rows = 0
    for what, do in (("copied", _copy_chunk), ("compared", _compare_chunk)):
        while (standing := soon(using, lambda cursor, do=do: do(cursor, table))) is not None:  # type: ignore[misc]
            rows = standing.rows
            progress(table, what, rows)
    with connections[using].cursor() as cursor:
        cursor.execute(f"ANALYZE {layout.names_of(cursor, table).copy}")
    soon(using, lambda cursor: _swap(cursor, using, table, rows, by, is_partitioned=is_partitioned))
    return rows


def _begin(cursor: CursorWrapper, table: str, *, is_partitioned: bool) -> None:
    """Make the empty copy and the triggers, unless they are there."""
    _remove_unfinished(cursor, table, "r" if is_partitioned else "p")
    names = layout.names_of(cursor, table)
    if layout.kind_of(cursor, names.copy):
        return
    if found := layout.dependents(cursor, table):
        raise Conflict(
            f"{table} is needed by {', '.join(found)}, which would be lost. Nothing was changed. Drop them, and make"
            " them again afterwards."
        )
    made = layout.create_partitioned_copy(names, _months(cursor, table))
    statements = [*(made if is_partitioned else layout.create_plain_copy(names)), *layout.copy_indexes(cursor, names)]
    for statement in (*statements, *layout.mirror(names)):
        cursor.execute(statement)
    _note(cursor, names, _Standing())


def _remove_unfinished(cursor: CursorWrapper, table: str, kind: str) -> None:
    """Remove a copy of a kind that a run has left unfinished."""
    names = layout.names_of(cursor, table)
    if layout.kind_of(cursor, names.copy) == kind:
        for statement in layout.remove_copy(names, is_partitioned=kind == "p"):
            cursor.execute(statement)


def _months(cursor: CursorWrapper, table: str) -> list[Month]:
    """Return the newest months that have rows, and the coming ones: a step through the index of times for each."""
    found = set(coming(models.now(), limits.COMING_MONTHS))
    last, at = max(found), 0
    while (month := _month_from(cursor, table, at)) is not None and month <= last:
        found.add(month)
        at = month.end
    return sorted(found)[-limits.MOST_MONTHS :]


def _month_from(cursor: CursorWrapper, table: str, seconds: int) -> Month | None:
    cursor.execute(_NEXT_TIME.format(table=table), [seconds])
    row = cursor.fetchone()
    return None if row is None else Month.of(int(row[0]))


# Each of these is one transaction


def _copy_chunk(cursor: CursorWrapper, table: str) -> _Standing | None:
    """Copy some rows, and return how far the copy is; None once all are copied.

    The rows are locked against changes until they are in the copy, so that none comes back that is deleted meanwhile;
    one that is there has been mirrored.
    """
    names, standing = _standing(cursor, table)
    if standing is None or standing.is_copied:
        return None
    condition, parameters = ("", []) if standing.copied is None else ("WHERE id > %s", [standing.copied])
    cursor.execute(
        f"WITH chunk AS MATERIALIZED (SELECT * FROM {table} {condition} ORDER BY id LIMIT %s FOR SHARE),"
        f" written AS (INSERT INTO {names.copy} SELECT * FROM chunk ON CONFLICT DO NOTHING)"
        " SELECT count(*), max(id) FROM chunk",
        [*parameters, limits.COPIED_ROWS],
    )
    number, last = cursor.fetchone()
    standing.rows += number
    standing.copied = last or standing.copied
    standing.is_copied = number < limits.COPIED_ROWS
    _note(cursor, names, standing)
    return standing


def _compare_chunk(cursor: CursorWrapper, table: str) -> _Standing | None:
    """Compare some rows of both, as they are in one moment; None once all were. Raises DatabaseError if one differs."""
    names, standing = _standing(cursor, table)
    if standing is None or standing.is_compared:
        return None
    after, parameters = ("TRUE", []) if standing.compared is None else ("id > %s", [standing.compared])
    cursor.execute(
        _COMPARED.format(table=table, copy=names.copy, after=after),
        [*parameters, limits.COMPARED_ROWS, *parameters, limits.COMPARED_ROWS],
    )
    number, last, is_same = cursor.fetchone()
    if not is_same:
        raise DatabaseError(
            f"The copy of {table} differs from it after the id {standing.compared}. The table is as it was. Run"
            f" `{COMMAND} partition --undo`, which removes the copy, then try again."
        )
    standing.compared = last or standing.compared
    standing.is_compared = number < limits.COMPARED_ROWS
    _note(cursor, names, standing)
    return standing


# Both sides are read in the snapshot of one statement. Of the last chunk there is no upper bound.
_COMPARED: Final = """
WITH ours AS MATERIALIZED (
    SELECT id, hashtextextended(t::text, 0)::numeric AS hash FROM {table} AS t WHERE {after} ORDER BY id LIMIT %s
), sums AS (
    SELECT count(*) AS number, max(id) AS last, sum(hash) AS hash FROM ours
), copied AS (
    SELECT count(*) AS number, sum(hashtextextended(c::text, 0)::numeric) AS hash FROM {copy} AS c
     WHERE {after} AND ((SELECT number FROM sums) < %s OR id <= (SELECT last FROM sums))
)
SELECT sums.number, sums.last, (sums.number, sums.hash) IS NOT DISTINCT FROM (copied.number, copied.hash)
  FROM sums, copied
"""


def _swap(cursor: CursorWrapper, using: str, table: str, rows: int, by: Actor, *, is_partitioned: bool) -> None:
    """Let the copy take the table's place, unless another process has done so."""
    names = layout.names_of(cursor, table)
    cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    if layout.kind_of(cursor, names.copy) != ("p" if is_partitioned else "r"):
        return
    for statement in _all(layout.swap(cursor, names, is_partitioned=is_partitioned)):
        cursor.execute(statement)
    action = Action.PARTITION if is_partitioned else Action.UNPARTITION
    audit.record(action, "store", row_id="", by=by, using=using, detail={"table": table, "rows": rows})


def _all(statements: Iterator[str]) -> list[str]:
    # What they are made of is read before the first of them changes it.
    return list(statements)


def _standing(cursor: CursorWrapper, table: str) -> tuple[Names, _Standing | None]:
    """Return how far a copy has come, None without one; other processes that copy wait until the transaction ends."""
    names = layout.names_of(cursor, table)
    # In the key, the object: two stores of one database do not wait for each other.
    cursor.execute("SELECT pg_advisory_xact_lock(to_regclass(%s)::oid::bigint)", [table])
    cursor.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [names.copy])
    (text,) = cursor.fetchone()
    return names, None if text is None else _Standing(**json.loads(text))


def _note(cursor: CursorWrapper, names: Names, standing: _Standing) -> None:
    # In ASCII without quotes of SQL: COMMENT takes no parameters.
    text = json.dumps(asdict(standing)).replace("'", "\\u0027")
    cursor.execute(f"COMMENT ON TABLE {names.copy} IS '{text.replace('%', '%%')}'", [])
