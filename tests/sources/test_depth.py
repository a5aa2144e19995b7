"""Values that nest as deep as Python's own stack, in each column and each member: a value, or an error of ours."""

import json
import sqlite3
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest

from statestore.sources.contract import Reader, Rows, Value
from statestore.sources.readers import known_readers, msgpack_values
from statestore.sources.state_texts import state_text
from tests.faults.scale import times
from tests.sources.stores import FILES, copied, everything

NAMES = sorted(str(path.relative_to(FILES)) for path in FILES.glob("*/*") if path.suffix in (".sqlite", ".db"))
DEPTHS = (60, 97, 99, 100, 101, 190, 199, 200, 201, 990, 2_000, 100_000)


def nested(depth: int, dice: Random) -> str:
    """Return JSON that nests so deep: lists, objects, or the words in which messages nest."""
    before, after = dice.choice([("[", "]"), ('{"a":', "}"), ('{"content":[', "]}"), ('[{"type":"text","text":', "}]")])
    return before * depth + "1" + after * depth


def packed(depth: int, dice: Random) -> bytes:
    """Return msgpack that nests so deep, in lists or in extensions, each of which holds msgpack again."""
    if dice.random() < 0.5:
        return b"\x91" * depth + b"\x01"
    data = msgpack.packb(1)
    for _ in range(min(depth, 2_000)):
        data = msgpack.packb(msgpack.ExtType(dice.choice([0, 1, 2, 5]), data))
    return bytes(data)


def deepened(value: Value, dice: Random) -> Value:
    """Return a column's value with something deep in the place of one of its members, or of itself."""
    depth = dice.choice(DEPTHS)
    if isinstance(value, bytes):
        return packed(depth, dice)
    with suppress(ValueError, TypeError):
        parsed: Any = json.loads(str(value))
        place = parsed
        while isinstance(place, dict | list) and place:
            key: Any = dice.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or dice.random() < 0.4:
                place[key] = "DEEP"
                return json.dumps(parsed).replace('"DEEP"', nested(depth, dice), 1)
            place = place[key]
    return nested(depth, dice)


def readers_of(rows: Rows) -> list[Reader]:
    tables = rows.tables()
    return [reader for reader in known_readers().values() if reader.recognises(tables)]


@pytest.mark.parametrize("name", NAMES)
def test_a_deep_value_anywhere_ends_no_reader(name: str):
    dice = Random(name)
    with copied(name) as rows:
        readers = readers_of(rows)
        places = [(table, column) for table, columns in rows.tables().items() for column in columns]
        for _ in range(times(60, 600)):
            table, column = dice.choice(places)
            if table.startswith("sqlite_"):
                continue
            rows.execute("BEGIN")
            damage(rows, table, column, dice)
            for reader in readers:
                with suppress(sqlite3.Error):
                    for history in everything(reader, rows):
                        state_text(history.thread.state)
            rows.execute("ROLLBACK")


def damage(rows: Rows, table: str, column: str, dice: Random) -> None:
    found = list(rows.execute(f'SELECT rowid, "{column}" FROM "{table}"'))
    if found:
        row, value = dice.choice(found)
        with suppress(sqlite3.IntegrityError):
            rows.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (deepened(value, dice), row))


def test_objects_within_objects_end_in_an_error_long_before_the_stack_does():
    """Each level takes 40 KB or more of the C stack: at 200 levels the process itself died."""
    for depth in (20, 31, 100, 199, 2_000):
        data = msgpack.packb(1)
        for _ in range(depth):
            data = msgpack.packb(msgpack.ExtType(0, b"\x93\xa1m\xa1n" + data))
        if depth <= 20:
            assert msgpack_values.unpack(data)
        else:
            with pytest.raises(msgpack_values.Damaged, match="nested too deeply"):
                msgpack_values.unpack(data)


def test_the_values_are_as_deep_as_they_are_said_to_be(tmp_path: Path):
    """The canary: without a limit, Python's own reading ends in a RecursionError."""
    with pytest.raises(RecursionError):
        json.loads(nested(100_000, Random(1)))


def test_lists_within_lists_end_in_an_error_however_few_bytes_they_take():
    for depth in (150, 199, 400, 900, 100_000):
        for head in (b"\x91", b"\x81\xa1a", b"\xdc\x00\x01"):
            try:
                json.dumps(msgpack_values.unpack(head * depth + b"\x01"))
            except msgpack_values.Damaged:
                assert depth > 150


def test_times_are_values_of_their_own():
    for seconds in (1, 1_795_000_000.5, 2**40):
        found = msgpack_values.unpack(msgpack.packb({"at": msgpack.Timestamp.from_unix(seconds)}))
        assert "Timestamp" in json.dumps(found)
