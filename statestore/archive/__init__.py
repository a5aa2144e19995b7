"""The archive: old transitions and snapshots, moved into compressed frames and read as if nothing had moved."""

from statestore.archive.candidates import Archivable, archivable, records_of
from statestore.archive.limits import LEAST_RECORDS
from statestore.archive.moving import Archived, archive_agent, archive_before, switch_on
from statestore.archive.packing import pack
from statestore.archive.putting_back import archived_bytes, archived_records, put_back

__all__ = [
    "LEAST_RECORDS", "Archivable", "Archived", "archivable", "archive_agent", "archive_before", "archived_bytes",
    "archived_records", "pack", "put_back", "records_of", "switch_on",
]  # fmt: skip
