"""Letta's agent files (`.af`): agents with their memory blocks and messages, of both layouts that Letta has written."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json, dump
from statestore.sources.contract import Document, Event, History, Snapshot, Thread
from statestore.sources.readers.columns import list_of, object_of, raw, seconds, text_of
from statestore.sources.readers.messages import USER, said

_FIRST_LAYOUT: Final = {"agent_type", "core_memory", "messages"}
_PRESENT_LAYOUT: Final = {"agents", "blocks", "tools"}
# Lengthy, and of no use in a state.
_LEFT_OUT: Final = {"embedding"}


class LettaReader:
    """Reads an agent file; a thread is an agent. The file holds one moment: the state as it was exported."""

    name: ClassVar[str] = "Letta agents"

    def recognises(self, document: Document) -> bool:
        """Return whether it is one object with the members of an agent file."""
        return bool(_agents(document))

    def count(self, document: Document) -> Mapping[str, int]:
        """Return how many threads, messages and memory blocks there are."""
        agents = _agents(document)
        return {
            "threads": len(agents),
            "messages": sum(len(list_of(agent.get("messages"))) for agent in agents.values()),
            "blocks": sum(len(_blocks(document, agent)) for agent in agents.values()),
        }

    def positions(self, document: Document) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), in the order of the file."""
        for thread_id, agent in _agents(document).items():
            yield thread_id, _hash([agent, _blocks(document, agent)])

    def read(self, document: Document, thread_id: str, after: str = "") -> History:
        """Return an agent with its messages as events, and its state as a snapshot: how it came about is not told."""
        agent = _agents(document)[thread_id]
        messages = [_without_vectors(message) for message in list_of(agent.get("messages"))]
        state: Json = {"memory": _blocks(document, agent), "messages": [*messages]}
        events = [_event(place, message, document.at) for place, message in enumerate(messages)]
        created = seconds(agent.get("created_at")) or (events[0].at if events else document.at)
        updated = max([seconds(agent.get("updated_at")) or document.at, *(event.at for event in events)])
        thread = Thread(
            thread_id, text_of(agent.get("name")) or thread_id, "idle", state, created, updated, _metadata(agent)
        )
        exported = Snapshot(_hash(state), updated, state, "as exported")
        return History(thread, (), events, snapshots=(exported,))


def _agents(document: Document) -> dict[str, dict[str, Json]]:
    """Return the agents of a file by their ids. In the first layout the file is the agent."""
    file = object_of(document.pages[0].value) if len(document.pages) == 1 else {}
    if file.keys() >= _FIRST_LAYOUT:
        return {text_of(file.get("id")) or text_of(file.get("name")) or document.name: file}
    if not file.keys() >= _PRESENT_LAYOUT:
        return {}
    agents = [object_of(agent) for agent in list_of(file["agents"])]
    return {text_of(agent.get("id")) or f"agent-{number}": agent for number, agent in enumerate(agents)}


def _blocks(document: Document, agent: dict[str, Json]) -> dict[str, Json]:
    """Return the values of an agent's memory blocks, by their labels."""
    shared = {
        text_of(block.get("id")): block
        for block in map(object_of, list_of(object_of(document.pages[0].value).get("blocks")))
    }
    named = [shared.get(text_of(block_id), {}) for block_id in list_of(agent.get("block_ids"))]
    own = [object_of(block) for block in list_of(agent.get("core_memory")) or list_of(agent.get("memory_blocks"))]
    return {
        text_of(block.get("label")) or f"block {number}": block.get("value")
        for number, block in enumerate([*own, *named])
        if block
    }


def _without_vectors(message: Json) -> Json:
    if not isinstance(message, dict):
        return message
    return {name: value for name, value in message.items() if name not in _LEFT_OUT}


def _event(place: int, message: Json, at: float) -> Event:
    spoken, held = said(message), object_of(message)
    at = seconds(held.get("created_at")) or at
    actor_id = text_of(held.get("sender_id")) if spoken.actor == USER else ""
    return Event(
        text_of(held.get("id")) or str(place), at, spoken.actor, spoken.kind, spoken.content, spoken.metadata,
        actor_id=actor_id,
    )  # fmt: skip


def _metadata(agent: dict[str, Json]) -> dict[str, Json]:
    model = object_of(agent.get("llm_config")).get("model") or agent.get("model")
    told = {"agent_type": agent.get("agent_type"), "model": model, "description": agent.get("description")}
    tags = [tag for tag in list_of(agent.get("tags")) if isinstance(tag, str)]
    metadata: dict[str, Json] = {name: value for name, value in told.items() if value}
    return metadata | {"tags": [*tags]} if tags else metadata


def _hash(value: Json) -> str:
    return hashlib.sha256(raw(dump(value, indent=None))).hexdigest()[:32]
