"""The lines of a store: a first line that says what it is, one for each row, a last one by which a cut is noticed.

Rows come in their order of insertion, so that a store made of them has it too. Each read is short: in rollback-journal
mode an open one makes the orchestrator wait. What changes meanwhile is exported as it was or as it became.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from django.db.models import Model, Q, QuerySet

from statestore.access.scope import Scope
from statestore.db import archive, pagination
from statestore.db.errors import translated_errors
from statestore.errors import ValidationError
from statestore.import_export import codec, limits, original_types
from statestore.import_export.tables import AUDIT, BY_NAME, TABLES, Table


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export: the scope, the tables, one agent only, with or without the audit log."""

    scope: Scope = field(default_factory=Scope)
    tables: tuple[str, ...] = ()
    agent_id: str | None = None
    audit: bool = False

    def chosen(self) -> list[Table]:
        """Return the tables. Raises ValidationError for an unknown one."""
        if unknown := [name for name in self.tables if name not in BY_NAME]:
            raise ValidationError(f"Unknown table {unknown[0][:80]}. Tables: {', '.join(BY_NAME)}.")
        tables = [table for table in TABLES if not self.tables or table.name in self.tables]
        if self.agent_id is not None:
            tables = [table for table in tables if table.agent]
        return [*tables, AUDIT] if self.audit else tables


def export_lines(wanted: Wanted) -> Iterator[bytes]:
    """Return the lines of an export. Errors in the request are raised here, not while the lines are read."""
    return _lines(wanted, wanted.chosen())


def _lines(wanted: Wanted, tables: list[Table]) -> Iterator[bytes]:
    digest, counts = hashlib.sha256(), dict[str, int]()
    first = codec.line(codec.FORMAT)
    digest.update(first)
    yield first
    for table in tables:
        counts[table.name] = 0
        for line in _rows(table, wanted):
            counts[table.name] += 1
            digest.update(line)
            yield line
    yield codec.line({"end": {"rows": counts, "sha256": digest.hexdigest()}})


def _rows(table: Table, wanted: Wanted) -> Iterator[bytes]:
    rows = table.rows(wanted.scope)
    if wanted.agent_id is not None:
        rows = rows.filter(**{table.agent: wanted.agent_id})
    names = [f.attname for f in table.fields]
    for keys in _chunks(rows, table):
        with translated_errors():
            found = rows.filter(pk__in=keys).values_list("pk", *names)
            by_key = {row[0]: row[1:] for row in found}
        odd = original_types.of(table, wanted.scope.using, keys)
        for key in keys:
            if key in by_key:
                values = original_types.given_back(table, by_key[key], odd[key]) if key in odd else by_key[key]
                yield codec.row_line(table.name, table.columns, values)


def _chunks(rows: QuerySet[Model], table: Table) -> Iterator[list[object]]:
    """Yield the keys of rows in order, in batches that fit into memory."""
    order = ("rowid", "pk") if table.has_rowid else ("pk",)
    sizes = [archive.state_length(name) for name in table.heavy]
    size = reduce(add, sizes) if sizes else None
    last: tuple[object, object] | None = None
    while True:
        part = (rows if last is None else rows.filter(_after(order, *last))).order_by(*order)
        values = part.values_list(order[0], "pk") if size is None else part.values_list(order[0], "pk", size)
        with translated_errors():
            keys = list(values[: limits.READ_ROWS])
        if not keys:
            return
        last = keys[-1][0], keys[-1][1]
        yield from pagination.portions(
            ((key, int((heavy and heavy[0]) or 0)) for _, key, *heavy in keys), limits.READ_BYTES
        )


def _after(order: tuple[str, ...], rowid: object, key: object) -> Q:
    """Return the rows after a place: an archived row and a newer one may have the same order of insertion."""
    if order == ("pk",):
        return Q(pk__gt=key)
    return Q(rowid__gte=rowid) & (Q(rowid__gt=rowid) | Q(pk__gt=key))
