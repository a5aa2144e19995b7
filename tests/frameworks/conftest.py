"""What the proofs share with the tests of sources."""

from tests.sources.conftest import server

__all__ = ["server"]
