"""What foreign columns hold is taken as far as it can be, and nothing raises."""

import math
import time

import pytest

from statestore.jsondiff.parsing import Number
from statestore.sources.contract import opaque
from statestore.sources.readers.agno import AgnoReader
from statestore.sources.readers.columns import first_words, id_of, json_of, number_of_key, quoted, seconds, text_of
from statestore.sources.readers.messages import said
from tests.sources.stores import DEEP, copied

# 2026-11-26 17:29:31 UTC, by `date -u +%s`.
AT = 1_795_714_171


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        (b'{"a": 1}', {"a": 1}),
        (7, 7),
        (1.5, 1.5),
        (None, None),
        ("1e400", Number("1e400")),
        (DEEP, opaque("text that is not JSON", DEEP.encode())),
        ('{"a": 1, "a": 2}', opaque("text that is not JSON", b'{"a": 1, "a": 2}')),
        ("NaN", opaque("text that is not JSON", b"NaN")),
        (b"\xff", opaque("bytes that are not text", b"\xff")),
        (math.inf, opaque("number that is not finite", b"inf")),
    ],
)
def test_a_column_gives_its_json_or_is_opaque(column, value):
    assert json_of(column) == value


@pytest.mark.parametrize(
    ("stored", "at"),
    [
        ("2026-11-26 17:29:31", AT),
        ("2026-11-26T17:29:31.500000+00:00", AT + 0.5),
        ("2026-11-26T18:29:31+01:00", AT),
        ("2026-11-26T17:29:31Z", AT),
        ("20261126T172931", AT),
        (AT, AT),
        (1795713242.7475586, 1795713242.7475586),
        (Number("1795714171.50"), AT + 0.5),
    ],
)
def test_a_time_is_utc_seconds(stored, at):
    assert seconds(stored) == at


def test_a_time_without_a_zone_is_utc_wherever_the_program_runs(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert seconds("2026-11-26 17:29:31") == AT
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "stored", [None, True, "", "soon", "2026-13-45", math.inf, math.nan, 10**400, 1e300, Number("1e999"), [], b"2026"]
)
def test_what_is_no_time_has_no_seconds(stored):
    assert seconds(stored) is None


def test_the_first_words_of_a_text_are_one_line():
    assert first_words(" a\n\tb  c ") == "a b c"
    assert first_words("word " * 12) == "word " * 11 + "word"
    assert first_words("word " * 13) == "word " * 11 + "word…"
    assert first_words("x" * 1_000_000) == "x" * 59 + "…"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (7, "7"), (1.5, "1.5"), (Number("1e400"), "1e400"), (None, ""), (True, ""), ([], ""), (b"a", "")],
)
def test_a_text_is_told_from_what_is_none(value, text):
    assert text_of(value) == text


def test_a_key_is_a_number_that_a_row_can_have():
    keys = ["0", "42", str(2**63 - 1), str(2**63), "9" * 99, "-1", "1.0", "٣", "", " 1"]

    assert [number_of_key(key) for key in keys] == [0, 42, 2**63 - 1, *[None] * 7]


def test_an_id_with_broken_characters_is_left_out():
    assert [id_of(value) for value in ("ü/🌞", "", "\udcff", None, 7, b"a")] == ["ü/🌞", "", None, None, None, None]

    with copied("agno/small.sqlite") as rows:
        rows.connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        rows.execute("UPDATE agno_sessions SET session_id = CAST(x'ff' AS TEXT) WHERE session_id = 'session-1'")

        assert [thread_id for thread_id, _ in AgnoReader().positions(rows)] == ["session-2"]


def test_a_name_is_quoted_for_sql():
    assert quoted('a"b') == '"a""b"'


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"role": "system", "content": "Be brief."}, ("System", "message", "Be brief.")),
        ({"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image"}]},
         ("User", "message", "a\n[image]")),
        ({"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
         ("Agent", "tool_call", "{}")),
        ({"role": "tool", "tool_call_id": "1", "content": "done"}, ("Tool", "tool_result", "done")),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]}, ("Agent", "reasoning", "so")),
        (7, ("Agent", "message", "7")),
        (None, ("Agent", "message", "null")),
        (opaque("x", b""), ("System", "unreadable", '{"$opaque": "x", "bytes": 0, "sha256": "'
         'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}')),
    ],
)  # fmt: skip
def test_a_message_says_who_said_what(item, told):
    spoken = said(item)

    assert (spoken.actor, spoken.kind, spoken.content) == told
