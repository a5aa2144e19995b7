"""Overview, transitions, snapshots, events, trash, audit, signing in; and states of any size."""

import json
import re
import time
from html import unescape
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import models
from statestore.store import StateStore
from statestore.views.formatting import ago
from tests.builders import NOW, make_agent, make_event, make_snapshot, make_transition

pytestmark = pytest.mark.django_db


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return " ".join(response.content.decode().split())


def test_the_overview_of_an_empty_store_says_what_to_do(viewer: Client):
    page = text(viewer, "/")
    for words in ("No agents in trouble", "No agents yet", "No restores yet"):
        assert words in page


def test_the_overview_shows_who_is_in_trouble_and_what_expires(viewer: Client):
    make_transition(make_agent("broken", status="failed", name="Broken"), reason="patch rejected")
    make_agent("quiet", status="running", name="Quiet", updated_at=models.now() - 7200)
    make_agent("busy", status="running", name="Busy", updated_at=models.now())
    make_agent("odd", status="waiting", name="Odd")
    StateStore().create_snapshot("busy", "nightly", expires_at=models.now() + 3600)
    context = viewer.get("/").context
    assert [agent.name for agent in context["failed"]] == ["Broken"]
    assert [agent.name for agent in context["silent"]] == ["Quiet"]
    assert "patch rejected" in text(viewer, "/")
    assert dict(context["counts"]) == {
        "idle": 0, "initializing": 0, "running": 2, "thinking": 0, "paused": 0, "completed": 0, "failed": 1,
        "terminated": 0, "waiting": 1,
    }  # fmt: skip
    assert [snapshot.description for snapshot in context["expiring"]] == ["nightly"]


def test_the_chart_counts_each_hour(viewer: Client):
    now = models.now()
    agent = make_agent("a1")
    for kind in ("message", "error", "error"):
        make_event(event_type=kind, timestamp=now)
    make_event(timestamp=now - 40 * 3600)
    make_transition(agent, timestamp=now)
    chart = viewer.get("/").context["chart"]
    assert len(chart.stretches) == 24
    last = chart.stretches[-1]
    assert (chart.names, last.numbers) == (["Events", "Changes", "Errors", "Restores"], [3, 1, 2, 0])
    assert chart.totals == {"events": 3, "errors": 2, "changes": 1, "restores": 0}
    week = viewer.get("/?range=week").context["chart"]
    assert (len(week.stretches), week.totals["events"]) == (28, 4), "The week has the event of 40 hours ago too."
    assert viewer.get("/?range=century").status_code == 422


def test_a_transition_shows_what_changed_in_reading_order(viewer: Client):
    agent = make_agent("a1")
    first = make_transition(agent, {"plan": {"step": 5}}, {"plan": {"step": 6}}, timestamp=NOW)
    middle = make_transition(
        agent, {"plan": {"step": 6, "goal": "x"}, "notes": ["a"]}, {"plan": {"step": 7}, "notes": ["b", "a"]},
        timestamp=NOW, reason="the step",
    )  # fmt: skip
    last = make_transition(agent, {}, {}, timestamp=NOW)
    response = viewer.get(f"/transitions/{middle.pk}/")
    changes = response.context["comparison"].changes
    assert [(change.sign, change.path) for change in changes] == [
        ("~", "plan/step"), ("−", "plan/goal"), ("+", "notes/0"),
    ]  # fmt: skip
    assert changes[0].note == "(+1)"
    assert (response.context["older"], response.context["newer"]) == (first, last)


def test_long_text_is_compared_word_by_word(viewer: Client):
    sentence = "Refactor the parser into a tokenizer and a tree builder without changing the public API"
    agent = make_agent("a1")
    transition = make_transition(agent, {"goal": sentence}, {"goal": sentence.replace("public", "private")})
    page = text(viewer, f"/transitions/{transition.pk}/")
    assert "<del>public</del>" in page.replace("> ", ">").replace(" </", "</").replace("<del >", "<del>")


def test_texts_that_are_not_json_are_compared_by_line(viewer: Client):
    agent = make_agent("a1")
    transition = make_transition(agent, "one\ntwo\nthree", "one\n2\nthree")
    page = text(viewer, f"/transitions/{transition.pk}/")
    assert "Compared by line" in page
    assert 'data-op="delete"' in page


def test_only_spacing_is_no_change(viewer: Client):
    agent = make_agent("a1")
    transition = make_transition(agent, '{"a": 1, "b": 2}', '{"b":2,"a":1}')
    assert "Only whitespace or key order differs" in text(viewer, f"/transitions/{transition.pk}/")


def test_the_whole_state_and_side_by_side_are_addresses(viewer: Client):
    agent = make_agent("a1")
    transition = make_transition(agent, {"a": 1}, {"a": 2, "long": "unchanged"})
    assert "State after" in text(viewer, f"/transitions/{transition.pk}/?show=state")
    assert 'data-layout="split"' in text(viewer, f"/transitions/{transition.pk}/?layout=split")


def test_a_transition_of_an_agent_that_is_gone_is_still_shown(viewer: Client, operator: Client):
    transition = make_transition("gone", {"a": 1}, {"a": 2})
    page = text(viewer, f"/transitions/{transition.pk}/")
    assert "the agent was deleted" in page
    assert "Compare with now" not in page
    assert "Restore before" not in page
    assert "Restore before" in text(operator, f"/transitions/{transition.pk}/")


def test_a_snapshot_is_compared_with_now(viewer: Client):
    agent = make_agent("a1", state={"step": 9})
    snapshot = make_snapshot(agent, {"step": 1}, expires_at=1)
    response = viewer.get(f"/snapshots/{snapshot.pk}/")
    assert [change.path for change in response.context["comparison"].changes] == ["step"]
    assert "This snapshot expired" in response.content.decode()


def test_the_list_of_snapshots_offers_one_click_only_where_it_could_hash(operator: Client):
    small, large = make_agent("small"), make_agent("large", state=json.dumps("x" * 300_000))
    make_snapshot(small, {"step": 0})
    make_snapshot(large, {"step": 0})
    rows = {row: etag for row, etag, _ in operator.get("/snapshots/").context["rows"]}
    assert {snapshot.agent_id: bool(etag) for snapshot, etag in rows.items()} == {"small": True, "large": False}


def test_a_snapshot_is_deleted_and_the_audit_says_who(operator: Client):
    snapshot = make_snapshot(make_agent("a1"))
    operator.post(f"/snapshots/{snapshot.pk}/delete/")
    assert not models.Snapshot.objects.exists()
    page = text(operator, "/audit/")
    assert "operator" in page
    assert "127.0.0.1" in page
    assert models.AuditEntry.objects.get().row_id == "a1"


def test_events_are_narrowed_by_the_query_string(viewer: Client):
    make_event(content="patch rejected", event_type="error", session_id="s1", timestamp=NOW)
    make_event(content="hello", session_id="s2", timestamp=NOW + 7200, git_commit="a41f00aa")
    for query, count in {
        "": 2, "q=REJECTED": 1, "type=error": 1, "session=s2": 1, "actor=agent-1": 2, "q=%25": 0,
        "after=2026-09-21T15:00": 1, "before=2026-09-21T15:00": 1,
    }.items():  # fmt: skip
        assert len(viewer.get(f"/events/?{query}", follow=True).context["found"]) == count, query
    assert "a41f00aa" in text(viewer, "/events/")
    assert "is not a valid time" in viewer.get("/events/?after=yesterday", follow=True).content.decode()


def test_the_audit_keeps_to_one_row(operator: Client):
    for agent_id in ("a/b", "a2"):
        make_agent(agent_id)
        StateStore().create_snapshot(agent_id)
    assert len(operator.get("/audit/").context["page"]) == 2
    assert len(operator.get("/audit/?row=a2").context["page"]) == 1
    assert len(operator.get("/audit/?row=~YS9i").context["page"]) == 1


@pytest.mark.parametrize("size_mb", [7, 50])
def test_a_huge_state_is_shown_in_a_megabyte_and_not_much_slower_than_it_is_parsed(viewer: Client, size_mb: int):
    rows = [{"n": n, "text": "x" * 1000} for n in range(size_mb * 1000)]
    agent, small = make_agent("huge", state={"rows": rows}), make_agent("small")
    viewer.get(small.get_absolute_url())  # The first page of a process compiles its templates.
    # Time of the processor: on a busy machine one of the two would wait, and not the other.
    start = time.thread_time()
    response = viewer.get("/agents/huge/")
    shown = time.thread_time() - start
    start = time.thread_time()
    json.loads(agent.state_data)
    parsed = time.thread_time() - start
    print(f"{size_mb} MB: shown in {shown:.2f} s, parsed in {parsed:.2f} s")
    assert response.status_code == 200
    assert len(response.content) < 1_000_000
    assert shown < 20 * parsed


def test_ten_wrong_passwords_lock_the_user_at_that_address_only(db: None):
    User.objects.create_user("ada", password="right and long")
    statuses = [Client().post("/login/", {"username": "ada", "password": "wrong"}).status_code for _ in range(11)]
    assert statuses == [200] * 9 + [429] * 2
    assert "Too many attempts" in Client().post("/login/", {"username": "ada", "password": "x"}).content.decode()
    elsewhere = Client(REMOTE_ADDR="127.0.0.9").post("/login/", {"username": "ada", "password": "right and long"})
    assert elsewhere.status_code == 302


@pytest.mark.parametrize("key", [r"\ud800", r"\udcff", r"\u0000", r"\u0001", r"\u202e", r"\u00a0", "~u0000", "%2F"])
def test_the_links_of_a_path_lead_to_it_whatever_the_key_is(viewer: Client, key: str):
    agent = make_agent("a1", state=f'{{"x{key}": 1, "y": 1}}')
    transition = make_transition(agent, f'{{"x{key}": 0, "y": 0}}', agent.state_data)
    compared = f"/compare/?left=a1&before=transition:{transition.pk}:before&after=now"
    pages = {"/agents/a1/": 2, "/agents/a1/blame/": 2, f"/transitions/{transition.pk}/": 2}
    for page, number in pages.items():
        links = re.findall(r'href="([^"]*/history/\?path=[^"]*)"', viewer.get(page).content.decode())
        assert len(links) == number, page
        for link in links:
            assert len(viewer.get(unescape(link)).context["rows"]) == 1
    found = viewer.get("/agents/a1/?find=x").content.decode()
    (branch,) = re.findall(r'href="([^"]*/branch/\?[^"]*)"', found)
    assert viewer.get(unescape(branch)).status_code == 200
    for link in re.findall(r'href="([^"]*ignore=[^"]*)"', viewer.get(compared).content.decode()):
        assert viewer.get(f"/compare/{unescape(link)}").context["comparison"].total == 1


@pytest.mark.parametrize(
    ("distance", "said"),
    [
        (0, "0s ago"), (-59, "59s ago"), (-60, "1m ago"), (-89, "1m ago"), (-90, "2m ago"), (-3600, "1h ago"),
        (-5400, "2h ago"), (-86_400, "1d ago"), (-2_592_000, "1mo ago"), (-31_536_000, "1y ago"), (172_800, "in 2d"),
    ],
)  # fmt: skip
def test_how_long_ago_something_was(distance: int, said: str):
    assert ago(NOW + distance, NOW) == said


def test_a_page_that_only_grew_older_is_no_news(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    make_agent("a", updated_at=NOW)
    seen = viewer.get("/agents/")["X-Version"]
    later = time.time() + 3 * 3600
    monkeypatch.setattr("statestore.templatetags.statestore.time", SimpleNamespace(time=lambda: later))
    answer = viewer.get("/agents/", headers={"HX-Request": "true", "X-Version": seen})
    assert answer.status_code == 204, "A list would be swapped each minute under the pointer."


def test_snapshots_are_told_by_the_names_of_agents_and_narrowed_to_one(viewer: Client):
    first, other = make_agent("a", name="Coder 2"), make_agent("b", name="Tester")
    make_snapshot(first, description="before refactor")
    make_snapshot(first, description="Safety snapshot before restore to now")
    make_snapshot(other, description="green suite")
    page = viewer.get("/snapshots/", {"agent": "a"})
    assert {name for _, _, name in page.context["rows"]} == {"Coder 2"}
    assert len(page.context["rows"]) == 2
    assert "/api/v1/agents/a/snapshots" in page.content.decode(), "Its JSON is of this agent too."
    assert len(viewer.get("/snapshots/").context["rows"]) == 3
    refused = viewer.get("/snapshots/", {"agent": "~not base64!"})
    assert refused.status_code == 422
    assert "not a valid agent id" in refused.content.decode()
