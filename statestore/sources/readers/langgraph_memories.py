"""LangGraph's long-term memories in SQLite: values by key, under a prefix. There is no history of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import History, Rows, Shape, Thread, Value, opaque

_COLUMNS: Final = {"prefix", "key", "value", "created_at", "updated_at"}


class LangGraphMemoriesReader:
    """Reads the table of SqliteStore: each prefix is a thread, whose state is the values by key."""

    name: ClassVar[str] = "LangGraph memories"

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether the table has LangGraph's columns."""
        return set(tables.get("store", ())) >= _COLUMNS and "store_migrations" in tables

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return the numbers of prefixes and of values."""
        prefixes, values = next(rows.execute("SELECT count(DISTINCT prefix), count(*) FROM store"))
        return {"prefixes": int(prefixes or 0), "values": int(values or 0)}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (prefix, its newest change with the number and the size of its values)."""
        for prefix, newest, number, size in rows.execute(
            "SELECT prefix, max(updated_at), count(*), sum(length(value)) FROM store GROUP BY prefix ORDER BY 2 DESC"
        ):
            yield _text(prefix), f"{_text(newest)} {_text(number)} {_text(size)}"

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return the values of a prefix as they are now."""
        found = list(
            rows.execute(
                "SELECT key, value, created_at, updated_at FROM store WHERE prefix = ? ORDER BY key", [thread_id]
            )
        )
        state: Json = {_text(key): _value(value) for key, value, _, _ in found}
        began = min((_seconds(created) for _, _, created, _ in found), default=0.0)
        changed = max((_seconds(updated) for *_, updated in found), default=0.0)
        return History(
            Thread(thread_id, f"memories {thread_id}", "idle", state, began, changed, {"prefix": thread_id}), ()
        )


def _value(value: Value) -> Json:
    raw = value if isinstance(value, bytes) else _text(value).encode("utf-8", "surrogateescape")
    with suppress(ValueError, RecursionError):
        parsed: Json = json.loads(raw)
        return parsed
    return opaque("damaged JSON", raw)


def _seconds(value: Value) -> float:
    with suppress(ValueError):
        return datetime.fromisoformat(_text(value)).replace(tzinfo=UTC).timestamp()
    return 0.0


def _text(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)
