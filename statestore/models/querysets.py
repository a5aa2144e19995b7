"""What the querysets share: rows by the id in a URL, rows before and after a place in an order, counts over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import BigIntegerField, Count, ExpressionWrapper, F, Model, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.db.models.sql import Query

from statestore.db import archive, vendor
from statestore.db.archive import ArchivedTable
from statestore.db.batching import batched
from statestore.db.errors import translated_errors
from statestore.db.fields import NonInteger, StoredBlob, bindable
from statestore.db.ids import HashedId, RowId

# Newest first by time; rows of one second have an order only by insertion.
BY_TIME = ("-timestamp", "-rowid")
BY_CREATION = ("-created_at", "-rowid")
BY_CHANGE = ("-updated_at", "-rowid")


# A change that was captured and recorded bears the trigger's second and the recorder's.
SAME_SECONDS = 2

Row = TypeVar("Row", bound=Model, covariant=True)

# How many rows with one beginning are looked at to find a very long id among them.
LONG_ID_CANDIDATES = 200


class AddressedQuerySet(QuerySet[Row]):
    """Rows that a URL can name."""

    def count_up_to(self, most: int) -> int:
        """Return the number of rows, or one more than `most` if there are more."""
        # The keys of some tables are in no index, for which SQLite would read each row; the rowid is in all.
        has_rowid = any(field.name == "rowid" for field in self.model._meta.concrete_fields)
        return self.order_by().values("rowid" if has_rowid else "pk")[: most + 1].count()

    def beginning_with(self, prefix: str, column: str = "pk") -> Self:
        """Keep rows whose column begins with a text, as a range of the column's index."""
        return self.filter(**{f"{column}__gte": prefix, f"{column}__lt": prefix + "\U0010ffff"})

    def inserted_last(self, most: int) -> Self:
        """Keep the rows that were inserted last: however many there are, no more of them are looked through."""
        return self.last_by("rowid", most)

    def last_by(self, column: str, most: int) -> Self:
        """Keep the rows with the greatest values of a column, fewer where several share the last one."""
        before = self.order_by(f"-{column}").values(column)[most : most + 1]
        return self.filter(**{f"{column}__gt": Coalesce(Subquery(before), Value(-(2**63)))})

    def named(self, address: RowId, column: str = "pk") -> Row | None:
        """Return the row whose column is the id that an address names, or None."""
        if isinstance(address, HashedId):
            candidates = self.beginning_with(address.prefix, column).values_list(column, flat=True)[:LONG_ID_CANDIDATES]
            return next((self.named(str(row), column) for row in candidates if address.matches(row)), None)
        return self.filter(**{column: address}).first()


class _ArchivedQuery(Query):
    """A query whose table has its archived rows too."""

    base_table_class = ArchivedTable


class ArchivedQuerySet(AddressedQuerySet[Row]):
    """Rows of which old ones may have been archived: they are read, and deleted, like all others."""

    def __init__(
        self,
        model: type[Model] | None = None,
        query: Query | None = None,
        using: str | None = None,
        hints: dict[str, Model] | None = None,
    ) -> None:
        super().__init__(model, query or _ArchivedQuery(model), using, hints)

    def live(self) -> Self:
        """Leave out archived rows; called before anything else.

        For subqueries that are asked for each row of another query: SQLite would read both tables anew each time.
        """
        return type(self)(self.model, Query(self.model), self.db)

    def packed(self) -> Self:
        """Keep live rows with markers: their states went into frames as they were written."""
        state = "state_data" if self.model._meta.db_table == "state_snapshots" else "state_after"
        return self.live().filter(archive.is_marked(state))

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows, archived or not."""
        if archive.token_of(connections[self.db]) is None:
            return super().delete()
        agents = set(self.order_by().values_list("agent_id", flat=True).distinct())
        archived = delete_archived(self.model, self.db, self)
        count, by_model = super().delete()
        for agent_id in agents:
            delete_unused_frames(self.db, agent_id)
        label = self.model._meta.label
        return count + archived, {**by_model, label: by_model.get(label, 0) + archived}


class ArchivedModel(Model):
    """A model of which old rows may have been archived."""

    class Meta:
        abstract = True

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the row, archived or not."""
        deleted: tuple[int, dict[str, int]]
        deleted = type(self)._default_manager.using(using or self._state.db).filter(pk=self.pk).delete()
        return deleted


def delete_archived(model: type[Model], using: str, rows: QuerySet[Model]) -> int:
    """Delete those of some rows that are archived, and return their number; their frames may be needed by others."""
    table = archive.TWINS[model._meta.db_table]
    deleted = 0
    pks = list(rows.order_by().values_list("pk", flat=True))
    with connections[using].cursor() as cursor:
        for batch in batched(pks, _DELETED_AT_ONCE):
            places = ", ".join(["%s"] * len(batch))
            cursor.execute(f"DELETE FROM {table} WHERE id IN ({places})", [*batch])  # noqa: S608
            deleted += cursor.rowcount
    return deleted


def delete_unused_frames(using: str, agent_id: str) -> list[int]:
    """Delete the frames of an agent that no row needs, and return their ids. Call it in a transaction.

    The base of a frame that is needed is needed, too.

    The frames are locked before the rows are read: a process that moves rows into one has it locked, too.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT id FROM dash_frame WHERE agent_id = %s{vendor.row_lock(using)}", [agent_id])  # noqa: S608
        frames = {row[0] for row in cursor.fetchall()}
        if frames:
            frames -= marked_frames(using, agent_id)
        if frames:
            cursor.execute("SELECT id, base_id FROM dash_frame WHERE agent_id = %s AND base_id IS NOT NULL", [agent_id])
            frames -= {base_id for frame_id, base_id in cursor.fetchall() if frame_id not in frames}
        for frame_id in frames:
            cursor.execute("DELETE FROM dash_frame WHERE id = %s", [frame_id])
    return sorted(frames)


def marked_frames(using: str, agent_id: str) -> set[int]:
    """Return the frames in which states of an agent's rows lie, archived or packed."""
    found, connection = set[str](), connections[using]
    with connection.cursor() as cursor:
        for column, table in _MARKED:
            is_marked = archive.marked_sql(connection, column)
            cursor.execute(f"SELECT DISTINCT {column} FROM {table} WHERE agent_id = %s AND {is_marked}", [agent_id])  # noqa: S608
            found |= {row[0] for row in cursor.fetchall()}
    return {archive.place_of(mark)[0] for mark in found}


_DELETED_AT_ONCE: Final = 500
_MARKED: Final = (
    ("state_before", "dash_archived_transition"),
    ("state_after", "dash_archived_transition"),
    ("state_data", "dash_archived_snapshot"),
    ("state_before", "state_transitions"),
    ("state_after", "state_transitions"),
    ("state_data", "state_snapshots"),
)

AnyRows = TypeVar("AnyRows", bound=QuerySet[Model])


def older(rows: AnyRows, column: str, at: int, rowid: int, *, order: str = "rowid") -> AnyRows:
    """Return the rows before a time and insertion order; the first clause bounds the range of the index."""
    at = _storable(at)
    within = Q(**{f"{column}__lt": at}) | Q(**{column: at, f"{order}__lt": rowid})
    return rows.filter(Q(**{f"{column}__lte": at}) & within)


def newer(rows: AnyRows, column: str, at: int, rowid: int, *, order: str = "rowid") -> AnyRows:
    at = _storable(at)
    within = Q(**{f"{column}__gt": at}) | Q(**{column: at, f"{order}__gt": rowid})
    return rows.filter(Q(**{f"{column}__gte": at}) & within)


def _storable(at: int) -> int:
    """Return a time as it is compared with others: one that is no integer as it is stored, else within 64 bits."""
    if isinstance(at, NonInteger):
        return at
    return min(max(int(at), -(2**63)), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Equal stretches of time: the second at which the first one begins, the seconds of each, and their number."""

    start: int
    seconds: int
    number: int

    @property
    def end(self) -> int:
        """The second after the last stretch."""
        return self.start + self.seconds * self.number


def counted(rows: QuerySet[Row], column: str, among: Intervals) -> dict[int, int]:
    """Return how many rows there are in each interval that has any, by the number of the interval."""
    inside = rows.filter(**{f"{column}__gte": among.start, f"{column}__lt": among.end}).order_by()
    place = ExpressionWrapper((F(column) - among.start) / among.seconds, output_field=BigIntegerField())
    return dict(inside.annotate(place=place).values_list("place").annotate(number=Count("*")))


def some_of_each(
    rows: QuerySet[Model, object], column: str, values: Sequence[object], most: int, *, order: Sequence[str] = ()
) -> list[list[tuple[object, ...]]]:
    """Return, for each of some values of a column, the columns of up to `most` rows that have it, in one query.

    `rows` is a `values_list`; with an `order` its first ones are taken. A window over the rows of all values would read
    every one of them to give a few.
    """
    rows = rows.order_by(*order)
    # To compile a part takes as long as to run it: once for all plain texts.
    for_any, bound_for_any = _few(rows, column, _ANY_TEXT, most)
    parts, parameters = [], list[Any]()
    for number, value in enumerate(values):
        sql, bound = for_any, [value if parameter == _ANY_TEXT else parameter for parameter in bound_for_any]
        if not isinstance(value, str) or not bindable(value):
            try:
                sql, bound = _few(rows, column, value, most)
            except EmptyResultSet:
                continue
        parts.append(f"SELECT {number} AS part, few{number}.* FROM ({sql}) AS few{number}")  # noqa: S608 (made by the ORM)
        parameters += bound
    grouped: list[list[tuple[object, ...]]] = [[] for _ in values]
    if parts:
        with translated_errors(), connections[rows.db].cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts), parameters)
            for row in cursor.fetchall():
                number, columns = row[0], row[1:]
                grouped[number].append(_with_blobs(columns) if bytes in map(type, columns) else columns)
    return grouped


def _with_blobs(columns: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(StoredBlob(one) if isinstance(one, bytes) else one for one in columns)


_ANY_TEXT: Final = "any text"


def _few(rows: QuerySet[Model, object], column: str, value: object, most: int) -> tuple[str, list[object]]:
    """Return the statement for up to `most` rows with a value, and its parameters."""
    sql, bound = rows.filter(**{column: value})[:most].query.get_compiler(rows.db).as_sql()
    return sql, list(bound)


def first_values(*asked: tuple[QuerySet[Model], str]) -> list[Any]:
    """Return the first value of a column in each of some ordered rows, in one query; None if there is no row."""
    using, parts, parameters = asked[0][0].db, [], []
    for rows, column in asked:
        try:
            sql, bound = rows.values(column)[:1].query.get_compiler(using).as_sql()
        except EmptyResultSet:
            sql, bound = "NULL", ()
        parts.append(f"({sql})")
        parameters += bound
    with translated_errors(), connections[using].cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", parameters)
        row = cursor.fetchone()
    fields: list[Any] = [rows.model._meta.get_field(column) for rows, column in asked]
    return [field.from_db_value(raw, None, connections[using]) for field, raw in zip(fields, row, strict=True)]
