"""Months of the calendar in UTC, as ranges of Unix seconds."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

_NAME: Final = re.compile(r"_(\d{4})_(\d\d)$")
# Of times before and after these, no month is made.
_YEARS: Final = range(1970, 10_000)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month."""

    year: int
    number: int

    @classmethod
    def of(cls, seconds: int) -> Self | None:
        """Return the month of a time; None for a time that is none of the calendar's."""
        try:
            at = datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None
        return cls(at.year, at.month) if at.year in _YEARS and at.year + 1 in _YEARS else None

    @classmethod
    def named(cls, partition: str) -> Self | None:
        """Return the month of a partition, by its name; None for the one of all other times."""
        match = _NAME.search(partition)
        return None if match is None else cls(int(match[1]), int(match[2]))

    @property
    def start(self) -> int:
        """Its first second."""
        return int(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp())

    @property
    def end(self) -> int:
        """The second after its last one."""
        return self.following.start

    @property
    def following(self) -> Self:
        """The month after it."""
        months = self.year * 12 + self.number
        return type(self)(months // 12, months % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


def coming(now: int, number: int) -> list[Month]:
    """Return the present month and those after it, so many in all."""
    month, found = Month.of(now), list[Month]()
    while month is not None and len(found) < number:
        found.append(month)
        month = month.following
    return found
