"""One value of a list, read as a message.

Known are the formats of OpenAI (chat messages, and the items of its Responses and Agents interfaces), of Anthropic
(content blocks), of LangChain (as its `dumps` and its `messages_to_dict` write them), of Google (`parts`), and of
Descartes (`tool_call`). They share most of their words, so a message is read by its words, not by its format.
"""

from collections.abc import Iterator
from itertools import chain, islice
from math import isfinite
from typing import Final, TypeAlias

from statestore.conversations import limits
from statestore.conversations.messages import (
    NO_USAGE,
    Call,
    Media,
    Message,
    Part,
    Result,
    Role,
    Text,
    Thinking,
    Unknown,
    Usage,
)
from statestore.jsondiff.parsing import Json

Object: TypeAlias = dict[str, Json]

_ROLES: Final = {
    "user": Role.USER, "human": Role.USER,
    "assistant": Role.ASSISTANT, "ai": Role.ASSISTANT, "model": Role.ASSISTANT, "agent": Role.ASSISTANT,
    "tool": Role.TOOL, "function": Role.TOOL, "tool_result": Role.TOOL,
    "system": Role.SYSTEM, "developer": Role.SYSTEM,
}  # fmt: skip
# LangChain's own words, which stand where others have a role.
_LANGCHAIN: Final = {"human", "ai", "system", "tool", "function", "chat"}
_CONTENT: Final = ("content", "parts", "tool_calls", "tool_call", "function_call", "text")
_TEXTS: Final = {"text", "input_text", "output_text", "summary_text", "refusal"}
_THOUGHTS: Final = {"thinking", "reasoning", "redacted_thinking", "reasoning_content"}
_CALLS: Final = {"tool_use", "server_tool_use", "tool_call", "mcp_tool_use"}
_RESPONSES: Final = frozenset(("functionResponse", "function_response"))
_MEDIA: Final = {
    "image": "image", "image_url": "image", "input_image": "image", "audio": "audio", "input_audio": "audio",
    "video": "video", "file": "file", "input_file": "file", "document": "file", "media": "file",
}  # fmt: skip


def is_message(value: Json) -> bool:
    """Return whether a value has the form of a message in one of the known formats."""
    if not isinstance(value, dict):
        return False
    if _serialized(value) is not None:
        return True
    if _has_text(value, "role"):
        return any(name in value for name in _CONTENT)
    kind = _kind(value)
    if kind in _LANGCHAIN:
        return "content" in value or isinstance(value.get("data"), dict)
    return kind == "reasoning" or (_is_item(kind) and ("call_id" in value or "id" in value))


def message(value: Json, position: int) -> Message:
    """Return a value as a message. One in no known format is of the role `OTHER`, and keeps its value whole."""
    item = unwrapped(value)
    if item is None:
        return Message(position, Role.OTHER, "", (Unknown(value),))
    parts = tuple(islice(_parts(item), limits.PARTS))
    name = item.get("name")
    return Message(position, role(item), _word(item), parts, usage(item), name if isinstance(name, str) else "")


def summary(value: Json) -> tuple[Role, Usage]:
    """Return who says a message and what it cost, without reading what it says."""
    item = unwrapped(value)
    return (Role.OTHER, NO_USAGE) if item is None else (role(item), usage(item))


def role(item: Object) -> Role:
    """Return who says a message. Anthropic and Google send the results of tools as the user."""
    said_by = _ROLES.get(_word(item).lower(), Role.OTHER)
    blocks = item.get("content", item.get("parts"))
    is_result = said_by is Role.USER and isinstance(blocks, list) and blocks and all(map(_holds_result, blocks))
    return Role.TOOL if is_result else said_by


def _holds_result(block: Json) -> bool:
    if not isinstance(block, dict):
        return False
    kind = _kind(block)
    return kind.endswith("_result") if kind else not _RESPONSES.isdisjoint(block)


def _has_text(item: Object, name: str) -> bool:
    return isinstance(item.get(name), str)


def _kind(item: Object) -> str:
    """Return the type that a message or a block names, "" if it names none."""
    kind = item.get("type")
    return kind if isinstance(kind, str) else ""


def _is_item(kind: str) -> bool:
    return kind.endswith(("_call", "_call_output"))


# The message itself


def unwrapped(value: Json) -> Object | None:
    """Return the members of a message without what LangChain wraps them in; None for what is no message."""
    if not is_message(value) or not isinstance(value, dict):
        return None
    serialized = _serialized(value)
    if serialized is not None:
        return serialized
    data = value.get("data")
    if _kind(value) in _LANGCHAIN and isinstance(data, dict) and "role" not in value:
        return data | {"type": value["type"]}
    return value


def _serialized(value: Object) -> Object | None:
    """Return what LangChain's `dumps` wrote of a message: {"lc": 1, "id": [..., "AIMessage"], "kwargs": {...}}."""
    names, kwargs = value.get("id"), value.get("kwargs")
    if "lc" not in value or not isinstance(names, list) or not names or not isinstance(kwargs, dict):
        return None
    name = names[-1]
    if not isinstance(name, str) or not name.removesuffix("Chunk").endswith("Message"):
        return None
    kind = name.removesuffix("Chunk").removesuffix("Message").lower()
    return kwargs | {"type": kind if kind in _LANGCHAIN else "chat"}


def _word(item: Object) -> str:
    """Return the role as the message names it."""
    role, kind = item.get("role"), _kind(item)
    if isinstance(role, str):
        return role
    if kind.endswith("_call_output"):
        return "tool"
    return "assistant" if _is_item(kind) or kind == "reasoning" else kind


# Its parts


def _parts(item: Object) -> Iterator[Part]:
    kind = _kind(item)
    if kind.endswith("_call_output"):
        yield Result(_joined(item.get("output")), _id(item, "call_id", "id"), is_error=_is_error(item))
        return
    if kind.endswith("_call") and "role" not in item:
        yield _call(item, kind=kind)
        return
    yield from _thoughts(item)
    if _is_result(item):
        value = _joined(item.get("content"))
        name = item.get("name")
        yield Result(
            value, _id(item, "tool_call_id", "id"), name if isinstance(name, str) else "", is_error=_is_error(item)
        )
        return
    for name in ("content", "parts", "text"):
        yield from _content(item.get(name))
    if refusal := item.get("refusal"):
        yield from _content(refusal)
    yield from _calls(item)


def _is_result(item: Object) -> bool:
    if _ROLES.get(_word(item).lower()) is not Role.TOOL:
        return False
    content = item.get("content")
    blocks = content if isinstance(content, list) else []
    return "content" in item and not any(
        isinstance(block, dict) and _kind(block).endswith("_result") for block in blocks
    )


def _thoughts(item: Object) -> Iterator[Part]:
    for name in ("reasoning_content", "reasoning", "thinking"):
        thought = item.get(name)
        if isinstance(thought, str) and thought:
            yield Thinking(thought)
    if item.get("type") == "reasoning" and "role" not in item:
        summary = _joined(item.get("summary")) or _joined(item.get("content"))
        yield Thinking(summary if isinstance(summary, str) else "")


def _content(content: Json) -> Iterator[Part]:
    """Yield the parts of a content: a text, or a list of blocks."""
    if isinstance(content, str):
        if content:
            yield Text(content)
    elif isinstance(content, list):
        for block in content[: limits.PARTS]:
            yield from _block(block)
    elif isinstance(content, dict):
        yield from _block(content)
    elif content is not None:
        yield Unknown(content)


def _block(block: Json) -> Iterator[Part]:
    if not isinstance(block, dict):
        yield from _content(block) if isinstance(block, str) else [Unknown(block)]
        return
    kind = _kind(block)
    yield _typed(block, kind) if kind else _google(block)


def _typed(block: Object, kind: str) -> Part:
    """Return a block of OpenAI, Anthropic or LangChain, which names its type."""
    if kind in _TEXTS:
        text = block.get("text", block.get(kind))
        return Text(text) if isinstance(text, str) else Unknown(block)
    if kind in _THOUGHTS:
        text = block.get("thinking", block.get("reasoning", block.get("text", "")))
        return Thinking(text if isinstance(text, str) else "")
    if kind in _CALLS:
        return _call(block)
    if kind.endswith("_result"):
        return Result(
            _joined(block.get("content")), _id(block, "tool_use_id", "tool_call_id"), is_error=_is_error(block)
        )
    if kind in _MEDIA:
        return _media(block, _MEDIA[kind])
    return Unknown(block)


def _google(block: Object) -> Part:
    """Return a part of Google's, whose only member is what it is."""
    for name in ("functionCall", "function_call"):
        call = block.get(name)
        if isinstance(call, dict):
            return _call(call)
    for name in _RESPONSES:
        response = block.get(name)
        if isinstance(response, dict):
            of, value = response.get("name"), response.get("response")
            is_error = isinstance(value, dict) and "error" in value
            return Result(value, _id(response, "id"), of if isinstance(of, str) else "", is_error=is_error)
    for name in ("inlineData", "inline_data", "fileData", "file_data"):
        data = block.get(name)
        if isinstance(data, dict):
            return _media(data, "file")
    text = block.get("text")
    if isinstance(text, str):
        return Thinking(text) if block.get("thought") is True else Text(text)
    return Unknown(block)


def _joined(content: Json) -> Json:
    """Return a result's content: its texts as one, where it has nothing else; or the value as it is."""
    if not isinstance(content, list):
        return content
    texts = [_only_text(block) for block in content[: limits.PARTS]]
    if len(content) > limits.PARTS or not texts or None in texts:
        return content
    return "\n".join(text for text in texts if text is not None)


def _only_text(block: Json) -> str | None:
    if isinstance(block, str):
        return block
    text = block.get("text") if isinstance(block, dict) and (_kind(block) or "text") in _TEXTS else None
    return text if isinstance(text, str) else None


# Calls


def _calls(item: Object) -> Iterator[Call]:
    calls = item.get("tool_calls")
    for call in calls[: limits.PARTS] if isinstance(calls, list) else []:
        if isinstance(call, dict):
            yield _call(call)
    for name in ("tool_call", "function_call"):
        one = item.get(name)
        if isinstance(one, dict):
            yield _call(one)


def _call(call: Object, *, kind: str = "") -> Call:
    """Return a call, whose name and arguments each format has elsewhere."""
    function = call.get("function")
    inner = function if isinstance(function, dict) else call
    name = inner.get("name", kind.removesuffix("_call"))
    return Call(name if isinstance(name, str) else "", _arguments(inner), _id(call, "call_id", "id"))


def _arguments(call: Object) -> Json:
    for name in ("arguments", "args", "input", "action"):
        if name in call:
            return call[name]
    rest = {
        name: value for name, value in call.items() if name not in {"name", "id", "call_id", "type", "status", "index"}
    }
    return rest or None


def _id(item: Object, *names: str) -> str:
    return next((value for name in names if isinstance(value := item.get(name), str) and value), "")


def _is_error(item: Object) -> bool:
    return item.get("is_error") is True or item.get("status") in ("error", "incomplete", "failed")


# Media


def _media(block: Object, kind: str) -> Media:
    """Return what a block of media is. Where its data are, is described, never opened."""
    source = block
    for name in ("source", "image_url", "input_audio", "file"):
        inner = source.get(name)
        if isinstance(inner, dict):
            source = inner
        elif isinstance(inner, str):
            source = {"url": inner}
    data, url = source.get("data", source.get("file_data")), source.get("url", source.get("fileUri"))
    media_type = next((v for n in _TYPE_NAMES if isinstance(v := source.get(n, block.get(n)), str)), "")
    if not isinstance(data, str) and isinstance(url, str) and url.startswith("data:"):
        head, _, data = url.partition(",")
        media_type, url = head[5:].partition(";")[0], ""
    kind = media_type.partition("/")[0] if media_type.startswith(("image/", "audio/", "video/")) else kind
    size = _decoded_bytes(data) if isinstance(data, str) else None
    return Media(kind, media_type, size, url if isinstance(url, str) else "")


_TYPE_NAMES: Final = ("media_type", "mimeType", "mime_type", "format")


def _decoded_bytes(base64: str) -> int:
    return len(base64) * 3 // 4 - base64[-2:].count("=")


# What it cost

_TOKENS: Final = ("total_tokens", "totalTokenCount", "total_token_count", "tokens", "token_count")
_SHARES: Final = (
    ("input_tokens", "output_tokens"),
    ("prompt_tokens", "completion_tokens"),
    ("promptTokenCount", "candidatesTokenCount"),
)
_COSTS: Final = ("cost", "cost_usd", "total_cost", "total_cost_usd", "costUSD")
_USAGES: Final = ("usage", "usage_metadata", "usageMetadata", "token_usage")
_SPENT: Final = frozenset((*_TOKENS, *chain(*_SHARES), *_COSTS, *_USAGES, "response_metadata"))


def usage(item: Object) -> Usage:
    """Return the tokens and the cost that a message carries, by the names that the formats give them."""
    if _SPENT.isdisjoint(item):
        return NO_USAGE
    about = item.get("response_metadata")
    places = [item, *(about,)] if isinstance(about, dict) else [item]
    places += [inner for place in tuple(places) for name in _USAGES if isinstance(inner := place.get(name), dict)]
    tokens = next((found for place in reversed(places) if (found := _tokens(place)) is not None), None)
    costs = (_number(place.get(name)) for place in places for name in _COSTS)
    return Usage(tokens, next((cost for cost in costs if cost is not None), None))


def _tokens(place: Object) -> int | None:
    for name in _TOKENS:
        if (total := _number(place.get(name))) is not None:
            return int(total)
    for names in _SHARES:
        shares = [_number(place.get(name)) for name in names]
        if any(share is not None for share in shares):
            return int(sum(share or 0 for share in shares))
    return None


def _number(value: Json) -> float | None:
    """Return a number that can be one of tokens or dollars, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MOST and isfinite(value) else None


_MOST: Final = 10**15
