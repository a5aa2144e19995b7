"""The state at a time, blame, the history of a path: each equals what a naive replay of the records says."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore import history, models
from statestore.errors import NotFound, ValidationError
from statestore.history import Cause, moments
from statestore.jsondiff import parsing, pointer, predicate
from statestore.jsondiff.diff import MISSING
from tests.builders import NOW, make_agent, make_snapshot, make_transition
from tests.examples import thoroughly_on_the_store

pytestmark = pytest.mark.django_db

numbers = itertools.count()
leaves: st.SearchStrategy[Any] = st.sampled_from([0, 1, True, 1.0, "a", "b", None, [], {}])
keys = st.sampled_from("abcd")
# Without lists the place of a value is its path, so that replaying path by path is the whole truth.
documents = st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8)
pasts = st.lists(documents, min_size=1, max_size=7)


def make_past(states: list[Any], *, gaps: bool = False) -> models.AgentState:
    """Return an agent that had these states, one a second; with gaps, every third change is not recorded."""
    agent = make_agent(f"past-{next(numbers)}", state=json.dumps(states[-1]), updated_at=NOW + len(states))
    models.Transition.objects.bulk_create(
        models.Transition(
            id=f"{agent.agent_id}-{n}", agent_id=agent.agent_id, state_before=json.dumps(before),
            state_after=json.dumps(after), reason=f"turn {n}", timestamp=NOW + n,
        )
        for n, (before, after) in enumerate(itertools.pairwise(states), 1)
        if not (gaps and n % 3 == 2)
    )  # fmt: skip
    return agent


def leaves_of(value: Any, path: str = "") -> dict[str, Any]:
    """Return {path: value} of all leaves."""
    if not isinstance(value, dict | list) or not value:
        return {path: value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, item in pairs for k, v in leaves_of(item, f"{path}/{key}").items()}


def seen(value: Any) -> str:
    """Return a text that two leaves share exactly if they are the same."""
    return "missing" if value is MISSING else parsing.canonical(value)


@thoroughly_on_the_store
@given(pasts, st.booleans())
def test_blame_is_what_a_naive_replay_says(states: list[Any], gaps: bool):
    agent = make_past(states, gaps=gaps)
    n: int | None
    expected: dict[str, int | None] = dict.fromkeys(leaves_of(states[0]))
    for n, (before, after) in enumerate(itertools.pairwise(states), 1):
        old, new = leaves_of(before), leaves_of(after)
        held = {p for p in new if p in old and seen(old[p]) == seen(new[p])}
        expected = {p: expected[p] if p in held else n for p in new}
    found = history.blame(agent, budget_seconds=None)
    recorded = {n for n in range(1, len(states)) if not (gaps and n % 3 == 2)}
    assert found.is_complete
    for path, n in expected.items():
        origin = found.origins.get(path)
        if n is None or (n not in recorded and not any(r < n for r in recorded)):
            # Nothing earlier is recorded: such a change cannot be told from one before all records.
            assert origin is None or origin.step_id is None
        elif n in recorded:
            assert origin is not None
            assert origin.step_id == f"{agent.agent_id}-{n}"
        else:
            assert origin is not None
            assert (origin.step_id, origin.after) == (None, NOW + max(r for r in recorded if r < n))


@thoroughly_on_the_store
@given(st.data())
def test_blame_follows_the_items_of_a_list_as_they_move(data: st.DataObject):
    """Each value is written once in its life, so that the step that wrote it is known without any replay."""
    fresh, wrote = itertools.count(), dict[str, int]()
    items, states = list[dict[str, str]](), list[Any]()
    for n in range(data.draw(st.integers(2, 8))):
        items = [item for item in items if data.draw(st.integers(0, 4))]
        for _ in range(data.draw(st.integers(0, 3))):
            value = f"message {next(fresh)} of many words that are like no other {n * 7919}"
            wrote[value] = n
            items.insert(data.draw(st.integers(0, len(items))), {"text": value})
        states.append({"messages": list(items), "n": n})
    agent = make_past(states)
    found = history.blame(agent, budget_seconds=None)
    for place, item in enumerate(items):
        origin = found.origins.get(f"/messages/{place}/text")
        written = wrote[item["text"]]
        assert (origin and origin.step_id) == (f"{agent.agent_id}-{written}" if written else None)


@thoroughly_on_the_store
@given(pasts, st.booleans(), st.data())
def test_the_history_of_a_path_is_what_a_naive_replay_says(states: list[Any], gaps: bool, data: st.DataObject):
    agent = make_past(states, gaps=gaps)
    path = data.draw(st.sampled_from(sorted({p for state in states for p in leaves_of(state)})))
    values = [_at(state, path) for state in states]
    found = history.path_history(agent, path, budget_seconds=None)
    changes = [(seen(change.before), seen(change.after)) for change in reversed(found.changes)]
    assert changes == [(seen(a), seen(b)) for a, b in _recorded_changes(values, gaps)]
    assert seen(found.value) == seen(values[-1])


def _at(state: Any, path: str) -> Any:
    try:
        return pointer.resolve(state, path)
    except KeyError:
        return MISSING


def _recorded_changes(values: list[Any], gaps: bool) -> list[tuple[Any, Any]]:
    """Return the changes between all states from the first one that a record shows."""
    recorded = [n for n in range(1, len(values)) if not (gaps and n % 3 == 2)]
    shown = values[recorded[0] - 1 :] if recorded else []
    return [(a, b) for a, b in itertools.pairwise(shown) if seen(a) != seen(b)]


def test_the_history_of_an_item_follows_it_and_ends_where_it_came():
    old, new = {"text": "the first message that was ever said"}, {"text": "an entirely different second thing"}
    agent = make_past([{"m": []}, {"m": [old]}, {"m": [new, old]}, {"m": [new, {**old, "read": True}]}])
    found = history.path_history(agent, "/m/1", budget_seconds=None)
    assert [(change.path, change.before is MISSING) for change in found.changes] == [("/m/1", False), ("/m/0", True)]


@thoroughly_on_the_store
@given(pasts, st.sampled_from(["/a = 1", "/a exists", "/b missing", '/a/b contains "a"', "/c >= 1", '"" = {}']))
def test_bisect_is_what_a_linear_scan_says(states: list[Any], text: str):
    agent, condition = make_past(states), predicate.parse(text)
    held = [condition.holds(state) for state in states]
    flips = [(n, now) for n, (before, now) in enumerate(itertools.pairwise(held), 1) if before != now]
    found = history.bisect(agent, condition, budget_seconds=None)
    assert [(flip.origin.step_id, flip.became) for flip in reversed(found.flips)] == [
        (f"{agent.agent_id}-{n}", now) for n, now in flips
    ]
    assert (found.held_first, found.held_last, found.reached) == (held[0], held[-1], None)
    first = next((n for n, now in flips if now), None)
    assert (found.first.origin.step_id if found.first else None) == (first and f"{agent.agent_id}-{first}")


def test_bisect_goes_on_from_where_its_time_was_over():
    agent, condition = make_past([{"a": n % 2} for n in range(6)]), predicate.parse("/a = 1")
    flips, position, rounds = [], None, 0
    while rounds == 0 or position is not None:
        found = history.bisect(agent, condition, start=position, budget_seconds=0)
        flips += found.flips
        position, rounds = found.reached, rounds + 1
    assert [flip.became for flip in flips] == [True, False, True, False, True]
    assert rounds > 2


@thoroughly_on_the_store
@given(pasts, st.integers(-3, 12))
def test_the_state_at_a_time_is_what_a_replay_says(states: list[Any], second: int):
    agent = make_past(states)
    saved = len(states)  # The agent's own row is a record too.
    if second < 1 or (len(states) == 1 and second < saved):
        with pytest.raises(NotFound, match="Nothing is known"):
            history.state_at(agent.agent_id, moments.AtTime(NOW + second))
        return
    known = history.state_at(agent.agent_id, moments.AtTime(NOW + second))
    assert known.text == json.dumps(states[min(second, len(states) - 1)])
    assert known.is_exact
    assert history.states_at([agent], NOW + second) == {agent.agent_id: known}


def test_a_state_at_a_time_says_when_an_unrecorded_change_leaves_it_in_doubt():
    agent = make_agent(state={"step": 5}, updated_at=NOW + 50)
    make_transition(agent, {"step": 1}, {"step": 2}, timestamp=NOW)
    make_transition(agent, {"step": 3}, {"step": 4}, timestamp=NOW + 20)
    known = history.state_at(agent.agent_id, moments.AtTime(NOW + 10))
    assert (known.text, known.at, known.is_exact, known.doubt_until) == ('{"step": 2}', NOW, False, NOW + 20)
    assert history.state_at(agent.agent_id, moments.AtTime(NOW + 30)).doubt_until == NOW + 50


def test_a_snapshot_after_the_last_transition_tells_the_state_at_a_time():
    agent = make_agent(state={"step": 3})
    make_transition(agent, {"step": 1}, {"step": 2}, timestamp=NOW)
    make_snapshot(agent, {"step": 3}, created_at=NOW + 5)
    known = history.state_at(agent.agent_id, moments.AtTime(NOW + 9))
    assert (known.text, known.at, known.is_exact) == ('{"step": 3}', NOW + 5, True)


def test_blame_goes_on_where_its_time_was_over_and_remembers_what_it_found():
    agent = make_past([{"a": 0, "b": 0}, {"a": 1, "b": 0}, {"a": 1, "b": 1}, {"a": 1, "b": 2}])
    rounds = 0
    while not (found := history.blame(agent, budget_seconds=0)).is_complete:
        rounds += 1
    assert rounds == 2
    assert {path: origin.reason for path, origin in found.origins.items()} == {"/b": "turn 3", "/a": "turn 1"}
    assert history.blame(agent, budget_seconds=0).read == found.read


def test_blame_is_not_remembered_for_an_agent_that_changed():
    agent = make_past([{"a": 0}, {"a": 1}])
    history.blame(agent)
    make_transition(agent, {"a": 1}, {"a": 2}, timestamp=NOW + 9, reason="later")
    agent.state_data = '{"a": 2}'
    agent.save()
    assert history.blame(agent).origins["/a"].reason == "later"


def test_blame_says_which_leaf_nobody_recorded_a_change_of():
    agent = make_agent(state={"a": 9, "b": 1}, updated_at=NOW + 30)
    make_transition(agent, {"a": 0}, {"a": 1, "b": 1}, timestamp=NOW)
    found = history.blame(agent)
    assert found.origins["/a"] == Cause(None, NOW + 30, after=NOW)
    assert found.origins["/b"].step_id is not None


def test_blame_reads_past_states_that_are_no_json():
    agent = make_agent(state={"a": 1})
    make_transition(agent, "not { json", {"a": 1}, timestamp=NOW, reason="repaired")
    assert history.blame(agent).origins["/a"].reason == "repaired"


def test_a_path_that_is_none_is_refused_with_an_example():
    agent = make_agent()
    with pytest.raises(ValidationError, match="/plan/goal"):
        history.path_history(agent, "plan.goal")


def test_a_damaged_position_is_refused():
    with pytest.raises(ValidationError, match="newest change"):
        history.Position.parse("12.x")


@pytest.mark.parametrize("part", ["00", "01", "٠", "１"])
def test_what_is_no_place_of_a_list_has_no_history(part: str):
    agent = make_past([{"L": ["a", "b"]}, {"L": ["b", "a"]}, {"L": ["c", "a"]}])
    found = history.path_history(agent, f"/L/{part}", budget_seconds=None)
    assert (found.value, found.changes, found.place) == (MISSING, [], f"/L/{part}")
    assert history.bisect(agent, predicate.parse(f"/L/{part} exists")).flips == []


def test_keys_that_are_no_text_have_a_blame_and_a_history_each():
    agent = make_past([dict(zip("\ud800\ud801", numbers, strict=True)) for numbers in ((0, 0), (1, 0), (1, 1))])
    origins = {path: origin.reason for path, origin in history.blame(agent).origins.items()}
    assert origins == {"/~ud800": "turn 1", "/~ud801": "turn 2"}
    for path, reason in origins.items():
        assert [change.origin.reason for change in history.path_history(agent, path).changes] == [reason]


@pytest.mark.parametrize("address", ["captured:٣", "captured:03", "captured:", "captured:x"])
def test_a_captured_change_has_one_id(address: str):
    agent = make_agent("a1", state="b")
    models.CapturedChange.objects.create(pk=3, agent_id="a1", at=NOW, state_before="a", state_after="b")
    assert history.find_transition("captured:3") is not None
    assert history.find_transition(address) is None
    assert history.stop_at(agent, moments.AtTransition(address, "after")) is None
