"""Sparklines: the numbers that one path of a state had, over time; and the sizes of an agent's last states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from statestore import history

WIDTH: Final = 240
HEIGHT: Final = 40
MAX_DRAWN: Final = 1e300


@dataclass(frozen=True, slots=True)
class Spark:
    """The numbers that a path had, as a line over time."""

    points: str
    least: str
    most: str
    count: int


def draw(past: history.PathHistory) -> Spark | None:
    """Return the line of the numbers, None for fewer than two."""
    seen = [(change.origin.at, change.after) for change in reversed(past.changes)]
    if past.changes:
        seen.insert(0, (past.changes[-1].origin.after or past.changes[-1].origin.at, past.changes[-1].before))
    numbers = [(at, float(value)) for at, value in seen if isinstance(value, int | float) and _is_drawable(value)]
    if len(numbers) < 2:
        return None
    least, most = min(n for _, n in numbers), max(n for _, n in numbers)
    start, end = numbers[0][0], numbers[-1][0]
    points = " ".join(
        f"{WIDTH * (at - start) / max(end - start, 1):.1f},"
        f"{HEIGHT - 2 - (HEIGHT - 4) * (number - least) / ((most - least) or 1):.1f}"
        for at, number in numbers
    )
    return Spark(points, f"{least:g}", f"{most:g}", len(numbers))


# A small one, in a row of a list.
STEPS_WIDTH: Final = 88
STEPS_HEIGHT: Final = 16


def steps(numbers: Sequence[int]) -> str:
    """Return numbers as the path of a line in steps, from zero up; empty for fewer than two."""
    if len(numbers) < 2:
        return ""
    top, width = max(*numbers, 1), STEPS_WIDTH / (len(numbers) - 1)
    places = [(place * width, STEPS_HEIGHT - (STEPS_HEIGHT - 1) * number / top) for place, number in enumerate(numbers)]
    first, *others = [(f"{x:.4g}", f"{y:.4g}") for x, y in places]
    return f"M{first[0]} {first[1]}" + "".join(f"H{x}V{y}" for x, y in others)


def _is_drawable(value: float) -> bool:
    return not isinstance(value, bool) and abs(value) < MAX_DRAWN
