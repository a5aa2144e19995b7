"""Each verb once more as a coroutine."""

import functools
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


def coroutine(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Awaitable[R]]:
    """Return the same verb as a coroutine; the ORM's connections stay in their one thread."""

    @functools.wraps(method)
    async def verb(self: S, *arguments: P.args, **keywords: P.kwargs) -> R:
        return await sync_to_async(method)(self, *arguments, **keywords)

    return verb  # type: ignore[return-value]
