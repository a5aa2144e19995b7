"""Putting archived records back into the orchestrator's tables, byte for byte; `leave` does so first."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connections

from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.archive import limits
from statestore.archive.candidates import STATES, Kind, packed_rows
from statestore.db import archive, pagination, transactions, vendor
from statestore.db.archive import StoredState
from statestore.db.fields import StoredBlob, placed
from statestore.models.audit import Action
from statestore.models.querysets import delete_unused_frames

_MODELS: dict[Kind, type[models.ArchivedTransition] | type[models.ArchivedSnapshot]] = {
    "transition": models.ArchivedTransition,
    "snapshot": models.ArchivedSnapshot,
}
_TABLES: dict[Kind, str] = {"transition": "state_transitions", "snapshot": "state_snapshots"}


def archived_records(using: str) -> int:
    """Return how many transitions and snapshots have their states in frames."""
    moved = sum(model.objects.using(using).count() for model in _MODELS.values())
    return moved + sum(packed_rows(kind, using).count() for kind in _MODELS)


def archived_bytes(using: str) -> tuple[int, int]:
    """Return how many records are archived, and the bytes of the states in their frames."""
    sizes = models.ArchiveFrame.objects.using(using).values_list("unpacked_bytes", flat=True)
    return archived_records(using), sum(sizes.iterator())


def put_back(using: str, *, by: Actor, go_on: Callable[[], bool] = lambda: True) -> int:
    """Put all archived records back where they were, and return their number; frames that are empty go."""
    done = 0
    for kind, model in _MODELS.items():
        for rows in _pages(model, using):
            if not go_on():
                return done
            with transactions.writing(using):
                for row in rows:
                    done += _put_back(using, kind, row)
    done += _unpack(using, go_on)
    for agent_id in list(models.ArchiveFrame.objects.using(using).values_list("agent_id", flat=True).distinct()):
        with transactions.writing(using):
            delete_unused_frames(using, agent_id)
    if done:
        with transactions.writing(using):
            audit.record(Action.UNARCHIVE, "store", row_id="", by=by, using=using, detail={"records": done})
    return done


def _unpack(using: str, go_on: Callable[[], bool]) -> int:
    """Give rows that were packed as they were written their states, and return their number."""
    done = 0
    for kind in _MODELS:
        sizes = [archive.state_length(name) for name in STATES[kind]]
        rows = list(packed_rows(kind, using).values_list("pk", *sizes))
        for pks in pagination.portions(((pk, sum(size)) for pk, *size in rows), limits.MOVED_BYTES, limits.MOVED_ROWS):
            if not go_on():
                return done
            with transactions.writing(using):
                done += sum(_unpack_row(using, kind, pk) for pk in pks)
    return done


def _unpack_row(using: str, kind: Kind, pk: str) -> int:
    row = packed_rows(kind, using).filter(pk=pk)
    texts = row.values_list(*STATES[kind]).first()
    return 0 if texts is None else row.update(**dict(zip(STATES[kind], texts, strict=True)))


def _pages(
    model: type[models.ArchivedTransition] | type[models.ArchivedSnapshot], using: str
) -> Iterator[list[object]]:
    rows = model.objects.using(using).order_by("agent_id", "place")
    while page := list(rows[: limits.MOVED_ROWS]):
        portion: list[object] = []
        size = 0
        for row in page:
            bytes_of = sum(int(getattr(row, name).split(":")[2]) for name in _marked(row))
            if portion and size + bytes_of > limits.MOVED_BYTES:
                break
            portion.append(row)
            size += bytes_of
        yield portion


def _marked(row: object) -> tuple[str, ...]:
    return STATES["transition" if isinstance(row, models.ArchivedTransition) else "snapshot"]


def _put_back(using: str, kind: Kind, row: object) -> int:
    connection = connections[using]
    table, twin, columns = _TABLES[kind], archive.TWINS[_TABLES[kind]], archive.COLUMNS[_TABLES[kind]]
    pk, place = row.pk, row.place  # type: ignore[attr-defined]
    values, bound = list[str](), list[Any]()
    for name in columns:
        if name in STATES[kind]:
            sql, value = placed(_text(archive.read(connection, getattr(row, name))), connection)
            values.append(sql)
            bound.append(value)
        else:
            values.append(f'"{name}"')
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.cursor() as cursor:
        # Its place may have been taken by a newer row; it then gets another one.
        cursor.execute(f'SELECT 1 FROM {table} WHERE "rowid" = %s', [place])  # noqa: S608
        is_free = cursor.fetchone() is None
        into, what = (f'{names}, "rowid"', f"{', '.join(values)}, place") if is_free else (names, ", ".join(values))
        overriding = "" if vendor.is_sqlite(connection) else " OVERRIDING SYSTEM VALUE"
        cursor.execute(
            f"INSERT INTO {table} ({into}){overriding} SELECT {what} FROM {twin} WHERE id = %s",  # noqa: S608
            [*bound, pk],
        )
        cursor.execute(f"DELETE FROM {twin} WHERE id = %s", [pk])  # noqa: S608
    return 1


def _text(state: StoredState) -> str:
    return StoredBlob(state.raw) if state.is_blob else vendor.decoded(state.raw)
