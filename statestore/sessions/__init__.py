"""Sessions: recorded ones, those that only events name, and their conversations.

service       sessions opened, ended and edited
participants  who took part, and how often
listing       all sessions, last active first, page by page
conversation  one session, oldest first, with what changed in its agents
"""

from statestore.sessions.conversation import Conversation, ConversationEntry, conversation
from statestore.sessions.listing import NOT_RECORDED, Listed, Listing, listed, of_events, recorded
from statestore.sessions.participants import Summary, Tally, summary

__all__ = [
    "NOT_RECORDED",
    "Conversation",
    "ConversationEntry",
    "Listed",
    "Listing",
    "Summary",
    "Tally",
    "conversation",
    "listed",
    "of_events",
    "recorded",
    "summary",
]  # fmt: skip
