"""Readers: one module for each framework's store. Plain Python; none imports its framework.

A package of others brings one by an entry point of the group `descartes_statestore.readers`, whose object is called
without arguments and gives a Reader.
"""

from functools import cache
from importlib.metadata import entry_points
from typing import Final

from statestore.sources.contract import Reader
from statestore.sources.readers.agno import AgnoReader
from statestore.sources.readers.crewai import CrewAICheckpointsReader, CrewAIFlowReader
from statestore.sources.readers.descartes import DescartesReader
from statestore.sources.readers.google_adk import GoogleADKReader
from statestore.sources.readers.langgraph import LangGraphReader
from statestore.sources.readers.langgraph_memories import LangGraphMemoriesReader
from statestore.sources.readers.langgraph_postgresql import LangGraphPostgreSQLReader
from statestore.sources.readers.openai_agents import OpenAIAgentsReader

GROUP: Final = "descartes_statestore.readers"


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
    }
    others = {point.name: point.load()() for point in entry_points(group=GROUP)}
    return {
        key: reader
        for key, reader in {**others, **ours}.items()
        if not database or database in getattr(reader, "databases", _SQLITE)
    }
