"""Writers: one module for each framework's store into which a thread is put back, in place."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from descartes_site.locations import COMMAND
from statestore.errors import Conflict
from statestore.models.sources import SourceThread
from statestore.restore.in_place import Writer
from statestore.sources.readers import name_of
from statestore.sources.writers.agno import AgnoWriter
from statestore.sources.writers.crewai import CrewAICheckpointsWriter, CrewAIFlowWriter
from statestore.sources.writers.google_adk import GoogleADKWriter
from statestore.sources.writers.langgraph import LangGraphWriter
from statestore.sources.writers.langgraph_postgresql import LangGraphPostgreSQLWriter
from statestore.sources.writers.openai_agents import OpenAIAgentsWriter

GROUP: Final = "descartes_statestore.writers"
_INSTEAD: Final = {"descartes": f"`{COMMAND} adopt FILE` lets the dashboard work in the file itself."}


@cache
def known_writers() -> dict[str, Callable[[SourceThread], Writer]]:
    """Return what makes the writer of a thread, by the keys of the readers."""
    ours: dict[str, Callable[[SourceThread], Writer]] = {
        "langgraph": LangGraphWriter,
        "langgraph-postgresql": LangGraphPostgreSQLWriter,
        "crewai-flow": CrewAIFlowWriter,
        "crewai-checkpoints": CrewAICheckpointsWriter,
        "agno": AgnoWriter,
        "google-adk": GoogleADKWriter,
        "openai-agents": OpenAIAgentsWriter,
    }
    return {**{point.name: point.load() for point in entry_points(group=GROUP)}, **ours}


def writer_of(thread: SourceThread) -> Writer:
    """Return the writer of a thread. Raises Conflict, with what to do instead, if its framework has none here."""
    if refusal := refusal_of(thread):
        raise Conflict(f"{refusal} Nothing was written.")
    return known_writers()[thread.reader](thread)


def refusal_of(thread: SourceThread) -> str:
    """Return why no moment of a thread can be put back in place, and what to do instead; "" where it can."""
    if thread.source.upload_name:
        return (
            f"“{thread.source.upload_name}” was uploaded: what lies here is a copy, which no framework reads."
            " Fork the agent to go on from this moment, or open the file where its framework has it."
        )
    if thread.reader in known_writers():
        return ""
    advice = _INSTEAD.get(thread.reader, "Fork the agent to go on from this moment, or download its state.")
    return f"{name_of(thread.reader) or 'This format'} can be read here, but not be restored in place. {advice}"
