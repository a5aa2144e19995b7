"""Sessions: who took part and how often in the list, what was said and done on the page."""

import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.http import urlencode

from statestore import models, search, sessions
from statestore.db.ids import to_address
from statestore.db.routers import store_alias
from statestore.sessions import limits as session_limits
from statestore.views.agent_pages import tabs
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
    monkeypatch.setattr(session_limits, "LISTED_EVENTS", 2)
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


def names(client: Client, **asked: str) -> list[str]:
    """Return the ids in the list, page after page, as the link to the older ones leads."""
    found, address, parameters = [], "/sessions/", {"size": "25", **asked}
    for _ in range(100):
        html = client.get(address, parameters).content.decode()
        found += [
            re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r'class="lead">(.*?)</td>', html, re.DOTALL)
        ]
        older = re.search(r'data-key="older"\s+href="([^"]*)"', html)
        if older is None:
            return found
        address, parameters = "/sessions/" + unescape(older[1]), {}
    raise AssertionError("the pages do not end")


def test_all_sessions_are_listed_page_by_page_those_of_the_last_event_first(viewer: Client):
    for number in range(60):
        make_event(session_id=f"s-{number:02}", timestamp=NOW + 7 * number % 60)
        make_event(session_id=f"s-{number:02}", timestamp=NOW - 100)
    make_session("agent-1", id="s-03")
    make_session("agent-1", id="silent", started_at=NOW - 20, ended_at=NOW - 10)
    expected = sorted((f"s-{n:02}" for n in range(60)), key=lambda name: (7 * int(name[2:]) % 60, name), reverse=True)
    assert names(viewer) == [*expected, "silent"]


def test_the_list_is_walked_back_as_it_was_walked_there():
    for number in range(7):
        make_event(session_id=f"s-{number}", timestamp=NOW + number // 2)
    there = [sessions.listed(size=3)]
    while there[-1].older:
        there.append(sessions.listed(size=3, cursor=there[-1].older))
    back = [there[-1]]
    while back[-1].newer:
        back.append(sessions.listed(size=3, cursor=back[-1].newer))
    assert [[one.session_id for one in page.rows] for page in there] == [
        ["s-6", "s-5", "s-4"], ["s-3", "s-2", "s-1"], ["s-0"],
    ]  # fmt: skip
    assert [page.rows for page in reversed(back)] == [page.rows for page in there]


def test_a_session_begins_with_its_first_event_and_ends_with_its_last(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session_limits, "LISTED_EVENTS", 2)
    for at in (500, 0, 900, 300):
        make_event(session_id="s-1", timestamp=NOW + at)
    (one,) = sessions.listed().rows
    assert (one.started_at, one.ended_at, one.last_at, one.seconds) == (NOW, NOW + 900, NOW + 900, 900)


def test_the_sessions_of_an_agent_are_all_in_which_it_took_part(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    for number in range(30):
        make_event(session_id=f"of-others-{number}", actor_id="agent-2", timestamp=NOW + 100 + number)
    make_event(session_id="took-part", actor_id="agent-1", timestamp=NOW)
    make_event(session_id="took-part", actor_id="agent-2", timestamp=NOW + 1)
    make_event(session_id="a-user-of-this-name", actor_type="User", actor_id="agent-1")
    make_session("agent-1", id="recorded", ended_at=None)
    assert names(viewer, agent="agent-1") == ["took-part", "recorded"]
    assert not sessions.listed(agent="agent-1").is_partial
    monkeypatch.setattr(session_limits, "AGENT_EVENTS", 1)
    assert sessions.listed(agent="agent-1").is_partial


@pytest.mark.parametrize("agent_id", ["plain", "~odd", "a b/c?&", "é" * 40, "long-" * 900])
def test_the_tab_of_an_agent_leads_to_its_sessions_whatever_its_id_is(
    viewer: Client, people: dict[str, User], agent_id: str
):
    make_session(make_agent(agent_id), id="own")
    make_session(make_agent("other"), id="others")
    (tab,) = [tab for tab in tabs(agent_id, people["viewer"]) if tab.name == "sessions"]
    page = viewer.get(tab.url)
    assert [row.session_id for row in page.context["page"].rows] == ["own"]
    twin = re.search(r'href="(/api/v1/sessions\?[^"]+)"', page.content.decode())
    assert twin
    assert [row["id"] for row in viewer.get(unescape(twin[1])).json()["items"]] == ["own"]
    for address in ("/snapshots/", "/changes/"):
        assert viewer.get(f"{address}?{urlencode({'agent': to_address(agent_id)})}").status_code == 200, address


def test_a_list_of_the_sessions_of_no_agent_says_so(viewer: Client):
    page = viewer.get("/sessions/?agent=~~YQ~" + "0" * 64).content.decode()
    assert "There is no agent with this id." in page


def test_the_list_is_narrowed_by_id_and_status(viewer: Client):
    make_event(session_id="Build-1")
    make_event(session_id="build_2")
    make_session("agent-1", id="build-3", status="failed")
    assert names(viewer, q="bUILD-") == ["build-3", "Build-1"]
    assert names(viewer, status="failed") == ["build-3"]
    assert names(viewer, status="not recorded") == ["build_2", "Build-1"]


def test_statuses_are_chosen_from_a_list_that_keeps_another_one(viewer: Client):
    make_session("a", id="s-failed", status="failed")
    make_session("a", id="s-odd", status="<paused>")
    html = viewer.get("/sessions/?status=<paused>").content.decode()
    choices = re.findall(r"<option\s+value=\"([^\"]*)\"\s*(selected)?", html)
    assert choices == [
        ("", ""), ("active", ""), ("completed", ""), ("failed", ""), ("not recorded", ""),
        ("&lt;paused&gt;", "selected"),
    ]  # fmt: skip
    assert "s-odd" in html
    assert "s-failed" not in html
    assert 'class="badge" data-status="failed"' in viewer.get("/sessions/").content.decode()


def test_where_there_are_too_many_to_sort_the_others_are_on_lists_of_their_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session_limits, "WALKED_SESSIONS", 3)
    monkeypatch.setattr(search, "session_range", lambda *how, **where: None)
    for number in range(7):
        make_event(session_id=f"s-{number}", timestamp=NOW - number)
    for name in ("r-0", "s-4-recorded", "t"):
        make_session("agent-1", id=name)
    found, beyond = [], ""
    while True:
        page = sessions.listed(beyond=beyond)
        found.append({one.session_id for one in page.rows})
        if page.beyond is None:
            break
        beyond = page.beyond
    assert found == [{"r-0", "s-0", "s-1", "s-2"}, {"s-3", "s-4", "s-4-recorded", "s-5"}, {"s-6", "t"}]


@pytest.mark.sqlite
def test_sessions_of_any_bytes_and_times_are_paged():
    make_event(session_id="caf\udce9", timestamp=NOW)
    make_event(session_id="plain", timestamp=NOW - 1)
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("UPDATE events SET timestamp = 'not a time' WHERE session_id = 'plain'")
        cursor.execute("INSERT INTO events (id, event_type, timestamp, session_id, actor_type, actor_id, content)"
                       " VALUES ('e', 't', 5, %s, 'Agent', 'a', 'c')", [b"\x01blob"])  # fmt: skip
    found, cursor_ = [], ""
    while True:
        page = sessions.listed(size=1, cursor=cursor_)
        found += [one.session_id for one in page.rows]
        if page.older is None:
            break
        cursor_ = page.older
    assert found == ["caf\udce9", "\x01blob", "plain"]


def test_a_damaged_address_of_a_page_is_refused(viewer: Client):
    assert viewer.get("/sessions/", {"cursor": "x"}).status_code == 422
    assert viewer.get("/sessions/", {"beyond": "x"}).status_code == 422


def reasons(entries: list[sessions.ConversationEntry]) -> list[str]:
    """Return what the transitions among some entries say, and the contents of its events."""
    return [
        entry.transition.reason if entry.transition else str(entry.event and entry.event.beginning) for entry in entries
    ]


def pages(session_id: str, limit: int) -> list[list[sessions.ConversationEntry]]:
    """Return the entries of a session's pages, in order."""
    found = [sessions.conversation(session_id, ["agent-1"], limit=limit)]
    while found[-1].later:
        found.append(sessions.conversation(session_id, ["agent-1"], limit=limit, cursor=found[-1].later))
    back = [found[-1]]
    while back[-1].earlier:
        back.append(sessions.conversation(session_id, ["agent-1"], limit=limit, cursor=back[-1].earlier))
    assert [page.entries for page in reversed(back)] == [page.entries for page in found], "another way back"
    return [page.entries for page in found]


def test_what_changes_between_two_pages_of_a_session_is_on_one_of_them():
    for number, at in enumerate((0, 10, 20, 20, 30)):
        make_event(session_id="s-1", content=f"e{number}", timestamp=NOW + at)
    for at in (-1, 0, 15, 20, 25, 30, 31):
        make_transition("agent-1", reason=f"t{at}", timestamp=NOW + at)
    everything = ["e0", "t0", "e1", "t15", "e2", "e3", "t20", "t25", "e4", "t30"]
    for limit in (1, 2, 3, 4, 5, 9):
        assert [reason for page in pages("s-1", limit) for reason in reasons(page)] == everything


def test_a_silence_across_two_pages_is_seen():
    for number, at in enumerate((0, 10, 1000, 2000)):
        make_event(session_id="s-1", content=f"e{number}", timestamp=NOW + at)
    make_transition("agent-1", reason="meanwhile", timestamp=NOW + 1900)
    for limit in (1, 2, 3, 9):
        gaps = [entry.gap_seconds for page in pages("s-1", limit) for entry in page]
        assert gaps == [None, None, 990, 900, None]


def test_changes_too_many_for_a_page_are_not_left_out_silently(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session_limits, "PAGE_TRANSITIONS", 3)
    make_event(session_id="s-1", timestamp=NOW)
    make_event(session_id="s-1", timestamp=NOW + 100)
    for number in range(5):
        make_transition("agent-1", reason=f"change {number}", timestamp=NOW + number)
    html = viewer.get("/sessions/s-1/").content.decode()
    assert "change 2" in html
    assert "change 3" not in html
    assert "Only the first 3 state changes on this page are shown" in html


def test_an_agent_that_took_part_long_ago_or_after_twenty_others_has_its_changes_shown(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(session_limits, "COUNTED_EVENTS", 30)
    make_event(session_id="s-1", actor_id="early", timestamp=NOW)
    make_transition("early", reason="early change", timestamp=NOW + 1)
    for number in range(30):
        make_event(session_id="s-1", actor_id=f"a-{number:02}", timestamp=NOW + 2 + number)
    make_transition("a-29", reason="late change", timestamp=NOW + 31)
    html = viewer.get("/sessions/s-1/").content.decode()
    assert "early change" in html
    assert "late change" in html


@pytest.mark.parametrize("address", ["/sessions/", "/sessions/s-1/", "/agents/"])
def test_a_page_that_keeps_itself_fresh_says_which_rows_it_shows(viewer: Client, address: str):
    agent = make_agent("agent-1")
    make_event(session_id="s-1", actor_id="agent-1")
    whole = viewer.get(address)
    version = whole["X-Version"]
    assert f'data-version="{version}"' in whole.content.decode()
    same = viewer.get(address, headers={"HX-Request": "true", "X-Version": version})
    assert (same.status_code, same.content, same["X-Version"]) == (204, b"", version)
    make_event(session_id="s-1", actor_id="agent-1", timestamp=NOW + 1)
    agent.name = "Another"
    agent.save()
    other = viewer.get(address, headers={"HX-Request": "true", "X-Version": version})
    assert other.status_code == 200
    assert other["X-Version"] != version
    assert b"<html" not in other.content


def test_an_open_session_is_ended_now_and_the_end_undone(manager: Client):
    make_session(make_agent("a"), id="build-7", ended_at=None, status="active")
    page = manager.get("/sessions/build-7/").content.decode()
    form = re.search(r'<form[^>]*action="/sessions/build-7/end/".*?</form>', page, re.S)
    assert form
    etag = re.search(r'name="etag"\s+value="([^"]*)"', form[0])
    assert etag
    before = models.now()
    assert manager.post("/sessions/build-7/end/", {"etag": etag[1], "status": "failed"}).status_code == 302
    session = models.Session.objects.get()
    assert session.status == "failed"
    assert session.ended_at >= before
    (entry,) = models.AuditEntry.objects.all()
    assert (entry.action, entry.actor) == ("end", "manager")
    page = manager.get("/sessions/build-7/").content.decode()
    assert "Ended session build-7 as failed." in page
    assert "manager" in page, "Its history is on its page."
    assert "/sessions/build-7/end/" not in page, "It can be ended once."
    assert f'action="/audit/{entry.pk}/revert/"' in page
    assert (
        manager.post(f"/audit/{entry.pk}/revert/", {"next": "/sessions/build-7/"})["Location"] == "/sessions/build-7/"
    )
    session.refresh_from_db()
    assert (session.ended_at, session.status) == (None, "active")


def test_a_session_that_changed_or_ended_meanwhile_is_not_ended(manager: Client):
    session = make_session(make_agent("a"), id="build-7", ended_at=None, status="active")
    etag = models.row_hash(session)
    models.Session.objects.update(status="odd")
    fields = {"etag": etag, "status": "completed"}
    answer = manager.post("/sessions/build-7/end/", fields, headers={"Referer": "http://testserver/sessions/build-7/"})
    assert answer.status_code == 409
    assert 'role="alert"' in answer.content.decode()
    assert "/sessions/build-7/end/" in answer.content.decode(), "The page is there, and its button."
    assert models.Session.objects.get().ended_at is None


def test_only_recorded_and_open_sessions_can_be_ended_by_who_may(manager: Client, operator: Client):
    make_session(make_agent("a"), id="ended")
    make_session("a", id="open", ended_at=None, status="active")
    make_event(session_id="unrecorded")
    for name in ("ended", "unrecorded"):
        assert "/end/" not in manager.get(f"/sessions/{name}/").content.decode(), name
    assert manager.post("/sessions/unrecorded/end/", {"etag": "0" * 64, "status": "completed"}).status_code == 404
    assert "/end/" not in operator.get("/sessions/open/").content.decode()
    assert operator.post("/sessions/open/end/", {"etag": "0" * 64, "status": "completed"}).status_code == 403
