"""Import of lines: rows replace rows of the same key, in short transactions; a repeated import resumes.

A row that cannot be is left out and told; all others are written. The last line of an export proves that none is
missing.
"""

import codecs
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import IntegrityError, connections, transaction

from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.db import archive, bulk, transactions, vendor
from statestore.db.fields import NonInteger, bindable
from statestore.errors import DatabaseError, SerializationError, Unavailable, ValidationError
from statestore.import_export import codec, limits, original_types
from statestore.import_export.tables import AUDIT, BY_NAME, Table
from statestore.models import validation
from statestore.models.adoption import is_shared
from statestore.models.audit import Action
from statestore.models.querysets import delete_archived
from statestore.tasks import dependencies


@dataclass(frozen=True, slots=True)
class Refused:
    """A line, counted from 1, that was not imported, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class Report:
    """What became of an import, table by table. `is_complete`: the last line was there and everything matched it."""

    dry_run: bool = False
    inserted: dict[str, int] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    refused_count: int = 0
    skipped_audit: int = 0
    normalised: int = 0
    is_complete: bool = False
    problem: str = ""
    # The edges that the lists of tasks named before their lines were imported, and name still.
    kept_edges: set[tuple[str, str]] = field(default_factory=set)

    def refuse(self, number: int, reason: str) -> None:
        """Note why a line was not imported."""
        self.refused_count += 1
        if len(self.refused) < limits.REPORTED_REFUSALS:
            self.refused.append(Refused(number, reason))


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    values: dict[str, object]
    stored_as: str | None = None


def import_lines(source: Iterable[bytes], *, using: str, by: Actor, dry_run: bool = False) -> Report:
    """Import an export's lines and return the report; with `dry_run` the report is the same, and nothing is written."""
    report, digest = Report(dry_run=dry_run), hashlib.sha256()
    waiting: list[_Row] = []
    table: Table | None = None
    size = 0
    for number, raw in enumerate(map(_as_exported, source), start=1):
        payload = _payload(number, raw, report)
        if payload is None:
            digest.update(raw)
            continue
        if "end" in payload:
            end = payload["end"]
            report.is_complete = isinstance(end, dict) and end.get("sha256") == digest.hexdigest()
            if not report.is_complete:
                report.problem = "The last line does not match the others: the export was modified."
            break
        digest.update(raw)
        found = _table(number, payload, report)
        if found is None:
            continue
        if table is not found or len(waiting) >= limits.WRITTEN_ROWS or size > limits.WRITTEN_BYTES:
            _write(table, waiting, using, report)
            waiting, size, table = [], 0, found
        if (row := _row(number, payload, found, using, report)) is not None:
            waiting.append(row)
            size += len(raw)
    _write(table, waiting, using, report)
    if not report.is_complete and not report.problem:
        report.problem = "The last line is missing: the export is truncated. All rows before it were imported."
    if not dry_run:
        _note(using, by, report)
    return report


def _as_exported(raw: bytes) -> bytes:
    """Return a line without what editors and transfers add: a byte order mark, and a carriage return at its end.

    No export has either: JSON escapes control characters, and a line begins with a brace.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    return raw[:-2] + b"\n" if raw.endswith(b"\r\n") else raw


def _payload(number: int, raw: bytes, report: Report) -> dict[str, object] | None:
    if number == 1:
        try:
            is_right = json.loads(raw) == codec.FORMAT
        except ValueError:
            is_right = False
        if not is_right:
            raise ValidationError("This is not a state store export: the first line is wrong. Nothing was imported.")
        return None
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        if raw.strip():
            report.refuse(number, "The line is not a JSON object.")
        return None
    return payload


def _table(number: int, payload: dict[str, object], report: Report) -> Table | None:
    name = payload.get("table")
    if name == AUDIT.name:
        report.skipped_audit += 1
        return None
    table = BY_NAME.get(name) if isinstance(name, str) else None
    if table is None:
        report.refuse(number, f"Unknown table {str(name)[:80]}.")
    return table


def _row(number: int, payload: dict[str, object], table: Table, using: str, report: Report) -> _Row | None:
    row = payload.get("row")
    try:
        if not isinstance(row, dict) or set(row) != set(table.columns):
            raise ValidationError("the columns do not match the table.")
        values = {column: codec.from_json(value) for column, value in row.items()}
        for definition in table.fields:
            if reason := validation.fault_of_stored(definition, values[definition.column]):
                raise ValidationError(f"{definition.column} {reason}.", field=definition.column)
        return _Row(number, values) if vendor.keeps_odd_integers(using) else _normalised(number, values, report)
    except ValidationError as error:
        report.refuse(number, f"{table.name}: {error}")
        return None


def _normalised(number: int, values: dict[str, object], report: Report) -> _Row:
    """Return a row with its numbers converted, and their originals. Raises ValidationError if one cannot be."""
    odd = {column: value for column, value in values.items() if isinstance(value, NonInteger)}
    for column, value in odd.items():
        if not value.readable:
            raise ValidationError(f"{column} is not a number, which PostgreSQL cannot store.")
    report.normalised += len(odd)
    return _Row(number, {**values, **{column: int(value) for column, value in odd.items()}}, original_types.dumped(odd))


# What is wrong with a row, as opposed to the store: busy, full or gone, it ends the import.
_REFUSED: Final = (DatabaseError, SerializationError, ValidationError, IntegrityError)


def _write(table: Table | None, rows: list[_Row], using: str, report: Report) -> None:
    if table is None or not rows:
        return
    if report.dry_run:
        present = _present(table, rows, using)
        _count(table, rows, present, report)
        return
    try:
        with transactions.writing(using):
            present = _present(table, rows, using)
            _upsert(table, rows, using, report)
    except Unavailable:
        raise
    except _REFUSED:
        # One of them cannot be: find out which, each in a transaction of its own.
        for row in rows:
            _write_one(table, row, using, report)
        return
    _count(table, rows, present, report)


def _write_one(table: Table, row: _Row, using: str, report: Report) -> None:
    try:
        with transactions.writing(using), transaction.atomic(using=using):
            present = _present(table, [row], using)
            _upsert(table, [row], using, report)
    except Unavailable:
        raise
    except _REFUSED as error:
        report.refuse(row.number, f"{table.name}: {error}")
        return
    _count(table, [row], present, report)


def _key(table: Table, row: _Row) -> tuple[object, ...]:
    return tuple(row.values[column] for column in table.key_columns)


def _present(table: Table, rows: list[_Row], using: str) -> set[object]:
    """Return the keys of the rows that exist."""
    present = table.model.objects.using(using)
    columns = [next(f.attname for f in table.fields if f.column == column) for column in table.key_columns]
    first = {_key(table, row)[0] for row in rows}
    return set(present.filter(**{f"{columns[0]}__in": first}).values_list(*columns))


def _count(table: Table, rows: list[_Row], present: set[object], report: Report) -> None:
    old = sum(_key(table, row) in present for row in rows)
    report.updated[table.name] = report.updated.get(table.name, 0) + old
    report.inserted[table.name] = report.inserted.get(table.name, 0) + len(rows) - old


def _upsert(table: Table, rows: list[_Row], using: str, report: Report) -> None:
    """Write rows in their order, which becomes their insertion order."""
    # Edges have lines of their own; those that a list no longer names are the only ones that no line speaks of.
    lists = _dependency_lists(rows, using) if table.model is models.Task else {}
    if is_shared(using):
        report.kept_edges.update(dependencies.kept_edges(lists))
        rows = _without_orchestrators_edges(rows, using, report) if table.model is models.TaskDependency else rows
    if archive.token_of(connections[using]) is not None and table.name in archive.TWINS:
        delete_archived(
            table.model, using, table.model.objects.using(using).filter(pk__in=[row.values["id"] for row in rows])
        )
    for is_plain, batch in _runs(rows):
        (_upsert_plain if is_plain else _upsert_odd)(table, batch, using)
    dependencies.remove_dropped_edges(using, lists)


def _without_orchestrators_edges(rows: list[_Row], using: str, report: Report) -> list[_Row]:
    """Return the edges without those that are missing although their task's list named them before, and does still.

    The orchestrator saves a task and its edges in separate statements: it may be about to insert one, and would fail.
    """
    pairs = {(str(row.values["task_id"]), str(row.values["depends_on_task_id"])): row for row in rows}
    missing = pairs.keys() - dependencies.present_edges(using, pairs)
    return [row for pair, row in pairs.items() if pair not in missing & report.kept_edges]


def _dependency_lists(rows: list[_Row], using: str) -> dict[str, tuple[str | None, Any]]:
    """Return {task id: its list of dependencies in the store, and in its line} of the tasks that exist."""
    given = {str(row.values["id"]): row.values["dependencies"] for row in rows}
    stored = models.Task.objects.using(using).filter(pk__in=list(given)).values_list("pk", "dependencies")
    return {task_id: (listed, given[task_id]) for task_id, listed in stored}


def _upsert_plain(table: Table, rows: list[_Row], using: str) -> None:
    values = [[row.values[column] for column in table.columns] for row in rows]
    columns = table.columns
    if original_types.are_kept(table, using):
        columns = (*columns, original_types.COLUMN)
        values = [[*cells, row.stored_as] for cells, row in zip(values, rows, strict=True)]
    bulk.upsert(using, table.name, columns, values, key=", ".join(table.key_columns))


def _runs(rows: list[_Row]) -> Iterator[tuple[bool, list[_Row]]]:
    run: list[_Row] = []
    last = True
    for row in rows:
        is_plain = all(bindable(value) and not isinstance(value, NonInteger) for value in row.values.values())
        if run and is_plain != last:
            yield last, run
            run = []
        run.append(row)
        last = is_plain
    if run:
        yield last, run


def _upsert_odd(table: Table, rows: list[_Row], using: str) -> None:
    """Write rows with invalid UTF-8, blobs or wrongly typed numbers, which only SQLite can store."""
    made = [table.model(**{field.attname: row.values[field.column] for field in table.fields}) for row in rows]
    names = [f.name for f in table.fields if f.column not in table.key_columns]
    unique = [f.name for f in table.fields if f.column in table.key_columns]
    table.model.objects.using(using).bulk_create(made, update_conflicts=True, unique_fields=unique, update_fields=names)


def _note(using: str, by: Actor, report: Report) -> None:
    counts = {"inserted": report.inserted, "updated": report.updated, "refused": report.refused_count}
    with transactions.writing(using):
        audit.record(Action.IMPORT, "store", by=by, row_id="", using=using, detail=counts)
