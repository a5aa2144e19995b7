"""The graph of tasks as boxes and lines, placed on the server: what is waited for at the left, who waits beside it."""

from dataclasses import dataclass
from typing import Final

from statestore import models
from statestore.taskgraph import Graph, Node

BOX_WIDTH: Final = 188
BOX_HEIGHT: Final = 44
STEP_X: Final = 236
STEP_Y: Final = 60
MARGIN: Final = 12
SIGNS: Final = {"Todo": "○", "InProgress": "●", "Done": "✓", "Blocked": "✕"}


@dataclass(frozen=True, slots=True)
class Box:
    """One task, where it stands. `state` is its look, `words` what it says to those who do not see it."""

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


@dataclass(frozen=True, slots=True)
class Line:
    """From what is waited for to who waits."""

    path: str
    state: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """The whole drawing."""

    boxes: list[Box]
    lines: list[Line]
    width: int
    height: int


def draw(graph: Graph, here: str) -> Drawn | None:
    """Return the drawing of a graph, or None where nothing waits for anything."""
    if not graph.edges:
        return None
    boxes = {name: _box(node, name == here) for name, node in graph.nodes.items()}
    lines = [
        Line(
            _curve(boxes[edge.waits_for], boxes[edge.task], graph.ways.get((edge.task, edge.waits_for), [])),
            "circle" if graph.nodes[edge.task].in_circle and graph.nodes[edge.waits_for].in_circle
            else "disagrees" if not edge.agrees
            else "done" if graph.nodes[edge.waits_for].is_done else "open",
        )
        for edge in graph.edges
    ]  # fmt: skip
    width = max(box.x for box in boxes.values()) + BOX_WIDTH + MARGIN * 3
    lowest = max([node.place for node in graph.nodes.values()] + [at for way in graph.ways.values() for _, at in way])
    height = MARGIN + lowest * STEP_Y + BOX_HEIGHT + MARGIN
    order = sorted(boxes.values(), key=lambda box: (box.node.layer, box.node.place))
    return Drawn(order, lines, width, height)


def _box(node: Node, is_here: bool) -> Box:
    status = node.task.status if node.task else "missing"
    title = str(node.task) if node.task else node.task_id
    state = "missing" if node.is_missing else "circle" if node.in_circle else "done" if node.is_done else (
        "waiting" if node.blocked_by else "free")  # fmt: skip
    label = dict(models.TaskStatus.choices).get(status, status)
    notes = {
        "missing": "does not exist", "circle": "waits for itself", "waiting": f"waits for {len(node.blocked_by)}",
        "done": "", "free": "can go on",
    }[state]  # fmt: skip
    return Box(
        node, MARGIN + node.layer * STEP_X, MARGIN + node.place * STEP_Y, SIGNS.get(status, "?"), title,
        " · ".join(filter(None, [str(label), notes])), state, f"{title}: {label}. {notes}".strip(), is_here,
    )  # fmt: skip


def _curve(one: Box, other: Box, way: list[tuple[int, int]]) -> str:
    """Return the line from one box to another, level where it passes through other layers."""
    x, y = one.x + BOX_WIDTH, one.y + BOX_HEIGHT // 2
    parts = [f"M{x} {y}"]
    for layer, place in way:
        left, level = MARGIN + layer * STEP_X, MARGIN + place * STEP_Y + BOX_HEIGHT // 2
        parts.append(_bend(x, y, left, level) + f" H{left + BOX_WIDTH}")
        x, y = left + BOX_WIDTH, level
    parts.append(_bend(x, y, other.x, other.y + BOX_HEIGHT // 2))
    return " ".join(parts)


def _bend(x1: int, y1: int, x2: int, y2: int) -> str:
    bend = max(30, abs(x2 - x1) // 2)
    return f"C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
