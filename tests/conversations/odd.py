"""Values that look like messages in places, and are anything."""

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([
    "role", "content", "parts", "type", "tool_calls", "tool_call", "function_call", "data", "kwargs", "lc", "id",
    "name", "output", "summary", "usage", "source", "image_url", "functionCall", "functionResponse", "inlineData",
    "arguments", "input", "call_id", "status", "tokens", "cost", "text",
])  # fmt: skip
WORDS = st.sampled_from([
    "user", "assistant", "tool", "ai", "human", "message", "reasoning", "function_call", "function_call_output",
    "tool_use", "tool_result", "image", "text", "thinking", "image_url",
])  # fmt: skip
ODD = st.recursive(
    JSON | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12
)
