"""Where each task is drawn: a dependency in a layer before its dependents, and near them."""

from collections import deque
from typing import TypeAlias

# {task id: ids of its dependencies}; {(task id, dependency id): places through which an edge passes that skips layers}.
Dependencies: TypeAlias = dict[str, list[str]]
Waypoints: TypeAlias = dict[tuple[str, str], list[tuple[int, int]]]


def in_cycles(dependencies: Dependencies) -> set[str]:
    """Return the tasks from which a path of dependencies leads back to themselves."""
    left = set(dependencies)
    while True:
        # A task of a cycle has a dependency and a dependent in what is left; the others are taken away.
        targets = {dependency for task_id in left for dependency in dependencies[task_id] if dependency in left}
        sources = {task_id for task_id in left if any(dependency in left for dependency in dependencies[task_id])}
        kept = left & targets & sources
        if kept == left:
            return {task_id for task_id in left if _leads_back(task_id, dependencies, left)}
        left = kept


def _leads_back(start: str, dependencies: Dependencies, left: set[str]) -> bool:
    queue, visited = deque(dependencies[start]), set[str]()
    while queue:
        task_id = queue.popleft()
        if task_id == start:
            return True
        if task_id in left and task_id not in visited:
            visited.add(task_id)
            queue.extend(dependencies[task_id])
    return False


def layers(dependencies: Dependencies) -> dict[str, int]:
    """Return {task id: layer}, each after those of its dependencies; edges that close a cycle do not count."""
    order, back_edges = _depth_first(dependencies)
    layer_of: dict[str, int] = {}
    for task_id in order:
        before = [layer_of[name] for name in dependencies[task_id] if (task_id, name) not in back_edges]
        layer_of[task_id] = max(before, default=-1) + 1
    return layer_of


def _depth_first(dependencies: Dependencies) -> tuple[list[str], set[tuple[str, str]]]:
    """Return the tasks, each after its dependencies, and the edges that lead back to a task being visited."""
    with_dependents = {name for names in dependencies.values() for name in names}
    order: list[str] = []
    back_edges: set[tuple[str, str]] = set()
    begun, ended = set[str](), set[str]()
    # Starting from tasks without dependents, so that a cycle is entered where an outside task enters it.
    for start in sorted(dependencies, key=lambda task_id: (task_id in with_dependents, task_id)):
        if start in begun:
            continue
        begun.add(start)
        stack = [(start, iter(dependencies[start]))]
        while stack:
            task_id, rest = stack[-1]
            for name in rest:
                if name not in begun:
                    begun.add(name)
                    stack.append((name, iter(dependencies[name])))
                    break
                if name not in ended:
                    back_edges.add((task_id, name))
            else:
                stack.pop()
                ended.add(task_id)
                order.append(task_id)
    return order, back_edges


def arranged(layers: dict[str, int], dependencies: Dependencies) -> tuple[dict[str, int], Waypoints]:
    """Return the place of each task in its layer, near the middle of its dependencies, and the waypoints of long edges.

    An edge that skips layers gets a place in each of them, so that it passes between tasks and not behind one.
    """
    places: dict[str, int] = {}
    waypoints: Waypoints = {}
    for layer in range(max(layers.values(), default=0) + 1):
        entries: list[tuple[float, str, tuple[str, str] | None]] = []
        for task_id in (task_id for task_id, depth in layers.items() if depth == layer):
            before = [
                _place_of(places, waypoints, task_id, name) for name in dependencies[task_id] if layers[name] < layer
            ]
            entries.append((sum(before) / len(before) if before else 0.0, task_id, None))
        for task_id, names in dependencies.items():
            passing = [name for name in names if layers[name] < layer < layers[task_id]]
            entries += [
                (float(_place_of(places, waypoints, task_id, name)), task_id + name, (task_id, name))
                for name in passing
            ]
        for place, (_, name, edge) in enumerate(sorted(entries, key=lambda entry: entry[:2])):
            if edge is None:
                places[name] = place
            else:
                waypoints.setdefault(edge, []).append((layer, place))
    return places, waypoints


def _place_of(places: dict[str, int], waypoints: Waypoints, task_id: str, dependency: str) -> int:
    """Return the place that the edge from a dependency to a task has reached so far."""
    passed = waypoints.get((task_id, dependency))
    return passed[-1][1] if passed else places[dependency]
