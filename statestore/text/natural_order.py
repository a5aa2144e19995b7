"""The order in which people read names: numbers in them by value, so that agent-2 comes before agent-10.

Only for lists that are in memory whole. Lists that are read page by page keep the database's order, whose index finds
the next page.
"""

import re
from typing import Final, TypeAlias

NaturalKey: TypeAlias = tuple[tuple[str | tuple[int, str], ...], str]

_NUMBER: Final = re.compile("([0-9]+)")


def natural(name: str) -> NaturalKey:
    """Return the key by which a name is sorted; names that differ in case or leading zeros alone have an order too."""
    parts = _NUMBER.split(name.casefold())
    # Digits are compared by their number first: int() refuses more than 4,300 of them.
    key = ((len(part.lstrip("0")), part.lstrip("0")) if place % 2 else part for place, part in enumerate(parts))
    return tuple(key), name
