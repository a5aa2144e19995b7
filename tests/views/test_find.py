"""The search box of every page: the page of results, the options while one types, and the same by the API."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import lookup
from statestore.access.scope import Scope
from statestore.views.find import LABELS
from tests.access.test_limited_users import limit
from tests.api.conftest import script_of
from tests.builders import make_agent, make_event, make_task
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

AS_FRAGMENT = {"HTTP_HX_REQUEST": "true"}


def page(client: Client, address: str, **headers: Any) -> str:
    answer = client.get(address, **headers)
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


def options(client: Client, address: str) -> list[tuple[str, str]]:
    """Return (what it says, where it leads) of each option."""
    text = page(client, address, **AS_FRAGMENT)
    links = re.findall(r'<a\s[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', text, re.DOTALL)
    return [(" ".join(unescape(re.sub("<[^>]+>", " ", said)).split()), unescape(url)) for url, said in links]


def is_asked_about(text: str, agent: str) -> bool:
    """Return whether the box of a page names an agent."""
    return bool(re.search(rf'name="agent"\s+value="{agent}"', text))


def leading(offered: list[tuple[str, str]]) -> dict[str, str]:
    return {url: said for said, url in offered}


def test_each_page_has_the_box_which_leads_to_the_results(viewer: Client):
    for address in ("/", "/agents/", "/events/", "/audit/"):
        assert 'action="/find/" role="search"' in page(viewer, address), (
            f"{address} has no box that searches everything"
        )


def test_the_page_and_the_options_show_the_same(viewer: Client):
    make_agent("coder-1", name="Coder 1")
    make_task("Help the coder", id="t1")
    whole = page(viewer, "/find/?q=coder")
    offered = leading(options(viewer, "/find/?q=coder"))
    assert list(offered) == ["/agents/coder-1/", "/tasks/t1/", "/events/?q=coder"]
    for url in offered:
        assert f'href="{url}"' in whole, f"the page does not show {url}"
    assert "<html" in whole
    assert "<html" not in page(viewer, "/find/?q=coder", **AS_FRAGMENT)


def test_each_option_has_an_id_and_each_group_a_name(viewer: Client):
    make_agent("coder-1")
    make_task("coder")
    text = page(viewer, "/find/?q=coder", **AS_FRAGMENT)
    ids = re.findall(r'role="option"\s+id="([^"]+)"', text)
    assert len(ids) == len(set(ids)) == text.count('role="option"')
    for group in re.findall(r'aria-labelledby="([^"]+)"', text):
        assert f'id="{group}"' in text, f"the group {group} has no name"


def test_places_and_actions_are_found_by_the_beginnings_of_their_words(operator: Client):
    assert leading(options(operator, "/find/?q=fleet+re")) == {
        "/fleet/": "New fleet restore", "/events/?q=fleet+re": "Search events for “fleet re”",
    }  # fmt: skip
    assert "/snapshots/" in leading(options(operator, "/find/?q=SNAP")), "a place is not found in capitals"
    assert "/tokens/#new-token" in leading(options(operator, "/find/?q=token"))
    assert "/agents/" not in leading(options(operator, "/find/?q=gents")), "the middle of a word finds a place"


def test_without_a_text_all_places_are_shown(viewer: Client):
    offered = leading(options(viewer, "/find/"))
    assert {"/", "/agents/", "/events/", "/compare/"} <= set(offered)
    assert not {"/fleet/", "/capture/", "/admin/"} & set(offered), "a viewer is led where they may not go"


def test_on_a_page_about_an_agent_its_pages_and_actions_are_offered(operator: Client, viewer: Client):
    make_agent("a/1", name="Coder")
    assert is_asked_about(page(operator, "/agents/~YS8x/"), "~YS8x")
    mine, theirs = (leading(options(one, "/find/?q=&agent=~YS8x")) for one in (operator, viewer))
    assert {"/agents/~YS8x/timeline/", "/agents/~YS8x/#take-snapshot", "/agents/~YS8x/fork/"} <= set(mine)
    assert "/agents/~YS8x/timeline/" in theirs
    assert not {"/agents/~YS8x/#take-snapshot", "/agents/~YS8x/fork/"} & set(theirs), "a viewer is offered to act"
    assert "On Coder" in page(operator, "/find/?agent=~YS8x")
    assert is_asked_about(page(operator, "/find/?agent=~YS8x"), "~YS8x"), "the page of results forgets the agent"
    for target in ("take-snapshot", "change-status", "delete-agent"):
        assert f'id="{target}"' in page(operator, "/agents/~YS8x/"), f"nothing is at #{target}"


@pytest.mark.parametrize("agent", ["nobody", "~", "~~~", "~!"])
def test_an_agent_that_is_not_there_changes_nothing(viewer: Client, agent: str):
    assert options(viewer, f"/find/?q=compare&agent={agent}") == options(viewer, "/find/?q=compare")


def test_a_text_that_is_a_query_of_events_is_one_there_and_any_other_is_plain(viewer: Client):
    assert "/events/?q=type%3Aerror" in leading(options(viewer, "/find/?q=type:error"))
    offered = leading(options(viewer, "/find/?q=type%3A"))
    (url,) = [url for url in offered if url.startswith("/events/")]
    assert viewer.get(url).status_code == 200


def test_more_agents_are_on_their_own_list(viewer: Client):
    for number in range(7):
        make_agent(f"coder-{number}")
    offered = leading(options(viewer, "/find/?q=coder"))
    assert offered["/agents/?q=coder"] == "More agents with “coder”"


def test_what_agents_wrote_stays_text(viewer: Client):
    make_agent("evil", name='<script>alert("x")</script>')
    make_task("<b>bold</b> evil\u202e", assigned_to='"><img src=x>')
    for headers in ({}, AS_FRAGMENT):
        text = page(viewer, "/find/?q=evil", **headers)
        assert "<script>alert" not in text
        assert "<b>" not in text
        assert "<img src=x" not in text
        assert "\u202e" not in text
    assert "<script>" not in page(viewer, "/find/?q=%3Cscript%3E").replace("<script src", "")


@pytest.mark.parametrize("text", ["x" * 501, "a\0b"])
def test_a_text_that_cannot_be_looked_for_is_refused_in_words_on_its_own_page(viewer: Client, text: str):
    answer = viewer.get("/find/", {"q": text})
    assert answer.status_code == 422
    assert "Nothing was searched." in answer.content.decode()


def test_nothing_found_is_said(viewer: Client):
    text = page(viewer, "/find/?q=zzzz")
    assert "Nothing found" in text
    assert "Search events for" in text


def test_a_user_without_a_role_gets_the_page_and_nothing_of_the_store(people: dict[str, User]):
    make_agent("coder-1")
    make_event(id="coder-2")
    client = signed_in(people["nobody"])
    assert options(client, "/find/?q=coder") == []
    assert options(client, "/find/?q=coder&agent=coder-1") == []


def test_a_script_finds_what_the_page_shows(people: dict[str, User]):
    script = script_of(people["administrator"])
    make_agent("a/1", name="Coder")
    make_agent("coder-trash", is_deleted=1)
    make_task("Help the coder", id="t1")
    (agents, tasks) = script.get("/find?q=coder").json()["kinds"]
    assert (agents["kind"], tasks["kind"], agents["has_more"]) == ("agent", "task", False)
    (row,) = agents["items"]
    assert {name: row[name] for name in ("id", "address", "title", "status", "url", "page")} == {
        "id": "a/1", "address": "~YS8x", "title": "Coder", "status": "idle",
        "url": "/api/v1/agents/~YS8x", "page": "/agents/~YS8x/",
    }  # fmt: skip
    for kind in script.get("/find?q=coder-trash").json()["kinds"]:
        for one in kind["items"]:
            assert script.get(one["url"].removeprefix("/api/v1")).status_code == 200, one
    assert script_of(people["nobody"]).get("/find?q=coder").json() == {"kinds": []}
    assert script.get("/find").json() == {"kinds": []}
    assert script.get("/find?q=" + "x" * 501).status_code == 422


def test_each_kind_has_its_name_on_the_page(people: dict[str, User]):
    from tests.lookup.test_look_up import one_of_each

    one_of_each("lexer")
    for match in lookup.look_up("lexer", Scope(), people["administrator"]):
        assert match.kind in LABELS


def test_a_limited_user_is_offered_nothing_for_an_agent_out_of_scope(people: dict[str, User]):
    make_agent("own", namespace="m")
    make_agent("other", namespace="n")
    client = signed_in(limit(people["operator"], "m"))
    assert "/agents/own/timeline/" in leading(options(client, "/find/?agent=own"))
    assert options(client, "/find/?agent=other") == options(client, "/find/")
