"""The effort that comparisons may take, counted in work done and not in time: the same states give the same answer.

A page shows several comparisons, word diffs and trees. Inside of `shared_effort` all of them draw on one budget, and
what was parsed or compared once is not parsed or compared again.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

Value = TypeVar("Value")


class Budget:
    """The effort that one comparison has left, shared by all its parts, so that many small ones cannot add up.

    A unit is about a tenth of a microsecond.
    """

    def __init__(self, units: int, within: "Budget | None" = None) -> None:
        self._left = units
        self._within = within

    def consume(self, units: int) -> bool:
        """Spend effort, and return whether there was enough. After the first refusal nothing is granted."""
        is_granted = self._left >= units and (self._within is None or self._within.consume(units))
        self._left = self._left - units if is_granted else -1
        return is_granted

    @property
    def is_spent(self) -> bool:
        """Whether some effort was refused, so that the answer is coarser than it could be."""
        return self._left < 0


@dataclass
class _Shared:
    budget: Budget
    results: dict[Hashable, Any] = field(default_factory=dict)


_shared: ContextVar[_Shared | None] = ContextVar("shared", default=None)


@contextmanager
def shared_effort(units: int) -> Iterator[Budget]:
    """Let all comparisons inside of the block share one budget and their results, such as those of one page."""
    token = _shared.set(_Shared(Budget(units)))
    try:
        shared = _shared.get()
        assert shared is not None
        yield shared.budget
    finally:
        _shared.reset(token)


def budget_of(units: int) -> Budget:
    """Return a budget of its own for one comparison, which also draws on the shared one if there is one."""
    shared = _shared.get()
    return Budget(units, within=shared.budget if shared else None)


def remembered(key: Hashable, make: Callable[[], Value]) -> Value:
    """Return what was made for the key before, inside of the same `shared_effort`. It must not be changed."""
    shared = _shared.get()
    if shared is None:
        return make()
    if key not in shared.results:
        shared.results[key] = make()
    result: Value = shared.results[key]
    return result
