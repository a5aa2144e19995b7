"""LangGraph's long-term memories: values by key, under a prefix. There is no history of them."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import History, Rows, Shape, Thread
from statestore.sources.readers.columns import json_of, seconds, text_of, whole_of

_COLUMNS: Final = {"prefix", "key", "value", "created_at", "updated_at"}


class LangGraphMemoriesReader:
    """Reads the table of SqliteStore or PostgresStore: each prefix is a thread, whose state is the values by key."""

    name: ClassVar[str] = "LangGraph memories"
    databases: ClassVar[frozenset[str]] = frozenset(("SQLite", "PostgreSQL"))

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether the table has LangGraph's columns."""
        return set(tables.get("store", ())) >= _COLUMNS and "store_migrations" in tables

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return the numbers of prefixes and of values."""
        prefixes, values = next(rows.execute("SELECT count(DISTINCT prefix), count(*) FROM store"))
        return {"prefixes": whole_of(prefixes), "values": whole_of(values)}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (prefix, its newest change with the number and the size of its values)."""
        for prefix, newest, number, size in rows.execute(
            "SELECT prefix, max(updated_at), count(*), sum(length(CAST(value AS TEXT))) FROM store"
            " GROUP BY prefix ORDER BY 2 DESC"
        ):
            yield text_of(prefix), f"{text_of(newest)} {text_of(number)} {text_of(size)}"

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return the values of a prefix as they are now."""
        found = list(
            rows.execute(
                "SELECT key, value, created_at, updated_at FROM store WHERE prefix = ? ORDER BY key", [thread_id]
            )
        )
        state: Json = {text_of(key): json_of(value) for key, value, _, _ in found}
        began = min((seconds(created) or 0.0 for _, _, created, _ in found), default=0.0)
        changed = max((seconds(updated) or 0.0 for *_, updated in found), default=0.0)
        return History(
            Thread(thread_id, f"memories {thread_id}", "idle", state, began, changed, {"prefix": thread_id}), ()
        )
