"""Pages of hostile states: they end early, and say so."""

import json

import pytest
from django.test import Client

from statestore.jsondiff import limits
from statestore.views import tree
from statestore.views.states import StateView
from tests.builders import make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db

COARSE = "differ in too many values to be compared one by one"


def members(shift: int, count: int = 3 * limits.MAX_CHANGES) -> str:
    return json.dumps({f"k{number}": number + shift for number in range(count)})


@pytest.mark.parametrize("kind", ["transition", "compare", "preview"])
def test_a_page_of_too_many_changes_says_so(operator: Client, kind: str):
    agent = make_agent("a", state=members(1))
    snapshot = make_snapshot(agent, members(0))
    transition = make_transition(agent, members(0), members(1))
    address = {
        "transition": f"/transitions/{transition.pk}/",
        "compare": f"/compare/?left=a&before=snapshot:{snapshot.pk}&after=now",
        "preview": f"/agents/a/restore/?moment=snapshot:{snapshot.pk}",
    }[kind]
    page = operator.get(address).content.decode()
    assert COARSE in " ".join(page.split())
    assert len(page) < 100_000


def test_the_json_twin_says_so_too(operator: Client):
    agent = make_agent("a", state=members(1))
    snapshot = make_snapshot(agent, members(0))
    answer = operator.get(f"/api/v1/agents/a/diff?from=snapshot:{snapshot.pk}&to=now").json()
    assert (answer["coarse"], answer["truncated"], len(answer["changes"])) == (True, False, 1)
    make_snapshot(make_agent("b", state="[1]"), "[2]")
    assert operator.get("/api/v1/agents/b/diff?from=now&other=a").json()["coarse"] is False


def test_word_diffs_of_one_page_are_bounded_together(operator: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "TEXT_DIFF_UNITS", 10_000)
    words = [" ".join(f"w{number}" for number in range(start, start + 60)) for start in (0, 1)]
    states = [json.dumps({f"k{place}": text for place in range(50)}) for text in words]
    transition = make_transition(make_agent("a"), *states)
    page = operator.get(f"/transitions/{transition.pk}/").content.decode()
    assert 0 < page.count("<ins") < 50


def test_a_tree_without_an_agent_is_bounded_at_each_level():
    nested = {"top": {f"k{number}": {"value": number} for number in range(10 * tree.MAX_NODES_ALONE)}}
    html = StateView(json.dumps(nested)).tree
    assert html.count('class="leaf"') <= tree.MAX_NODES_ALONE + 10
    assert "more; see the raw state" in html


def test_a_search_in_a_large_state_says_where_it_ended(operator: Client, monkeypatch: pytest.MonkeyPatch):
    make_agent("a", state=members(0, 1_000))
    assert "only its first values" not in operator.get("/agents/a/?find=k999").content.decode()
    monkeypatch.setattr(limits, "FIND_UNITS", limits.FOUND_VALUE_UNITS * 500)
    assert "only its first values" in operator.get("/agents/a/?find=k999").content.decode()


def test_a_comparison_of_values_that_fit_has_no_note(operator: Client):
    transition = make_transition(make_agent("a"), {"a": 1}, {"a": 2})
    assert COARSE not in operator.get(f"/transitions/{transition.pk}/").content.decode()
