"""Message lists differ as conversations: on a transition, a snapshot, a comparison and the preview of a restore."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db

PATCH = "patch rejected: hunk 4 failed at line 252 of src/parser/lexer.rs"


def said(text: str, role: str = "user") -> Any:
    return {"role": role, "content": text}


def rows(html: str) -> list[str]:
    found = re.findall(
        r'<li class="turn".*?</li>|<li class="seam">.*?</li>|<summary><span class="sign.*?</summary>', html, re.DOTALL
    )
    return [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in found]


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, response.content[:500]
    return response.content.decode()


def changed(before: list[Any], after: list[Any]) -> str:
    agent = make_agent("a", state={"plan": 2, "messages": after})
    states = ({"plan": 1, "messages": before}, {"plan": 2, "messages": after})
    return f"/transitions/{make_transition(agent, *states, timestamp=NOW).pk}/"


def test_messages_are_added_removed_edited_and_moved_as_wholes(viewer: Client):
    first, second, third = said("first one"), said("second one"), said("third one")
    html = page(
        viewer,
        changed(
            [first, second, third, said(PATCH)], [first, third, second, said(PATCH.replace("252", "206")), said("new")]
        ),
    )
    assert rows(html) == [
        "2 unchanged messages",
        "moved ⇅ 1 → 2 User second one",
        f"edited ~ 3 User {PATCH.replace('252', '252 206')}",
        "added + 4 User new",
    ]
    assert "<del>252</del><ins>206</ins>" in html
    assert "By path: 3 changes" in " ".join(html.split())
    assert "plan" in html


def test_of_many_removed_messages_the_first_are_shown_and_the_others_folded(viewer: Client):
    calls = [
        {
            "role": "assistant",
            "content": f"thought {'abcdefghijkl'[number]}",
            "tool_call": {"name": ("grep", "run")[number % 2]},
        }
        for number in range(12)
    ]
    told = rows(page(viewer, changed([said("start"), *calls], [said("start"), said("a summary", "system")])))
    assert told[0] == "1 unchanged message"
    assert [row.split()[2] for row in told[1:4]] == ["1", "2", "3"]
    assert told[4] == "− 9 more messages removed, 4–12: 9 calls (5 × run, 4 × grep)"
    assert told[-1] == "added + 1 System a summary"


def test_each_page_that_compares_states_compares_messages(operator: Client):
    agent = make_agent("a", state={"messages": [said("kept"), said("new")]})
    snapshot = make_snapshot(agent, {"messages": [said("kept"), said("old thing")]})
    for address, expected in (
        (f"/snapshots/{snapshot.pk}/", ["removed − 1 User old thing", "added + 1 User new"]),
        (
            f"/compare/?left=a&before=snapshot:{snapshot.pk}&after=now",
            ["removed − 1 User old thing", "added + 1 User new"],
        ),
        (f"/agents/a/restore/?moment=snapshot:{snapshot.pk}", ["removed − 1 User new", "added + 1 User old thing"]),
    ):
        assert rows(page(operator, address))[1:] == expected, address


def test_changes_of_messages_can_be_picked_by_path_in_a_preview(operator: Client):
    agent = make_agent("a", state={"messages": [said(PATCH)], "step": 1})
    snapshot = make_snapshot(agent, {"messages": [said(PATCH + "!")], "step": 2})
    html = page(operator, f"/agents/a/restore/?moment=snapshot:{snapshot.pk}")
    boxes = re.findall(r'name="path"\s+value="([^"]+)"', html)
    assert len(boxes) == 2
    assert "to select some of them" in html


def test_a_list_that_was_empty_or_becomes_so_is_compared_too(viewer: Client):
    assert rows(page(viewer, changed([], [said("hello")]))) == ["added + 0 User hello"]


def test_a_list_of_anything_else_is_compared_by_path(viewer: Client):
    html = page(viewer, changed([1, 2], [2, 3]))
    assert not rows(html)
    assert "messages/" in html


def test_hostile_messages_are_text_in_a_comparison(viewer: Client):
    evil = "<script>alert(1)</script>" * 3
    html = page(viewer, changed([said(evil)], [said(evil + "<b>"), {"role": evil, "content": {"x": evil}}]))
    assert "<script>alert" not in html
    assert "&lt;b&gt;" in html


def test_lists_of_thousands_of_other_messages_are_compared_to_a_limit(viewer: Client):
    before = [said(f"before {number} " + "x" * 50, "assistant") for number in range(5_000)]
    after = [said(f"after {number} " + "y" * 50) for number in range(5_000)]
    html = page(viewer, changed(before, after))
    assert "4,000 more messages removed. The raw states have them." in html
    assert "× 1000 alike" in html
    assert len(html) < 2_000_000
    assert json.dumps(before)[:50] not in html
