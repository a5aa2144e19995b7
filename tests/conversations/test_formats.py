"""A message says the same in each framework's format; what is in no known format is kept, and nothing is an error."""

import json
from typing import Any

import pytest
from hypothesis import example, given

from statestore.conversations import Call, Media, Message, Result, Role, Text, Thinking, Unknown, is_message, message
from tests.conversations.odd import ODD
from tests.examples import thoroughly

PNG = "iVBORw0KGgo="


def read(value: Any) -> Message:
    assert is_message(value)
    return message(value, 7)


def langchain(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": kwargs}


SAID: list[Any] = [
    {"role": "user", "content": "Hello"},
    {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
    {"role": "human", "content": ["Hello"]},
    {"type": "human", "content": "Hello"},
    {"type": "human", "data": {"content": "Hello", "type": "human"}},
    langchain("HumanMessage", content="Hello", type="human"),
    langchain("HumanMessageChunk", content=[{"type": "text", "text": "Hello"}]),
    {"role": "user", "parts": [{"text": "Hello"}]},
    {"role": "user", "text": "Hello"},
]


@pytest.mark.parametrize("value", SAID, ids=range(len(SAID)))
def test_what_a_user_says_is_read_in_each_format(value: Any):
    one = read(value)
    assert (one.position, one.role, one.parts) == (7, Role.USER, (Text("Hello"),))


CALLS: list[Any] = [
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]},
    {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}', "status": "completed"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}]},
    langchain("AIMessage", content="", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}]),
    {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "add", "args": {"a": 1}}}]},
    {"role": "model", "parts": [{"function_call": {"id": "c1", "name": "add", "args": {"a": 1}}}]},
    {"role": "assistant", "content": "", "tool_call": {"id": "c1", "name": "add", "a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("value", CALLS, ids=range(len(CALLS)))
def test_a_call_is_read_in_each_format(value: Any):
    one = read(value)
    (call,) = one.parts
    assert isinstance(call, Call)
    assert (one.role, call.name, call.value, call.call_id) == (Role.ASSISTANT, "add", {"a": 1}, "c1")


RESULTS: list[Any] = [
    {"role": "tool", "tool_call_id": "c1", "content": "two"},
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "two"}]},
    {"type": "function_call_output", "call_id": "c1", "output": "two"},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "two"}]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "two"}]}]},
    langchain("ToolMessage", content="two", tool_call_id="c1", status="success"),
    {"type": "tool", "data": {"content": "two", "tool_call_id": "c1"}},
    {"role": "user", "parts": [{"functionResponse": {"id": "c1", "response": "two"}}]},
]  # fmt: skip


@pytest.mark.parametrize("value", RESULTS, ids=range(len(RESULTS)))
def test_a_result_is_read_in_each_format(value: Any):
    one = read(value)
    assert one.role is Role.TOOL
    assert one.parts == (Result("two", "c1"),)


@pytest.mark.parametrize(
    "value",
    [
        {"role": "user", "content": [{"type": "tool_result", "is_error": True, "content": "two"}]},
        {"role": "tool", "status": "error", "content": "two"},
        {"type": "shell_call_output", "call_id": "c1", "status": "incomplete", "output": "two"},
        {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"error": "two"}}}]},
    ],
)
def test_a_result_that_is_an_error_says_so(value: Any):
    (result,) = read(value).parts
    assert isinstance(result, Result)
    assert result.is_error


IMAGES: list[Any] = [
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    {"type": "image", "source_type": "base64", "mime_type": "image/png", "data": PNG},
    {"inlineData": {"mimeType": "image/png", "data": PNG}},
    {"inline_data": {"mime_type": "image/png", "data": PNG}},
]


@pytest.mark.parametrize("block", IMAGES, ids=range(len(IMAGES)))
def test_an_image_is_its_type_and_its_size(block: Any):
    assert read({"role": "user", "content": [block]}).parts == (Media("image", "image/png", 8),)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}},
    ],
)
def test_an_image_elsewhere_is_its_address(block: Any):
    assert read({"role": "user", "content": [block]}).parts == (
        Media("image", "", None, "https://example.org/cat.png"),
    )


@pytest.mark.parametrize(
    ("value", "thought"),
    [
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "x"}]}, "hm"),
        ({"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}, ""),
        ({"role": "assistant", "content": "", "reasoning_content": "hm"}, "hm"),
        ({"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "hm"}]}, "hm"),
        ({"type": "reasoning", "id": "r1", "summary": [], "encrypted_content": "x"}, ""),
        ({"role": "model", "parts": [{"text": "hm", "thought": True}]}, "hm"),
    ],
)
def test_thoughts_are_told_from_what_is_said(value: Any, thought: str):
    one = read(value)
    assert (one.role, one.parts) == (Role.ASSISTANT, (Thinking(thought),))


@pytest.mark.parametrize(
    ("more", "tokens", "cost"),
    [
        ({"usage": {"total_tokens": 12}}, 12, None),
        ({"usage": {"input_tokens": 5, "output_tokens": 7}}, 12, None),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 7, "cost": 0.25}}, 12, 0.25),
        ({"usage_metadata": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}}, 12, None),
        ({"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7}}, 12, None),
        ({"response_metadata": {"token_usage": {"total_tokens": 12}}}, 12, None),
        ({"tokens": 12, "cost_usd": 0}, 12, 0),
        ({"tokens": True, "cost": "much"}, None, None),
        ({"tokens": [1], "cost": 1e300}, None, None),
    ],
)
def test_tokens_and_cost_are_read_where_a_message_carries_them(more: Any, tokens: int | None, cost: float | None):
    usage = read({"role": "assistant", "content": "x"} | more).usage
    assert (usage.tokens, usage.cost) == (tokens, cost)


def test_an_unknown_role_keeps_its_word_and_an_unknown_part_its_value():
    one = read({"role": "narrator", "content": [{"type": "hologram", "x": 1}, 5]})
    assert (one.role, one.word, one.parts) == (
        Role.OTHER, "narrator", (Unknown({"type": "hologram", "x": 1}), Unknown(5)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [None, 5, "user", [], {}, {"role": "user"}, {"role": 5, "content": "x"}, {"type": "human"},
     {"type": "circle", "id": 1}, {"type": [], "data": {}},
     {"lc": 1, "id": ["langchain", "prompts", "PromptTemplate"], "kwargs": {}}],
)  # fmt: skip
def test_what_is_no_message_is_not_taken_for_one(value: Any):
    assert not is_message(value)
    assert message(value, 0).parts == (Unknown(value),)


@thoroughly
@example({"role": "user", "content": [{"type": [], "text": "x"}], "type": []})
@example({"type": "tool", "data": {"content": [{"type": {}, "text": "x"}]}})
@given(ODD)
def test_any_value_can_be_read(value: Any):
    one = message(value, 0)
    assert all(isinstance(part, Text | Thinking | Call | Result | Media | Unknown) for part in one.parts)
    json.dumps([part.value for part in one.parts if isinstance(part, Call)])
