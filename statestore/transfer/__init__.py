"""A store moved between SQLite and PostgreSQL: copied in chunks, taken up again where it was stopped, compared."""

from statestore.transfer.moving import Transfer, transfer

__all__ = ["Transfer", "transfer"]
