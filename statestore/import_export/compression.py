"""gzip and zstd as streams: output is compressed while it is made, input is read line by line, each of bounded size."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final, Protocol, cast

from statestore.errors import ValidationError
from statestore.import_export import limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP_WBITS: Final = 31  # zlib's value for gzip with its header


def packed(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the pieces in an encoding, `gzip`, `zstd` or as they are, some 64 KB at a time."""
    if encoding == "gzip":
        return _flushed(pieces, *_methods(zlib.compressobj(wbits=GZIP_WBITS)))
    if encoding == "zstd":
        return _flushed(pieces, *_methods(zstd.ZstdCompressor()))
    return _flushed(pieces, lambda piece: piece, lambda: b"")


class Compressor(Protocol):
    """What packs a stream piece by piece."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _methods(compressor: Compressor) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    return compressor.compress, compressor.flush


def _flushed(
    pieces: Iterable[bytes], compress: Callable[[bytes], bytes], flush: Callable[[], bytes]
) -> Iterator[bytes]:
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        kept.append(compress(piece))
        size += len(kept[-1])
        if size > limits.PIECE_BYTES:
            yield b"".join(kept)
            kept, size = [], 0
    yield b"".join([*kept, flush()])


class _Readable(io.RawIOBase):
    """A `read(size)` function, such as a request's, as a file."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def unpacked_lines(read: Callable[[int], bytes], encoding: str) -> Iterator[bytes]:
    """Yield the lines of a stream in an encoding, each with its end.

    Raises ValidationError for an unknown encoding, damaged data, and a line over 256 MB: a small file that unpacks to a
    huge line fills no memory.
    """
    if encoding not in ("", "identity", "gzip", "zstd"):
        raise ValidationError(f"Unknown encoding {encoding[:40]}. Use gzip, zstd or none.")
    source = io.BufferedReader(_Readable(read), limits.STREAM_READ_BYTES)
    try:
        file = _unpacking(source, encoding)
        while line := file.readline(limits.MAX_LINE_BYTES + 1):
            if len(line) > limits.MAX_LINE_BYTES:
                raise ValidationError("A line is longer than 256 MB. No store has such a row.")
            yield line
    except (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError):
        raise ValidationError(f"The data is not valid {encoding}, or is damaged.") from None


def _unpacking(source: BinaryIO, encoding: str) -> BinaryIO:
    if encoding == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=source))
    if encoding == "zstd":
        return cast(BinaryIO, zstd.ZstdFile(source))
    return source
