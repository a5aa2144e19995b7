"""A state as a tree: each value leads to all that it ever was."""

import json
import re
import time
from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client

from statestore.views.tree import MAX_NODES, SHOWN_ITEMS, tree
from tests.builders import make_agent, make_transition

pytestmark = pytest.mark.django_db


def test_each_value_of_the_present_leads_to_its_history(viewer: Client):
    agent = make_agent("a1", state={"plan": {"goal/1": "x"}})
    make_transition(agent, {"plan": {}}, {"plan": {"goal/1": "x"}}, reason="planned")
    page = viewer.get("/agents/a1/").content.decode()
    address = "/agents/a1/history/?path=%2Fplan%2Fgoal~11"
    assert f'href="{address}"' in page
    assert "planned" in viewer.get(address).content.decode()


def test_a_past_state_and_an_agent_of_a_very_long_id_have_no_such_links():
    assert "history" not in tree({"a": 1}, agent_id="a1", moment="at:5")
    assert "history" not in tree({"a": 1}, agent_id="x " * 400)
    assert "history" in tree({"a": 1}, agent_id="a1")


def test_a_long_list_is_read_on_by_the_hundred_until_its_end(viewer: Client):
    make_agent("a1", state={"rows": list(range(250)), "after": "still here"})
    html = viewer.get("/agents/a1/").content.decode()
    assert html.count('class="leaf"') < MAX_NODES
    assert "still here" in html
    seen = [int(number) for number in re.findall(r'class="name">(\d+)</span>', html)]
    while more := re.search(r'<a href="([^"]*start=[^"]*)"[^>]*>Show (\d+) of ([\d,]+) more</a>', html):
        html = viewer.get(unescape(more[1]), headers={"HX-Request": "true"}).content.decode()
        seen += [int(number) for number in re.findall(r'class="name">(\d+)</span>', html)]
        assert "<html" not in html
    assert seen == list(range(250))


def test_the_rest_of_a_long_list_is_a_page_without_script(viewer: Client):
    make_agent("a1", state={"rows": list(range(250))})
    html = viewer.get("/agents/a1/branch/?path=/rows&start=200").content.decode()
    assert "<html" in html
    assert ">249</span>" in html
    assert ">199</span>" not in html
    assert viewer.get("/agents/a1/branch/?path=/rows&start=soon").status_code == 422
    assert viewer.get("/agents/a1/branch/?path=/rows&start=9999").status_code == 200


def test_a_state_of_a_megabyte_of_keys_is_a_small_page(viewer: Client):
    small, large = (
        make_agent("small", state={"a": 1}),
        make_agent("large", state={f"k{n}": "x" * 40 for n in range(20_000)}),
    )
    assert len(large.state_data) > 1_000_000
    html = viewer.get("/agents/large/").content.decode()
    assert len(html) < 150_000
    assert f"Show {SHOWN_ITEMS} of 19,900 more" in html
    works = {
        "small": lambda: viewer.get(small.get_absolute_url()),
        "large": lambda: viewer.get(large.get_absolute_url()),
        "parsed": lambda: json.loads(large.state_data),
    }
    # The quickest of a few turns: other programs on the machine slow any of them.
    seconds = {name: min(_seconds(work) for _ in range(3)) for name, work in works.items()}
    assert seconds["large"] < 2 * seconds["small"] + 20 * seconds["parsed"], seconds


def _seconds(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def test_a_large_state_says_what_it_is_made_of(viewer: Client):
    make_agent("a1", state={"messages": ["x" * 1_000] * 91, "memory": "y" * 8_000, "n": 1})
    assert "3 keys, 97.1 KB, largest: messages 92 %, memory 8 %" in viewer.get("/agents/a1/").content.decode()
    make_agent("a2", state={"n": 1})
    assert "largest" not in viewer.get("/agents/a2/").content.decode()
