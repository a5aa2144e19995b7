"""Sessions: who took part and how often in the list, what was said and done on the page."""

import re

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import sessions
from statestore.routers import store_alias
from tests.builders import NOW, make_agent, make_event, make_session, make_transition

pytestmark = pytest.mark.django_db


def test_a_session_that_nobody_recorded_is_read_from_its_events(viewer: Client):
    make_session("agent-1", id="recorded")
    make_event(session_id="only/in events", content="said <b>this</b>", timestamp=NOW)
    make_event(
        session_id="only/in events", event_type="tool_use", content='{"tool": "grep", "n": 1}', timestamp=NOW + 900
    )
    html = viewer.get("/sessions/").content.decode()
    assert "recorded" in html
    assert "only/in events" in html
    address = re.search(r'href="(/sessions/~[^"]+)"', html)
    assert address
    html = viewer.get(address[1]).content.decode()
    assert "said &lt;b&gt;this&lt;/b&gt;" in html
    assert "15 min" in html
    assert "not recorded" in html
    assert 'class="name">tool</span>' in html
    assert viewer.get("/sessions/none/").status_code == 404


def test_a_session_shows_its_agents_transitions_in_between(viewer: Client):
    agent = make_agent("agent-1")
    make_session(agent, id="s-1")
    make_event(session_id="s-1", timestamp=NOW)
    make_transition(agent, reason="changed its mind", timestamp=NOW + 5)
    make_event(session_id="s-1", timestamp=NOW + 10)
    html = viewer.get("/sessions/s-1/").content.decode()
    assert "changed its mind" in html


def test_the_list_says_how_much_was_said_and_by_whom(viewer: Client):
    make_session("agent-1", id="busy")
    make_session("agent-1", id="silent")
    for number in range(3):
        make_event(session_id="busy", event_type="message", actor_id="anna", timestamp=NOW + number)
    make_event(session_id="busy", event_type="tool_use", actor_id="<b>coder", timestamp=NOW)
    make_event(session_id="elsewhere", actor_id="nobody-knows")
    silent, busy = (row for row in rows(viewer) if "nobody-knows" not in row)
    assert "busy" in busy
    assert re.search(r">\s*4\s*</td>", busy), "four events"
    assert "3 message, 1 tool_use" in busy
    assert re.search(r"anna,\s+&lt;b&gt;coder", busy)
    assert re.search(r">\s*0\s*</td>", silent)


def test_a_count_stops_where_it_says_so(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sessions, "LISTED_EVENTS", 2)
    make_session("agent-1", id="busy")
    for number in range(4):
        make_event(session_id="busy", actor_id=f"actor-{number}")
    assert re.search(r">\s*2\+\s*</td>", rows(viewer)[0])


def test_the_number_of_questions_does_not_grow_with_the_sessions(viewer: Client):
    def questions() -> int:
        with CaptureQueriesContext(connections[store_alias()]) as asked:
            viewer.get("/sessions/")
        return len(asked)

    make_session("agent-1", id="s-0")
    make_event(session_id="only in events")
    few = questions()
    for number in range(1, 30):
        make_session("agent-1", id=f"s-{number}")
        make_event(session_id=f"s-{number}")
        make_event(session_id=f"in events {number}")
    assert questions() == few


@pytest.mark.sqlite
def test_a_session_of_any_bytes_is_counted(viewer: Client):
    odd = "caf\udce9"
    make_session("agent-1", id=odd)
    make_event(session_id=odd, actor_id="who")
    assert "who" in rows(viewer)[0]


def rows(client: Client) -> list[str]:
    """Return the rows of the list, as HTML."""
    html = client.get("/sessions/").content.decode()
    return re.findall(r"<tr data-row.*?</tr>", html, re.DOTALL)
