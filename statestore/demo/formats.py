"""How the demo's agents keep their messages: each team uses another framework, and so another format."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Message: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Said:
    """What an assistant says in a turn: a thought, and the tool that it calls."""

    thought: str
    tool: str
    arguments: dict[str, object]
    call_id: str
    tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Format:
    """One framework's way to write what a system, a user, an assistant and a tool say."""

    system: Callable[[str], Message]
    user: Callable[[str], Message]
    assistant: Callable[[Said], Message]
    tool: Callable[[Said, str, bool], Message]


def _openai_assistant(said: Said) -> Message:
    function = {"name": said.tool, "arguments": json.dumps(said.arguments)}
    call = {"id": said.call_id, "type": "function", "function": function}
    usage = {"total_tokens": said.tokens, "cost": said.cost}
    return {"role": "assistant", "content": said.thought, "tool_calls": [call], "usage": usage}


def _openai_tool(said: Said, output: str, is_error: bool) -> Message:
    return {"role": "tool", "tool_call_id": said.call_id, "content": output} | ({"is_error": True} if is_error else {})


def _anthropic_assistant(said: Said) -> Message:
    content = [
        {"type": "text", "text": said.thought},
        {"type": "tool_use", "id": said.call_id, "name": said.tool, "input": said.arguments},
    ]
    usage = {"input_tokens": said.tokens * 4 // 5, "output_tokens": said.tokens - said.tokens * 4 // 5}
    return {"role": "assistant", "content": content, "usage": usage, "cost": said.cost}


def _anthropic_tool(said: Said, output: str, is_error: bool) -> Message:
    result = {"type": "tool_result", "tool_use_id": said.call_id, "content": output, "is_error": is_error}
    return {"role": "user", "content": [result]}


def _langchain(class_name: str, kind: str, **kwargs: object) -> Message:
    names = ["langchain", "schema", "messages", class_name]
    return {"lc": 1, "type": "constructor", "id": names, "kwargs": kwargs | {"type": kind}}


def _langchain_assistant(said: Said) -> Message:
    call = {"name": said.tool, "args": said.arguments, "id": said.call_id, "type": "tool_call"}
    usage = {"total_tokens": said.tokens}
    return _langchain("AIMessage", "ai", content=said.thought, tool_calls=[call], usage_metadata=usage)


def _langchain_tool(said: Said, output: str, is_error: bool) -> Message:
    status = "error" if is_error else "success"
    return _langchain("ToolMessage", "tool", content=output, tool_call_id=said.call_id, name=said.tool, status=status)


def _google_assistant(said: Said) -> Message:
    call = {"functionCall": {"id": said.call_id, "name": said.tool, "args": said.arguments}}
    usage = {"totalTokenCount": said.tokens}
    return {"role": "model", "parts": [{"text": said.thought}, call], "usageMetadata": usage}


def _google_tool(said: Said, output: str, is_error: bool) -> Message:
    response = {"error" if is_error else "output": output}
    return {
        "role": "user",
        "parts": [{"functionResponse": {"id": said.call_id, "name": said.tool, "response": response}}],
    }


OPENAI: Final = Format(
    system=lambda text: {"role": "system", "content": text},
    user=lambda text: {"role": "user", "content": text},
    assistant=_openai_assistant,
    tool=_openai_tool,
)
ANTHROPIC: Final = Format(
    system=lambda text: {"role": "system", "content": text},
    user=lambda text: {"role": "user", "content": [{"type": "text", "text": text}]},
    assistant=_anthropic_assistant,
    tool=_anthropic_tool,
)
LANGCHAIN: Final = Format(
    system=lambda text: _langchain("SystemMessage", "system", content=text),
    user=lambda text: _langchain("HumanMessage", "human", content=text),
    assistant=_langchain_assistant,
    tool=_langchain_tool,
)
GOOGLE: Final = Format(
    system=lambda text: {"role": "system", "parts": [{"text": text}]},
    user=lambda text: {"role": "user", "parts": [{"text": text}]},
    assistant=_google_assistant,
    tool=_google_tool,
)
