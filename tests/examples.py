"""How many examples a property is tried with: enough for each change, more in `make faults`."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from tests.faults.scale import times

Test = TypeVar("Test", bound=Callable[..., Any])


def thoroughly(test: Test) -> Test:
    """Mark a property of plain Python that is worth thousands of examples."""
    return _marked(test, times(50, 5_000))


def thoroughly_on_the_store(test: Test) -> Test:
    """Mark a property whose every example asks the store many times."""
    return _marked(test, times(10, 2_000))


def _marked(test: Test, examples: int) -> Test:
    marked: Test = pytest.mark.thorough(settings(max_examples=examples)(test))
    return marked
