"""Frames: any states come back byte for byte, and a damaged frame is named and fills no memory."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.db import archive
from statestore.db.archive import Base, Frame, StoredState
from statestore.errors import DatabaseError

states = st.lists(st.builds(StoredState, st.binary(max_size=300), st.booleans()), min_size=1, max_size=20)


@given(states)
def test_states_come_back_byte_for_byte_in_any_order(drawn: list[StoredState]):
    frame = Frame("frame", archive.packed(drawn))
    assert len(frame) == len(drawn)
    for number in reversed(range(len(drawn))):
        assert frame.state(number) == drawn[number]


@given(states, st.binary(max_size=300))
def test_states_with_a_base_come_back_byte_for_byte(drawn: list[StoredState], base: bytes):
    data = archive.packed(drawn, Base(7, base))
    frame = Frame("frame", data, lambda frame_id: {7: base}[frame_id])
    assert frame.base_id == 7
    for number in reversed(range(len(drawn))):
        assert frame.state(number) == drawn[number]


def test_a_frame_of_the_first_format_is_read():
    data = (
        "RFNGMQAAAAQAAAAmAAAAAAAAAB0A6kUnyq84dAIBB7nHdbbguyqWYcZzKjlvI3RiDJJbStMAAAAZAAAAAAAAACIADaiITZbFLX9+bnMipRSb"
        "w1TmKNFJEp8BIj+h9eVHtMEAAAAZAAAAAAAAACcAIE2XwozGYF/c47X5nM6/FpGv+Lq+4NF9dBkVa4HV0jkAAAAKAAAAAAAAAAEBqBAK5qoZ"
        "QNC2Y7sxzUZhQuu9vVGHExuS2TgYmHgy64kotS/9IB3pAAB7InN0ZXAiOiAxLCAibm90ZXMiOiAibm90ZSAifSi1L/0gIoUAAEAybm90ZSAi"
        "fQIAYArQFBAotS/9ICeFAABAM25vdGUgIn0CAEBJKRQQKLUv/SABCQAA/w=="
    )
    frame = Frame("frame", base64.b64decode(data))
    assert [frame.state(number) for number in range(3)] == [
        StoredState(f'{{"step": {n}, "notes": "{"note " * n}"}}'.encode()) for n in range(1, 4)
    ]
    assert frame.state(3) == StoredState(b"\xff", is_blob=True)


def test_what_was_in_the_base_already_costs_some_bytes():
    chance = random.Random(1)
    base = chance.randbytes(1_000_000)
    drawn = [StoredState(base[: 900_000 + number * 10_000]) for number in range(10)]
    assert len(archive.packed(drawn, Base(1, base))) < 20_000


def test_another_state_in_the_base_s_place_is_noticed():
    states = [StoredState(b"first state " * 9), StoredState(b"second state " * 9)]
    data = archive.packed(states, Base(1, b"second state " * 8))
    with pytest.raises(DatabaseError, match="frame is damaged"):
        Frame("frame", data, lambda _: b"another base" * 9).state(1)


def test_a_base_has_no_base():
    data = archive.packed([StoredState(b"state " * 9)], Base(1, b"state " * 8))
    with pytest.raises(DatabaseError, match="frame is damaged"):
        Frame("frame", data).state(0)


def test_large_states_are_packed_against_the_one_before():
    chance = random.Random(1)
    first = chance.randbytes(3_000_000)
    second = first[:1_500_000] + b"inserted" + first[1_500_000:]
    data = archive.packed([StoredState(first), StoredState(second)])
    assert len(data) < len(second) + 100_000
    assert Frame("frame", data).state(1).raw == second


def test_each_of_300_damaged_frames_is_named_or_read_as_it_was():
    chance = random.Random(16)
    drawn = [StoredState(f'{{"step": {n}, "notes": "{"x" * n}"}}'.encode()) for n in range(20)]
    data = archive.packed(drawn)
    wrong = []
    for _ in range(300):
        damaged = bytearray(data)
        place = chance.randrange(len(damaged))
        match chance.choice(["flip", "cut", "zeros"]):
            case "flip":
                damaged[place] ^= 1 << chance.randrange(8)
            case "cut":
                del damaged[place:]
            case _:
                damaged[place : place + 64] = b"\0" * len(damaged[place : place + 64])
        try:
            frame = Frame("Archive frame 7", bytes(damaged))
            found = [frame.state(number) for number in range(len(drawn))]
        except DatabaseError as error:
            wrong += [] if "Archive frame 7 is damaged" in str(error) else [str(error)]
            continue
        # Whether a state was a blob has no hash of its own; the frame's SHA-256 tells.
        wrong += [] if [state.raw for state in found] == [state.raw for state in drawn] else [f"unseen at {place}"]
    assert wrong == []


def test_what_unpacks_to_more_than_it_says_is_refused():
    honest = archive.packed([StoredState(b"\0" * 10_000_000)])
    entry = archive._ENTRY
    start = archive._HEAD.size
    length, _, is_blob, digest = entry.unpack_from(honest, start)
    lying = honest[:start] + entry.pack(length, 100, is_blob, digest) + honest[start + entry.size :]
    with pytest.raises(DatabaseError, match="is damaged"):
        Frame("frame", lying).state(0)
    claiming = honest[:start] + entry.pack(length, 2**40, is_blob, digest) + honest[start + entry.size :]
    with pytest.raises(DatabaseError, match="is damaged"):
        Frame("frame", claiming)


@given(st.integers(0, 10**12 - 1), st.integers(1, 10**12 - 1), st.integers(0, 9999))
def test_markers_have_one_length_and_are_read_back(size: int, frame_id: int, number: int):
    token = "0123456789abcdef"
    text = archive.marker(token, frame_id, number, size)
    assert len(text) == archive.MARKER_CHARACTERS
    assert archive.place_of(text) == (frame_id, number)
    assert archive.is_marker(text, token)
    assert not archive.is_marker(text, "f" * 16)
    assert not archive.is_marker(text, None)
