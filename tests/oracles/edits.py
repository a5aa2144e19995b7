"""Edits of rows taken back, naively: a table of plain rows, and a log of each row before and after."""

from typing import Any

Row = dict[str, Any]


class Refused(Exception):
    """The edit cannot be taken back; nothing was changed."""


class Table:
    """Rows by their id, and what was done to them: (id, row before, row after), None where there was none."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.log: list[tuple[str, Row | None, Row | None]] = []

    def write(self, row_id: str, row: Row | None) -> None:
        """Create, overwrite or delete a row, and log it."""
        self.log.append((row_id, self.rows.get(row_id), row))
        if row is None:
            del self.rows[row_id]
        else:
            self.rows[row_id] = row

    def take_back(self, number: int) -> None:
        """Take back one entry of the log, unless what it wrote was changed since."""
        row_id, before, after = self.log[number]
        now = self.rows.get(row_id)
        if after is None:
            if now is not None:
                raise Refused("it exists again")
            self.write(row_id, before)
        elif now is None:
            raise Refused("it was deleted")
        elif before is None:
            if now != after:
                raise Refused("it was changed")
            self.write(row_id, None)
        else:
            columns = [column for column in after if before[column] != after[column]]
            if any(now[column] != after[column] for column in columns):
                raise Refused("it was changed again")
            self.write(row_id, now | {column: before[column] for column in columns})
