"""gzip and zstd, while streaming: what goes out is packed as it is made, what comes in is bounded as it is unpacked."""

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from statestore.errors import ValidationError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# One line has one row, which has two states at most.
MOST_LINE_BYTES: Final = 256 * 1024 * 1024
READ_BYTES: Final = 256 * 1024
PIECE_BYTES: Final = 64 * 1024
GZIP: Final = 31  # zlib's word for gzip with its header


def packed(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the pieces in an encoding, `gzip`, `zstd` or as they are, some 64 KB at a time."""
    if encoding == "gzip":
        return _flushed(pieces, *_methods(zlib.compressobj(wbits=GZIP)))
    if encoding == "zstd":
        return _flushed(pieces, *_methods(zstd.ZstdCompressor()))
    return _flushed(pieces, lambda piece: piece, lambda: b"")


def _methods(compressor: Any) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    return compressor.compress, compressor.flush


def _flushed(
    pieces: Iterable[bytes], compress: Callable[[bytes], bytes], flush: Callable[[], bytes]
) -> Iterator[bytes]:
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        kept.append(compress(piece))
        size += len(kept[-1])
        if size > PIECE_BYTES:
            yield b"".join(kept)
            kept, size = [], 0
    yield b"".join([*kept, flush()])


def unpacked(read: Callable[[int], bytes], encoding: str) -> Iterator[bytes]:
    """Yield what is read, unpacked, piece by piece; a small file that unpacks to a huge one fills no memory."""
    if encoding in ("", "identity"):
        while piece := read(READ_BYTES):
            yield piece
        return
    if encoding not in ("gzip", "zstd"):
        raise ValidationError(f"Unknown encoding {encoding[:40]}. Use gzip, zstd or none.")
    try:
        yield from (_ungzipped if encoding == "gzip" else _unzstd)(read)
    except (zlib.error, zstd.ZstdError, EOFError):
        raise ValidationError(f"The data is not valid {encoding}, or is damaged.") from None


def _ungzipped(read: Callable[[int], bytes]) -> Iterator[bytes]:
    unpack = zlib.decompressobj(wbits=GZIP)
    while piece := read(READ_BYTES):
        while piece:
            yield unpack.decompress(piece, READ_BYTES)
            piece = unpack.unconsumed_tail
    yield unpack.flush()


def _unzstd(read: Callable[[int], bytes]) -> Iterator[bytes]:
    unpack = zstd.ZstdDecompressor()
    while piece := read(READ_BYTES):
        yield unpack.decompress(piece, READ_BYTES)
        while not unpack.needs_input and not unpack.eof:
            yield unpack.decompress(b"", READ_BYTES)
        if unpack.eof:
            return


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream, each with its end."""
    rest: list[bytes] = []
    size = 0
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        for part in whole:
            yield b"".join([*rest, part, b"\n"])
            rest, size = [], 0
        rest.append(last)
        size += len(last)
        if size > MOST_LINE_BYTES:
            raise ValidationError("A line is longer than 256 MB. No store has such a row.")
    if any(rest):
        yield b"".join(rest)
