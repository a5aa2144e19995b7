"""Shares of a whole as rectangles, nearly square (Bruls, Huizing, van Wijk: squarified treemaps)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from statestore.views.formatting import line, size
from statestore.views.svg.axes import percent

# The picture is as wide as the page, and this high in pixels; it is laid out for a page of this width.
HEIGHT: Final = 280
_WIDTH: Final = 900.0
# A cell that is smaller has its name in its title alone.
_LABEL_WIDTH: Final = 90.0
_LABEL_HEIGHT: Final = 36.0

# Left, top, width, height.
_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the whole: its kind decides the colour."""

    name: str
    kind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A rectangle: across in percent of the width, down in pixels."""

    kind: str
    x: str
    width: str
    y: str
    height: str
    label: str
    size: str
    said: str
    has_label: bool


def draw(parts: Sequence[Part]) -> list[Cell]:
    """Return the cells of parts that have any bytes, the largest first."""
    shown = sorted((part for part in parts if part.bytes > 0), key=lambda part: (-part.bytes, part.name))
    total = sum(part.bytes for part in shown)
    areas = [part.bytes / total * _WIDTH * HEIGHT for part in shown]
    boxes = _squarified(areas, (0.0, 0.0, _WIDTH, float(HEIGHT)))
    return [_cell(part, box, total) for part, box in zip(shown, boxes, strict=True)]


def _cell(part: Part, box: _Box, total: int) -> Cell:
    left, top, width, height = box
    share = f"{100 * part.bytes / total:.1f} %"
    return Cell(
        part.kind, percent(left, _WIDTH), percent(width, _WIDTH), f"{top:.1f}", f"{height:.1f}", line(part.name, 40),
        size(part.bytes), f"{line(part.name, 100)}: {size(part.bytes)}, {share}",
        width >= _LABEL_WIDTH and height >= _LABEL_HEIGHT,
    )  # fmt: skip


def _squarified(areas: Sequence[float], box: _Box) -> Iterator[_Box]:
    """Yield the boxes of areas, largest first, that fill a box: row by row along its shorter side."""
    start = 0
    while start < len(areas):
        side = min(box[2], box[3])
        end = start + 1
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(areas[start:end], side):
            end += 1
        row, box = _row(areas[start:end], box)
        yield from row
        start = end


def _worst(areas: Sequence[float], side: float) -> float:
    """Return how far the least square of a row is from a square."""
    total = sum(areas)
    return max(side**2 * max(areas) / total**2, total**2 / (side**2 * min(areas))) if side and total else 0.0


def _row(areas: Sequence[float], box: _Box) -> tuple[list[_Box], _Box]:
    """Return the boxes of a row along the shorter side of a box, and what is left of it."""
    left, top, width, height = box
    is_column = width >= height
    depth = sum(areas) / (height if is_column else width or 1.0) if (height if is_column else width) else 0.0
    boxes: list[_Box] = []
    place = top if is_column else left
    for area in areas:
        length = area / depth if depth else 0.0
        boxes.append((left, place, depth, length) if is_column else (place, top, length, depth))
        place += length
    rest = (
        (left + depth, top, max(width - depth, 0.0), height) if is_column
        else (left, top + depth, width, max(height - depth, 0.0))
    )  # fmt: skip
    return boxes, rest
