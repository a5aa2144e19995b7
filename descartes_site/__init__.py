"""The site: settings, URLs and the WSGI/ASGI entry points.

The SQLite library is chosen here, before Django loads, because exactly one may live in a process: a second one would
drop the first one's POSIX locks when it closes the file, and commits would be lost silently.
"""

import importlib
import sys


def _prefer_fixed_sqlite() -> None:
    """Put pysqlite3 (SQLite 3.51.3 or later) in place of the standard library's where its wheel is installed."""
    if "sqlite3" in sys.modules:
        return  # sqlite3 is imported already: two SQLite libraries in one process would be worse than an old one.
    try:
        fixed = importlib.import_module("pysqlite3")
    except ImportError:
        return
    sys.modules["sqlite3"] = fixed
    sys.modules["sqlite3.dbapi2"] = importlib.import_module("pysqlite3.dbapi2")


_prefer_fixed_sqlite()
