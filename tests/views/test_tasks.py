"""Tasks: listed, moved where nobody else did, and drawn with what they wait for."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from statestore import models, taskgraph, work
from statestore.audit import SYSTEM
from statestore.routers import store_alias
from tests.builders import make_task

pytestmark = pytest.mark.django_db


def wait(task: models.Task, *others: models.Task, in_list: bool = True, in_table: bool = True) -> None:
    """Let a task wait for others, as one or both of the two records have it."""
    if in_list:
        ids = [*work.dependency_ids(task.dependencies), *(other.pk for other in others)]
        task.dependencies = json.dumps(ids)
        task.save()
    if in_table:
        work.replace_edges(store_alias(), task.pk, [other.pk for other in others])


def etag_of(html: str) -> str:
    found = re.search(r'name="etag" value="([0-9a-f]{64})"', html)
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
    assert (entry.verb, entry.actor, json.loads(entry.detail)) == ("move", "manager", {"status": ["Todo", "Done"]})
    assert "move" in manager.get(f"/tasks/{task.pk}/").content.decode()


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
    with pytest.raises(Exception, match="no status"):
        work.move_task(store_alias(), task.pk, "Gone", etag=models.row_hash(task), by=SYSTEM)


def test_what_waits_stands_after_all_that_it_waits_for():
    first, second, third, alone = (make_task(title) for title in ("first", "second", "third", "alone"))
    wait(second, first)
    wait(third, second, first)
    graph = taskgraph.around(second.pk)
    layers = {str(node.task): node.layer for node in graph.nodes.values()}
    assert layers == {"first": 0, "second": 1, "third": 2}
    assert alone.pk not in graph.nodes
    assert graph.nodes[third.pk].blocked_by == [second.pk, first.pk] or len(graph.nodes[third.pk].blocked_by) == 2
    assert graph.ways[third.pk, first.pk], "the long edge passes between the tasks"
    models.Task.objects.filter(pk=first.pk).update(status="Done")
    assert taskgraph.around(second.pk).nodes[second.pk].blocked_by == []


def test_a_circle_is_marked_and_what_leads_into_it_is_not(viewer: Client):
    one, other, outside = (make_task(title) for title in ("one", "other", "outside"))
    wait(one, other)
    wait(other, one)
    wait(outside, one)
    graph = taskgraph.around(one.pk)
    assert {str(node.task) for node in graph.circles} == {"one", "other"}
    html = viewer.get(f"/tasks/{one.pk}/").content.decode()
    assert "go in a circle" in html


def test_where_the_two_records_disagree_is_said(viewer: Client):
    one, other, third = (make_task(title) for title in ("one", "other", "third"))
    wait(one, other, in_table=False)
    wait(third, one, in_list=False)
    graph = taskgraph.around(one.pk)
    assert {(edge.task, edge.in_list, edge.in_table) for edge in graph.disagreements} == {
        (one.pk, True, False),
        (third.pk, False, True),
    }
    html = viewer.get(f"/tasks/{other.pk}/").content.decode()
    assert "disagree" in html


def test_a_task_that_is_waited_for_and_does_not_exist_is_drawn(viewer: Client):
    task = make_task("Waiting", dependencies='["gone"]')
    graph = taskgraph.around(task.pk)
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
