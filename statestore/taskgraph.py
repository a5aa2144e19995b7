"""Tasks and what they wait for: in layers, with what is blocked, circles, and where two records disagree."""

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from statestore import dialect, models, work
from statestore.errors import ValidationError
from statestore.routers import store_alias

MOST_TASKS: Final = 300
# SQLite refuses longer patterns than 50,000 bytes, and a character may be written as six.
LONGEST_NAMED: Final = 5_000
DONE: Final = models.TaskStatus.DONE.value


@dataclass(frozen=True, slots=True)
class Edge:
    """One task waits for another. `sources` say where that is written: the task's own list, the table, or both."""

    task: str
    waits_for: str
    in_list: bool
    in_table: bool

    @property
    def agrees(self) -> bool:
        """Whether both records have it."""
        return self.in_list and self.in_table


@dataclass(slots=True)
class Node:
    """A task in the graph. `layer` 0 waits for nothing; `is_missing` is one that is waited for and does not exist."""

    task_id: str
    task: models.Task | None
    layer: int = 0
    place: int = 0
    in_circle: bool = False
    blocked_by: list[str] = field(default_factory=list)

    @property
    def is_missing(self) -> bool:
        """Whether something waits for it although it does not exist."""
        return self.task is None

    @property
    def is_done(self) -> bool:
        """Whether nothing has to wait for it any more."""
        return self.task is not None and self.task.status == DONE


@dataclass(frozen=True, slots=True)
class Graph:
    """Tasks with what they wait for. `has_more` tells that not all that belong to it are there.

    `ways` are the (layer, place) pairs through which an edge passes that skips layers, by (task, waits for).
    """

    nodes: dict[str, Node]
    edges: list[Edge]
    has_more: bool = False
    ways: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def disagreements(self) -> list[Edge]:
        """The edges that only one of the two records has."""
        return [edge for edge in self.edges if not edge.agrees]

    @property
    def circles(self) -> list[Node]:
        """The tasks that wait for themselves in the end."""
        return [node for node in self.nodes.values() if node.in_circle]


def around(task_id: str, *, using: str | None = None) -> Graph:
    """Return the graph of all tasks that one waits for, and of all that wait for it."""
    using = using or store_alias()
    seen: dict[str, models.Task | None] = {}
    edges: dict[tuple[str, str], Edge] = {}
    has_more = False
    for forwards in (True, False):
        front, visited = {task_id}, {task_id}
        while front:
            if len(seen) > MOST_TASKS:
                has_more = True
                break
            found = _edges(using, front, seen, forwards=forwards)
            edges.update(found)
            ends = {edge.waits_for if forwards else edge.task for edge in found.values()}
            front = ends - visited
            visited |= front
    ids = {end for edge in edges for end in edge} | {task_id}
    _load(using, ids, seen)
    # What is there may also wait for each other.
    between = _edges(using, ids, seen, forwards=True)
    edges.update((pair, edge) for pair, edge in between.items() if set(pair) <= ids)
    return build({one: seen[one] for one in ids}, edges.values(), has_more=has_more)


def _load(using: str, ids: set[str], seen: dict[str, models.Task | None]) -> None:
    missing = [one for one in ids if one not in seen]
    for start in range(0, len(missing), 500):
        part = missing[start : start + 500]
        with dialect.translated_errors():
            rows = {task.pk: task for task in models.Task.objects.using(using).filter(pk__in=part)}
        seen.update((one, rows.get(one)) for one in part)


def _edges(
    using: str, front: set[str], seen: dict[str, models.Task | None], *, forwards: bool
) -> dict[tuple[str, str], Edge]:
    """Return the edges from some tasks, or to them, as both records have them."""
    column = "task_id" if forwards else "depends_on_id"
    with dialect.translated_errors():
        rows = models.TaskDependency.objects.using(using).filter(**{f"{column}__in": list(front)[:900]})
        table = set(rows.values_list("task_id", "depends_on_id"))
        ends = front | {pair[0] for pair in table} | (set() if forwards else _naming(using, front))
    _load(using, ends, seen)
    listed = {(one, other) for one in ends for other in _list_of(seen.get(one))}
    listed = {pair for pair in listed if (pair[0] if forwards else pair[1]) in front}
    return {pair: Edge(*pair, pair in listed, pair in table) for pair in table | listed}


def _naming(using: str, front: set[str]) -> set[str]:
    """Return the tasks whose own lists name one of some tasks; very long ids are left to the table of edges."""
    found: set[str] = set()
    for one in [name for name in front if len(name) <= LONGEST_NAMED][:20]:
        for written in {json.dumps(one), json.dumps(one, ensure_ascii=False)}:
            rows = models.Task.objects.using(using).filter(dependencies__holds=written)
            found.update(rows.values_list("pk", flat=True)[:MOST_TASKS])
    return found


def _list_of(task: models.Task | None) -> list[str]:
    try:
        return work.dependency_ids(task.dependencies) if task is not None else []
    except ValidationError:
        return []


def build(tasks: dict[str, models.Task | None], edges: Iterable[Edge], *, has_more: bool = False) -> Graph:
    """Return a graph with its layers, circles and blocked chains found."""
    edges = list(edges)
    ends = {end for edge in edges for end in (edge.task, edge.waits_for)}
    nodes = {one: Node(one, tasks.get(one)) for one in tasks if one in ends or len(tasks) == 1}
    waits: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        if edge.task in nodes and edge.waits_for in nodes:
            waits[edge.task].append(edge.waits_for)
    for one in _in_circles(nodes, waits):
        nodes[one].in_circle = True
    _layer(nodes, waits)
    ways = _arrange(nodes, waits)
    for node in nodes.values():
        node.blocked_by = [] if node.is_done else [one for one in waits[node.task_id] if not nodes[one].is_done]
    drawn = [edge for edge in edges if edge.task in nodes and edge.waits_for in nodes]
    return Graph(nodes, drawn, has_more, ways)


def _in_circles(nodes: dict[str, Node], waits: dict[str, list[str]]) -> set[str]:
    """Return the tasks from which a way leads back: those left when all that have none before or after are gone."""
    left = set(nodes)
    while True:
        pointed = {other for one in left for other in waits[one] if other in left}
        pointing = {one for one in left if any(other in left for other in waits[one])}
        kept = left & pointed & pointing
        if kept == left:
            return {one for one in left if _leads_back(one, waits, left)}
        left = kept


def _leads_back(start: str, waits: dict[str, list[str]], left: set[str]) -> bool:
    front, seen = deque(waits[start]), set[str]()
    while front:
        one = front.popleft()
        if one == start:
            return True
        if one in left and one not in seen:
            seen.add(one)
            front.extend(waits[one])
    return False


def _layer(nodes: dict[str, Node], waits: dict[str, list[str]]) -> None:
    """Give each task the layer after all that it waits for; within a circle the way back does not count."""
    awaited: dict[str, list[str]] = defaultdict(list)
    number = dict.fromkeys(nodes, 0)
    for one, others in waits.items():
        for other in others:
            if not (nodes[one].in_circle and nodes[other].in_circle):
                awaited[other].append(one)
                number[one] += 1
    front = deque(sorted(one for one, count in number.items() if count == 0))
    while front:
        one = front.popleft()
        for other in awaited[one]:
            nodes[other].layer = max(nodes[other].layer, nodes[one].layer + 1)
            number[other] -= 1
            if number[other] == 0:
                front.append(other)


def _arrange(nodes: dict[str, Node], waits: dict[str, list[str]]) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Place the tasks of each layer near the middle of what they wait for; return the ways of the long edges.

    An edge that skips layers gets a place in each of them, so that it passes between tasks and not behind one.
    """
    layers: dict[int, list[tuple[tuple[float, str], Node | None, tuple[str, str] | None]]]
    ways: dict[tuple[str, str], list[tuple[int, int]]] = {}
    deepest = max((node.layer for node in nodes.values()), default=0)
    for layer in range(deepest + 1):
        layers = {layer: []}
        for node in nodes.values():
            if node.layer == layer:
                places = [_last_place(nodes, ways, one, node.task_id) for one in waits[node.task_id]
                          if nodes[one].layer < layer]  # fmt: skip
                layers[layer].append(((_mean(places), node.task_id), node, None))
        for one, others in waits.items():
            for other in others:
                if nodes[other].layer < layer < nodes[one].layer:
                    at = _last_place(nodes, ways, other, one)
                    layers[layer].append(((float(at), one + other), None, (one, other)))
        for place, (_, placed, edge) in enumerate(sorted(layers[layer], key=lambda entry: entry[0])):
            if placed is not None:
                placed.place = place
            elif edge is not None:
                ways.setdefault(edge, []).append((layer, place))
    return ways


def _last_place(nodes: dict[str, Node], ways: dict[tuple[str, str], list[tuple[int, int]]], one: str, by: str) -> int:
    """Return where the edge from a task to the one that waits for it has got so far."""
    way = ways.get((by, one))
    return way[-1][1] if way else nodes[one].place


def _mean(places: list[int]) -> float:
    return sum(places) / len(places) if places else 0.0
