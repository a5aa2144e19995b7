"""Readers: one module for each framework's store. Plain Python; none imports its framework.

A package of others brings one by an entry point of the group `descartes_statestore.readers`, whose object is called
without arguments and gives a Reader; one of JSON documents by `descartes_statestore.document_readers`.
"""

from functools import cache
from importlib.metadata import entry_points
from typing import Final

from statestore.sources.contract import DocumentReader, Reader
from statestore.sources.readers.agent_framework import AgentFrameworkReader
from statestore.sources.readers.agno import AgnoReader
from statestore.sources.readers.crewai import CrewAICheckpointsReader, CrewAIFlowReader
from statestore.sources.readers.crewai_files import CrewAIFilesReader
from statestore.sources.readers.descartes import DescartesReader
from statestore.sources.readers.descartes_history import DescartesHistoryReader
from statestore.sources.readers.descartes_init import DescartesInitReader
from statestore.sources.readers.google_adk import GoogleADKReader
from statestore.sources.readers.langgraph import LangGraphReader
from statestore.sources.readers.langgraph_memories import LangGraphMemoriesReader
from statestore.sources.readers.langgraph_postgresql import LangGraphPostgreSQLReader
from statestore.sources.readers.letta import LettaReader
from statestore.sources.readers.openai_agents import OpenAIAgentsReader
from statestore.sources.readers.pydantic_ai import PydanticAIReader
from statestore.sources.readers.transcripts import ClaudeCodeReader, CodexReader

GROUP: Final = "descartes_statestore.readers"
DOCUMENT_GROUP: Final = "descartes_statestore.document_readers"


_SQLITE: Final = frozenset(("SQLite",))


@cache
def known_readers(database: str = "") -> dict[str, Reader]:
    """Return the readers of a database, or all, by their keys, which are stored with what they read."""
    # A key never changes.
    ours: dict[str, Reader] = {
        "langgraph": LangGraphReader(),
        "langgraph-postgresql": LangGraphPostgreSQLReader(),
        "langgraph-memories": LangGraphMemoriesReader(),
        "openai-agents": OpenAIAgentsReader(),
        "google-adk": GoogleADKReader(),
        "crewai-flow": CrewAIFlowReader(),
        "crewai-checkpoints": CrewAICheckpointsReader(),
        "agno": AgnoReader(),
        "descartes": DescartesReader(),
        "descartes-init": DescartesInitReader(),
        "descartes-history": DescartesHistoryReader(),
    }
    others = {point.name: point.load()() for point in entry_points(group=GROUP)}
    return {
        key: reader
        for key, reader in {**others, **ours}.items()
        if not database or database in getattr(reader, "databases", _SQLITE)
    }


@cache
def known_document_readers() -> dict[str, DocumentReader]:
    """Return all readers of JSON documents by their keys, none of which is a key of the others."""
    ours: dict[str, DocumentReader] = {
        "pydantic-ai": PydanticAIReader(),
        "letta": LettaReader(),
        "agent-framework": AgentFrameworkReader(),
        "crewai-files": CrewAIFilesReader(),
        "claude-code": ClaudeCodeReader(),
        "codex": CodexReader(),
    }
    others = {point.name: point.load()() for point in entry_points(group=DOCUMENT_GROUP)}
    return {**others, **ours}


def name_of(key: str) -> str:
    """Return what a reader's format is called; "" for a reader that is there no more."""
    reader = known_readers().get(key) or known_document_readers().get(key)
    return reader.name if reader else ""
