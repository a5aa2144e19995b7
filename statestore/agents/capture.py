"""Capture: triggers that keep each real change of an agent's state, for orchestrators that record no transitions.

Off until an administrator switches it on, since the triggers run inside the orchestrator's own save. They see INSERT OR
REPLACE too, which deletes a row without saying so. What they keep is bounded: changes of over CAPTURE_MAX_BYTES leave
their time and nothing else, and of all changes the newest CAPTURE_ROWS stay.
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connections
from django.db.backends.utils import CursorWrapper

from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.agents import limits
from statestore.db import orchestrator_schema as schema
from statestore.db import transactions, vendor
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.models.audit import Action

TRIGGERS: Final = ("dash_capture_replace", "dash_capture_update")

# {fits}: whether the states are kept. Lengths are in bytes: length() of a text would stop at a NUL.
_SQLITE: Final = (
    """CREATE TRIGGER dash_capture_replace BEFORE INSERT ON agent_states
    WHEN EXISTS (SELECT 1 FROM agent_states WHERE agent_id = NEW.agent_id AND state_data IS NOT NEW.state_data)
    BEGIN
        INSERT INTO dash_capture (agent_id, at, state_before, state_after)
        SELECT agent_id, CAST(strftime('%s', 'now') AS INTEGER),
            CASE WHEN {fits} THEN state_data END, CASE WHEN {fits} THEN NEW.state_data END
        FROM agent_states WHERE agent_id = NEW.agent_id;
        DELETE FROM dash_capture WHERE id <= (SELECT max(id) FROM dash_capture) - {rows};
    END""",
    # An upsert fires both triggers: the second finds the change already kept.
    """CREATE TRIGGER dash_capture_update BEFORE UPDATE OF state_data ON agent_states
    WHEN OLD.state_data IS NOT NEW.state_data AND NOT EXISTS (
        SELECT 1 FROM dash_capture WHERE id = (SELECT max(id) FROM dash_capture) AND agent_id = NEW.agent_id
            AND state_before IS OLD.state_data AND state_after IS NEW.state_data
    )
    BEGIN
        INSERT INTO dash_capture (agent_id, at, state_before, state_after)
        SELECT NEW.agent_id, CAST(strftime('%s', 'now') AS INTEGER),
            CASE WHEN {fits} THEN state_data END, CASE WHEN {fits} THEN NEW.state_data END
        FROM (SELECT OLD.state_data AS state_data);
        DELETE FROM dash_capture WHERE id <= (SELECT max(id) FROM dash_capture) - {rows};
    END""",
)
_SQLITE_FITS: Final = "length(CAST(state_data AS BLOB)) + length(CAST(NEW.state_data AS BLOB)) <= {max_bytes}"

_POSTGRES: Final = (
    # The orchestrator may look for tables in other schemas than we do.
    """CREATE FUNCTION {schema}dash_capture_keep() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE fits boolean := octet_length(OLD.state_data) + octet_length(NEW.state_data) <= {max_bytes};
    BEGIN
        INSERT INTO dash_capture (agent_id, at, state_before, state_after)
        VALUES (NEW.agent_id, extract(epoch FROM now())::bigint,
            CASE WHEN fits THEN OLD.state_data END, CASE WHEN fits THEN NEW.state_data END);
        DELETE FROM dash_capture WHERE id <= (SELECT max(id) FROM dash_capture) - {rows};
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER dash_capture_update AFTER UPDATE OF state_data ON agent_states FOR EACH ROW
    WHEN (OLD.state_data IS DISTINCT FROM NEW.state_data) EXECUTE FUNCTION {schema}dash_capture_keep()""",
)


@dataclass(frozen=True, slots=True)
class Status:
    """Whether capture is on, how many changes it has kept, and for how many the states were too large."""

    is_on: bool
    kept: int
    skipped: int
    oldest_at: int | None
    max_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The duration of a save of one size, in ms, without and with the triggers; `is_kept`: whether states are kept."""

    size_bytes: int
    without_ms: float
    with_ms: float
    is_kept: bool

    @property
    def added_ms(self) -> float:
        """The milliseconds that the triggers add."""
        return max(self.with_ms - self.without_ms, 0.0)


def status(*, using: str | None = None) -> Status:
    """Return whether capture is on and how much it has kept."""
    using = using or store_alias()
    kept = models.CapturedChange.objects.using(using)
    with translated_errors():
        oldest = kept.order_by("id").values_list("at", flat=True).first()
        return Status(
            _is_on(using), kept.count(), kept.filter(state_before__isnull=True).count(),
            None if oldest is None else int(oldest), settings.CAPTURE_MAX_BYTES, settings.CAPTURE_ROWS,
        )  # fmt: skip


def _is_on(using: str) -> bool:
    question = (
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name = 'dash_capture_update'"
        if vendor.is_sqlite(connections[using])
        # Another schema of the database may have a store of its own.
        else "SELECT count(*) FROM pg_trigger"
        " WHERE tgname = 'dash_capture_update' AND tgrelid = to_regclass('agent_states')"
    )
    with connections[using].cursor() as cursor:
        cursor.execute(question)
        return bool(cursor.fetchone()[0])


def statements(*, is_sqlite: bool, in_schema: str = "") -> Iterator[str]:
    """Yield the statements that create the triggers, with the limits of the settings."""
    bounds = {"max_bytes": int(settings.CAPTURE_MAX_BYTES), "rows": int(settings.CAPTURE_ROWS)}
    if not is_sqlite:
        yield from (statement.format(**bounds, schema=in_schema) for statement in _POSTGRES)
        return
    fits = _SQLITE_FITS.format(**bounds)
    yield from (statement.format(**bounds, fits=fits) for statement in _SQLITE)


def switch_on(*, by: Actor, using: str | None = None) -> None:
    """Install the triggers, with the bounds of the settings; existing ones are replaced."""
    using = using or store_alias()
    prune(using=using)
    with transactions.writing(using), connections[using].cursor() as cursor:
        drop_triggers(cursor, is_sqlite=vendor.is_sqlite(connections[using]))
        for statement in statements(is_sqlite=vendor.is_sqlite(connections[using])):
            cursor.execute(statement)
        audit.record(Action.CAPTURE_ON, models.CapturedChange(), by=by, row_id="store", using=using)


def switch_off(*, by: Actor, using: str | None = None) -> None:
    """Drop the triggers; captured changes stay."""
    using = using or store_alias()
    with transactions.writing(using), connections[using].cursor() as cursor:
        drop_triggers(cursor, is_sqlite=vendor.is_sqlite(connections[using]))
        audit.record(Action.CAPTURE_OFF, models.CapturedChange(), by=by, row_id="store", using=using)


def drop_triggers(cursor: CursorWrapper, *, is_sqlite: bool) -> None:
    """Drop the triggers if there are any: without their table every save of a state would fail."""
    if is_sqlite:
        for name in TRIGGERS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
    else:
        cursor.execute("DROP TRIGGER IF EXISTS dash_capture_update ON agent_states")
        cursor.execute("DROP FUNCTION IF EXISTS dash_capture_keep()")


def prune(*, older_than_seconds: int | None = None, using: str | None = None) -> int:
    """Delete changes beyond CAPTURE_ROWS, and those older than an age if given, in chunks; return their number."""
    using = using or store_alias()
    kept = models.CapturedChange.objects.using(using)
    newest = kept.order_by("-id").values_list("id", flat=True).first() or 0
    doomed = kept.filter(id__lte=newest - settings.CAPTURE_ROWS)
    if older_than_seconds is not None:
        doomed = doomed | kept.filter(at__lt=models.now() - older_than_seconds)
    gone, more = 0, True
    while more:
        with transactions.writing(using):
            ids = list(doomed.order_by("id").values_list("id", flat=True)[: limits.DELETED_ROWS])
            gone += kept.filter(id__in=ids).delete()[0]
        more = bool(ids)
    return gone


def measure() -> list[Cost]:
    """Measure what the triggers add to a save here, on an SQLite file of its own, within a second or two."""
    with tempfile.TemporaryDirectory() as directory:
        bare, captured = (_file(Path(directory) / name, name) for name in ("bare", "captured"))
        costs = [_cost(bare, captured, size) for size in limits.MEASURED_BYTES]
        for file in (bare, captured):
            file.close()
        return costs


def _file(path: Path, name: str) -> sqlite3.Connection:
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute(schema.create_table("agent_states"))
    file.execute(
        "CREATE TABLE dash_capture (id INTEGER PRIMARY KEY AUTOINCREMENT, agent_id TEXT, at INTEGER,"
        " state_before TEXT, state_after TEXT)"
    )
    if name == "captured":
        for statement in statements(is_sqlite=True):
            file.execute(statement)
    return file


def _cost(bare: sqlite3.Connection, captured: sqlite3.Connection, size_bytes: int) -> Cost:
    states = [letter * size_bytes for letter in "ab"]
    times: dict[sqlite3.Connection, list[float]] = {bare: [], captured: []}
    ends_at = time.monotonic() + limits.MEASURED_SECONDS
    turn = 0
    # In turns, so that a busy moment of the machine affects both.
    while turn < 6 or time.monotonic() < ends_at:
        for file, seen in times.items():
            began = time.perf_counter()
            file.execute(
                "INSERT OR REPLACE INTO agent_states (key, agent_id, name, status, metadata, state_data, version,"
                " created_at, updated_at) VALUES ('a', 'a', 'a', 'idle', '{}', ?, 1, 0, 0)",
                [states[turn % 2]],
            )
            seen.append((time.perf_counter() - began) * 1000)
        turn += 1
    without_ms, with_ms = (statistics.median(seen[2:]) for seen in times.values())
    return Cost(size_bytes, without_ms, with_ms, is_kept=2 * size_bytes <= settings.CAPTURE_MAX_BYTES)
