"""Conversations: the message lists in an agent's state, read in whatever format its framework writes.

messages  what a message is: who says it, its parts, what it cost
formats   OpenAI, Anthropic, LangChain, Google, Descartes: one value of a list as a message
lists     where in a state its message lists are
turns     a stretch of a list: calls beside their results, runs of alike messages folded
changes   two versions of a list: which messages were added, removed, moved, edited

Plain Python on parsed JSON. Nothing that an agent wrote is interpreted: its texts stay texts, its addresses are not
opened.
"""

from statestore.conversations.changes import MessageChange, Op, changes
from statestore.conversations.formats import is_message, message, unwrapped
from statestore.conversations.lists import MessageList, message_lists
from statestore.conversations.messages import Call, Media, Message, Result, Role, Text, Thinking, Unknown, Usage
from statestore.conversations.turns import Exchange, Stretch, Turn, folded, found, paired, stretch, texts

__all__ = [
    "Call",
    "Exchange",
    "Media",
    "Message",
    "MessageChange",
    "MessageList",
    "Op",
    "Result",
    "Role",
    "Stretch",
    "Text",
    "Thinking",
    "Turn",
    "Unknown",
    "Usage",
    "changes",
    "folded",
    "found",
    "is_message",
    "message",
    "message_lists",
    "paired",
    "stretch",
    "texts",
    "unwrapped",
]  # fmt: skip
