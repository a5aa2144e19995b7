"""The page of changes: what changed in an hour, by whom, and what most of it was."""

import re
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from statestore import models
from statestore.db.routers import store_alias
from tests.builders import NOW, make_agent, make_snapshot, make_transition
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

STRETCH = f"?start={NOW}&end={NOW + 3599}"


def page(client: Client, query: str = STRETCH) -> str:
    response = client.get(f"/changes/{query}")
    assert response.status_code == 200, response.content[:500]
    return " ".join(response.content.decode().split())


def rows(html: str) -> list[str]:
    return [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in re.findall(r"<tr data-row>.*?</tr>", html)]


def test_an_hour_of_all_agents_is_one_page(viewer: Client):
    agent = make_agent("a1", name="Coder <1>")
    before, after = {"messages": [1, 2, 3], "step": 1}, {"messages": [1], "step": 2}
    make_transition(agent, before, after, reason="context lost", timestamp=NOW + 60)
    make_snapshot("gone", {"n": 1}, description="nightly", created_at=NOW + 120)
    make_transition(agent, timestamp=NOW - 1)
    told = rows(page(viewer))
    assert len(told) == 2
    assert re.fullmatch(r"\S+ \S+ gone snapshot nightly 8 B", told[0]), told[0]
    assert re.fullmatch(r"\S+ \S+ Coder &lt;1&gt; transition context lost −2 ~1 messages −\d+ B", told[1]), told[1]


def test_the_stretches_before_and_after_are_one_click_away(viewer: Client):
    html = page(viewer, f"{STRETCH}&kind=transition")
    assert f'href="?kind=transition&amp;start={NOW - 3600}&amp;end={NOW - 1}"' in html
    assert f'href="?kind=transition&amp;start={NOW + 3600}&amp;end={NOW + 7199}"' in html
    assert "Later →" not in page(viewer, "")


def test_without_a_stretch_it_is_the_last_day(viewer: Client):
    make_transition("a1", reason="just now", timestamp=models.now())
    make_transition("a1", reason="long ago", timestamp=NOW)
    html = page(viewer, "")
    assert "just now" in html
    assert "long ago" not in html


def test_each_hour_of_the_overview_leads_to_its_changes(viewer: Client):
    make_transition("a1", reason="in this hour", timestamp=models.now())
    links = re.findall(r'"(/changes/\?[^"]+)"', viewer.get("/").content.decode())
    assert len(links) >= 24
    assert "in this hour" in viewer.get(links[-1].replace("&amp;", "&")).content.decode()


def test_edits_are_shown_to_who_may_read_the_audit_log(people: dict[str, User]):
    models.AuditEntry.objects.create(
        at=NOW, actor="ada", action="status", noun="agent", row_id="a1", before='{"status": "idle"}',
        after='{"status": "paused"}',
    )  # fmt: skip
    assert "set the status of a1 from idle to paused" in page(signed_in(people["viewer"]))
    people["nobody"].user_permissions.add(Permission.objects.get(codename="view_agentstate"))
    others = signed_in(people["nobody"])
    assert "idle to paused" not in page(others)
    assert rows(page(others, f"{STRETCH}&kind=edit")) == []


def test_changes_and_snapshots_are_narrowed_to_an_agent_by_its_address_or_its_id(viewer: Client):
    for name in ("team/<script>", "b"):
        make_snapshot(make_agent(name), created_at=NOW)
    for page in ("/snapshots/?", f"/changes/?start={NOW}&end={NOW}&"):
        for agent in ("team/<script>", "~dGVhbS88c2NyaXB0Pg"):
            answer = viewer.get(f"{page}{urlencode({'agent': agent})}")
            html = answer.content.decode()
            assert len(answer.context["rows"]) == 1, (page, agent)
            assert f'value="{escape(agent)}"' in html, "It stays in its field."
            assert "/agents/~dGVhbS88c2NyaXB0Pg/" in html


@pytest.mark.parametrize("wrong", ["start=soon", f"start={NOW}&end=5", "kind=wish", "agent=~%3F"])
def test_what_cannot_be_asked_for_is_refused_beside_what_was_typed(viewer: Client, wrong: str):
    response = viewer.get(f"/changes/?{wrong}")
    assert response.status_code == 422
    html = response.content.decode()
    assert 'data-level="error"' in html
    assert "<form" in html


def test_the_number_of_questions_does_not_grow_with_the_changes(viewer: Client):
    counts = []
    for number in (2, 30):
        for _ in range(number):
            agent = make_agent()
            make_transition(agent, {"n": 1}, {"n": 2}, timestamp=NOW)
            make_snapshot(agent, created_at=NOW)
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            page(viewer)
        counts.append(len(queries))
    assert counts[0] == counts[1], counts
    assert counts[0] < 12


def test_large_states_are_not_compared_for_a_list(viewer: Client):
    make_transition("a1", {"x": "y" * 300_000}, {"x": "z"}, reason="shrunk", timestamp=NOW)
    (told,) = rows(page(viewer))
    assert "~" not in told
    assert "KB" in told


def test_an_edit_of_a_task_leads_to_where_it_can_be_taken_back(viewer: Client):
    entry = models.AuditEntry.objects.create(
        at=NOW, actor="ada", action="edit", noun="task", row_id="t1", before='{"title": "a"}', after='{"title": "b"}'
    )
    html = page(viewer)
    assert re.search(rf'<a href="/audit/{entry.pk}/"\s*>changed the title of b from a to b</a\s*>', html)
    assert rows(html)[0].endswith("ada")


def test_the_chart_counts_what_is_asked_for_and_its_bars_narrow_the_range(viewer: Client):
    agent, other = make_agent("a"), make_agent("b")
    for second in (0, 1, 100, 4700):
        make_transition(agent, timestamp=NOW + second, reason="step")
    make_transition(other, timestamp=NOW + 50)
    make_snapshot(agent, created_at=NOW + 4700)
    asked: dict[str, str | int] = {"start": NOW, "end": NOW + 4799, "agent": "a"}
    chart = viewer.get("/changes/", asked).context["chart"]
    assert chart.totals == {"changes": 5}
    assert [(number, one.numbers[0]) for number, one in enumerate(chart.stretches) if one.numbers[0]] == [
        (0, 2), (1, 1), (47, 2),
    ]  # fmt: skip
    narrowed = viewer.get(f"/changes/{chart.stretches[0].url}")
    assert len(narrowed.context["rows"]) == 2, "The bar keeps the agent and takes its own stretch."
    zoomed = chart.zoom.replace("{start}", str(NOW)).replace("{end}", str(NOW + 150))
    assert len(viewer.get(f"/changes/{zoomed}").context["rows"]) == 3


@pytest.mark.parametrize("end", [NOW, NOW + 1, NOW + 47, NOW + 48, NOW + 10**9])
def test_a_range_of_any_length_is_drawn(viewer: Client, end: int):
    make_transition(make_agent("a"), timestamp=NOW)
    chart = viewer.get("/changes/", {"start": NOW, "end": end}).context["chart"]
    assert 1 <= len(chart.stretches) <= 48
    assert chart.totals == {"changes": 1}
