"""The graph around one task: all that it waits for, all that wait for it, and what each of them waits for besides."""

from dataclasses import dataclass, field
from typing import Final

from statestore import models
from statestore.db.routers import store_alias
from statestore.tasks import dependencies as task_dependencies
from statestore.tasks import graph_layout
from statestore.tasks.dependencies import Edge

MOST_TASKS: Final = 300
DONE: Final = models.TaskStatus.DONE.value


@dataclass(slots=True)
class Node:
    """A task in the graph. `layer` 0 waits for nothing; `is_missing` is one that is waited for and does not exist.

    `blocked_by` are all unfinished tasks that it waits for, of which `unseen` are not in the graph.
    """

    task_id: str
    task: models.Task | None
    layer: int = 0
    place: int = 0
    in_circle: bool = False
    blocked_by: list[str] = field(default_factory=list)
    unseen: int = 0

    @property
    def is_missing(self) -> bool:
        """Whether something waits for it although it does not exist."""
        return self.task is None

    @property
    def is_done(self) -> bool:
        """Whether nothing has to wait for it any more."""
        return is_done(self.task)


def is_done(task: models.Task | None) -> bool:
    """Return whether nothing has to wait for a task any more."""
    return task is not None and task.status == DONE


@dataclass(frozen=True, slots=True)
class Graph:
    """Tasks with what they wait for. `has_more` tells that not all that belong to it are there.

    `ways` are the (layer, place) pairs through which an edge passes that skips layers, by (task, waits for).
    """

    nodes: dict[str, Node]
    edges: list[Edge]
    has_more: bool = False
    ways: graph_layout.Ways = field(default_factory=dict)

    @property
    def disagreements(self) -> list[Edge]:
        """The edges that only one of the two records has."""
        return [edge for edge in self.edges if not edge.agrees]

    @property
    def circles(self) -> list[Node]:
        """The tasks that wait for themselves in the end."""
        return [node for node in self.nodes.values() if node.in_circle]

    def goes_back(self, edge: Edge) -> bool:
        """Return whether an edge closes a circle: what it waits for comes after it."""
        return self.nodes[edge.waits_for].layer >= self.nodes[edge.task].layer


def around(task_id: str, *, using: str | None = None) -> Graph:
    """Return the graph of all tasks that one waits for, and of all that wait for it."""
    using = using or store_alias()
    ways = task_dependencies.ways(using, task_id)
    ids, has_more = _reached(task_id, ways)
    tasks = task_dependencies.load(using, ids)
    edges = task_dependencies.edges(using, tasks)
    others = task_dependencies.load(using, {edge.waits_for for edge in edges} - set(ids))
    return _graph(tasks, edges, others, has_more=has_more or ways.is_partial)


def _reached(start: str, ways: task_dependencies.Ways) -> tuple[list[str], bool]:
    """Return the tasks that lie before and behind one, the nearest first, and whether there are others."""
    found = {start: None}
    fronts, seen = [[start], [start]], [{start}, {start}]
    while any(fronts):
        for number, steps in enumerate((ways.waits, ways.awaited)):
            following = []
            for one in fronts[number]:
                for other in sorted(steps.get(one, set()) - seen[number]):
                    if other not in found and len(found) >= MOST_TASKS:
                        return list(found), True
                    found[other] = None
                    seen[number].add(other)
                    following.append(other)
            fronts[number] = following
    return list(found), False


def _graph(
    tasks: dict[str, models.Task | None], edges: list[Edge], others: dict[str, models.Task | None], *, has_more: bool
) -> Graph:
    """Return a graph with its layers, circles and blocked chains found; `others` are awaited, but not drawn."""
    nodes = {one: Node(one, task) for one, task in tasks.items()}
    for edge in edges:
        if not nodes[edge.task].is_done and not is_done((tasks | others)[edge.waits_for]):
            nodes[edge.task].blocked_by.append(edge.waits_for)
            nodes[edge.task].unseen += edge.waits_for not in nodes
    drawn = [edge for edge in edges if edge.waits_for in nodes]
    waits: dict[str, list[str]] = {one: [] for one in nodes}
    for edge in drawn:
        waits[edge.task].append(edge.waits_for)
    circle = graph_layout.in_circles(waits)
    depths = graph_layout.depths(waits)
    for one, node in nodes.items():
        node.in_circle, node.layer = one in circle, depths[one]
    places, ways = graph_layout.arranged(depths, waits)
    for one, node in nodes.items():
        node.place = places[one]
    return Graph(nodes, drawn, has_more, ways)
