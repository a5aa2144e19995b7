"""What this process's SQLite must be able to do."""

import sqlite3
from contextlib import closing
from typing import Final

# RETURNING came with it. What later versions added is asked for by version, where it is used.
LEAST_VERSION: Final = (3, 35, 0)
_REMEDY: Final = "Install the pysqlite3 package, or a Python with a newer SQLite."


def fault() -> str:
    """Return in one line what this process's SQLite lacks, "" for one that will do."""
    if sqlite3.sqlite_version_info < LEAST_VERSION:
        return f"This Python has SQLite {sqlite3.sqlite_version}; 3.35 or later is needed. {_REMEDY}"
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE VIRTUAL TABLE tried USING fts5(text, tokenize = 'trigram')")
    except sqlite3.OperationalError as error:
        return f"This Python's SQLite {sqlite3.sqlite_version} has no FTS5 with trigrams ({error}). {_REMEDY}"
    return ""
