"""Readers: one module for each framework's store, found by entry points. Plain Python; none imports its framework."""
