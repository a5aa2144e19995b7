"""Partitions: events and transitions of a PostgreSQL store by month, made while programs write, when asked."""

from statestore.partitions.coming import make_coming
from statestore.partitions.dropping import Dropped, drop, months_of
from statestore.partitions.layout import TABLES, is_partitioned, table_of
from statestore.partitions.months import Month
from statestore.partitions.moving import partition, unpartition

__all__ = [
    "TABLES", "Dropped", "Month", "drop", "is_partitioned", "make_coming", "months_of", "partition", "table_of",
    "unpartition",
]  # fmt: skip
