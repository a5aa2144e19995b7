"""The triggers by which the database refuses to change or delete an audit entry, lifted for a pruning alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

from statestore.db import vendor


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let the block delete entries. Call it inside a write transaction: with it the guards come back."""
    with connection.cursor() as cursor:
        if not vendor.is_sqlite(connection):
            cursor.execute("ALTER TABLE dash_audit DISABLE TRIGGER dash_audit_append_only")
            yield
            cursor.execute("ALTER TABLE dash_audit ENABLE TRIGGER dash_audit_append_only")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'dash_audit_no_%%'")
        guards = cursor.fetchall()
        for name, _ in guards:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, sql in guards:
            cursor.execute(sql)
