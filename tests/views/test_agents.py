"""The list of agents, one agent, and what can be done to it."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from statestore import models
from tests.builders import NOW, make_agent, make_event, make_session, make_snapshot, make_task, make_transition

pytestmark = pytest.mark.django_db


def rows(page: bytes) -> int:
    return page.decode().count("<tr data-row>")


# The list


def test_an_empty_store_says_what_to_do_next(viewer: Client):
    assert "No agents yet" in viewer.get("/agents/").content.decode()


def test_agents_are_filtered_by_status_by_namespace_and_by_text(viewer: Client):
    make_agent("coder-1", namespace="build", status="failed")
    make_agent("coder-2", namespace="build")
    make_agent("triage-1", namespace="ops")
    make_agent("alone")
    assert rows(viewer.get("/agents/").content) == 4
    assert rows(viewer.get("/agents/?status=failed").content) == 1
    assert rows(viewer.get("/agents/?namespace=build").content) == 2
    assert rows(viewer.get("/agents/?namespace=").content) == 1
    assert rows(viewer.get("/agents/?namespace=*").content) == 4
    assert rows(viewer.get("/agents/?q=CODER").content) == 2
    assert rows(viewer.get("/agents/?q=%25").content) == 0
    assert "No matching agents" in viewer.get("/agents/?q=nobody").content.decode()


def test_pages_go_on_and_back_by_key_and_see_each_agent_once(viewer: Client):
    for number in range(60):
        make_agent(f"a{number:02}", updated_at=NOW + number // 7)
    seen: list[str] = []
    address = "/agents/?size=25"
    for _ in range(3):
        page = viewer.get(address).context["page"]
        seen += [agent.agent_id for agent in page]
        address = f"/agents/?size=25&cursor={page.older}"
    assert seen == [f"a{number:02}" for number in reversed(range(60))]
    back = viewer.get(f"/agents/?size=25&cursor={page.newer}").context["page"]
    assert [agent.agent_id for agent in back] == seen[25:50]


@pytest.mark.parametrize("sort", ["changed", "oldest", "created", "id"])
def test_every_order_pages_through_all_agents(viewer: Client, sort: str):
    for number in range(30):
        make_agent(f"a{number:02}", updated_at=NOW + number % 3, created_at=NOW + number % 4)
    first = viewer.get(f"/agents/?size=25&sort={sort}").context["page"]
    second = viewer.get(f"/agents/?size=25&sort={sort}&cursor={first.older}").context["page"]
    assert len({agent.agent_id for agent in [*first, *second]}) == 30


@pytest.mark.parametrize("query", ["cursor=nonsense", "cursor=W10", "cursor=WzAsImEiXQ"])
def test_a_damaged_cursor_is_said_in_words(viewer: Client, query: str):
    make_agent()
    response = viewer.get(f"/agents/?{query}")
    assert response.status_code == 422
    assert "Start again from the first page" in response.content.decode()


def test_lists_never_load_states_and_ask_a_constant_number_of_questions(
    viewer: Client, django_assert_max_num_queries: Any
):
    counted = []
    for size in (2, 20):
        for _ in range(size):
            make_transition(make_agent(), {}, {})
        with django_assert_max_num_queries(12, using="default"):
            response = viewer.get("/agents/")
        counted.append(len(response.context["page"].rows))
        assert all("state_data" in agent.get_deferred_fields() for agent in response.context["page"])
    assert counted == [2, 22]


def test_htmx_gets_the_rows_alone_and_the_answer_varies_by_its_header(viewer: Client):
    make_agent()
    whole, part = viewer.get("/agents/"), viewer.get("/agents/", headers={"HX-Request": "true"})
    assert "<html" in whole.content.decode()
    assert "<html" not in part.content.decode()
    assert "HX-Request" in whole["Vary"]


# One agent


def test_the_page_of_an_agent_shows_its_state_and_its_past(viewer: Client):
    agent = make_agent("coder-2", namespace="build", state={"plan": {"goal": "Refactor the parser"}})
    make_transition(agent, {}, {}, reason="plan accepted")
    make_snapshot(agent, description="before refactor")
    make_event(actor_id="coder-2", content="patch rejected")
    make_task("Parser", assigned_to="coder-2")
    make_session(agent, id="build-7")
    page = viewer.get("/agents/coder-2/").content.decode()
    for words in ("Refactor the parser", "plan accepted", "before refactor", "patch rejected", "Parser", "build-7"):
        assert words in page
    assert agent.state_hash()[:6] in page


def test_the_number_of_questions_does_not_grow_with_the_past(viewer: Client, django_assert_num_queries: Any):
    agent = make_agent("a1")
    viewer.get("/agents/a1/")
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    from statestore.db.routers import store_alias

    numbers = []
    for _ in range(2):
        for _ in range(10):
            make_transition(agent, {}, {})
            make_snapshot(agent)
            make_event(actor_id="a1")
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            viewer.get("/agents/a1/")
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]
    assert numbers[0] <= 14


def test_the_timeline_pages_through_everything_once(viewer: Client):
    agent = make_agent("a1")
    for number in range(40):
        make_transition(agent, {}, {}, timestamp=NOW + number // 3, reason=f"turn {number}")
    for number in range(25):
        make_snapshot(agent, created_at=NOW + number, description=f"snapshot {number}")
    seen, cursor = [], ""
    for _ in range(5):
        context = viewer.get(f"/agents/a1/?older={cursor}").context
        seen += [str(record.row) for entry in context["entries"] for record in entry.records]
        cursor = context["older"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 65
    assert seen[0] == "snapshot 24"


def test_find_shows_where_a_word_stands(viewer: Client):
    make_agent("a1", state={"plan": {"goal": "Refactor the parser"}, "notes": ["parser first", "tests"]})
    page = viewer.get("/agents/a1/?find=PARSER").content.decode()
    assert "/plan/goal" in page
    assert "/notes/0" in page
    assert "/notes/1" not in page


def test_a_large_branch_is_fetched_when_it_is_opened(viewer: Client):
    make_agent("a1", state={"small": 1, "messages": [{"n": n, "text": "x"} for n in range(4000)]})
    page = viewer.get("/agents/a1/").content.decode()
    assert 'hx-get="/agents/a1/branch/?moment=now&amp;path=%2Fmessages%2F99"' in page
    assert "Show 100 of 3,900 more" in page
    assert len(page) < 200_000
    branch = viewer.get("/agents/a1/branch/?moment=now&path=/messages/7", headers={"HX-Request": "true"})
    assert ">7<" in branch.content.decode()
    assert viewer.get("/agents/a1/branch/?moment=now&path=/nowhere").status_code == 404


def test_the_raw_state_is_sent_byte_for_byte_and_is_no_page(viewer: Client):
    text = '{"a": 1e400, "b": "<script>alert(1)</script>"}'
    make_agent("a1", state=text)
    response = viewer.get("/agents/a1/state/?download=1")
    assert response.content == text.encode()
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Disposition"] == 'attachment; filename="a1.json"'
    assert "sandbox" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_state_that_is_no_json_is_shown_as_text(viewer: Client):
    make_agent("a1", state="plain <b>text</b>")
    page = viewer.get("/agents/a1/").content.decode()
    assert "Shown as text" in page
    assert "plain &lt;b&gt;text&lt;/b&gt;" in page


# Actions


def test_a_snapshot_is_taken_with_description_and_expiry(operator: Client):
    make_agent("a1")
    operator.post("/agents/a1/snapshot/", {"description": "before refactor", "expires_in_days": "7"})
    snapshot = models.Snapshot.objects.get()
    assert snapshot.description == "before refactor"
    assert abs(snapshot.expires_at - models.now() - 7 * 86400) < 5


def test_the_status_is_changed_with_a_reason(operator: Client):
    make_agent("a1")
    operator.post("/agents/a1/status/", {"status": "paused", "reason": "lunch"})
    assert models.AgentState.objects.get().status == "paused"
    assert models.Transition.objects.get().reason == "status: idle → paused (lunch)"
    assert operator.post("/agents/a1/status/", {"status": "gone"}).status_code == 422


def test_delete_bring_back_and_purge(operator: Client, manager: Client):
    make_agent("a1")
    operator.post("/agents/a1/delete/", {"reason": "obsolete"})
    assert "obsolete" in operator.get("/trash/").content.decode()
    assert rows(operator.get("/agents/").content) == 0
    operator.post("/agents/a1/undelete/")
    assert rows(operator.get("/agents/").content) == 1
    operator.post("/agents/a1/delete/")
    assert operator.post("/agents/a1/purge/").status_code == 403
    manager.post("/agents/a1/purge/")
    assert not models.AgentState.objects.exists()


def test_an_agent_that_its_orchestrator_saved_again_is_shown_as_revived(operator: Client):
    make_agent("a1")
    operator.post("/agents/a1/delete/")
    models.AgentState.objects.update(is_deleted=0)
    assert "Revived by its orchestrator" in operator.get("/agents/a1/").content.decode()
    assert "saved again by their orchestrator" in operator.get("/trash/").content.decode()


@pytest.mark.parametrize("verb", ["snapshot", "status", "delete", "undelete", "purge", "restore"])
def test_a_viewer_may_not(viewer: Client, verb: str):
    make_agent("a1")
    assert viewer.post(f"/agents/a1/{verb}/", {"status": "paused"}).status_code == 403
    assert not models.AuditEntry.objects.exists()


@pytest.mark.parametrize("verb", ["snapshot", "status", "delete", "undelete", "purge"])
def test_get_never_writes(operator: Client, verb: str):
    make_agent("a1")
    assert operator.get(f"/agents/a1/{verb}/").status_code == 405


@pytest.mark.parametrize(
    "agent_id", ["a/b", "", "..", ".", "a\nb", "日本", "<script>", "~tilde", "x" * 300, "long" * 25_000, "a\u202eb"]
)
def test_any_id_has_a_page(viewer: Client, agent_id: str):
    make_agent(agent_id)
    (address,) = [line.get_absolute_url() for line in viewer.get("/agents/").context["page"]]
    assert len(address) < 2000
    assert viewer.get(address).context["agent"].agent_id == agent_id


def test_an_agent_that_is_not_there_is_not_found(viewer: Client):
    assert viewer.get("/agents/nowhere/").status_code == 404
    assert viewer.get("/agents/~!!!/").status_code == 404


def test_the_page_of_an_agent_in_trouble_says_what_began_it_and_leads_back(operator: Client):
    agent = make_agent("a1", status="failed", state={"step": 3})
    make_snapshot(agent, {"step": 1}, description="before <refactor>", created_at=NOW - 5)
    lost = make_transition(agent, {"step": 1, "goal": "x"}, {"step": 2}, reason="context <lost>", timestamp=NOW)
    for number in range(3):
        make_transition(agent, {"step": 2}, {"step": 3}, reason=f"error {number}", timestamp=NOW + 60 + number)
    html = " ".join(operator.get("/agents/a1/").content.decode().split())
    panel = html.partition('id="diagnosis-title"')[2].partition("</section>")[0]
    assert "“error ‹0–2›”" in panel
    assert "× 3" in panel
    assert f'<a href="{lost.get_absolute_url()}">context &lt;lost&gt;</a>' in panel
    assert "step ~1" in panel
    assert "goal −1" in panel
    assert f"moment=transition%3A{lost.pk}%3Abefore" in panel
    assert "before &lt;refactor&gt;" in panel
    assert "Based on 4 transitions and 1 snapshot of this agent. Nothing else is known." in panel
    assert panel.count('data-kind="primary"') == 1


def test_an_agent_that_is_well_has_no_diagnosis_and_a_viewer_no_button(viewer: Client):
    make_agent("a1", status="idle")
    assert "Diagnosis" not in viewer.get("/agents/a1/").content.decode()
    failed = make_agent("a2", status="failed")
    make_transition(failed, {"n": 1}, {"n": 2}, reason="gone wrong", timestamp=NOW)
    html = viewer.get("/agents/a2/").content.decode()
    assert "Diagnosis" in html
    assert "Preview restore" not in html


def test_the_tabs_of_an_agent_lead_to_its_events_and_sessions(viewer: Client):
    agent = make_agent("a b/1")
    make_session(agent, id="of-it")
    make_session("other", id="of-another")
    make_event(actor_id="a b/1", content="said by it")
    make_event(actor_type="User", actor_id="ada", session_id="of-it", content="said to it")
    html = viewer.get(agent.get_absolute_url()).content.decode()
    tabs = html.partition('aria-label="Agent pages"')[2].partition("</nav>")[0]
    links = {name: unescape(href) for href, name in re.findall(r'href="([^"]+)"[^>]*>([A-Z]\w+)</a', tabs)}
    events = viewer.get(links["Events"], follow=True).content.decode()
    assert "said by it" in events
    assert "said to it" in events
    listed = viewer.get(links["Sessions"]).content.decode()
    assert "of-it" in listed
    assert "of-another" not in listed


def test_an_agent_that_failed_from_its_first_state_on_has_no_good_moment(operator: Client):
    agent = make_agent("a1", status="failed")
    make_transition(agent, "", {"step": 1}, reason="started", timestamp=NOW)
    html = operator.get("/agents/a1/").content.decode()
    assert "Began with" in html
    assert "Last good" not in html


@pytest.mark.parametrize("page", ["", "timeline/", "blame/", "bisect/", "fork/", "history/?path=/step"])
def test_each_page_of_an_agent_has_the_same_head(operator: Client, page: str):
    make_agent("a", name="Coder 2", namespace="build", status="failed", state={"step": 1})
    html = operator.get(f"/agents/a/{page}").content.decode()
    head = " ".join(re.sub(r"<[^>]+>", " ", html[html.index("<main") : html.index('aria-label="Agent pages"')]).split())
    assert "Coder 2" in head
    assert "✕ failed" in head
    assert "11 B" in head
    for action in ("snapshot", "status", "delete"):
        assert f'action="/agents/a/{action}/"' in html
    tabs = html[html.index('aria-label="Agent pages"') :]
    assert tabs[: tabs.index("</nav>")].count("<a") == 9
    assert tabs[: tabs.index("</nav>")].count('aria-current="page"') == 1


def test_safety_snapshots_stand_back_behind_those_of_people(operator: Client):
    agent = make_agent("a")
    make_snapshot(agent, description="before refactor")
    make_snapshot(agent, description="Safety snapshot before restore to snapshot \u201cbefore refactor\u201d")
    html = operator.get("/agents/a/").content.decode()
    timeline = html[html.index('id="timeline-title"') : html.index('id="events-title"')]
    assert timeline.count("Safety snapshot before") == 1
    assert timeline.count('action="/agents/a/restore/"') == 1, "Only the other one is offered for a restore."
