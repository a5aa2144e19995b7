"""All that happened at a commit: by every agent that acted at it."""

import pytest
from django.test import Client

from statestore import search
from tests.builders import NOW, make_event, make_transition

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("index_file")]

SHA = "a41f00d"


@pytest.mark.parametrize("is_indexed", [False, True])
def test_what_changed_meanwhile_is_of_all_agents_that_acted_at_the_commit(viewer: Client, is_indexed: bool):
    for number in range(12):
        for _ in range(12 - number):
            make_event(actor_id=f"agent-{number}", git_commit=SHA, timestamp=NOW + number)
        make_transition(f"agent-{number}", reason=f"change of {number}.", timestamp=NOW + number)
    make_event(actor_type="User", actor_id="agent-of-that-name", git_commit=SHA)
    make_transition("agent-of-that-name", reason="not at it")
    if is_indexed:
        search.index_all()
    html = viewer.get(f"/commits/{SHA}/").content.decode()
    assert all(f"change of {number}." in html for number in range(12))
    assert "not at it" not in html
    assert "only of" not in html


def test_where_not_all_agents_are_looked_at_the_page_says_so(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("statestore.search.limits.AGENTS", 2)
    monkeypatch.setattr("statestore.views.commits.TRANSITIONS", 1)
    for number in range(4):
        make_event(actor_id=f"agent-{number}", git_commit=SHA, timestamp=NOW + number)
        make_transition(f"agent-{number}", timestamp=NOW + number)
    html = viewer.get(f"/commits/{SHA}/").content.decode()
    assert "the newest 1 changes" in html
    assert "only 2 agents with the newest events" in html
