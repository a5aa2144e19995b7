"""Changes made to the stored text: what they mean is what `apply` says, and what they don't touch stays as typed."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff.diff import DoesNotFit, diff, equal
from statestore.jsondiff.diff import apply as apply_changes
from statestore.jsondiff.parsing import Json, NotJson, dump, parse
from statestore.jsondiff.source_edit import replace_value, rewrite, spans
from tests.examples import thoroughly
from tests.jsondiff.test_diff import values


def typed(value: Json, chance: random.Random) -> str:
    """Return the value as somebody with odd habits would type it: spaces, line breaks, escapes, long numbers."""
    gap = chance.choice(["", " ", "\n  ", "\t"])
    if isinstance(value, dict):
        members = [f"{gap}{json.dumps(key)}{gap}:{gap}{typed(item, chance)}{gap}" for key, item in value.items()]
        return "{" + ",".join(members) + gap + "}"
    if isinstance(value, list):
        return "[" + ",".join(f"{gap}{typed(item, chance)}{gap}" for item in value) + gap + "]"
    return dump(value)


@thoroughly
@given(values, values, st.randoms(use_true_random=False))
def test_any_choice_of_changes_means_what_apply_says(before: Json, after: Json, chance: random.Random):
    text, source = typed(before, chance), typed(after, chance)
    chosen = [change for change in diff(before, after) if chance.random() < 0.6]
    for given_source in (source, None):
        assert equal(parse(rewrite(text, chosen, given_source)), apply_changes(before, chosen))


@thoroughly
@given(values, st.randoms(use_true_random=False))
def test_no_change_leaves_every_byte(value: Json, chance: random.Random):
    text = typed(value, chance)
    assert rewrite(text, []) == text


@thoroughly
@given(st.dictionaries(st.sampled_from("abcd"), values, min_size=1), st.randoms(use_true_random=False))
def test_what_is_outside_of_an_edited_place_stays_byte_for_byte(value: dict[str, Any], chance: random.Random):
    text = typed(value, chance)
    key = chance.choice(sorted(value))
    _, start, end = spans(text, [f"/{key}"])[f"/{key}"]
    replaced = replace_value(text, f"/{key}", " [1e400, -0.0] ")
    assert replaced == f"{text[:start]}[1e400, -0.0]{text[end:]}"


def test_what_is_put_back_is_spelled_as_it_was():
    now, then = '{"a": 1, "n": 2}', '{ "a":1,"n" : 1E2, "x\\u0041": "\\u00e9" }'
    changed = rewrite(now, list(diff(parse(now), parse(then))), then)
    assert changed == '{"a": 1, "n": 1E2, "x\\u0041": "\\u00e9"}'


def test_a_list_keeps_its_line_breaks_when_items_come_and_go():
    now = '{\n  "m": [\n    "a",\n    "b",\n    "c"\n  ]\n}'
    then = '{\n  "m": [\n    "a",\n    "c",\n    "d"\n  ]\n}'
    assert rewrite(now, list(diff(parse(now), parse(then))), then) == then


def test_changes_of_another_state_are_refused():
    changes = list(diff({"a": 1}, {"a": 2}))
    with pytest.raises(DoesNotFit, match="has changed since the comparison"):
        rewrite('{"a": 3}', changes)


def test_a_source_that_is_not_the_state_after_is_refused():
    with pytest.raises(DoesNotFit, match="copy from"):
        rewrite('{"a": 1}', list(diff({"a": 1}, {"a": 2})), '{"a": 3}')


def test_a_replaced_value_must_be_json_and_its_path_must_be_there():
    with pytest.raises(NotJson, match="not JSON"):
        replace_value('{"a": 1}', "/a", "one")
    with pytest.raises(KeyError):
        replace_value('{"a": 1}', "/b", "1")
