"""The graph around one task: everything it depends on, and everything that depends on it, in layers."""

from dataclasses import dataclass, field
from typing import Final

from statestore import models
from statestore.access.scope import Scope
from statestore.tasks import dependencies as task_dependencies
from statestore.tasks import graph_layout, limits
from statestore.tasks.dependencies import Edge

DONE: Final = models.TaskStatus.DONE.value


@dataclass(slots=True)
class Node:
    """A task in the graph. Layer 0 has no dependencies; the task is None if it does not exist.

    `blocked_by` are its unfinished dependencies, of which `not_drawn` are outside of the graph.
    """

    task_id: str
    task: models.Task | None
    layer: int = 0
    place: int = 0
    in_cycle: bool = False
    blocked_by: list[str] = field(default_factory=list)
    not_drawn: int = 0

    @property
    def is_missing(self) -> bool:
        """Whether a dependency names it although it does not exist."""
        return self.task is None

    @property
    def is_done(self) -> bool:
        """Whether it no longer blocks its dependents."""
        return is_done(self.task)


def is_done(task: models.Task | None) -> bool:
    """Return whether a task no longer blocks its dependents."""
    return task is not None and task.status == DONE


@dataclass(frozen=True, slots=True)
class Graph:
    """Tasks and their dependencies. `has_more` means that the graph was cut.

    `waypoints` are the (layer, place) pairs through which an edge passes that skips layers, by (task, dependency).
    """

    nodes: dict[str, Node]
    edges: list[Edge]
    has_more: bool = False
    waypoints: graph_layout.Waypoints = field(default_factory=dict)

    @property
    def disagreements(self) -> list[Edge]:
        """The edges that only one of the two records has."""
        return [edge for edge in self.edges if not edge.agrees]

    @property
    def cycles(self) -> list[Node]:
        """The tasks that depend on themselves."""
        return [node for node in self.nodes.values() if node.in_cycle]

    def goes_back(self, edge: Edge) -> bool:
        """Return whether an edge closes a cycle: the dependency is drawn after the task."""
        return self.nodes[edge.depends_on].layer >= self.nodes[edge.task].layer


def around(task_id: str, *, scope: Scope | None = None) -> Graph:
    """Return the graph of a task's dependencies and dependents, direct and indirect.

    Tasks out of scope are as if they did not exist.
    """
    scope = scope or Scope()
    relations = task_dependencies.relations(scope, task_id)
    ids, has_more = _reachable(task_id, relations)
    tasks = task_dependencies.load(scope.tasks(), ids)
    seen = {pk: task for pk, task in tasks.items() if scope.is_unrestricted or task is not None}
    edges = task_dependencies.edges(scope.using, seen)
    outside = task_dependencies.load(scope.tasks(), {edge.depends_on for edge in edges} - set(ids))
    return _graph(tasks, edges, outside, has_more=has_more or relations.is_partial)


def _reachable(start: str, relations: task_dependencies.Relations) -> tuple[list[str], bool]:
    """Return a task's dependencies and dependents at any distance, the nearest first, and whether there are more."""
    reached = {start: None}
    fronts, visited = [[start], [start]], [{start}, {start}]
    while any(fronts):
        for number, neighbours in enumerate((relations.dependencies, relations.dependents)):
            next_front = []
            for task_id in fronts[number]:
                for neighbour in sorted(neighbours.get(task_id, set()) - visited[number]):
                    if neighbour not in reached and len(reached) >= limits.GRAPH_TASKS:
                        return list(reached), True
                    reached[neighbour] = None
                    visited[number].add(neighbour)
                    next_front.append(neighbour)
            fronts[number] = next_front
    return list(reached), False


def _graph(
    tasks: dict[str, models.Task | None], edges: list[Edge], outside: dict[str, models.Task | None], *, has_more: bool
) -> Graph:
    """Return a graph with layers, cycles and blocked tasks; tasks `outside` may block, but are not drawn."""
    nodes = {task_id: Node(task_id, task) for task_id, task in tasks.items()}
    for edge in edges:
        if not nodes[edge.task].is_done and not is_done((tasks | outside)[edge.depends_on]):
            nodes[edge.task].blocked_by.append(edge.depends_on)
            nodes[edge.task].not_drawn += edge.depends_on not in nodes
    drawn = [edge for edge in edges if edge.depends_on in nodes]
    dependencies: dict[str, list[str]] = {task_id: [] for task_id in nodes}
    for edge in drawn:
        dependencies[edge.task].append(edge.depends_on)
    cyclic = graph_layout.in_cycles(dependencies)
    layers = graph_layout.layers(dependencies)
    places, waypoints = graph_layout.arranged(layers, dependencies)
    for task_id, node in nodes.items():
        node.in_cycle, node.layer, node.place = task_id in cyclic, layers[task_id], places[task_id]
    return Graph(nodes, drawn, has_more, waypoints)
