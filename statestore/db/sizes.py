"""How large a database is, as its header or its catalogue says: nothing is scanned."""

from pathlib import Path

from django.db import connections

from statestore.db import vendor


def database_bytes(using: str) -> int:
    """Return the bytes of a database, with its write-ahead log."""
    connection = connections[using]
    if vendor.is_sqlite(connection):
        path = str(connection.settings_dict["NAME"])
        return sum(file_bytes(Path(f"{path}{end}")) for end in ("", "-wal"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def free_page_bytes(using: str) -> int:
    """Return the bytes of pages in a file that hold nothing; 0 on PostgreSQL, which does not tell without a scan."""
    connection = connections[using]
    if not vendor.is_sqlite(connection):
        return 0
    with connection.cursor() as cursor:
        free = cursor.execute("PRAGMA freelist_count").fetchone()[0]
        return int(free) * int(cursor.execute("PRAGMA page_size").fetchone()[0])


def file_bytes(path: Path) -> int:
    """Return the bytes of a file, 0 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def directory_bytes(path: Path) -> tuple[int, int]:
    """Return how many entries a directory has, and the bytes of all files in it."""
    if not path.is_dir():
        return 0, 0
    entries = sum(1 for _ in path.iterdir())
    return entries, sum(file_bytes(one) for one in path.rglob("*") if one.is_file() and not one.is_symlink())
