"""A state's messages as a conversation: on each page that shows a state, with any content, at any length."""

import json
import re
import time
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from statestore.conversations import MessageList, limits
from statestore.db.routers import store_alias
from statestore.store import StateStore
from statestore.views import conversation
from statestore.views.message_diff import MessageDiffView
from tests.builders import NOW, make_agent, make_event, make_snapshot, make_transition
from tests.conversations.odd import ODD
from tests.examples import thoroughly

pytestmark = pytest.mark.django_db

MESSAGES: list[Any] = [
    {"role": "system", "content": "You answer questions about orders."},
    {"role": "user", "content": "Where is order 8841?\nAnd when does it come?"},
    {"role": "assistant", "content": "I look.", "usage": {"total_tokens": 1204}, "cost": 0.0132,
     "tool_calls": [{"id": "c1", "function": {"name": "find_order", "arguments": '{"id": 8841}'}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "shipped"},
]  # fmt: skip


def page(client: Client, address: str = "/agents/a/?view=conversation") -> str:
    response = client.get(address)
    assert response.status_code == 200, response.content[:500]
    return " ".join(response.content.decode().split())


def turns(html: str) -> list[str]:
    """Return each row of a conversation as its words."""
    rows = re.findall(r'<li class="turn".*?</li>', html, re.DOTALL)
    return [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in rows]


def test_a_state_is_shown_as_a_conversation_and_as_a_tree(viewer: Client):
    make_agent("a", state={"messages": MESSAGES})
    assert "Show as conversation" in page(viewer, "/agents/a/")
    html = page(viewer)
    assert "Show as tree" in html
    assert turns(html) == [
        "0 System You answer questions about orders.",
        "1 User Where is order 8841? And when does it come?",
        "2 Assistant I look. find_order id 8841 Result: ↳ shipped 1,204 tok $0.01",
    ]
    assert "4 messages of /messages · 1 system, 1 user, 1 assistant, 1 tool · 1,204 tokens · $0.01" in html
    assert "Where is order 8841?\nAnd when" in viewer.get("/agents/a/?view=conversation").content.decode()


def test_each_page_of_a_state_can_show_the_conversation(operator: Client):
    agent = make_agent("a", state={"messages": MESSAGES})
    transition = make_transition(agent, {"messages": MESSAGES[:2]}, {"messages": MESSAGES[:3]}, timestamp=NOW)
    snapshot = make_snapshot(agent, {"messages": MESSAGES[:1]})
    for address, messages in (
        (f"/snapshots/{snapshot.pk}/?view=conversation", 1),
        (f"/transitions/{transition.pk}/?show=state&view=conversation", 3),
        (f"/agents/a/timeline/?moment=transition:{transition.pk}:before&view=conversation", 2),
        ("/agents/a/fork/?view=conversation", 3),
    ):
        html = page(operator, address)
        assert len(turns(html.partition('id="state-title"')[2])) == messages, address
        assert "Show as tree" in html, address


def test_the_forms_and_links_of_a_conversation_keep_the_moment(viewer: Client):
    agent = make_agent("a", state={"messages": []})
    snapshot = make_snapshot(agent, {"messages": MESSAGES * 20})
    html = page(viewer, f"/agents/a/timeline/?moment=snapshot:{snapshot.pk}&view=conversation")
    assert f'<input type="hidden" name="moment" value="snapshot:{snapshot.pk}">' in html
    (earlier,) = re.findall(r'href="([^"]+)"[^>]*>\s*Show earlier', html)
    older = page(viewer, "/agents/a/timeline/" + earlier.replace("&amp;", "&"))
    assert turns(older)[-1].startswith("29 User")


def test_an_agent_without_messages_is_shown_as_a_tree_and_says_why(viewer: Client):
    make_agent("a", state={"messages": [1, 2]})
    html = page(viewer)
    assert "no list of messages in a known format" in html
    assert 'class="tree"' in html
    assert "Show as conversation" not in html


def test_what_cannot_be_asked_for_is_refused_in_words(viewer: Client):
    make_agent("a", state={"messages": MESSAGES})
    for wrong in ("view=film", "view=conversation&until=soon", "view=conversation&until=0"):
        assert viewer.get(f"/agents/a/?{wrong}").status_code == 422, wrong


def test_messages_are_searched(viewer: Client):
    make_agent("a", state={"messages": MESSAGES})
    assert turns(page(viewer, "/agents/a/?view=conversation&find=SHIPPED")) == ["3 Tool Result: ↳ shipped"]
    assert "No messages with this text" in page(viewer, "/agents/a/?view=conversation&find=nothing")


def test_of_several_lists_one_is_chosen(viewer: Client):
    make_agent("a", state={"long": MESSAGES, "a/b": [{"role": "user", "content": "of the other list"}]})
    assert "4 messages of /long" in page(viewer)
    html = page(viewer, "/agents/a/?view=conversation&messages=/a~1b")
    assert turns(html) == ["0 User of the other list"]
    assert re.search(r'<option value="/a~1b" selected', html)


def test_code_is_told_from_prose_and_nothing_is_rendered(viewer: Client):
    text = (
        "Look:\n```python\nif x:\n    <b>y</b>\n```\n**not bold** <script>alert(1)</script> [link](https://example.org)"
    )
    make_agent("a", state={"messages": [{"role": "assistant", "content": text}]})
    html = viewer.get("/agents/a/?view=conversation").content.decode()
    assert '<pre class="code">if x:\n    &lt;b&gt;y&lt;/b&gt;</pre>' in html
    assert "**not bold** &lt;script&gt;alert(1)&lt;/script&gt; [link](https://example.org)" in html
    assert "```" not in html


@pytest.mark.parametrize(
    "text", ["```\nnever closed", "``` inline ``` twice", "a\n```", "```\n```", "\n\n```x\n\n\n```\n"]
)
def test_of_odd_fences_no_text_is_lost(text: str):
    shown = conversation._blocks(text)
    letters = re.sub(r"[`\s]", "", "".join(block.text for block in shown))
    assert letters == re.sub(r"```x\b|[`\s]", "", text)


def test_long_output_is_folded_and_a_message_of_7_mb_is_cut(viewer: Client):
    output = "\n".join(f"line {number}" for number in range(40))
    calls = [{"id": "c1", "function": {"name": "run", "arguments": "{}"}}]
    make_agent("a", state={"messages": [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": output},
        {"role": "user", "content": "long " * 1_400_000},
    ]})  # fmt: skip
    html = viewer.get("/agents/a/?view=conversation").content.decode()
    assert re.search(r"<summary>line 0 \(40 lines, 309 B\)</summary>", html)
    assert "line 39" in html
    assert "Cut after 20,000 of 7,000,000 characters" in html
    assert len(html) < 100_000


def test_a_state_too_large_to_be_parsed_is_shown_as_text(viewer: Client):
    make_agent("a", state={"messages": [{"role": "user", "content": "long " * 2_000_000}]})
    html = viewer.get("/agents/a/?view=conversation").content.decode()
    assert "Shown as text" in html
    assert len(html) < 150_000


@thoroughly
@given(st.lists(ODD, min_size=1, max_size=4), st.lists(ODD, max_size=4))
def test_any_messages_can_be_shown_searched_and_compared(some: list[Any], others: list[Any]):
    asked = {"view": "conversation", "find": ""}
    view = conversation.ConversationView([MessageList("", some)], asked)
    assert view.summary
    assert all(turn.at for turn in view.turns)
    assert isinstance(conversation.ConversationView([MessageList("", some)], asked | {"find": "user"}).turns, list)
    assert len(MessageDiffView("", some, others).rows) <= len(some) + len(others)


def test_an_image_is_never_sent(viewer: Client):
    data = "QUJD" * 250_000
    blocks = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
    ]
    returned = {
        "type": "tool_result",
        "content": [{"type": "image", "source": {"media_type": "image/gif", "data": data}}],
    }
    make_agent("a", state={"messages": [{"role": "user", "content": blocks}, {"role": "user", "content": [returned]}]})
    html = page(viewer)
    assert "image/png, 732.4 KB" in html
    assert "image/gif, 732.4 KB" in html
    assert "image at https://example.org/cat.png" in html
    assert "QUJD" not in html
    assert "<img" not in html.partition("<main")[2]
    assert 'href="https://example.org' not in html


def test_a_conversation_of_50_000_messages_is_not_much_slower_than_its_state_is_parsed(viewer: Client):
    turn = [
        {
            "role": "assistant",
            "content": "I run it.",
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]
    agent = make_agent("a", state={"messages": turn * 25_000})
    make_agent("small", state={"messages": turn})
    viewer.get("/agents/small/?view=conversation")  # The first page of a process compiles its templates.
    start = time.thread_time()
    json.loads(agent.state_data)
    parsed = time.thread_time() - start
    for asked in ("", "&find=nothing+like+it"):
        start = time.thread_time()
        response = viewer.get(f"/agents/a/?view=conversation{asked}")
        shown = time.thread_time() - start
        assert response.status_code == 200
        assert shown < 30 * parsed, f"{shown:.2f} s, parsed in {parsed:.2f} s"
        assert len(response.content) < 150_000
    assert f"of the newest {limits.COUNTED_MESSAGES:,}" in page(viewer)


def test_the_number_of_questions_does_not_grow_with_the_messages(viewer: Client):
    counts = []
    for agent_id, times in (("few", 1), ("many", 200)):
        make_agent(agent_id, state={"messages": MESSAGES * times})
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            viewer.get(f"/agents/{agent_id}/?view=conversation")
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] < 8


def test_an_event_that_is_a_message_is_shown_as_one(viewer: Client):
    call = {"role": "assistant", "content": "I look.", "tool_call": {"name": "grep", "path": "x"}}
    make_event(session_id="s", content=json.dumps(call), timestamp=NOW, actor_type="Agent", actor_id="coder")
    make_event(session_id="s", content="plain text", timestamp=NOW + 86_400, actor_type="User", actor_id="ada")
    html = page(viewer, "/sessions/s/")
    first, second = turns(html)
    assert first.endswith("I look. grep path x no result")
    assert second.endswith("plain text")
    assert len(re.findall(r'<li class="seam">', html)) == 2, "each day is named once"


def test_the_conversation_of_a_deleted_agent_remains(viewer: Client):
    make_transition("gone", {}, {"messages": MESSAGES}, timestamp=NOW)
    assert len(turns(page(viewer, "/agents/gone/?view=conversation"))) == 3
    with pytest.raises(Exception, match="gone"):
        StateStore().load_agent_state("gone")


def test_each_message_says_what_set_it_last(viewer: Client):
    first, second = {"role": "user", "content": "go"}, {"role": "assistant", "content": "done"}
    agent = make_agent("a", state={"messages": [first, second]}, updated_at=NOW + 200)
    make_transition(agent, {"messages": []}, {"messages": [first]}, timestamp=NOW, reason="asked")
    step = make_transition(
        agent, {"messages": [first]}, {"messages": [first, second]}, timestamp=NOW + 100, reason="answered"
    )
    page = viewer.get("/agents/a/?view=conversation")
    turns = page.context["state"].conversation.turns
    assert [turn.cause.reason for turn in turns] == ["asked", "answered"]
    assert f'href="/transitions/{step.pk}/"' in page.content.decode()
    assert 'title="Set by answered"' in page.content.decode()


def test_a_conversation_of_another_moment_claims_nothing(viewer: Client):
    agent = make_agent("a", state={})
    snapshot = make_snapshot(agent, {"messages": [{"role": "user", "content": "go"}]})
    page = viewer.get(f"/snapshots/{snapshot.pk}/?view=conversation")
    assert [turn.cause for turn in page.context["state"].conversation.turns] == [None]


def test_a_conversation_says_where_messages_were_removed_and_by_what(viewer: Client):
    said = [{"role": "user", "content": f"{word} please"} for word in ("lex", "parse", "bind", "link", "run")]
    make_agent("a", state={"messages": [said[0], said[4]]})
    transition = make_transition("a", {"messages": said}, {"messages": [said[0], said[4]]}, reason="<b>compacted</b>")
    html = page(viewer)
    seam = re.findall(r'<p class="seam">(.*?)</p>', html)
    assert len(seam) == 1
    assert "3 messages removed here by" in seam[0]
    assert f'href="/transitions/{transition.pk}/"' in seam[0]
    assert "&lt;b&gt;compacted&lt;/b&gt;" in seam[0]
    assert html.index("lex please") < html.index("removed here") < html.index("run please")
    assert "removed here" not in page(viewer, "/agents/a/?view=conversation&find=please")


def test_what_was_removed_at_the_end_stands_below_the_last_message(viewer: Client):
    said = [{"role": "user", "content": f"{word} please"} for word in ("lex", "parse")]
    make_agent("a", state={"messages": said[:1]})
    make_transition("a", {"messages": said}, {"messages": said[:1]}, reason="cut")
    html = page(viewer)
    assert html.index("lex please") < html.index("1 message removed here by")


def test_of_many_changes_that_removed_messages_at_one_place_the_largest_is_named(viewer: Client):
    said = [{"role": "user", "content": f"{word} please"} for word in ("lex", "parse", "bind", "link", "run")]
    make_agent("a", state={"messages": said[4:]})
    make_transition("a", {"messages": said}, {"messages": said[1:]}, reason="window", timestamp=NOW)
    make_transition("a", {"messages": said[1:]}, {"messages": said[3:]}, reason="compacted", timestamp=NOW + 1)
    make_transition("a", {"messages": said[3:]}, {"messages": said[4:]}, reason="window", timestamp=NOW + 2)
    seam = re.search(r'<p class="seam">.*?</p>', page(viewer))
    assert seam is not None
    assert turns(f'<li class="turn">{seam[0]}</li>')[0].startswith("4 messages removed here, 2 of them by compacted")
