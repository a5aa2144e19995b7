"""What forks in a framework's own store share: a new thread beside the old one, of which nothing is changed."""

from collections.abc import Mapping, Sequence
from typing import Final

from statestore.errors import Conflict, ValidationError
from statestore.sources.contract import Rows, Value
from statestore.sources.readers.columns import quoted

_KEYS_AT_ONCE: Final = 500


def check_free(rows: Rows, table: str, columns: Mapping[str, Value], what: str) -> None:
    """Raise Conflict if a table has a row with these values already."""
    where = " AND ".join(f"{quoted(name)} = ?" for name in columns)
    sql = f"SELECT 1 FROM {quoted(table)} WHERE {where} LIMIT 1"  # noqa: S608  quoted names
    if next(rows.execute(sql, columns.values()), None) is not None:
        raise Conflict(f"There is a {what} with this id already. Nothing was written. Choose another id.")


def check_length(new_id: str, most: int) -> None:
    """Raise ValidationError if an id is longer than a framework's column takes."""
    if len(new_id) > most:
        raise ValidationError(
            f"An id has at most {most} characters there. Nothing was written. Choose a shorter one.", field="agent_id"
        )


def copy_rows(
    rows: Rows, table: str, where: Mapping[str, Value], by: str, keys: Sequence[Value], changed: Mapping[str, Value]
) -> None:
    """Copy the rows that have these values, and one of the keys in the column `by`, with some columns changed."""
    names = [*rows.tables()[table]]
    columns = ", ".join(map(quoted, names))
    values = ", ".join("?" if name in changed else quoted(name) for name in names)
    bound = [changed[name] for name in names if name in changed]
    same = "".join(f"{quoted(name)} = ? AND " for name in where)
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        part = keys[start : start + _KEYS_AT_ONCE]
        marks = ", ".join("?" * len(part))
        rows.execute(
            f"INSERT INTO {quoted(table)} ({columns}) SELECT {values} FROM {quoted(table)}"  # noqa: S608
            f" WHERE {same}{quoted(by)} IN ({marks})",
            [*bound, *where.values(), *part],
        )
