"""Tasks: listed, moved where nobody else did, and drawn with what they wait for."""

import json
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import models
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.models.tasks import dependency_ids
from statestore.tasks import dependencies as task_dependencies
from statestore.tasks import graph as task_graph
from statestore.tasks import limits as tasks_limits
from statestore.tasks import service as task_service
from statestore.views.svg import task_graph as drawing
from tests.builders import make_task

pytestmark = pytest.mark.django_db


def wait(task: models.Task, *others: models.Task, in_list: bool = True, in_table: bool = True) -> None:
    """Let a task wait for others, as one or both of the two records have it."""
    if in_list:
        ids = [*dependency_ids(task.dependencies), *(other.pk for other in others)]
        task.dependencies = json.dumps(ids)
        task.save()
    if in_table:
        task_dependencies.change_edges(store_alias(), task.pk, [other.pk for other in others], [])


def etag_of(html: str) -> str:
    found = re.search(r'data-etag="([0-9a-f]{64})"', html)
    assert found
    return found[1]


def test_tasks_are_filtered_and_shown_as_a_board(viewer: Client):
    make_task("Parse", status="Done", priority="high")
    make_task("Build", status="Odd word")
    html = viewer.get("/tasks/", {"status": "Done"}).content.decode()
    assert "Parse" in html
    assert "Build</a>" not in html
    html = viewer.get("/tasks/", {"q": "bUILD"}).content.decode()
    assert "Build</a>" in html
    board = viewer.get("/tasks/", {"layout": "board"}).content.decode()
    assert "Odd word" in board
    assert "Build</a>" in board


def test_a_task_is_moved_and_the_move_recorded(manager: Client):
    task = make_task("Parse")
    html = manager.get("/tasks/", {"layout": "board"}).content.decode()
    response = manager.post(
        f"/tasks/{task.pk}/move/", {"etag": etag_of(html), "status": "Done", "next": "/tasks/?layout=board"}
    )
    assert response["Location"] == "/tasks/?layout=board"
    task.refresh_from_db()
    assert task.status == "Done"
    entry = models.AuditEntry.objects.newest_first()[0]
    assert (entry.action, entry.actor) == ("move", "manager")
    assert (entry.before, entry.after) == ('{"status": "Todo"}', '{"status": "Done"}')
    assert "Moved Parse from Todo to Done." in manager.get(f"/tasks/{task.pk}/").content.decode()


def test_a_task_that_somebody_changed_meanwhile_is_not_moved(manager: Client):
    task = make_task("Parse")
    etag = models.row_hash(task)
    models.Task.objects.filter(pk=task.pk).update(title="Parse again")
    response = manager.post(f"/tasks/{task.pk}/move/", {"etag": etag, "status": "Done"})
    assert response.status_code == 409
    task.refresh_from_db()
    assert task.status == "Todo"


def test_who_may_not_edit_tasks_may_not_move_them(operator: Client):
    task = make_task("Parse")
    response = operator.post(f"/tasks/{task.pk}/move/", {"etag": models.row_hash(task), "status": "Done"})
    assert response.status_code == 403


def test_a_task_is_not_moved_to_a_word_that_is_no_status():
    task = make_task("Parse")
    with pytest.raises(Exception, match="not a valid task status"):
        task_service.move_task(store_alias(), task.pk, "Gone", if_match=models.row_hash(task), by=SYSTEM)


def test_what_waits_stands_after_all_that_it_waits_for():
    first, second, third, alone = (make_task(title) for title in ("first", "second", "third", "alone"))
    wait(second, first)
    wait(third, second, first)
    graph = task_graph.around(second.pk)
    layers = {str(node.task): node.layer for node in graph.nodes.values()}
    assert layers == {"first": 0, "second": 1, "third": 2}
    assert alone.pk not in graph.nodes
    assert graph.nodes[third.pk].blocked_by == [second.pk, first.pk] or len(graph.nodes[third.pk].blocked_by) == 2
    assert graph.waypoints[third.pk, first.pk], "the long edge passes between the tasks"
    models.Task.objects.filter(pk=first.pk).update(status="Done")
    assert task_graph.around(second.pk).nodes[second.pk].blocked_by == []


def test_a_circle_is_marked_and_what_leads_into_it_is_not(viewer: Client):
    one, other, outside = (make_task(title) for title in ("one", "other", "outside"))
    wait(one, other)
    wait(other, one)
    wait(outside, one)
    graph = task_graph.around(one.pk)
    assert {str(node.task) for node in graph.cycles} == {"one", "other"}
    html = viewer.get(f"/tasks/{one.pk}/").content.decode()
    assert "Circular dependency" in html


def test_where_the_two_records_disagree_is_said(viewer: Client):
    one, other, third = (make_task(title) for title in ("one", "other", "third"))
    wait(one, other, in_table=False)
    wait(third, one, in_list=False)
    graph = task_graph.around(one.pk)
    assert {(edge.task, edge.in_list, edge.in_table) for edge in graph.disagreements} == {
        (one.pk, True, False),
        (third.pk, False, True),
    }
    html = viewer.get(f"/tasks/{other.pk}/").content.decode()
    assert "disagree" in html


def test_a_task_that_is_waited_for_and_does_not_exist_is_drawn(viewer: Client):
    task = make_task("Waiting", dependencies='["gone"]')
    graph = task_graph.around(task.pk)
    assert graph.nodes["gone"].is_missing
    html = viewer.get(f"/tasks/{task.pk}/").content.decode()
    assert "does not exist" in html


@pytest.mark.parametrize("dependencies", ["", "not JSON", "{}", "[1]", None])
def test_dependencies_that_are_no_list_harm_nothing(viewer: Client, dependencies: Any):
    task = make_task("Odd", dependencies=dependencies)
    assert viewer.get(f"/tasks/{task.pk}/").status_code == 200


def test_a_tasks_metadata_is_a_tree(viewer: Client):
    task = make_task("Parse", metadata='{"list": ["x"]}')
    assert '<div class="tree"' in viewer.get(f"/tasks/{task.pk}/").content.decode()


def test_the_graph_says_that_a_task_waits_for_all_it_depends_on(viewer: Client):
    done, unfinished, third = make_task("done", status="Done"), make_task("unfinished"), make_task("third")
    task = make_task("Publish")
    wait(task, done, unfinished, third)
    node = task_graph.around(done.pk).nodes[task.pk]
    assert set(node.blocked_by) == {unfinished.pk, third.pk}
    assert node.not_drawn == 2
    html = viewer.get(f"/tasks/{done.pk}/").content.decode()
    assert "Todo · blocked by 2" in html
    assert "ready" not in html
    assert "blocked by 2, 2 of them not drawn" in html


def test_all_that_wait_are_found_however_many_there_are():
    root = make_task("root")
    first = [make_task(f"first {number}", dependencies=json.dumps([root.pk])) for number in range(30)]
    second = [make_task(f"second {number}", dependencies=json.dumps([one.pk])) for number, one in enumerate(first)]
    graph = task_graph.around(root.pk)
    assert set(graph.nodes) == {root.pk, *(one.pk for one in (*first, *second))}
    assert not graph.has_more


def test_a_graph_that_is_too_large_says_so_and_has_the_nearest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tasks_limits, "GRAPH_TASKS", 4)
    chain = [make_task("0")]
    for number in range(1, 7):
        chain.append(make_task(str(number)))
        wait(chain[-1], chain[-2])
    graph = task_graph.around(chain[3].pk)
    assert graph.has_more
    assert {str(node.task) for node in graph.nodes.values()} == {"1", "2", "3", "4"}
    assert graph.nodes[chain[1].pk].blocked_by == [chain[0].pk]


def test_where_not_all_records_are_read_the_graph_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tasks_limits, "RECORDED_DEPENDENCIES", 2)
    one, other, *_ = tasks = [make_task(str(number)) for number in range(6)]
    wait(one, other)
    for task in tasks[2:]:
        wait(task, tasks[5])
    graph = task_graph.around(one.pk)
    assert graph.has_more
    assert set(graph.nodes) == {one.pk, other.pk}


def test_the_number_of_questions_does_not_grow_with_the_graph():
    def questions(task: models.Task) -> int:
        with CaptureQueriesContext(connections[store_alias()]) as asked:
            task_graph.around(task.pk)
        return len(asked)

    few = [make_task("first"), make_task("second")]
    wait(few[1], few[0])
    number = questions(few[0])
    chain = [make_task("0")]
    for position in range(1, 20):
        chain.append(make_task(str(position)))
        wait(chain[-1], chain[-2])
    assert questions(chain[10]) <= number + 1


def test_the_members_of_a_circle_stand_side_by_side_and_the_edge_that_closes_it_is_marked(viewer: Client):
    one, two, three, entry = (make_task(title) for title in ("one", "two", "three", "entry"))
    wait(one, two)
    wait(two, three)
    wait(three, one)
    wait(entry, one)
    graph = task_graph.around(one.pk)
    layers = {str(node.task): node.layer for node in graph.nodes.values()}
    assert layers == {"three": 0, "two": 1, "one": 2, "entry": 3}
    assert [(edge.task, edge.depends_on) for edge in graph.edges if graph.goes_back(edge)] == [(three.pk, one.pk)]
    html = viewer.get(f"/tasks/{one.pk}/").content.decode()
    assert len(re.findall(r'class="arrow"\s+data-state="circle"', html)) == 3
    assert len(re.findall(r'class="edge"\s+data-state="back"', html)) == 1
    assert re.search(r"circular\s+dependency", html)


def test_a_task_that_waits_for_itself_is_drawn(viewer: Client):
    task = make_task("Ouroboros")
    wait(task, task, in_table=False)
    graph = task_graph.around(task.pk)
    assert [node.in_cycle for node in graph.nodes.values()] == [True]
    assert 'data-state="back"' in viewer.get(f"/tasks/{task.pk}/").content.decode()


@pytest.mark.parametrize("seed", range(5))
def test_no_line_runs_behind_a_box(seed: int):
    chance = random.Random(seed)
    tasks = [make_task(str(number)) for number in range(12)]
    for task in tasks:
        wait(task, *chance.sample(tasks, chance.randrange(3)), in_table=False)
    drawn = drawing.draw(task_graph.around(tasks[0].pk), tasks[0].pk)
    if drawn is None:
        return
    for line in drawn.lines:
        for x, y in points(line.path):
            assert not [box for box in drawn.boxes if box.x < x < box.x + drawing.BOX_WIDTH
                        and box.y < y < box.y + drawing.BOX_HEIGHT], line.path  # fmt: skip
            assert 0 <= x <= drawn.width
            assert 0 <= y <= drawn.height


def points(path: str) -> list[tuple[float, float]]:
    """Return points along a path of absolute M, H, V, C and Q steps."""
    found: list[tuple[float, float]] = []
    x = y = 0.0
    for step, text in re.findall(r"([MHVCQ])([-\d. ]+)", path):
        numbers = [float(number) for number in text.split()]
        to: Sequence[float]
        if step in "HV":
            to = (numbers[0], y) if step == "H" else (x, numbers[0])
            found += [(x + (to[0] - x) * part / 20, y + (to[1] - y) * part / 20) for part in range(21)]
        elif step == "C":
            x1, y1, x2, y2, *to = numbers
            for part in (part / 20 for part in range(21)):
                a, b, c, d = (1 - part) ** 3, 3 * part * (1 - part) ** 2, 3 * part**2 * (1 - part), part**3
                found.append((a * x + b * x1 + c * x2 + d * to[0], a * y + b * y1 + c * y2 + d * to[1]))
        else:
            to = numbers[-2:]
        x, y = to[0], to[1]
    return found
