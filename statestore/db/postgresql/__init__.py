"""How long a server process waits for PostgreSQL."""

from typing import Final

# A page gives up long before; this ends what went wrong. Commands, which index or migrate, take as long as they take.
STATEMENT_SECONDS: Final = 30
LOCK_SECONDS: Final = 5
# A transaction in which nothing is asked for so long holds rows that the orchestrator may wait for. Longer than a slow
# client may take for a part of an answer.
IDLE_SECONDS: Final = 90
# In a process that serves requests: what bounds each of its connections.
_bounds: Final[dict[str, str]] = {}


def bound_statements() -> None:
    """Bound the statements of this process, which serves requests; call it before the first connection is made."""
    _bounds.update(
        statement_timeout=f"{STATEMENT_SECONDS}s",
        lock_timeout=f"{LOCK_SECONDS}s",
        idle_in_transaction_session_timeout=f"{IDLE_SECONDS}s",
    )


def bounds() -> dict[str, str]:
    """Return the bounds of this process's connections, by their names in PostgreSQL; none in a command."""
    return dict(_bounds)
