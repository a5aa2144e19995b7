"""An agent's statuses: all eight of the orchestrator's, everywhere; those of active agents count as work."""

import re
from typing import Final

import pytest
from django.test import Client

from descartes_site.locations import FILES
from statestore import models, restore
from statestore.models.agents import ACTIVE, in_order
from statestore.templatetags.statestore import STATUS_SIGNS
from tests.builders import make_agent, make_transition

STATIC: Final = FILES / "static" / "statestore"
ALL: Final = ["idle", "initializing", "running", "thinking", "paused", "completed", "failed", "terminated"]
COLOUR: Final = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")


def colours() -> dict[str, tuple[str, str]]:
    """Return {token: (light, dark)}."""
    return {name: (light, dark) for name, light, dark in COLOUR.findall((STATIC / "tokens.css").read_text())}


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, as WCAG 2 defines it."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_there_are_eight_in_the_order_of_a_life_and_three_are_active():
    assert models.AgentStatus.values == ALL
    assert {"initializing", "running", "thinking"} == ACTIVE


@pytest.mark.parametrize("status", ALL)
def test_each_has_a_sign_and_a_colour_of_its_own(status: str):
    assert list(STATUS_SIGNS.values()).count(STATUS_SIGNS[status]) == 1
    tokens = {name: pair for name, pair in colours().items() if name.startswith("status-")}
    assert list(tokens.values()).count(tokens[f"status-{status}"]) == 1
    rule = f'.badge[data-status="{status}"] {{ color: var(--status-{status}); }}'
    assert rule in (STATIC / "controls.css").read_text()


@pytest.mark.parametrize("status", [*ALL, "unknown"])
@pytest.mark.parametrize("ground", ["paper", "raised", "sunken", "hover", "accent-tint"])
def test_each_can_be_read_on_each_ground_in_both_themes(status: str, ground: str):
    tokens = colours()
    assert all(contrast(*pair) >= 4.5 for pair in zip(tokens[f"status-{status}"], tokens[ground], strict=True))


@pytest.mark.django_db
@pytest.mark.parametrize("status", ALL)
def test_each_can_be_counted_filtered_and_given(operator: Client, status: str):
    make_agent("a1", status=status)
    make_agent("b1", status="other")
    assert dict(operator.get("/").context["counts"])[status] == 1
    listed = operator.get("/agents/", {"status": status})
    assert [agent.agent_id for agent in listed.context["page"]] == ["a1"]
    page = listed.content.decode()
    assert f'data-status="{status}"' in page
    assert f'<option value="{status}" selected>' in page
    asked = operator.post("/agents/bulk/", {"agent": "a1", "action": "status"}).content.decode()
    assert f'<option value="{status}">' in asked
    assert operator.post("/agents/b1/status/", {"status": status}).status_code == 302
    assert models.AgentState.objects.get(agent_id="b1").status == status


@pytest.mark.django_db
@pytest.mark.parametrize("status", [*ALL, "other"])
def test_active_agents_that_are_silent_are_in_trouble_and_others_are_not(operator: Client, status: str):
    make_agent("a1", status=status)
    silent = [agent.agent_id for agent in operator.get("/").context["silent"]]
    assert silent == (["a1"] if status in ACTIVE else [])


@pytest.mark.django_db
@pytest.mark.parametrize("status", [*ALL, "other"])
def test_a_restore_and_a_batch_look_out_for_active_agents(status: str):
    agent = make_agent("a1", state={"n": 1}, status=status)
    transition = make_transition(agent, {"n": 0}, {"n": 1})
    planned = restore.plan("a1", f"transition:{transition.pk}:before")
    warnings = [warning.text for warning in planned.warnings if warning.kind == "running"]
    assert warnings == ([f"The agent is {status} and may overwrite the restored state."] if status in ACTIVE else [])
    make_transition(agent, {"n": 1}, {"n": 2}, timestamp=transition.timestamp + 50)
    models.AgentState.objects.update(state_data='{"n": 2}')
    (verdict,) = restore.preview_batch(models.AgentState.objects.all(), transition.timestamp)
    assert verdict.kind == ("running" if status in ACTIVE else "change")


def test_of_other_words_the_most_frequent_are_listed():
    counts = {"idle": 2, **{f"word {number}": number for number in range(20)}}
    listed = in_order(counts)
    assert listed[:2] == [("idle", 2), ("initializing", 0)]
    assert [count for _, count in listed[len(ALL) :]] == list(range(19, 9, -1))
