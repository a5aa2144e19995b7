"""Masking: no secret of the rules survives at any depth, and everything else is equal byte for byte."""

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.cases.masking import Masker, Rules

SECRETS = {
    "sk_key": "sk-proj-abcDEF0123456789",
    "github_token": "ghp_0123456789abcdefABCDEF",
    "slack_token": "xoxb-1234567890-abcdef",
    "aws_key": "AKIAIOSFODNN7EXAMPLE",
    "google_key": "AIzaSyA0123456789abcdefghijklmnopqrstu",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "private_key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK\n-----END RSA PRIVATE KEY-----",
}
NAMES = (
    "token", "password", "secret", "api_key", "authorization", "cookie", "private_key", "API-KEY", "accessToken",
    "X-Auth-Token", "client_secret", "Set-Cookie", "OPENAI_API_KEY", "db.password", "passwords", "password_2",
    "PRIVATE KEY", "apikey", "authtoken",
)  # fmt: skip
HARMLESS = ("tokenizer", "secretary", "cookiecutter_", "step", "plan", "author", "keyboard", "passive", "key", "")
# What no rule takes for a secret, nor for a part of one.
quiet = st.text(st.characters(exclude_characters="=:-\"'", exclude_categories=["Cs"]), max_size=12).filter(
    lambda text: not re.search("(?i)bearer|basic|eyj|sk|gh|xox|akia|aiza|token|secret|pass|key|cookie|auth|cred", text)
)
plain = st.one_of(quiet, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(quiet, st.sampled_from(HARMLESS)), inner, max_size=4)
    ),
    max_leaves=12,
)
# A secret that no value holds by chance.
hidden = st.text('ZQXJ0123456789\\"/\n é😀', min_size=6, max_size=20).map(lambda text: f"hunter{text}2")


def masked(text: str, **rules: Any) -> str:
    return Masker(Rules(**rules)).text(text)


def spelled(value: Any, data: Any) -> str:
    """Return a value as JSON in one of many spellings."""
    return json.dumps(
        value, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1, "\t"])),
        separators=data.draw(st.sampled_from([None, (",", ":"), (" , ", " : ")])),
    )  # fmt: skip


@given(values, st.data())
def test_a_text_without_secrets_stays_as_it_is(value: Any, data: Any):
    text = spelled(value, data)
    assert masked(text) == text


@given(values, st.sampled_from(NAMES), hidden, st.data())
def test_the_value_of_a_secret_name_is_masked_at_any_depth_and_nothing_else_is_changed(
    value: Any, name: str, secret: str, data: Any
):
    state: Any = data.draw(st.sampled_from([{name: secret}, {name: [secret]}, {name: {"quiet": secret}}]))
    steps = data.draw(st.lists(st.sampled_from(["list", "object", "text"]), max_size=5))
    mark: Any = json.loads(masked(json.dumps(state)))
    for step in steps:
        state, mark = (
            (json.dumps(state), json.dumps(mark)) if step == "text"
            else ([value, state, 1.50], [value, mark, 1.50]) if step == "list"
            else ({"a": value, "b": state, "c": -0.0}, {"a": value, "b": mark, "c": -0.0})
        )  # fmt: skip
    text = json.dumps(state)
    found = masked(text)
    assert "hunter" not in found
    assert found == json.dumps(mark)


@pytest.mark.parametrize("rule", SECRETS)
@given(values, st.data())
def test_a_well_known_key_is_masked_wherever_it_stands(rule: str, value: Any, data: Any):
    secret = SECRETS[rule]
    state: Any = f"I used {secret} for it"
    for step in data.draw(st.lists(st.sampled_from(["list", "text", "name"]), max_size=4)):
        state = (
            [value, state] if step == "list" else json.dumps(state) if step == "text"
            else {state if isinstance(state, str) else "x": 1}
        )  # fmt: skip
    text = spelled(state, data)
    masker = Masker()
    found = masker.text(text)
    assert secret not in found
    assert json.dumps(secret)[1:-1] not in found
    if secret in str(state) or json.dumps(secret)[1:-1] in str(state):
        assert masker.found[rule].places == 1
        json.loads(found)


@given(st.text(max_size=60))
def test_any_text_can_be_masked_and_a_second_time_changes_nothing(text: str):
    masker = Masker()
    found = masker.text(text)
    assert masker.text(found) == found


@pytest.mark.parametrize("name", NAMES)
def test_names_are_secret_in_any_case_and_with_any_separator(name: str):
    assert Rules().rule_of(name) != ""
    assert Rules().rule_of(name.upper()) != ""
    assert "hunter2" not in masked(json.dumps({name: "hunter2"}))


@pytest.mark.parametrize("name", HARMLESS)
def test_names_that_only_look_like_secret_ones_are_left(name: str):
    assert Rules().rule_of(name) == ""


def test_numbers_of_tokens_are_no_secrets():
    text = '{"max_tokens": 4096, "usage": {"prompt_tokens": 12, "completion_tokens_details": {"reasoning": 0}}}'
    assert masked(text) == text
    assert masked('{"tokens": ["abc"], "token": 123456, "password": null, "secret": true, "cookie": ""}') == (
        '{"tokens": ["[masked:token#1]"], "token": "[masked:token#2]", "password": null, "secret": true, "cookie": ""}'
    )


def test_spacing_numbers_escapes_and_the_order_of_keys_stay_as_they_are():
    text = '{ "z":1e400,"a" :\t-0, "caf\\u00e9":"\\ud83d\\ude00 token=abc \\n", "password":"x","n":1.50 }\n'
    assert masked(text) == (
        '{ "z":1e400,"a" :\t-0, "caf\\u00e9":"\\ud83d\\ude00 token=[masked:token#1] \\n",'
        ' "password":"[masked:password#1]","n":1.50 }\n'
    )


def test_a_name_that_is_spelled_with_escapes_is_the_same_name():
    assert masked('{"pass\\u0077ord": "hunter2"}') == '{"pass\\u0077ord": "[masked:password#1]"}'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("export API_KEY=hunter2 now", "export API_KEY=[masked:api_key#1] now"),
        ("password: 'hunter two' it is", "password: '[masked:password#1]' it is"),
        ("curl -H 'Authorization: Basic abc' x", "curl -H 'Authorization: [masked:authorization#1]' x"),
        ("Cookie: a=\"b\"; c=hunter2\nHost: x", "Cookie: [masked:cookie#1]\nHost: x"),
        ("Bearer abc.def-0123", "Bearer [masked:bearer_token#1]"),
        ("bearer of good news", "bearer of good news"),
        ("https://x.org/?token=hunter2&page=2", "https://x.org/?token=[masked:token#1]&page=2"),
        ("postgres://me:hunter2@db:5432/x", "postgres://me:[masked:url_password#1]@db:5432/x"),
        ("http://x.org:8080/a@b", "http://x.org:8080/a@b"),
        ("login --password hunter2 --user me", "login --password [masked:password#1] --user me"),
        ("{'token': 'hunter2', 'a': 1}", "{'token': '[masked:token#1]', 'a': 1}"),
        ('cut {"a": 1, "secret": {"b": ["hunter2", "}"]}, "c": 2', 'cut {"a": 1, "secret": [masked:secret#1], "c": 2'),
        ('cut {"password": "hunter2', 'cut {"password": "[masked:password#1]'),
        ('log: {\\"a-token\\": \\"hunter2\\", \\"a\\": 1}', 'log: {\\"a-token\\": \\"[masked:token#1]\\", \\"a\\": 1}'),
        ("tokens: 4096, total_tokens=12", "tokens: 4096, total_tokens=12"),
    ],
)  # fmt: skip
def test_secrets_in_texts_that_are_not_json(text: str, wanted: str):
    assert masked(text) == wanted
    assert json.loads(masked(json.dumps({"log": text}))) == {"log": wanted}


def test_equal_secrets_have_one_mark_and_others_another():
    masker = Masker()
    assert masker.text('["sk-0123456789abcdef", "sk-0123456789abcdef", "sk-fedcba9876543210"]') == (
        '["[masked:sk_key#1]", "[masked:sk_key#1]", "[masked:sk_key#2]"]'
    )
    assert (masker.found["sk_key"].different, masker.found["sk_key"].places) == (2, 3)


def test_own_names_and_patterns_are_rules_too():
    own = {"names": ("Customer-Id", "pin"), "patterns": (r"\b\d{16}\b",)}
    assert masked('{"customer_id": "c1", "PIN": 1234, "step": 5, "card": 4111111111111111}', **own) == (
        '{"customer_id": "[masked:customer_id#1]", "PIN": "[masked:pin#1]", "step": 5,'
        ' "card": "[masked:own_pattern_1#1]"}'
    )


def test_a_deeply_nested_text_is_masked_too():
    text = "[" * 100_000 + '{"password": "hunter2"}' + "]" * 100_000
    assert "hunter2" not in masked(text)


@pytest.mark.parametrize(
    "part", ["eyJa-", "\\", '"token":{', "cookie: ", "sk-", "Bearer ", "a://b:", "-----BEGIN ", "--token "]
)
def test_no_text_takes_the_square_of_its_length(part: str):
    def seconds(length: int) -> float:
        # Of this thread's own work: others may have the processor meanwhile.
        began = time.thread_time()
        masked(part * (length // len(part)))
        return time.thread_time() - began

    # Eight times the length; its square would be 64 times.
    assert seconds(400_000) < 24 * max(seconds(50_000), 0.02)
