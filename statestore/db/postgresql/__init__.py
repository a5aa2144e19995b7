"""How long a server process waits for PostgreSQL."""

from typing import Final

# A page gives up long before; this ends what went wrong. Commands, which index or migrate, take as long as they take.
STATEMENT_SECONDS: Final = 30
LOCK_SECONDS: Final = 5
# In a process that serves requests: what bounds each of its connections.
_bounds: Final[dict[str, str]] = {}


def bound_statements() -> None:
    """Bound the statements of this process, which serves requests; call it before the first connection is made."""
    _bounds.update(statement_timeout=f"{STATEMENT_SECONDS}s", lock_timeout=f"{LOCK_SECONDS}s")


def bounds() -> dict[str, str]:
    """Return the bounds of this process's connections, by their names in PostgreSQL; none in a command."""
    return dict(_bounds)
