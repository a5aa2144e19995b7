"""The store's health: what is wrong, what that means, and what to do about it.

Cheap checks take milliseconds on any size and serve the Overview; thorough ones read whole tables, in slices so short
that the orchestrator never waits for them.
"""

# ruff: noqa: S608  (names and conditions that are put into SQL here are constants of ours)

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from descartes_site.locations import COMMAND
from statestore import models
from statestore.adoption import ownership, schema_detection
from statestore.adoption.status import store_status
from statestore.db import orchestrator_schema as schema
from statestore.db import replica, shell, vendor
from statestore.db.errors import translated_errors
from statestore.db.routers import primary_of, store_alias
from statestore.errors import StateStoreError
from statestore.models.adoption import is_shared
from statestore.operations import schema as schema_now
from statestore.operations import upkeep

Level = Literal["ok", "warn", "error"]

MEGABYTE: Final = 1024 * 1024
_SLICE_ROWS: Final = 2_000
_LEAST_ROWID: Final = -(2**63)


@dataclass(frozen=True)
class Finding:
    """One finding about the store's health. `remedy` is empty if nothing needs doing."""

    level: Level
    title: str
    meaning: str
    remedy: str = ""


@dataclass(frozen=True)
class Check:
    """One check of a database. All cheap checks together take under 20 ms, whatever its size."""

    examine: Callable[[BaseDatabaseWrapper], Iterator[Finding]]
    cheap: bool
    sqlite_only: bool = True


def examine(using: str | None = None, *, thorough: bool) -> list[Finding]:
    """Return all findings, the good ones too; without `thorough` those of the cheap checks."""
    using = using or store_alias()
    status = store_status(using)
    if not status.is_ready:
        return [Finding("error", "The store is not usable", status.found, status.remedy)]
    connection = connections[using]
    on_sqlite = vendor.is_sqlite(connection)
    chosen = [check for check in CHECKS if (thorough or check.cheap) and (on_sqlite or not check.sqlite_only)]
    findings = [finding for check in chosen for finding in _findings(check, connection)]
    if not on_sqlite:
        findings.append(
            Finding("ok", "PostgreSQL", "Journal mode, SQLite version, column types, triggers: no concern.")
        )
    return findings


def _findings(check: Check, connection: BaseDatabaseWrapper) -> list[Finding]:
    """Return what a check finds; that it cannot be made is a finding too, and the other checks go on."""
    try:
        with translated_errors():
            return list(check.examine(connection))
    except StateStoreError as error:
        name = check.examine.__name__.removeprefix("check_").replace("_", " ")
        return [Finding("error", f"The check of {name} failed", str(error), "Put a backup in the store's place.")]


def troubles(using: str | None = None) -> list[Finding]:
    """Return the problems that the cheap checks find, the worst first."""
    findings = [finding for finding in examine(using, thorough=False) if finding.level != "ok"]
    return sorted(findings, key=lambda finding: finding.level)


def _value(connection: BaseDatabaseWrapper, sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def _file(connection: BaseDatabaseWrapper) -> Path | None:
    """Return the store's path, or None for one in memory."""
    name = str(connection.settings_dict["NAME"])
    return None if name.startswith("file:") or name == ":memory:" else Path(name)


def _word(connection: BaseDatabaseWrapper) -> str:
    """Return the store's path as a command that is shown names it."""
    return shell.word(_file(connection) or "")


def check_journal_mode(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn unless the file is in WAL, where readers and the writer do not wait for each other."""
    mode = _value(connection, "PRAGMA journal_mode")
    if mode in {"wal", "memory"}:
        yield Finding("ok", f"The journal mode is {mode}", "Readers do not make the orchestrator wait.")
        return
    yield Finding(
        "warn",
        f"The journal mode is {mode}",
        "While anything reads the file, the orchestrator's saves wait, and fail after 5 seconds. Beside a busy "
        "orchestrator, up to half of the dashboard's own saves and restores are refused (503).",
        f"Run `{COMMAND} adopt {_word(connection)} --wal`. The orchestrator works on as before.",
    )


def check_schema(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Fail when tables or columns are missing that were there when the store was migrated."""
    lost = schema_now.missing(connection)
    for name in lost:
        yield Finding(
            "error",
            f"{name[0].upper()}{name[1:]} is missing",
            "Another program changed the schema. Pages and saves that need it are refused (503).",
            "Undo that change, or put a backup in the store's place.",
        )
    if not lost:
        yield Finding("ok", "All tables and columns are there", "As the migrations made them.")


def check_encoding(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Fail when the store keeps its texts as something else than UTF-8."""
    if encoding := ownership.wrong_encoding(connection):
        yield Finding(
            "error",
            f"The store keeps its texts as {encoding}",
            "Searches miss what is there, and some states cannot be saved.",
            "Export the store, and import it into one that keeps texts as UTF-8.",
        )


def check_wal_size(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn when the write-ahead log grows without being checkpointed."""
    path = _file(connection)
    wal = path.with_name(path.name + "-wal") if path else None
    size = wal.stat().st_size if wal and wal.exists() else 0
    if size > 64 * MEGABYTE:
        yield Finding(
            "warn",
            f"The write-ahead log has grown to {size // MEGABYTE} MB",
            "It is not being checkpointed: a long read blocks that, or no program starts one.",
            "Close programs that keep the file open; the last one to close it empties the log.",
        )


def check_sqlite_version(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn when this process's SQLite can corrupt a WAL file."""
    version = sqlite3.sqlite_version
    if vendor.sqlite_checkpoints_safely():
        yield Finding("ok", f"SQLite {version}", "This process's SQLite is free of the WAL corruption bug.")
        return
    yield Finding(
        "warn",
        f"SQLite {version} can corrupt a WAL file",
        "In 3.7.0 to 3.51.2 two connections that checkpoint at the same moment can damage the file. This process "
        "therefore never checkpoints; the orchestrator still does.",
        "Install the pysqlite3 package where it has a wheel, or a Python with SQLite 3.51.3 or later.",
    )


def check_migrations(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Tell whether the orchestrator's migrations and ours were all applied."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version, name FROM migrations")
        applied = {row[0]: row[1] for row in cursor.fetchall()}
    expected = {version: name for version, name, _ in schema.ORCHESTRATOR_MIGRATIONS}
    if newer := [str(version) for version in applied if version not in expected]:
        yield Finding(
            "warn",
            f"The orchestrator has moved on: migration {', '.join(newer)}",
            f"This release knows its schema up to version {max(expected)}.",
            "Update the dashboard; until then look before you write.",
        )
    if missing := [f"{version} ({name})" for version, name in expected.items() if applied.get(version) != name]:
        yield Finding(
            "error",
            f"The orchestrator's migration {', '.join(missing)} is not noted as applied",
            "The orchestrator would run it at its next start, and fail on what is there already.",
            "A migration was interrupted. Compare the tables with a fresh store, then add the row to `migrations`.",
        )
    if applied == expected:
        yield Finding("ok", "All migrations are applied", "The orchestrator's five, and all of the dashboard's.")


def check_indexes(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn when an index is missing: the orchestrator's, or ours, which is not built on a large live store."""
    with connection.cursor() as cursor:
        names = {indexes.name for indexes in schema_detection.read_objects(cursor)}
    unread = schema.UNREAD_INDEXES if settings.STORE_IS_EMBEDDED else ()
    for name in (*schema.INDEXES, *schema.OWN_INDEXES):
        if name not in names and name not in unread:
            yield Finding(
                "warn",
                f"The index {name} is missing",
                "Pages and saves that need it read whole tables.",
                f"When the orchestrator rests, run: {schema.create_index(name)}",
            )


def check_agent_history(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Tell of an agent history in the file, which pages do not show."""
    with connection.cursor() as cursor:
        if schema.AGENT_HISTORY not in {found.name for found in schema_detection.read_objects(cursor)}:
            return
    yield Finding(
        "ok",
        "The file has an agent history, which is not shown",
        "The orchestrator keeps it in tables of its own, beside its events and snapshots.",
        f"`{COMMAND} import {_word(connection)}` makes events and snapshots of it.",
    )


def check_triggers(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn about triggers on the orchestrator's tables that are not ours."""
    with connection.cursor() as cursor:
        strange = schema_detection.foreign_triggers(schema_detection.read_objects(cursor), adopted=True)
    if strange:
        yield Finding(
            "warn",
            f"Another program's triggers are on the orchestrator's tables: {', '.join(strange[:8])}",
            "They run with every write, the dashboard's restores included.",
            "Find out which program created them; drop them if none needs them.",
        )


def check_foreign_keys(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Fail when this connection does not enforce foreign keys, as the orchestrator's does."""
    if not _value(connection, "PRAGMA foreign_keys"):
        yield Finding("error", "Foreign keys are off", "Deleted tasks leave edges behind.", "Restart the dashboard.")


def check_replaced(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Fail when a program still has the file open that was at the store's path before: what it saves is lost."""
    path = _file(connection)
    if path is None:
        return
    deleted = f"{path} (deleted)"
    if programs := sorted({_program(link.parent.parent) for link in _open_files() if _target(link) == deleted}):
        yield Finding(
            "error",
            f"The store's file was replaced, and the earlier one is still in use: {', '.join(programs[:8])}",
            "What these programs save goes into a file that has no name any more, and is lost when they exit.",
            "Restart them, so that they open the file that is there now.",
        )


def _open_files() -> Iterator[Path]:
    """Yield the links to the open files of this machine's processes, those that may be looked at."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield from (process / "fd").iterdir()
        except OSError:
            continue


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _program(process: Path) -> str:
    try:
        name = (process / "comm").read_text().strip()
    except OSError:
        name = "a program"
    return f"{name} (process {process.name})"


def check_disk(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Tell whether the disk has room for the next writes, and for a copy of the file."""
    path = _file(connection)
    if path is None:
        return
    size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    text = f"{free // MEGABYTE} MB are free beside the store, which has {size // MEGABYTE} MB"
    if free < 64 * MEGABYTE:
        yield Finding(
            "error",
            text,
            "Saves of the orchestrator and restores are about to fail. Deleting rows needs room too.",
            "Free space outside of the store: logs, old backups.",
        )
    elif free < min(2 * size, 2048 * MEGABYTE):
        yield Finding("warn", text, "A backup may not fit.", "Free space, or back up to another disk.")
    else:
        yield Finding("ok", text, "Enough for the next writes and a backup.")


def check_content(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Check the integrity of the file's pages. Only in WAL: otherwise the orchestrator would wait."""
    if _value(connection, "PRAGMA journal_mode") != "wal":
        return
    result = _value(connection, "PRAGMA quick_check(1)")
    if result == "ok":
        yield Finding("ok", "The file is sound", "SQLite's quick_check found nothing.")
    else:
        yield Finding("error", "The file is damaged", str(result), "Stop the orchestrator and restore a backup.")


def _count(connection: BaseDatabaseWrapper, table: str, condition: str) -> int:
    """Return how many rows of a table (alias t) match a condition, read in slices, so that no read is long."""
    # All names and conditions are this file's own.
    slice_of = (
        f"SELECT max(place), sum(odd) FROM (SELECT t.rowid AS place, CASE WHEN {condition} THEN 1 ELSE 0 END AS odd"
        f" FROM {table} t WHERE t.rowid > %s ORDER BY t.rowid LIMIT {_SLICE_ROWS}) AS slice"
    )
    count, place = 0, _LEAST_ROWID
    while True:
        with connection.cursor() as cursor:
            cursor.execute(slice_of, [place])
            last, odd = cursor.fetchone()
        if last is None:
            return count
        count, place = count + int(odd), last


def check_keys(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn about agents whose key does not tell their namespace, or whose id another namespace could overwrite."""
    odd = _count(
        connection,
        "agent_states",
        "t.key <> t.agent_id AND substr(t.key, length(t.key) - length(t.agent_id)) <> ':' || t.agent_id",
    )
    if odd:
        yield Finding(
            "warn",
            f"{odd} agents have a key that does not end in their id",
            "Their namespace cannot be told from the key; they are shown without one, and may belong to two.",
            "Look at them: SELECT key, agent_id FROM agent_states WHERE key <> agent_id.",
        )
    spread = _count(connection, "agent_states", "t.key = t.agent_id AND t.agent_id LIKE '_%%:_%%'")
    if spread:
        yield Finding(
            "warn",
            f"{spread} agent ids look like another namespace's keys",
            "The id “a:b” without a prefix and “b” under the prefix “a” share a key: one save deletes the other.",
            "Let the orchestrator use ids without colons.",
        )
    if not odd and not spread:
        yield Finding("ok", "Every agent's key tells its namespace", "No two prefixes share an agent id.")


_INTEGERS: Final = {
    "agent_states": ("version", "created_at", "updated_at", "is_deleted"),
    "state_transitions": ("timestamp",),
    "state_snapshots": ("created_at", "expires_at"),
    "events": ("timestamp",),
    "tasks": ("created_at", "updated_at"),
    "sessions": ("started_at", "ended_at"),
}


def check_integers(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn about integer columns with other values. The three that CURRENT_TIMESTAMP fills always have some."""
    clean = True
    for table, columns in _INTEGERS.items():
        condition = " OR ".join(f"typeof(t.{column}) NOT IN ('integer', 'null')" for column in columns)
        if count := _count(connection, table, condition):
            clean = False
            yield Finding(
                "warn",
                f"{count} rows of {table} hold something else than a number in {' or '.join(columns)}",
                "They sort after all others, no time filter finds them, and they never expire.",
                f"Look at them: SELECT * FROM {table} WHERE {condition.replace('t.', '')}.",
            )
    if clean:
        yield Finding(
            "ok", "All times and flags are numbers", "Apart from those that CURRENT_TIMESTAMP fills in as text."
        )


def check_orphans(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn about history of deleted agents."""
    gone = "NOT EXISTS (SELECT 1 FROM agent_states a WHERE a.agent_id = t.agent_id)"
    counts = {table: _count(connection, table, gone) for table in ("state_transitions", "state_snapshots")}
    if not any(counts.values()):
        yield Finding("ok", "All history belongs to an agent", "No transition and no snapshot is orphaned.")
        return
    yield Finding(
        "warn",
        f"{counts['state_transitions']} transitions and {counts['state_snapshots']} snapshots belong to no agent",
        "The orchestrator deletes an agent without its history, which then belongs to no namespace.",
        "Nothing needs doing. An agent that is saved again under its id gets its history back.",
    )


def check_dependencies(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn about tasks with dependencies that do not exist."""
    lost = "NOT EXISTS (SELECT 1 FROM tasks k WHERE k.id = {})"
    edges = f"{lost.format('t.task_id')} OR {lost.format('t.depends_on_task_id')}"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM task_dependencies t WHERE {edges}")
        dangling = cursor.fetchone()[0]
    named = 0
    if vendor.is_sqlite(connection):
        each = f"EXISTS (SELECT 1 FROM json_each(t.dependencies) j WHERE {lost.format('j.value')})"
        valid = "typeof(t.dependencies) = 'text' AND json_valid(t.dependencies)"
        named = _count(connection, "tasks", f"CASE WHEN {valid} THEN {each} ELSE 0 END")
    if dangling or named:
        yield Finding(
            "warn",
            f"{dangling} dependency edges and {named} tasks name a task that does not exist",
            "Such tasks can never start.",
            "Edit those tasks, or delete the edges: PRAGMA foreign_key_check lists them.",
        )
    else:
        yield Finding("ok", "All dependencies lead to a task", "No edge is dangling.")


_HEX: Final = "[0-9a-f]"
_UUID: Final = "-".join(_HEX * digits for digits in (8, 4, 4, 4, 12))


def check_ids(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn about tasks and events whose id the orchestrator cannot read; any id will do where there is none."""
    counts = {table: _count(connection, table, f"t.id NOT GLOB '{_UUID}'") for table in ("tasks", "events")}
    if not any(counts.values()):
        yield Finding("ok", "All ids of tasks and events are UUIDs", "The orchestrator reads each as the same row.")
        return
    is_read = is_shared(connection.alias)
    yield Finding(
        "warn" if is_read else "ok",
        f"{counts['tasks']} tasks and {counts['events']} events have an id that is not a UUID in lower case",
        "The orchestrator reads such an id as a new random one each time: it saves the row as a duplicate, and loses"
        " its dependencies."
        if is_read
        else "No orchestrator reads this store: any id will do.",
        f"Save them anew under UUIDs and delete them: SELECT id FROM tasks WHERE id NOT GLOB '{_UUID}'."
        if is_read
        else "",
    )


def check_backups(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn when backups are to be taken, and no good one is new enough. A new store has time for its first one."""
    if not settings.BACKUP_EVERY_HOURS:
        return
    problem = upkeep.backup_problem(now=models.now())
    if problem and not _is_new(connection):
        yield Finding(
            "warn", problem, "What changed since then is lost with the disk.",
            f"Run `{COMMAND} backup`. While `serve` runs, housekeeping takes them: the page Upkeep says what failed.",
        )  # fmt: skip
    elif not problem:
        yield Finding("ok", "There is a backup that is new enough", "It was opened and compared with the databases.")


def _is_new(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the store was made within the time in which the first backup is due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT MIN(applied) FROM django_migrations WHERE app = 'statestore'")
        (made,) = cursor.fetchone()
    if made is None:
        return True
    made = datetime.fromisoformat(made) if isinstance(made, str) else made
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return bool(models.now() - made.timestamp() < settings.BACKUP_EVERY_HOURS * 3600)


def check_chain(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Fail when the last walk along the chain of the audit log found something wrong."""
    last = upkeep.last_verification(connection.alias)
    if last is not None and last.problem:
        yield Finding(
            "error", "The audit log, or a restore, was changed", last.problem,
            f"Find out who can write the store. `{COMMAND} verify` names all of it; compare with a backup.",
        )  # fmt: skip


def check_replica(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    """Warn when the store's replica is not read, or is all that can be read."""
    primary = primary_of(connection.alias)
    if primary not in settings.REPLICAS:
        return
    standing = replica.standing_of(primary)
    if standing.note:
        yield Finding(
            "warn", standing.fault or "The primary does not answer", standing.note,
            "Look at the logs of both servers, and at pg_stat_replication on the primary.",
        )  # fmt: skip
    else:
        yield Finding("ok", "The replica is read", f"It is {standing.lag_seconds:.1f} s behind the primary.")


CHECKS: Final = (
    Check(check_journal_mode, cheap=True),
    Check(check_schema, cheap=True, sqlite_only=False),
    Check(check_encoding, cheap=True, sqlite_only=False),
    Check(check_wal_size, cheap=True),
    Check(check_sqlite_version, cheap=True),
    Check(check_migrations, cheap=True, sqlite_only=False),
    Check(check_indexes, cheap=True),
    Check(check_agent_history, cheap=True),
    Check(check_triggers, cheap=True),
    Check(check_foreign_keys, cheap=True),
    Check(check_disk, cheap=True),
    Check(check_backups, cheap=True, sqlite_only=False),
    Check(check_chain, cheap=True, sqlite_only=False),
    Check(check_replica, cheap=True, sqlite_only=False),
    Check(check_replaced, cheap=False),
    Check(check_content, cheap=False),
    Check(check_keys, cheap=False, sqlite_only=False),
    Check(check_integers, cheap=False),
    Check(check_orphans, cheap=False, sqlite_only=False),
    Check(check_dependencies, cheap=False, sqlite_only=False),
    Check(check_ids, cheap=False),
)
