"""States in compressed frames: the codec, and tables that read as if nothing had moved.

Old transitions and snapshots are moved into tables of ours, with a marker in the place of each state; those of a mirror
have markers where they are. The states lie in frames, each compressed with the one after it as dictionary: what only
grew costs some bytes. The last state of a frame is compressed with a base, a state in a frame of its own that frames of
an agent share. A query of transitions or snapshots reads both tables as one, and the field of a state gives the state
that a marker names. A marker holds a random word of its store, which no agent knows, so that a text of an agent's is
never taken for one.
"""

import hashlib
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.datastructures import BaseTable

from descartes_site.locations import COMMAND
from statestore.db import vendor
from statestore.errors import DatabaseError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# A frame ends after so many states, or so many bytes: reading one takes milliseconds.
FRAME_STATES: Final = 128
FRAME_BYTES: Final = 8 * 1024 * 1024
# A longer state stays where it is; a frame that claims one is damaged.
MOST_BYTES: Final = 256 * 1024 * 1024
# States are shorter in most frames: one of 128 that is whole is not worth a base.
BASED_BYTES: Final = FRAME_BYTES // FRAME_STATES
_LEVEL: Final = 3
# Of a state that is compressed by itself, once for many others.
_LEVEL_ALONE: Final = 6
# The first format: from the oldest state on, each with the one before it as dictionary, and without a base.
_OLD_MAGIC: Final = b"DSF1"
_OLD_HEAD: Final = struct.Struct(">4sI")
_MAGIC: Final = b"DSF2"
# With the id of the base's frame, 0 without one, and the number of states.
_HEAD: Final = struct.Struct(">4sQI")
# Of each state: its compressed bytes, its bytes, whether it was a blob, its SHA-256.
_ENTRY: Final = struct.Struct(">IQ?32s")
_WINDOW_LOGS: Final = (10, 27)
_LEAST_DICTIONARY_BYTES: Final = 8
_LONG_BYTES: Final = 1024 * 1024
_CACHED_FRAMES: Final = 4

PREFIX: Final = "archived:"
TOKEN_CHARACTERS: Final = 16
MARKER_CHARACTERS: Final = 56
_SIZE_AT: Final = len(PREFIX) + TOKEN_CHARACTERS + 1
# How long a connection may go on believing that nothing is archived. The first archiving waits for longer.
NOTICED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class StoredState:
    """A state's bytes as they are stored, and whether it was stored as a blob."""

    raw: bytes
    is_blob: bool = False


@dataclass(frozen=True, slots=True)
class Base:
    """The state that the last one of a frame is compressed with, and the id of the frame that holds it."""

    frame_id: int
    raw: bytes


def packed(states: Sequence[StoredState], base: Base | None = None) -> bytes:
    """Return a frame of states: the last one with the base as dictionary, each other with the one after it."""
    pieces, entries = [], []
    following = None if base is None else base.raw
    for state in reversed(states):
        piece = _compressed(state.raw, following)
        pieces.append(piece)
        entries.append(_ENTRY.pack(len(piece), len(state.raw), state.is_blob, hashlib.sha256(state.raw).digest()))
        following = state.raw
    return b"".join((_HEAD.pack(_MAGIC, 0 if base is None else base.frame_id, len(states)), *entries, *pieces))


def with_base(data: bytes, frame_id: int) -> bytes:
    """Return a frame that names another one as that of its base."""
    magic, _, count = _HEAD.unpack_from(data)
    return _HEAD.pack(magic, frame_id, count) + data[_HEAD.size :]


def delta_bytes(raw: bytes, dictionary: bytes | None) -> int:
    """Return how many bytes a state takes that is compressed with another one, or by itself."""
    return len(_compressed(raw, dictionary))


def _compressed(raw: bytes, previous: bytes | None) -> bytes:
    parameters = zstd.CompressionParameter
    options: dict[int, int] = {parameters.compression_level: _LEVEL, parameters.checksum_flag: 0}
    if not _serves(previous):
        return zstd.compress(raw, options={**options, parameters.compression_level: _LEVEL_ALONE})
    assert previous is not None
    size = len(previous) + len(raw)
    least, most = _WINDOW_LOGS
    options[parameters.window_log] = min(max(size.bit_length(), least), most)
    if size > _LONG_BYTES:
        options[parameters.enable_long_distance_matching] = 1
    return zstd.compress(raw, options=options, zstd_dict=zstd.ZstdDict(previous, is_raw=True).as_prefix)


def _serves(previous: bytes | None) -> bool:
    """Return whether a state serves as dictionary of the next one: zstd takes none of under eight bytes."""
    return previous is not None and len(previous) >= _LEAST_DICTIONARY_BYTES


class Frame:
    """A frame that is read: states are unpacked from one end as far as they are asked for, and kept.

    `base_id` is the frame of the base, None without one; it is read once a state is asked for.
    """

    def __init__(self, name: str, data: bytes, read_base: Callable[[int], bytes] | None = None) -> None:
        self.name = name
        try:
            self._is_old = data[: len(_OLD_MAGIC)] == _OLD_MAGIC
            head = _OLD_HEAD if self._is_old else _HEAD
            magic, *base, count = head.unpack_from(data)
            body = head.size + count * _ENTRY.size
            if magic not in {_OLD_MAGIC, _MAGIC} or body > len(data):
                raise ValueError
            self._entries = list(_ENTRY.iter_unpack(data[head.size : body]))
        except (struct.error, ValueError):
            raise self._damaged() from None
        self.base_id: int | None = next(iter(base), None) or None
        ends = list(accumulate((entry[0] for entry in self._entries), initial=body))
        if ends[-1] != len(data) or any(entry[1] > MOST_BYTES for entry in self._entries):
            raise self._damaged()
        self._pieces = [data[begin:end] for begin, end in pairwise(ends)]
        self._read_base = read_base
        self._states: list[bytes] = []

    def __len__(self) -> int:
        return len(self._entries)

    def state(self, number: int) -> StoredState:
        """Return a state, byte for byte. Raises DatabaseError if the frame, or its base, is damaged there."""
        if not 0 <= number < len(self._entries):
            raise self._damaged()
        place = number if self._is_old else len(self._entries) - 1 - number
        while len(self._states) <= place:
            self._states.append(self._unpacked(len(self._states)))
        raw, (_, _, is_blob, digest) = self._states[place], self._entries[place]
        if hashlib.sha256(raw).digest() != digest:
            raise self._damaged()
        return StoredState(raw, is_blob)

    def _unpacked(self, place: int) -> bytes:
        size = self._entries[place][1]
        dictionary = self._states[-1] if self._states else self._base()
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOGS[1]}
        prefix = zstd.ZstdDict(dictionary, is_raw=True).as_prefix if _serves(dictionary) else None
        try:
            unpacker = zstd.ZstdDecompressor(zstd_dict=prefix, options=options)
            # No further than it says: a small piece that unpacks to gigabytes fills no memory.
            raw = unpacker.decompress(self._pieces[place], max_length=size + 1)
        except zstd.ZstdError:
            raise self._damaged() from None
        if len(raw) != size:
            raise self._damaged()
        return raw

    def _base(self) -> bytes:
        if self.base_id is None:
            return b""
        if self._read_base is None:
            # A base has none: to read a state takes one more frame at most.
            raise self._damaged()
        return self._read_base(self.base_id)

    def _damaged(self) -> DatabaseError:
        return DatabaseError(
            f"{self.name} is damaged: a state in it cannot be read. Nothing was changed. Put it back from a backup;"
            f" `{COMMAND} verify` names all that is damaged."
        )


# Markers


def marker(token: str, frame_id: int, number: int, size: int) -> str:
    """Return what stands for a state in the place where it was; all have the same length."""
    return f"{PREFIX}{token}:{size:012d}:{frame_id:012d}:{number:04d}"


def place_of(text: str) -> tuple[int, int]:
    """Return (frame id, number of the state) of a marker."""
    _, _, _, frame_id, number = text.split(":")
    return int(frame_id), int(number)


def is_marker(text: object, token: str | None) -> bool:
    """Return whether a text stands for an archived state of the store that has the token."""
    return (
        token is not None and isinstance(text, str) and len(text) == MARKER_CHARACTERS
        and text.startswith(f"{PREFIX}{token}:")
    )  # fmt: skip


# Whether anything is archived


def token_of(connection: BaseDatabaseWrapper) -> str | None:
    """Return the token of the store's markers; None if nothing was ever archived in it."""
    checked: tuple[float, object, str | None] | None = getattr(connection, "statestore_archive", None)
    now, database = time.monotonic(), vendor.opened(connection)
    is_known = checked is not None and checked[1] == database
    if checked is not None and is_known and (now - checked[0] < NOTICED_SECONDS or connection.needs_rollback):
        return checked[2]
    token = _read_token(connection)
    connection.statestore_archive = (now, database, token)  # type: ignore[attr-defined]
    return token


def forget_token(using: str) -> None:
    """Look again with the next query whether anything is archived, and read frames anew."""
    connections[using].statestore_archive = None  # type: ignore[attr-defined]
    connections[using].statestore_frames = None  # type: ignore[attr-defined]


def _read_token(connection: BaseDatabaseWrapper) -> str | None:
    connection.ensure_connection()
    if not vendor.table_exists(connection, "dash_archive"):
        return None
    raw: Any = connection.connection
    row = raw.execute("SELECT token FROM dash_archive").fetchone()
    return None if row is None else str(row[0])


# Reading


def read(connection: BaseDatabaseWrapper, text: str) -> StoredState:
    """Return the state that a marker stands for. Raises DatabaseError if its frame is missing or damaged."""
    frame_id, number = place_of(text)
    frames = _frames(connection)
    frame = frames.get(frame_id)
    if frame is None:
        frame = Frame(frame_name(frame_id), _read_data(connection, frame_id), lambda base: read_base(connection, base))
        _keep(frames, frame_id, frame)
    frames.move_to_end(frame_id)
    return frame.state(number)


def read_base(connection: BaseDatabaseWrapper, frame_id: int) -> bytes:
    """Return the state that frames were compressed with. Raises DatabaseError if it is missing or damaged."""
    frames = _frames(connection)
    frame = frames.get(frame_id)
    if frame is None or len(frame) != 1:
        frame = Frame(f"{frame_name(frame_id)}, a base of others,", _read_data(connection, frame_id))
        _keep(frames, frame_id, frame)
    frames.move_to_end(frame_id)
    return frame.state(0).raw


def frame_name(frame_id: int) -> str:
    """Return what a frame is called in messages."""
    return f"Archive frame {frame_id}"


def _keep(frames: OrderedDict[int, Frame], frame_id: int, frame: Frame) -> None:
    frames[frame_id] = frame
    while len(frames) > _CACHED_FRAMES:
        frames.popitem(last=False)


def _frames(connection: BaseDatabaseWrapper) -> OrderedDict[int, Frame]:
    """Return the frames that were read by a connection, newest last; another file has others."""
    kept: tuple[object, OrderedDict[int, Frame]] | None = getattr(connection, "statestore_frames", None)
    database = vendor.opened(connection)
    if kept is None or kept[0] != database:
        kept = database, OrderedDict()
        connection.statestore_frames = kept  # type: ignore[attr-defined]
    return kept[1]


def _read_data(connection: BaseDatabaseWrapper, frame_id: int) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM dash_frame WHERE id = %s", [frame_id])
        row = cursor.fetchone()
    if row is None:
        raise DatabaseError(f"{frame_name(frame_id)} is missing. Nothing was changed. Put it back from a backup.")
    return bytes(row[0])


# Tables


TWINS: Final = {"state_transitions": "dash_archived_transition", "state_snapshots": "dash_archived_snapshot"}
COLUMNS: Final = {
    "state_transitions": ("id", "agent_id", "state_before", "state_after", "reason", "timestamp", "metadata"),
    "state_snapshots": ("id", "agent_id", "state_data", "description", "created_at", "expires_at"),
}


class ArchivedTable(BaseTable):
    """A table with its archived rows: one query reads both, once anything is archived."""

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> vendor.Sql:
        """Return what stands in the FROM clause."""
        if token_of(connection) is None:
            return super().as_sql(compiler, connection)
        columns = ", ".join(f'"{name}"' for name in COLUMNS[self.table_name])
        both = (
            f'SELECT {columns}, "rowid" AS "rowid" FROM {self.table_name}'  # noqa: S608
            f' UNION ALL SELECT {columns}, "place" AS "rowid" FROM {TWINS[self.table_name]}'
        )
        return f"({both}) {compiler.quote_name_unless_alias(self.table_alias or self.table_name)}", []


def _size_sql(column: str, length: str, token: str, integer: str) -> str:
    """Return the SQL for the bytes of a state, archived or not, without reading a long one."""
    size = f"CAST(SUBSTR({column}, {_SIZE_AT + 1}, 12) AS {integer})"
    return f"CASE WHEN {_marked_sql(column, length, token)} THEN {size} ELSE {length} END"


def _marked_sql(column: str, length: str, token: str) -> str:
    return f"{length} = {MARKER_CHARACTERS} AND SUBSTR({column}, 1, {_SIZE_AT}) = '{PREFIX}{token}:'"


class _StateLength(vendor.ByteLength):
    """The size of a state, which may have been archived."""

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: object) -> vendor.Sql:
        return self._as_stored(compiler, connection, *super().as_sqlite(compiler, connection, **context))

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> vendor.Sql:
        return self._as_stored(compiler, connection, *self.as_sql(compiler, connection, **context))

    def _as_stored(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, length: str, parameters: Sequence[object]
    ) -> vendor.Sql:
        token = token_of(connection)
        if token is None:
            return length, parameters
        column, _ = compiler.compile(self.get_source_expressions()[0])
        integer = "INTEGER" if vendor.is_sqlite(connection) else "BIGINT"
        return _size_sql(column, length, token, integer), list(parameters) * 2


def marked_sql(connection: BaseDatabaseWrapper, column: str) -> str:
    """Return the condition that a column holds a marker, as SQL; false where nothing was ever archived."""
    token = token_of(connection)
    return "1 = 0" if token is None else _marked_sql(f'"{column}"', vendor.length_sql(connection, column), token)


class _IsMarked(models.Func):
    """Whether a marker stands for a state."""

    arity = 1
    output_field = models.BooleanField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: object) -> vendor.Sql:
        return self._as_condition(compiler, connection)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: object) -> vendor.Sql:
        return self._as_condition(compiler, connection)

    def _as_condition(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> vendor.Sql:
        token = token_of(connection)
        if token is None:
            return "1 = 0", []
        (source,) = self.get_source_expressions()
        column, parameters = compiler.compile(source)
        length, _ = compiler.compile(vendor.byte_length(source))
        return f"({_marked_sql(column, length, token)})", [*parameters, *parameters]


def is_marked(column: str) -> models.Func:
    """Return the condition that a marker stands for a state, which reads no long one."""
    return _IsMarked(column)


def state_length(column: str) -> vendor.ByteLength:
    """Return the expression for a state's size in bytes, archived or not."""
    return _StateLength(column)
