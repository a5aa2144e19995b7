"""The task graph as boxes and arrows: dependencies at the left, their dependents beside them."""

from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.tasks.dependencies import Edge
from statestore.tasks.graph import Graph, Node

BOX_WIDTH: Final = 188
BOX_HEIGHT: Final = 44
STEP_X: Final = 236
STEP_Y: Final = 60
MARGIN: Final = 12
HEAD: Final = 8
# What closes a circle goes round below all boxes, each in a lane of its own, through the gaps between the layers.
LANE: Final = 14
BEND: Final = 6
SIGNS: Final = {"Todo": "○", "InProgress": "●", "Done": "✓", "Blocked": "✕"}


@dataclass(frozen=True, slots=True)
class Box:
    """One task and its position. `state` is its style, `words` its text for screen readers."""

    node: Node
    x: int
    y: int
    sign: str
    title: str
    below: str
    state: str
    words: str
    is_here: bool

    @property
    def text_x(self) -> int:
        return self.x + 10

    @property
    def title_y(self) -> int:
        return self.y + 18

    @property
    def below_y(self) -> int:
        return self.y + 35

    @property
    def middle(self) -> int:
        return self.y + BOX_HEIGHT // 2


@dataclass(frozen=True, slots=True)
class Line:
    """From a dependency to its dependent, with the head at the latter; `state` and `head_state` are their styles."""

    path: str
    head: str
    state: str
    head_state: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """The whole drawing; with `has_way_back`, some line closes a cycle."""

    boxes: list[Box]
    lines: list[Line]
    width: int
    height: int
    has_way_back: bool


def draw(graph: Graph, here: str) -> Drawn | None:
    """Return the drawing of a graph, or None without dependencies."""
    if not graph.edges:
        return None
    backs = [edge for edge in graph.edges if graph.goes_back(edge)]
    left = STEP_X - BOX_WIDTH if backs else MARGIN
    boxes = {name: _box(node, name == here, left) for name, node in graph.nodes.items()}
    lines = [_line(graph, edge, boxes, left) for edge in graph.edges if not graph.goes_back(edge)]
    lowest = max(
        [node.place for node in graph.nodes.values()] + [at for points in graph.waypoints.values() for _, at in points]
    )
    height = MARGIN + lowest * STEP_Y + BOX_HEIGHT + MARGIN
    for number, edge in enumerate(backs):
        path = _round(boxes[edge.depends_on], boxes[edge.task], height + number * LANE, number % 6 * 5)
        lines.append(Line(path, _head(boxes[edge.task]), "back", "circle"))
    width = max(box.x for box in boxes.values()) + BOX_WIDTH + (STEP_X - BOX_WIDTH if backs else MARGIN * 3)
    order = sorted(boxes.values(), key=lambda box: (box.node.layer, box.node.place))
    return Drawn(order, lines, width, height + len(backs) * LANE, bool(backs))


def _line(graph: Graph, edge: Edge, boxes: dict[str, Box], left: int) -> Line:
    dependency, task = graph.nodes[edge.depends_on], graph.nodes[edge.task]
    path = _curve(boxes[edge.depends_on], boxes[edge.task], graph.waypoints.get((edge.task, edge.depends_on), []), left)
    state = (
        "circle" if dependency.in_cycle and task.in_cycle
        else "disagrees" if not edge.agrees
        else "done" if dependency.is_done else "open"
    )  # fmt: skip
    return Line(path, _head(boxes[edge.task]), state, state)


def _box(node: Node, is_here: bool, left: int) -> Box:
    status = node.task.status if node.task else "missing"
    title = str(node.task) if node.task else node.task_id
    state = "missing" if node.is_missing else "circle" if node.in_cycle else "done" if node.is_done else (
        "waiting" if node.blocked_by else "free")  # fmt: skip
    label = dict(models.TaskStatus.choices).get(status, status)
    notes = {
        "missing": "does not exist", "circle": "circular dependency", "waiting": f"blocked by {len(node.blocked_by)}",
        "done": "", "free": "ready",
    }[state]  # fmt: skip
    unseen = f", {node.not_drawn} of them not drawn" if state == "waiting" and node.not_drawn else ""
    return Box(
        node, left + node.layer * STEP_X, MARGIN + node.place * STEP_Y, SIGNS.get(status, "?"), title,
        " · ".join(filter(None, [str(label), notes])), state, f"{title}: {label}. {notes}{unseen}".strip(), is_here,
    )  # fmt: skip


def _curve(start: Box, end: Box, waypoints: list[tuple[int, int]], left: int) -> str:
    """Return the line from one box to another, level where it passes through other layers."""
    x, y = start.x + BOX_WIDTH, start.middle
    parts = [f"M{x} {y}"]
    for layer, place in waypoints:
        at, level = left + layer * STEP_X, MARGIN + place * STEP_Y + BOX_HEIGHT // 2
        parts.append(_bend(x, y, at, level) + f" H{at + BOX_WIDTH}")
        x, y = at + BOX_WIDTH, level
    parts.append(_bend(x, y, end.x - HEAD, end.middle))
    return " ".join(parts)


def _bend(x1: int, y1: int, x2: int, y2: int) -> str:
    bend = max(24, abs(x2 - x1) // 2)
    return f"C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"


def _head(box: Box) -> str:
    """Return the arrow's head at the dependent's box."""
    return f"M{box.x} {box.middle} l-{HEAD} -4 v8 z"


def _round(start: Box, end: Box, lane: int, aside: int) -> str:
    """Return the line from a box to one before it: down to a lane below all boxes, and up again."""
    out, into = start.x + BOX_WIDTH + HEAD + aside, end.x - HEAD * 2 - aside
    return (
        f"M{start.x + BOX_WIDTH} {start.middle} H{out - BEND} Q{out} {start.middle} {out} {start.middle + BEND}"
        f" V{lane - BEND} Q{out} {lane} {out - BEND} {lane} H{into + BEND} Q{into} {lane} {into} {lane - BEND}"
        f" V{end.middle + BEND} Q{into} {end.middle} {into + BEND} {end.middle} H{end.x - HEAD}"
    )
