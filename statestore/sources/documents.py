"""JSON files, files of JSON lines, and folders of JSON files, opened as documents; nothing is written beside them."""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from statestore.errors import ValidationError
from statestore.jsondiff.parsing import Json, NotJson, parse
from statestore.sources import real_paths
from statestore.sources.contract import Document, DocumentReader, History, Page, Reader, Rows, Shape, Value
from statestore.sources.dialects import SQLiteDialect
from statestore.sources.readers import known_document_readers
from statestore.sources.readers.columns import is_opaque, json_of

# A document is read whole.
MOST_BYTES: Final = 128 * 1024 * 1024
MOST_LINES: Final = 500_000
MOST_FILES: Final = 5_000
_FOLDER_DEPTH: Final = 3
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_HEAD_BYTES: Final = 4096
# Of the first lines, so many tell whether a file is made of lines.
_TRIED_LINES: Final = 20
_LINE_NAMES: Final = {".jsonl", ".ndjson"}
_KNOWN_BEGINNINGS: Final = (
    (b"PK\x03\x04", "a ZIP archive. Unpack it, and open what is inside."),
    (b"\x1f\x8b", "compressed with gzip. Unpack it first."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd. Unpack it first."),
    (b"%PDF", "a PDF file."),
    (b"\x89PNG", "a picture."),
    (b"\xff\xd8\xff", "a picture."),
    (b"PAR1", "a Parquet file."),
    (b"\x80\x04", "a Python pickle, which is never read here: to read one is to run it."),
    (b"\x80\x05", "a Python pickle, which is never read here: to read one is to run it."),
    (b"\xff\xfe", "text in UTF-16. Save it as UTF-8."),
    (b"\xfe\xff", "text in UTF-16. Save it as UTF-8."),
)


class DocumentFile(SQLiteDialect):
    """A document that is open, in the place of a database: its readers know it, and no SQL does."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def execute(self, sql: str, values: Iterable[Value] = (), /) -> Iterator[tuple[Value, ...]]:
        """Return no rows: a document has no tables."""
        return iter(())

    def tables(self) -> dict[str, Shape]:
        """Return no tables."""
        return {}

    def readers(self) -> dict[str, Reader]:
        """Return the readers that know the document, by their keys. Raises ValidationError if none does."""
        known = known_document_readers()
        found = {
            key: _Bound(reader, self.document) for key, reader in known.items() if reader.recognises(self.document)
        }
        if not found:
            names = ", ".join(sorted(reader.name for reader in known.values()))
            raise ValidationError(
                f"{self.document.name} is JSON of no format that is known here: {_what_it_is(self.document)}."
                f" It was not changed. Known are: {names}."
            )
        return cast("dict[str, Reader]", found)


@dataclass(frozen=True)
class _Bound:
    """A reader of documents with the document that it reads, as a Reader."""

    reader: DocumentReader
    document: Document

    @property
    def name(self) -> str:
        return self.reader.name

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        return self.reader.recognises(self.document)

    def count(self, rows: Rows) -> Mapping[str, int]:
        return self.reader.count(self.document)

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        return self.reader.positions(self.document)

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        return self.reader.read(self.document, thread_id, after)


def is_document(path: Path) -> bool:
    """Return whether a path is a folder, or a file that begins as JSON does."""
    if path.is_dir():
        return True
    return path.is_file() and _head(path).lstrip()[:1] in (b"{", b"[")


def what_it_is(path: Path) -> str:
    """Return what a file that is neither a database nor JSON looks like, as a sentence's end with a full stop."""
    head = _head(path)
    for beginning, words in _KNOWN_BEGINNINGS:
        if head.startswith(beginning):
            return words
    if not head.strip():
        return "empty."
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character may be cut off at the end of what was read.
        if error.start < len(head) - 4:
            return "binary data of a kind that is not known here. If it is encrypted, open a decrypted copy."
    return "text. Open the database or the JSON in which the framework keeps its state."


def opened(path: Path) -> DocumentFile:
    """Return a document. Raises ValidationError, in words, for one that is too large or damaged."""
    pages = _folder(path) if path.is_dir() else _pages(path)
    return DocumentFile(Document(path.name, pages, path.lstat().st_mtime))


def folder_stamp(path: Path) -> str:
    """Return what tells whether a folder of JSON files has changed."""
    found = [(within, os.stat(name, dir_fd=at)) for within, name, at in _files(path)]
    return json.dumps([[name, status.st_ino, status.st_size, status.st_mtime_ns] for name, status in found])


def newest_change(path: Path) -> float:
    """Return when a file of a folder was written last; 0 if there is none."""
    return max((os.stat(name, dir_fd=at).st_mtime for _, name, at in _files(path)), default=0.0)


def _head(path: Path) -> bytes:
    with real_paths.opening, os.fdopen(real_paths.opened(path), "rb") as file:
        return file.read(_HEAD_BYTES).removeprefix(_BYTE_ORDER_MARK)


def _folder(path: Path) -> list[Page]:
    """Return each JSON file of a folder as a page; a damaged one is opaque."""
    pages, size = [], 0
    for within, name, at in _files(path):
        with os.fdopen(real_paths.file_in(at, name), "rb") as file:
            size += os.fstat(file.fileno()).st_size
            _refuse_large(path, size)
            pages.append(Page(json_of(file.read()), within))
    if not pages:
        raise ValidationError(
            f"{path.name} is a folder without JSON files. Nothing was changed. Name a database in it by its file."
        )
    return pages


def _files(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield the JSON files of a folder and of those in it, by name: (path within, name, descriptor of its folder).

    Links are left out: they may lead anywhere.
    """
    number = 0
    root = real_paths.folder(path)
    try:
        for folder, folders, names, at in os.fwalk(".", dir_fd=root):
            folders[:] = sorted(folders) if len(Path(folder).parts) < _FOLDER_DEPTH else []
            for name in sorted(names):
                if not name.endswith(".json") or not stat.S_ISREG(_mode(name, at)):
                    continue
                number += 1
                if number > MOST_FILES:
                    raise ValidationError(
                        f"{path.name} has more than {MOST_FILES:,} JSON files. Open a folder within it."
                    )
                yield str(Path(folder) / name), name, at
    finally:
        os.close(root)


def _mode(name: str, at: int) -> int:
    return os.stat(name, dir_fd=at, follow_symlinks=False).st_mode


def _pages(path: Path) -> list[Page]:
    with os.fdopen(real_paths.opened(path), "rb") as file:
        _refuse_large(path, os.fstat(file.fileno()).st_size)
        data = file.read().removeprefix(_BYTE_ORDER_MARK)
    if _is_lines(path, data):
        return list(_lines(path, data))
    try:
        return [Page(parse(data.decode(), max_bytes=MOST_BYTES))]
    except UnicodeDecodeError as error:
        raise ValidationError(
            f"{path.name} is damaged: byte {error.start:,} is not UTF-8. It was not changed."
        ) from None
    except NotJson as error:
        at = "" if error.position is None else f" (at character {error.position:,})"
        raise ValidationError(f"{path.name} cannot be read as JSON. {error.reason}{at} It was not changed.") from None


def _refuse_large(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise ValidationError(
            f"{path.name} is too large: {size / 2**20:,.0f} MiB of JSON, where {MOST_BYTES // 2**20} MiB can be read."
            " It was not changed."
        )


def _is_lines(path: Path, data: bytes) -> bool:
    """Return whether each line is a value of its own. The first lines decide: any of them may be damaged."""
    lines = [line for line in data.split(b"\n", _TRIED_LINES)[:_TRIED_LINES] if line.strip()]
    if path.suffix.lower() in _LINE_NAMES:
        return True
    whole = [isinstance(value := json_of(line), dict) and not is_opaque(value) for line in lines]
    return len(lines) > 1 and sum(whole) * 2 >= len(whole)


def _lines(path: Path, data: bytes) -> Iterator[Page]:
    """Yield the lines. The last one is left out while its program has not finished writing it."""
    lines = data.split(b"\n")
    if len(lines) > MOST_LINES:
        raise ValidationError(f"{path.name} has more than {MOST_LINES:,} lines. It was not changed.")
    last = len(lines) - 1
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        value = json_of(line)
        if number != last or not is_opaque(value):
            yield Page(value)


def _what_it_is(document: Document) -> str:
    value = document.pages[0].value if document.pages else None
    number = len(document.pages)
    what = "an empty file" if not document.pages else f"{number:,} values, the first " if number > 1 else ""
    return what + _kind(value) if document.pages else what


def _kind(value: Json) -> str:
    if is_opaque(value):
        return "damaged"
    if isinstance(value, dict):
        names = ", ".join(name[:40] for name in list(value)[:8])
        return f"an object with the members {names}" if names else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value):,}, the first {_kind(value[0])}" if value else "an empty list"
    return "a single value"
