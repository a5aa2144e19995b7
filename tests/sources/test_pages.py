"""The page of sources, and where a mirror is named."""

import re

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.restore import forks
from statestore.sources import adding
from tests.api.conftest import script_of
from tests.builders import make_agent, make_event, make_task
from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db


def test_a_source_is_listed_with_what_it_holds_and_how_far_it_was_read(viewer: Client, opened: Opener):
    opened("langgraph/small.sqlite")
    page = viewer.get("/sources/").content.decode()
    assert "LangGraph checkpoints" in page
    assert "20 checkpoints" in " ".join(page.split())
    assert "/agents/?namespace=small" in page


def test_without_sources_the_page_says_how_to_open_one(viewer: Client):
    assert "manage.py open FILE" in viewer.get("/sources/").content.decode()


def test_what_a_source_cannot_give_is_said(viewer: Client, opened: Opener):
    source = opened("langgraph/small.sqlite")
    source.problem = "small.sqlite cannot be read: <gone>."
    source.save()
    assert "small.sqlite cannot be read: &lt;gone&gt;." in viewer.get("/sources/").content.decode()


def test_a_mirrored_agent_names_its_framework(viewer: Client, opened: Opener):
    opened("langgraph/small.sqlite")
    page = viewer.get("/agents/~c21hbGwvdGhyZWFkLTE/").content.decode()
    assert "mirrors LangGraph checkpoints" in page
    assert "change-status" not in page


def test_where_there_are_no_agents_yet_the_lists_lead_to_how_they_come_here(viewer: Client):
    for url in ("/agents/", "/"):
        assert 'href="/connect/"' in viewer.get(url).content.decode(), url
    make_agent()
    for url in ("/agents/", "/"):
        assert 'href="/connect/"' not in viewer.get(url).content.decode(), url


# The lists


@pytest.mark.parametrize("url", ["/agents/", "/sessions/", "/events/", "/"])
def test_rows_of_a_mirror_name_their_source_and_others_name_none(viewer: Client, opened: Opener, url: str):
    make_event(session_id="ours", actor_id=str(make_agent("ours/1", namespace="ours").agent_id))
    assert not _badges(viewer, url), "a store without sources looks as before"
    opened("langgraph/small.sqlite")
    assert _badges(viewer, url) == {"small"}
    assert "as of" in viewer.get(url).content.decode() or url == "/"


def test_tasks_of_a_mirror_name_their_source_in_the_list_and_on_the_board(viewer: Client, opened: Opener):
    opened("crewai/checkpoints.db")
    for url in ("/tasks/", "/tasks/?layout=board", viewer.get("/tasks/").context["cards"][0].task.get_absolute_url()):
        assert _badges(viewer, url) == {"checkpoints"}, url


def test_what_a_user_said_in_a_mirrored_session_names_its_source(viewer: Client, opened: Opener):
    opened("openai_agents/small.sqlite")
    page = viewer.get("/events/?q=actor:user")
    rows = page.context["rows"]
    assert rows
    assert page.content.decode().count('class="source"') > len(rows)
    assert _badges(viewer, rows[0].event.get_absolute_url()) == {"small"}
    assert _badges(viewer, f"/sessions/{rows[0].event.session_id}/") == {"small"}


def test_a_fork_of_a_mirrored_agent_is_our_own(viewer: Client, opened: Opener):
    opened("langgraph/small.sqlite")
    forks.fork("small/thread-1", "now", "small/thread-1/fork", by=Actor("demo"), name="the fork")
    page = viewer.get("/agents/?q=fork").content.decode()
    assert "the fork" in page
    assert not _badges(viewer, "/agents/?q=fork")


def test_agents_of_a_removed_source_are_our_own(viewer: Client, opened: Opener):
    adding.remove_source(opened("langgraph/small.sqlite").pk, using=store_alias(), by=Actor("demo"))
    assert "small/thread-1" in viewer.get("/agents/").content.decode()
    assert not _badges(viewer, "/agents/")


@pytest.mark.parametrize("url", ["/agents/", "/sessions/", "/tasks/", "/tasks/?layout=board", "/events/", "/"])
def test_naming_the_sources_costs_a_constant_number_of_queries(viewer: Client, opened: Opener, url: str):
    def asked() -> tuple[int, int]:
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            viewer.get(url)
        of_mirrors = [query for query in queries if "dash_source" in query["sql"]]
        return len(of_mirrors), len(queries)

    make_event(session_id="ours", actor_id=str(make_agent("ours").agent_id))
    viewer.get(url)
    assert asked()[0] == 1, "a store without sources is asked for them once"
    opened("crewai/checkpoints.db")
    viewer.get(url)
    with_one = asked()
    opened("langgraph/forks.sqlite")
    opened("openai_agents/small.sqlite")
    viewer.get(url)
    assert asked() == with_one
    assert with_one[0] == 2


def _badges(viewer: Client, url: str) -> set[str]:
    return set(re.findall(r'<a\s+class="source"[^>]*>([^<]*)</a>', viewer.get(url).content.decode()))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/agents", "langgraph/small.sqlite"),
        ("/sessions", "openai_agents/small.sqlite"),
        ("/events", "openai_agents/small.sqlite"),
        ("/events/search?q=actor:user", "openai_agents/small.sqlite"),
        ("/tasks", "crewai/checkpoints.db"),
    ],
)
def test_items_of_the_api_s_lists_name_their_source(opened: Opener, people: dict[str, User], path: str, name: str):
    script = script_of(people["administrator"])
    ours = make_agent("ours")
    make_event(session_id="ours", actor_id=str(ours.agent_id), actor_type="User")
    make_task("ours")
    assert {item["source"] for item in script.get(path).json()["items"]} <= {None}, "a store without sources"
    source = opened(name)
    found = {item["source"] for item in script.get(path).json()["items"]}
    assert source.name in found
    assert found <= {source.name, None}
