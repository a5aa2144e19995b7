"""The page that compares: agents by id or name, moments by name, from a list or a time; what is shown said in words."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import models
from statestore.db.routers import store_alias
from tests.builders import NOW, make_agent, make_snapshot, make_transition
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def coder() -> models.AgentState:
    """An agent with a snapshot, a change, and a change of status after it."""
    agent = make_agent("coder-2", name="Coder 2", state={"n": 3})
    make_snapshot(agent, {"n": 1}, id="s1", description="before <refactor>", created_at=NOW - 100)
    make_snapshot(agent, {"n": 2}, id="s2", description="Safety snapshot before x", created_at=NOW - 40)
    make_transition(agent, {"n": 2}, {"n": 3}, id="t1", reason="context lost", timestamp=NOW - 50)
    make_transition(agent, {"n": 3}, {"n": 3}, id="t2", reason="status: idle → paused", timestamp=NOW - 10)
    return agent


def page(client: Client, query: str, status: int = 200) -> str:
    answer = client.get(f"/compare/?{query}")
    assert answer.status_code == status, answer.content[:300]
    return " ".join(answer.content.decode().split())


def said(html: str) -> str:
    found = re.search(r'<p class="compared">(.*?)</p>', html)
    assert found, "The page says what is compared."
    return " ".join(unescape(re.sub("<[^>]+>", " ", found[1])).split())


def chosen(html: str, name: str) -> str:
    select = re.search(rf'<select name="{name}">.*?</select>', html)
    assert select
    option = re.search(r'value="([^"]*)"\s+selected', select[0])
    return option[1] if option else ""


def test_it_opens_with_what_the_last_change_did(viewer: Client, coder: models.AgentState):
    """A change of status alone changed no state."""
    html = page(viewer, "left=coder-2")
    assert said(html) == "What changed in Coder 2 from before “context lost” 2026-09-21 14:12:30 to now"
    assert viewer.get("/compare/?left=coder-2").context["comparison"].total == 1
    assert (chosen(html, "before"), chosen(html, "after")) == ("before-last-change", "now")
    assert 'aria-label="Agent pages"' in html, "The tabs of the agent stay."


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("now", "now"), ("before-last-change", "transition:t1:before"), ("after-last-change", "transition:t1:after"),
        ("last-snapshot", "snapshot:s1"), ("yesterday", r"at:\d+"),
    ],
)  # fmt: skip
def test_a_named_moment_is_kept_by_its_name_and_linked_exactly(
    viewer: Client, coder: models.AgentState, name: str, kept: str
):
    html = page(viewer, f"left=Coder+2&before={name}&after=now")
    assert chosen(html, "before") == name
    link = re.search(r'<footer class="json-link"> <a href="([^"]+)"', html)
    assert link
    url = unescape(link[1]).replace("%3A", ":")
    assert re.fullmatch(rf"/api/v1/agents/coder-2/diff\?from={kept}&to=now", url), url
    assert viewer.get(unescape(link[1])).status_code == 200


def test_moments_are_called_by_what_they_are(viewer: Client, coder: models.AgentState):
    html = page(viewer, "left=coder-2&before=snapshot:s1")
    assert "from snapshot “before <refactor>” 2026-09-21 14:11:40 to now" in said(html)
    assert re.search(r'value="snapshot:s1"\s+selected\s*>\s*before &lt;refactor&gt; · 2026-09-21 14:11:40', html)
    assert re.search(r"After “context lost” · 2026-09-21 14:12:30", html)


def test_a_time_is_typed_and_wins(viewer: Client, coder: models.AgentState):
    html = page(viewer, "left=coder-2&before=now&before_at=2026-09-21+14:12:00&after=now")
    assert "from 2026-09-21 14:12:00 to now" in said(html)
    assert chosen(html, "before") == f"at:{NOW - 80}"
    box = re.search(r'<input[^>]*name="before_at"[^>]*>', html)
    assert box
    assert "value=" not in box[0], "It is empty again: what is chosen next counts."


def test_two_agents_are_compared_by_their_names(viewer: Client, coder: models.AgentState):
    make_agent("other/1", name="Other", state={"n": 9})
    html = page(viewer, "left=coder 2&right=OTHER&before=now&after=now")
    assert said(html) == "How Other now differs from Coder 2 now"
    assert 'aria-label="Agent pages"' not in html
    swap = re.search(r'href="(\?[^"]*)">Swap', html)
    assert swap
    assert "How Coder 2 now differs from Other now" in said(page(viewer, unescape(swap[1])[1:]))


def test_a_moment_of_another_agent_is_an_error_at_its_field(viewer: Client, coder: models.AgentState):
    make_agent("other")
    html = page(viewer, "left=other&before=snapshot:s1", 422)
    assert 'id="error-before">Snapshot not found for this agent' in html
    assert 'value="other"' in html
    html = page(viewer, "left=other&before=before-last-change", 422)
    assert 'id="error-before">This agent has no such moment' in html


@pytest.mark.parametrize(
    ("query", "field", "error"),
    [
        ("left=code", "left", "Did you mean coder-2 (Coder 2)?"),
        ("left=coder-2&right=nowhere", "right", "No agent has the id or the name “nowhere”"),
        ("left=Twin", "left", "Several agents are called “Twin”: twin-"),
        ("left=coder-2&before=nonsense", "before", "is not a valid moment"),
        ("left=coder-2&after_at=soon", "after_at", "“soon” is not a valid time"),
    ],
)
def test_what_is_unknown_or_ambiguous_is_an_error_at_its_field(
    viewer: Client, coder: models.AgentState, query: str, field: str, error: str
):
    for number in range(2):
        make_agent(f"twin-{number}", name="Twin")
    html = page(viewer, query, 422)
    found = re.search(rf'id="error-{field}">([^<]*)<', html)
    assert found, "The error stands at its field."
    assert error in unescape(found[1])
    typed = dict(part.split("=") for part in query.split("&"))
    if field not in ("before", "after"):
        assert f'value="{typed[field]}"' in html, "What was typed is still there."


def test_an_agent_without_a_past_is_compared_with_itself_now(viewer: Client):
    make_agent("new")
    assert said(page(viewer, "left=new")) == "What changed in New from now to now"


def test_what_remains_of_a_deleted_agent_is_compared(viewer: Client):
    make_transition("gone", {"n": 1}, {"n": 2}, reason="last words", timestamp=NOW)
    html = page(viewer, "left=gone")
    assert "from before “last words”" in said(html)
    assert "to after “last words”" in said(html)
    assert '<option value="now"' not in html


def test_suggestions_are_of_agents_in_scope(people: dict[str, User]):
    make_agent("own-1", namespace="m")
    make_agent("own-secret", namespace="x")
    models.UserAccess.objects.create(user=people["viewer"], namespaces=["m"])
    html = page(signed_in(people["viewer"]), "left=own", 422)
    assert "Did you mean own-1 (Own-1)?" in html
    assert "own-secret" not in html


def test_the_number_of_queries_does_not_grow(viewer: Client):
    counts = []
    agent: Any = make_agent("a")
    for number in (3, 40):
        for at in range(number):
            make_snapshot(agent, created_at=NOW - 2 * at)
            make_transition(agent, {"n": 1}, {"n": 2}, timestamp=NOW - 2 * at - 1)
            make_agent()
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            page(viewer, "left=a")
        counts.append(len(queries))
    assert counts[0] == counts[1], counts
