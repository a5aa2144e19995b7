"""Everything that a prompt-injected agent could write, in every column: no page may fall over it, nothing may run."""

import itertools
import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.foreign.schema import connect

# Nested past what Python's parser survives, and with what JSON allows but few expect.
_DEEP = "[" * 3_000 + "]" * 3_000

TEXTS: dict[str, str | bytes] = {
    "script": "<script>document.title='pwned'</script>",
    "closing": "</textarea></title></script></div><img src=x onerror=\"document.title='pwned'\">",
    "htmx": "<div hx-get=/x hx-trigger=load>htmx</div>",
    "htmx-out": '</div><div hx-get="/x" hx-trigger="load" hx-on::load="document.title=\'pwned\'">',
    "attribute": "\" autofocus onfocus=\"document.title='pwned'\" x=\"' onmouseover='alert(1)",
    "javascript": "javascript:document.title='pwned'",
    "template": "{{ settings.SECRET_KEY }}{% debug %}",
    "traversal": "../../..",
    "dots": "..",
    "dot": ".",
    "empty": "",
    "blank": " ",
    "slashes": "a/b//c/",
    "backslash": "..\\..\\x",
    "query": "a?b=c&d#e%2e%00",
    "colon": "alpha:beta:gamma",
    "tilde": "~YWJj",
    "newlines": "one\r\nSet-Cookie: x=1\r\n\r\ntwo",
    "control": "".join(map(chr, [*range(1, 32), 127, 0x85, 0x2028, 0x2029])),
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "nul": "before\0after",
    "bidi": "safe\u202egnirts\u2066\u2069\u200b\ufeff",
    "combining": "Z" + "\u0351" * 500,
    "emoji": "👩‍👩‍👧‍👦" * 50,
    "formula": '=HYPERLINK("http://example.org","x")',
    "quote": "'; DROP TABLE agent_states; --",
    "like": "%_%_[a-z]*",
    "fts": '"unbalanced (query^ -x:y NEAR',
    "long-name": "n" * 100_000,
    "long-word": "<" * 20_000,
    "not-json": "{'single': quotes, trailing: [1,2,}",
    "deep-json": _DEEP,
    "duplicate-keys": '{"a": 1, "a": 2, "a": {"a": 1, "a": 2}}',
    "odd-numbers": '{"big": 1e400, "zero": -0, "long": 0.1000000000000000055511151231257827, "nan": NaN}',
    "huge-integer": f'{{"n": {"9" * 5_000}}}',
    "surrogate": '{"s": "\\ud800", "nul": "\\u0000"}',
    "proto": '{"__proto__": {"x": 1}, "constructor": null, "": {"~1/": 1, "/": 2}}',
    "many-keys": json.dumps({f"k{number}": number for number in range(2_000)}),
    "messages": json.dumps(
        [
            {"role": "<script>alert(1)</script>", "content": "```\n<img src=x onerror=alert(1)>"},
            {
                "role": "user",
                "name": "\u202e",
                "content": [[["nested"]], {"type": "image_url", "image_url": "javascript:1"}],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": 5, "function": {"name": {}, "arguments": "{{{"}}],
            },
            {"role": "tool", "content": {"__proto__": ["\ud800"]}, "tool_call_id": ["x"]},
        ]
    ),
    "bare": '"only a string"',
    "bom": "\ufeff{}",
    # Bytes are written as TEXT that is not valid UTF-8.
    "invalid-utf8": b"caf\xe9 \xff\xfe \xc3\x28",
    "cut-utf8": "é".encode()[:1] + b"/\x80",
    "encoded-surrogate": b"\xed\xa0\x80x",
}

# Bound as blobs: SQLite keeps them as such in a text column.
BLOBS: dict[str, bytes] = {"blob": b"\x00\x01\xfe\xff<b>blob</b>", "empty-blob": b"", "json-blob": b'{"a": 1}'}

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**63 - 1, -(2**63), 253_402_300_800, 1_795_000_000_000, -62_135_596_801,
    "soon", "", "2026-11-22 21:28:06", "2026-13-45 99:99:99", "<b>1</b>", 1.5, 1e300, -1e308, float("inf"),
    b"\x00\xff", "9" * 400,
)  # fmt: skip

# table: (text columns, integer columns)
_COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "agent_states": (
        ("key", "agent_id", "name", "status", "metadata", "state_data"),
        ("version", "created_at", "updated_at"),
    ),
    "state_transitions": (
        ("id", "agent_id", "state_before", "state_after", "reason", "metadata"),
        ("timestamp",),
    ),
    "state_snapshots": (("id", "agent_id", "state_data", "description"), ("created_at", "expires_at")),
    "events": (
        ("id", "event_type", "session_id", "actor_type", "actor_id", "content", "metadata", "git_commit"),
        ("timestamp", "created_at"),
    ),
    "tasks": (
        ("id", "title", "description", "status", "priority", "complexity", "assigned_to", "dependencies", "metadata"),
        ("created_at", "updated_at", "created_timestamp"),
    ),
    "sessions": (("id", "agent_id", "status", "metadata"), ("started_at", "ended_at", "created_at")),
}


def fill(path: Path | str) -> dict[str, int]:
    """Put one row per nasty value into each table of a version 5 file; return the number of rows per table.

    In each row the value fills every text column; every integer column gets one of NUMBERS in turn.
    """
    connection = connect(path)
    numbers = itertools.cycle(NUMBERS)
    connection.execute("BEGIN")
    for table, (texts, integers) in _COLUMNS.items():
        for value in [*TEXTS.values(), *map(_Blob, BLOBS.values())]:
            _insert(connection, table, texts, value, {column: next(numbers) for column in integers})
    _insert_edges(connection)
    _insert_odd_flags(connection)
    connection.execute("COMMIT")
    counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _COLUMNS}
    connection.close()
    return counts


class _Blob(bytes):
    """Bytes that stay a blob, beside those that are cast to text."""


def _insert(
    connection: sqlite3.Connection, table: str, texts: tuple[str, ...], value: str | bytes, integers: dict[str, Any]
) -> None:
    mark = "CAST(? AS TEXT)" if isinstance(value, bytes) and not isinstance(value, _Blob) else "?"
    marks = ", ".join([mark] * len(texts) + ["?"] * len(integers))
    bound = [bytes(value) if isinstance(value, bytes) else value] * len(texts)
    connection.execute(
        f"INSERT INTO {table} ({', '.join([*texts, *integers])}) VALUES ({marks})", [*bound, *integers.values()]
    )


def _insert_edges(connection: sqlite3.Connection) -> None:
    """Let each nasty task wait for the one before it, and the first for itself."""
    connection.execute(
        "INSERT INTO task_dependencies (task_id, depends_on_task_id)"
        " SELECT id, lag(id, 1, id) OVER (ORDER BY rowid) FROM tasks"
    )


def _insert_odd_flags(connection: sqlite3.Connection) -> None:
    """Add agents whose flag is no flag: text, a blob, a number that is neither 0 nor 1."""
    for number, flag in enumerate(["yes", b"\x01", 2, -1, 1, ""]):
        connection.execute(
            "INSERT INTO agent_states (key, agent_id, name, state_data, created_at, updated_at, is_deleted)"
            " VALUES (?, ?, 'flagged', '{}', 1, 1, ?)",
            (f"flag:{number}", f"flag-{number}", flag),
        )
