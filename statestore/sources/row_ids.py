"""The ids of mirrored rows: made of the source's own, so that to read the same again adds nothing."""

import hashlib

from statestore.db.fields import text_bytes
from statestore.models.sources import SourceThread


def row_id(thread: SourceThread, kind: str, key: str) -> str:
    """Return the id of a mirrored row."""
    return RowIds(thread).of(kind, key)


class RowIds:
    """The ids of a thread's mirrored rows: the same each time, and no other source's."""

    def __init__(self, thread: SourceThread) -> None:
        parts = (thread.source.name, thread.reader, thread.thread_id)
        self._thread = hashlib.sha256(b"".join(text_bytes(part) + b"\0" for part in parts))

    def of(self, kind: str, key: str) -> str:
        """Return the id of a row by the key of what it mirrors: a UUID of version 5."""
        made = self._thread.copy()
        made.update(text_bytes(f"{kind}\0{key}"))
        digest = bytearray(made.digest()[:16])
        digest[6], digest[8] = digest[6] & 0x0F | 0x50, digest[8] & 0x3F | 0x80
        digits = digest.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
