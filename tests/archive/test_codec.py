"""Frames: any states come back byte for byte, and a damaged frame is named and fills no memory."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.db import archive
from statestore.db.archive import Frame, StoredState
from statestore.errors import DatabaseError

states = st.lists(st.builds(StoredState, st.binary(max_size=300), st.booleans()), min_size=1, max_size=20)


@given(states)
def test_states_come_back_byte_for_byte_in_any_order(drawn: list[StoredState]):
    frame = Frame("frame", archive.packed(drawn))
    assert len(frame) == len(drawn)
    for number in reversed(range(len(drawn))):
        assert frame.state(number) == drawn[number]


def test_large_states_are_packed_against_the_one_before():
    chance = random.Random(1)
    first = chance.randbytes(3_000_000)
    second = first[:1_500_000] + b"inserted" + first[1_500_000:]
    data = archive.packed([StoredState(first), StoredState(second)])
    assert len(data) < len(first) + 100_000
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
    start = len(archive._MAGIC) + archive._COUNT.size
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
