"""Blame and the history of a path are what the naive answers say."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore import history, models
from statestore.history import Cause
from statestore.jsondiff.diff import MISSING
from tests.builders import NOW, make_agent
from tests.examples import thoroughly_on_the_store
from tests.oracles import values

pytestmark = pytest.mark.django_db

numbers = itertools.count()
leaves: st.SearchStrategy[Any] = st.sampled_from([0, 1, True, 1.0, "a", None, [], {}])
keys = st.sampled_from(["a", "b", "/", "~"])
# No lists but empty ones: what follows items as they move has tests of its own.
documents = st.dictionaries(
    keys, st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=3)), max_size=3
)
# Each state, and whether the change to it was recorded.
pasts = st.lists(st.tuples(documents, st.sampled_from([True, True, False])), min_size=1, max_size=6)


def stored(drawn: list[tuple[Any, bool]]) -> tuple[models.AgentState, list[values.Step]]:
    """Return an agent with a past, and the same for the naive answer, from the first state that a record shows."""
    agent_id = f"agent-{next(numbers)}"
    agent = make_agent(agent_id, state=json.dumps(drawn[-1][0]), updated_at=NOW + len(drawn))
    naive: list[values.Step] = []
    shown: Any = None
    for number, ((before, _), (after, is_recorded)) in enumerate(itertools.pairwise(drawn)):
        if not is_recorded:
            continue
        name = f"{agent_id}-{number}"
        models.Transition.objects.create(
            id=name, agent_id=agent_id, timestamp=NOW + number, state_before=json.dumps(before),
            state_after=json.dumps(after),
        )  # fmt: skip
        naive += [] if not naive else [(None, shown, before)]
        naive.append((name, before, after))
        shown = after
    if naive:
        naive.append((None, shown, drawn[-1][0]))
    return agent, naive


def name_of(origin: Cause | None) -> str | None:
    return "" if origin is None else origin.step_id


@thoroughly_on_the_store
@given(pasts)
def test_blame_is_the_naive_one(drawn: list[tuple[Any, bool]]):
    agent, naive = stored(drawn)
    found = history.blame(agent, budget_seconds=None)
    expected = values.blamed(naive) if naive else dict.fromkeys(values.leaves(drawn[-1][0]), "")
    assert {path: name_of(found.origins.get(path)) for path in expected} == expected
    assert {*found.origins, *found.unknown_paths()} == expected.keys()


@thoroughly_on_the_store
@given(pasts, st.lists(keys, min_size=1, max_size=2))
def test_the_history_of_a_path_is_the_naive_one(drawn: list[tuple[Any, bool]], place: list[str]):
    agent, naive = stored(drawn)
    path = "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in place)
    found = history.path_history(agent, path, budget_seconds=None)
    told = [(change.origin.step_id, shown(change.before), shown(change.after)) for change in reversed(found.changes)]
    assert told == values.changes_of(naive, place)


def shown(value: Any) -> str:
    return values.spelled(values.GONE if value is MISSING else json.loads(json.dumps(value, default=str)))
