"""The store as lines of JSON, to be kept, read and put into another store.

codec           one row as one line, byte for byte, whichever types its columns hold
tables          which tables, in which order, by which keys
exporter        the lines of a store, in short reads
importer        lines into a store: upserts in short writes, a dry run, a report
agent_history   the orchestrator's own agent history as such lines
compression     gzip and zstd, while streaming
original_types  what a number was in the SQLite file that it came from
"""

from statestore.import_export.exporter import Wanted, export_lines
from statestore.import_export.importer import Report, import_lines

__all__ = ["Report", "Wanted", "export_lines", "import_lines"]
