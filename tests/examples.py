"""How many examples a property is tried with: enough for each change, more in `make faults`."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from tests.faults.scale import times

Test = TypeVar("Test", bound=Callable[..., Any])

# What is pure Python means the same on either database: there only the queries are new.
_MANY = times(50 if os.environ.get("STORE_URL", "").startswith("postgres") else 200, 5_000)


def thoroughly(test: Test) -> Test:
    """Mark a property that is worth thousands of examples."""
    marked: Test = pytest.mark.thorough(settings(max_examples=_MANY)(test))
    return marked
