"""Measures the figures of docs/operations.md: `make bench`. Each stands beside bare sqlite3 in one run."""
