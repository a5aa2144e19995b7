import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff import limits as jsondiff_limits
from statestore.jsondiff.parsing import Json, NotJson, Number, canonical, dump, equal, members, parse, top_level
from statestore.jsondiff.pointer import join, resolve, split
from tests.examples import thoroughly

# A high surrogate directly before a low one has no spelling in JSON that means the two.
texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\udcff\udc80"), max_size=12)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
literals = st.sampled_from(["1e400", "-0", "1.0000000000000000000001", "1E5", "1.50", "0e0", "9" * 5000]).map(Number)
values = st.recursive(
    st.none() | st.booleans() | numbers | literals | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=25,
)


@thoroughly
@given(values, st.sampled_from([None, 0, 2]))
def test_what_was_dumped_parses_to_the_same(value: Json, indent: int | None) -> None:
    text = dump(value, indent=indent)
    text.encode("utf-8")
    assert equal(parse(text), value)
    assert dump(parse(text), indent=indent) == text


@thoroughly
@given(st.text() | st.text('[]{}",:0123456789.eE+-\\unltrafs \n\x00\ud800', max_size=40))
def test_any_text_parses_or_is_refused_in_words(text: str) -> None:
    try:
        value = parse(text)
    except NotJson as error:
        refusal = error
    else:
        assert equal(parse(dump(value)), value)
        return
    assert refusal.reason.endswith(".")
    assert str(refusal) == refusal.reason


@thoroughly
@given(values)
def test_the_top_level_is_that_of_the_parsed_value(value: Json) -> None:
    kind, keys = top_level(dump(value))
    is_number = isinstance(value, int | float | Number) and not isinstance(value, bool)
    assert kind is (int if is_number else type(value))
    assert keys == (set(parse(dump(value))) if isinstance(value, dict) else set())  # type: ignore[arg-type]


@thoroughly
@given(st.text() | st.text('[]{}",:0123456789.eE+-\\unltrafs \n\x00\ud800', max_size=40))
def test_any_text_has_a_top_level_or_is_refused_in_the_same_words(text: str) -> None:
    try:
        value = parse(text)
    except NotJson as error:
        refused = error
    else:
        assert (top_level(text)[0] is dict) is isinstance(value, dict)
        return
    if "twice in one object" not in refused.reason:
        with pytest.raises(NotJson) as second:
            top_level(text)
        assert (second.value.reason, second.value.position) == (refused.reason, refused.position)


@given(st.recursive(st.none() | numbers | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_a_dump_is_what_the_standard_encoder_writes(value: Json) -> None:
    assert json.loads(dump(value)) == value
    assert canonical(value) == json.dumps(value, ensure_ascii=False, sort_keys=True)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_dump_is_laid_out_as_the_standard_encoder_does(indent: int | None) -> None:
    value: Json = {"a": [1, 2.5, "é", [], {}], "b": {"c": None, "d": [True, False]}, "": [[1], [{"x": {}}]]}
    assert dump(value, indent=indent) == json.dumps(value, indent=indent, ensure_ascii=False)


@pytest.mark.parametrize(
    "literal", ["1e400", "-1e400", "-0", "1.0000000000000000000001", "1E5", "1e5", "1.50", "0.0000001", "7" * 5000]
)
def test_a_number_that_python_would_print_otherwise_is_kept_as_written(literal: str) -> None:
    assert parse(literal) == Number(literal)
    assert dump(parse(f"[{literal}]"), indent=None) == f"[{literal}]"
    assert str(Number(literal)) == literal


@pytest.mark.parametrize(
    ("text", "kind"), [("17", int), ("-1", int), ("0.1", float), ("-0.0", float), ("1e+16", float)]
)
def test_a_number_that_prints_back_stays_a_python_number(text: str, kind: type) -> None:
    assert type(parse(text)) is kind
    assert dump(parse(text)) == text


def test_a_literal_equals_only_the_same_literal() -> None:
    assert Number("1E5") == Number("1E5")
    assert hash(Number("1E5")) == hash(Number("1E5"))
    assert Number("1E5") != Number("1e5")
    others: list[object] = [100000.0, 100000, "1E5"]
    assert Number("1E5") not in others


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "It is empty.", 0),
        (" \n ", "It is empty.", 0),
        ("{", "It is not JSON: expecting property name enclosed in double quotes at line 1, column 2.", 1),
        ("[1,\n x]", "It is not JSON: expecting value at line 2, column 2.", 5),
        ('"abc', "It is not JSON: unterminated string at line 1, column 1.", 0),
        ('"a\x00b"', "It is not JSON: invalid control character at line 1, column 3.", 2),
        ("{} {}", "Unexpected text after the JSON value at line 1, column 4.", 3),
        ("[NaN]", "It contains NaN, which is not a JSON number.", None),
        ("-Infinity", "It contains -Infinity, which is not a JSON number.", None),
        ('[{"a": 1, "b\\n": 2, "b\\n": 2}]', 'It has the key "b\\n" twice in one object.', None),
    ],
)
def test_text_that_is_refused_says_why_and_where(text: str, reason: str, position: int | None) -> None:
    with pytest.raises(NotJson) as refusal:
        parse(text)
    assert (refusal.value.reason, refusal.value.position) == (reason, position)


def test_a_long_repeated_key_is_cut_in_the_reason() -> None:
    key = "k" * 10_000
    with pytest.raises(NotJson) as refusal:
        parse(f'{{"{key}": 1, "{key}": 2}}')
    assert len(refusal.value.reason) < 150


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("levels", [jsondiff_limits.MAX_DEPTH + 1, 10_000])
def test_deep_nesting_is_refused(opening: str, levels: int) -> None:
    closing = {"[": "]", "{": "}"}
    text = opening * levels + "1" + "".join(closing[c] for c in reversed(opening) if c in closing) * levels
    with pytest.raises(NotJson, match="deeper than 100 levels"):
        parse(text)


def test_nesting_up_to_the_bound_is_shown() -> None:
    text = "[" * jsondiff_limits.MAX_DEPTH + "]" * jsondiff_limits.MAX_DEPTH
    assert dump(parse(text), indent=None) == text
    with pytest.raises(NotJson):
        parse(text, max_depth=jsondiff_limits.MAX_DEPTH - 1)


def test_unclosed_brackets_by_the_thousand_are_refused() -> None:
    with pytest.raises(NotJson):
        parse("[" * 10_000)


def test_size_counts_in_bytes_and_not_in_characters() -> None:
    assert parse('"éé"', max_bytes=6) == "éé"
    with pytest.raises(NotJson, match="over 5 bytes"):
        parse('"éé"', max_bytes=5)
    with pytest.raises(NotJson, match="over 8 MiB"):
        parse('"' + "x" * (8 * 1024 * 1024) + '"')


def test_lone_surrogates_pass_and_are_escaped_in_the_dump() -> None:
    assert parse('"\\ud800 \udc80"') == "\ud800 \udc80"
    assert dump(parse('{"\\ud800": "\udc80"}'), indent=None) == '{"\\ud800": "\\udc80"}'


def test_a_dump_keeps_the_stored_order_of_keys() -> None:
    assert dump(parse('{"b": 1, "a": 2}'), indent=None) == '{"b": 1, "a": 2}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), (1, 2), {1}, object()])
def test_a_dump_refuses_what_json_has_no_form_for(value: Json) -> None:
    with pytest.raises((TypeError, ValueError)):
        dump([value])


def test_integers_of_any_length_are_read_alike_whatever_stands_beside_them() -> None:
    for digits in ("1" * 4300, "1" * 4301):
        alone, beside = parse(f"[{digits}]"), parse(f"[{digits}, -0]")
        assert isinstance(alone, list)
        assert isinstance(beside, list)
        assert equal(alone[0], beside[0])
        assert dump(alone, indent=None) == f"[{digits}]"


def test_values_of_unlike_type_are_never_the_same() -> None:
    unlike: list[Json] = [1, 1.0, True, "1", None, 0, 0.0, -0.0, False, "", [], {}, Number("-0"), [1], [True], {"a": 1}]
    for place, left in enumerate(unlike):
        for other, right in enumerate(unlike):
            assert equal(left, right) is (place == other), (left, right)
            assert equal([left], [right]) is (place == other), (left, right)
            assert equal({"k": left}, {"k": right}) is (place == other), (left, right)


def test_the_order_of_keys_does_not_matter_to_sameness() -> None:
    left: Json = [{"a": 1, "b": Number("1E5")}]
    assert equal(left, [{"b": Number("1E5"), "a": 1}])
    assert not equal(left, [{"b": 100000.0, "a": 1}])


@given(st.lists(st.text()))
def test_a_pointer_splits_into_what_it_was_made_of(parts: list[str]) -> None:
    assert split(join(parts)) == tuple(parts)


def test_a_pointer_leads_to_its_place() -> None:
    value: Json = {"a/b": {"m~n": [10, {"": "here"}]}, "0": "zero"}
    assert join(["a/b", "m~n", 1, ""]) == "/a~1b/m~0n/1/"
    assert resolve(value, "/a~1b/m~0n/1/") == "here"
    assert resolve(value, "/0") == "zero"
    assert resolve(value, "") is value


@pytest.mark.parametrize(
    "path",
    ["/x", "/list/3", "/list/-", "/list/-1", "/list/01", "/list/٣", "/list/" + "9" * 5000, "/list/0/x", "list", "/~2"],
)
def test_a_place_that_is_absent_is_a_key_error(path: str) -> None:
    with pytest.raises(KeyError):
        resolve({"list": [1, 2, 3]}, path)


@pytest.mark.parametrize("path", ["a", "/~", "/a~2"])
def test_what_is_no_pointer_does_not_split(path: str) -> None:
    with pytest.raises(ValueError, match="JSON Pointer"):
        split(path)


@given(st.dictionaries(texts, values, min_size=1, max_size=5), st.data(), st.sampled_from([None, 2]))
def test_members_are_found_as_they_stand_in_the_text(value: dict[str, Json], data: st.DataObject, indent: int | None):
    names = data.draw(st.sets(st.sampled_from(sorted(value)) | st.just("absent")))
    around = data.draw(st.sampled_from(["", " \n", "\t\r\n "]))
    text = f"{around}{dump(value, indent=indent)}{around}"
    read, found = members(text, names)
    assert equal(read, value)
    assert found.keys() == names & value.keys()
    assert all(equal(parse(part), value[name]) and part == part.strip() for name, part in found.items())


def test_what_is_no_object_has_no_members():
    assert members('["a"]', ["a"]) == (["a"], {})
