"""Measures the README's figures: `make bench`. Each stands beside the same work done with bare sqlite3, in one run."""
