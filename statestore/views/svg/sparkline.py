"""Numbers over time as lines in steps: those that one path of a state had, and the sizes of an agent's last states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from statestore import history
from statestore.views.formatting import utc
from statestore.views.svg.axes import TimeTick, ValueTick, percent, time_ticks

HEIGHT: Final = 96
MAX_DRAWN: Final = 1e300


@dataclass(frozen=True, slots=True)
class Step:
    """A number for as long as it was the value: its place in percent of the width, and in pixels from the top."""

    x: str
    width: str
    y: float
    rise: float
    title: str

    @property
    def top(self) -> float:
        """Where the line from the number before ends or begins, whichever is higher."""
        return min(self.y, self.y - self.rise)

    @property
    def tall(self) -> float:
        """How long that line is."""
        return abs(self.rise) + 1.5


@dataclass(frozen=True, slots=True)
class Steps:
    """The numbers that a path had, as a line in steps between its least and its most, above an axis of time."""

    steps: list[Step]
    scale: list[ValueTick]
    ticks: list[TimeTick]
    height: int
    least: str
    most: str
    count: int


def draw(past: history.PathHistory, now: int) -> Steps | None:
    """Return the line of the numbers up to now, None for fewer than two."""
    seen = [(change.origin.at, change.after) for change in reversed(past.changes)]
    if past.changes:
        seen.insert(0, (past.changes[-1].origin.after or past.changes[-1].origin.at, past.changes[-1].before))
    numbers = [(at, float(value)) for at, value in seen if isinstance(value, int | float) and _is_drawable(value)]
    if len(numbers) < 2:
        return None
    least, most = min(n for _, n in numbers), max(n for _, n in numbers)
    start = numbers[0][0]
    # A number that was set this second is seen too.
    end = max(now, numbers[-1][0] + max((numbers[-1][0] - start) // 50, 1))
    places = [(at, _y(number, least, most), number) for at, number in numbers]
    steps = [
        Step(
            percent(at - start, end - start),
            percent(until - at, end - start),
            y,
            round(y - before, 1),
            f"{number:g} from {_said(at)}",
        )
        for (at, y, number), until, before in zip(
            places, [*(at for at, _, _ in places[1:]), end], [places[0][1], *(y for _, y, _ in places)], strict=False
        )
    ]
    scale = [ValueTick(_y(number, least, most), f"{number:g}") for number in dict.fromkeys((most, least))]
    return Steps(steps, scale, time_ticks(start, end), HEIGHT, f"{least:g}", f"{most:g}", len(numbers))


def _said(at: int) -> str:
    """Return a time in words: a program may have written one that no clock can show."""
    moment = utc(at)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else str(at)


def _y(number: float, least: float, most: float) -> float:
    return round(HEIGHT - 1 - (HEIGHT - 2) * (number - least) / ((most - least) or 1), 1)


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
