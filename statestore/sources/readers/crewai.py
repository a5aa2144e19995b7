"""CrewAI's two stores: the states that a Flow persists, and the checkpoints of crews.

A checkpoint repeats the record of all events before it, and each agent in each of its tasks. Its state is made of what
changes: the tasks' outputs, the inputs and the agents' memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Event, History, Rows, Shape, Step, Task, Thread, Value, opaque
from statestore.sources.readers.columns import (
    first_words,
    id_of,
    is_opaque,
    json_of,
    list_of,
    number_of_key,
    object_of,
    raw,
    seconds,
    text_of,
    whole_of,
)
from statestore.sources.readers.messages import AGENT, SYSTEM, TOOL, as_text

_FLOW_STATES: Final = {"id", "flow_uuid", "method_name", "timestamp", "state_json"}
_FEEDBACK: Final = {"flow_uuid", "context_json"}
_CHECKPOINTS: Final = {"id", "created_at", "parent_id", "branch", "data"}
# Where an event says what was done, in this order.
_SAID_IN: Final = (
    "output",
    "result",
    "formatted_answer",
    "task_prompt",
    "error",
    "task_name",
    "task_description",
    "crew_name",
    "flow_name",
)


class CrewAIFlowReader:
    """Reads the states that CrewAI's Flows persist in an SQLite file; a thread is a flow's uuid."""

    name: ClassVar[str] = "CrewAI flow states"

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether the table of flow states is there; older files have no table of feedback."""
        return tables.get("flow_states", {}).keys() >= _FLOW_STATES

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return how many threads and states there are."""
        for threads, states in rows.execute("SELECT count(DISTINCT flow_uuid), count(*) FROM flow_states"):
            return {"threads": whole_of(threads), "states": whole_of(states)}
        return {}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the thread that changed last first."""
        waiting = (
            {flow for (flow,) in rows.execute("SELECT flow_uuid FROM pending_feedback")} if _waits(rows) else set()
        )
        for found, newest, number in rows.execute(
            "SELECT flow_uuid, max(id), count(*) FROM flow_states GROUP BY flow_uuid ORDER BY max(id) DESC"
        ):
            if (flow := id_of(found)) is not None:
                yield flow, f"{text_of(newest)}:{text_of(number)}" + (" waiting" if flow in waiting else "")

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a flow with one step for each state that it saved. Runs of one id follow each other without a mark."""
        saved = list(
            rows.execute(
                "SELECT id, method_name, timestamp, state_json FROM flow_states WHERE flow_uuid = ?"
                # The one before the first new one is what that came from.
                " AND id >= coalesce((SELECT max(id) FROM flow_states WHERE flow_uuid = ? AND id <= ?), 0) ORDER BY id",
                (thread_id, thread_id, number_of_key(after) or 0),
            )
        )
        feedback = _feedback(rows, thread_id)
        steps = list(_flow_steps(saved))
        marks = {steps[-1].key: "waits for feedback"} if steps and feedback is not None else {}
        later = [step for step in steps if _is_later(step, after)]
        return History(_flow(rows, thread_id, steps, feedback), later, marks=marks)


def _waits(rows: Rows) -> bool:
    return rows.tables().get("pending_feedback", {}).keys() >= _FEEDBACK


def _feedback(rows: Rows, flow: str) -> Json:
    """Return what a flow asks a human for; None if it does not wait."""
    sql = "SELECT context_json FROM pending_feedback WHERE flow_uuid = ?"
    asked = [json_of(context) for (context,) in rows.execute(sql, (flow,))] if _waits(rows) else []
    return {"asked": asked[-1]} if asked else None


def _is_later(step: Step, after: str) -> bool:
    return int(step.key) > (number_of_key(after) or 0)


def _flow_steps(saved: Iterable[Sequence[Value]]) -> Iterator[Step]:
    state: Json = {}
    at = 0.0
    for number, method, timestamp, stored in saved:
        before, state = state, json_of(stored)
        at = seconds(timestamp) or at
        yield Step(str(whole_of(number)), at, before, state, text_of(method))


def _flow(rows: Rows, thread_id: str, steps: Sequence[Step], feedback: Json) -> Thread:
    created, number = 0.0, 0
    for first, count in rows.execute(
        "SELECT timestamp, (SELECT count(*) FROM flow_states WHERE flow_uuid = ?) FROM flow_states"
        " WHERE flow_uuid = ? ORDER BY id LIMIT 1",
        (thread_id, thread_id),
    ):
        created, number = seconds(first) or 0.0, whole_of(count)
    metadata: dict[str, Json] = {"flow_uuid": thread_id, "states": number}
    if feedback is not None:
        metadata["pending_feedback"] = feedback
    newest = steps[-1] if steps else Step("", created, {}, {}, "")
    status = "idle" if feedback is None else "paused"
    return Thread(thread_id, thread_id, status, newest.after, created, newest.at, metadata)


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """A row of the table, without its data."""

    number: int
    key: str
    parent: str
    branch: str
    at: float


class CrewAICheckpointsReader:
    """Reads the checkpoints of CrewAI's crews in an SQLite file whose library knows JSONB.

    A thread is a crew: its id is that of the first entity of the oldest checkpoint, which later ones descend from.
    Where that cannot be read, it is the oldest checkpoint's own id.
    """

    name: ClassVar[str] = "CrewAI checkpoints"

    def recognises(self, tables: Mapping[str, Shape]) -> bool:
        """Return whether the table of checkpoints is CrewAI's; LangGraph's has the same name."""
        return tables.get("checkpoints", {}).keys() >= _CHECKPOINTS

    def count(self, rows: Rows) -> Mapping[str, int]:
        """Return how many threads and checkpoints there are."""
        threads = _crews(rows)
        return {"threads": len(threads), "checkpoints": sum(map(len, threads.values()))}

    def positions(self, rows: Rows) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the thread that changed last first."""
        found = [(kept[-1].number, thread_id, kept) for thread_id, kept in _crews(rows).items()]
        for newest, thread_id, kept in sorted(found, key=lambda crew: crew[0], reverse=True):
            yield thread_id, f"{newest}:{kept[-1].key}:{len(kept)}"

    def read(self, rows: Rows, thread_id: str, after: str = "") -> History:
        """Return a crew with one step for each checkpoint, and the events of its record, each once."""
        kept = _crews(rows).get(thread_id, [])
        new = next((place for place, checkpoint in enumerate(kept, 1) if checkpoint.key == after), 0)
        if not kept:
            return History(Thread(thread_id, thread_id, "idle", {}, 0.0, 0.0), ())
        steps = list(_crew_steps(rows, kept, new))
        state, _ = _contents(rows, kept[-1])
        return History(
            _crew(thread_id, kept, state), steps, _recorded(rows, kept, after if new else ""), list(_tasks(state))
        )


# The crews of a file


def _crews(rows: Rows) -> dict[str, list[_Checkpoint]]:
    """Return each crew's checkpoints, oldest first."""
    oldest: dict[str, _Checkpoint] = {}
    crews: dict[str, list[_Checkpoint]] = {}
    names: dict[str, str] = {}
    # Without the data, which are large: only one checkpoint of each lineage is looked into.
    for number, key, parent, branch, created in rows.execute(
        "SELECT rowid, id, parent_id, branch, created_at FROM checkpoints ORDER BY rowid"
    ):
        checkpoint = _Checkpoint(
            whole_of(number), text_of(key), text_of(parent), text_of(branch), seconds(created) or 0.0
        )
        root = oldest.setdefault(checkpoint.key, oldest.get(checkpoint.parent, checkpoint))
        name = names.get(root.key) or names.setdefault(root.key, _crew_id(rows, root))
        crews.setdefault(name, []).append(checkpoint)
    return crews


def _crew_id(rows: Rows, root: _Checkpoint) -> str:
    for (found,) in rows.execute(_extracting("json_extract(data, '$.entities[0].id')"), (root.number,)):
        return text_of(found) or root.key
    return root.key


def _extracting(value: str) -> str:
    # Data that are neither JSON nor well-formed JSONB would stop the whole query.
    return f"SELECT CASE WHEN json_valid(data, 9) THEN {value} END FROM checkpoints WHERE rowid = ?"  # noqa: S608


def _contents(rows: Rows, checkpoint: _Checkpoint) -> tuple[Json, str]:
    """Return the state of a checkpoint, and what made the crew write it."""
    for entities, trigger, data in rows.execute(
        "SELECT CASE WHEN json_valid(data, 9) THEN json_extract(data, '$.entities') END,"
        " CASE WHEN json_valid(data, 9) THEN json_extract(data, '$.trigger') END,"
        " CASE WHEN json_valid(data, 9) THEN NULL ELSE data END FROM checkpoints WHERE rowid = ?",
        (checkpoint.number,),
    ):
        if data is None:
            return _state(json_of(entities)), text_of(trigger)
        return opaque("malformed JSONB", data if isinstance(data, bytes) else raw(text_of(data))), ""
    return {}, ""


# A checkpoint's state


def _state(entities: Json) -> Json:
    """Return what changes in a crew. An agent's inner executor is left out: the agent carries its memory."""
    if is_opaque(entities):
        return entities
    found = [object_of(entity) for entity in list_of(entities)]
    kept = [_entity(entity) for entity in found if "executor_type" not in entity]
    return kept[0] if len(kept) == 1 else {"entities": [*kept]}


def _entity(entity: dict[str, Json]) -> dict[str, Json]:
    if "tasks" in entity:
        return {
            **_named(entity, "id", "name", "process"),
            "inputs": entity.get("checkpoint_inputs"),
            "tasks": [_task(object_of(task)) for task in list_of(entity.get("tasks"))],
            "agents": [_agent(object_of(agent)) for agent in list_of(entity.get("agents"))],
        }
    if entity.get("entity_type") == "agent":
        return _agent(entity)
    return {
        **_named(entity, "entity_type", "id", "name"),
        "state": entity.get("checkpoint_state"),
        "completed": entity.get("checkpoint_completed_methods"),
    }


def _task(task: dict[str, Json]) -> dict[str, Json]:
    return {
        **_named(task, "id", "name", "description", "expected_output", "used_tools", "tools_errors", "retry_count"),
        "agent": object_of(task.get("agent")).get("role"),
        "output": task.get("output"),
    }


def _agent(agent: dict[str, Json]) -> dict[str, Json]:
    memory = object_of(agent.get("agent_executor")).get("checkpoint_state")
    return {**_named(agent, "id", "role", "goal", "backstory"), "memory": memory}


def _named(value: dict[str, Json], *names: str) -> dict[str, Json]:
    return {name: value[name] for name in names if name in value}


# Steps, tasks and events


def _crew_steps(rows: Rows, kept: Sequence[_Checkpoint], new: int) -> Iterator[Step]:
    known = {checkpoint.key: checkpoint for checkpoint in kept}
    states: dict[str, tuple[Json, str]] = {}

    def contents(checkpoint: _Checkpoint) -> tuple[Json, str]:
        return states.setdefault(checkpoint.key, states.get(checkpoint.key) or _contents(rows, checkpoint))

    previous = kept[new - 1].key if new else ""
    for checkpoint in kept[new:]:
        parent = known.get(checkpoint.parent)
        before = contents(parent)[0] if parent else {}
        after, trigger = contents(checkpoint)
        back = f"back to {checkpoint.parent or 'the start'}" if previous not in ("", checkpoint.parent) else ""
        metadata: dict[str, Json] = {"branch": checkpoint.branch, "parent": checkpoint.parent or None}
        yield Step(checkpoint.key, checkpoint.at, before, after, _reason(trigger, before, after), metadata, back)
        previous = checkpoint.key


def _reason(trigger: str, before: Json, after: Json) -> str:
    """Return what made the crew write a checkpoint, and the tasks that were done by then and not before."""
    earlier = {task.key for task in _tasks(before) if task.is_done}
    done = [task.title for task in _tasks(after) if task.is_done and task.key not in earlier]
    return first_words(": ".join(filter(None, [trigger or "checkpoint", ", ".join(done)])))


def _tasks(state: Json) -> Iterator[Task]:
    entities = list_of(object_of(state).get("entities")) or [state]
    for task in (object_of(task) for entity in entities for task in list_of(object_of(entity).get("tasks"))):
        description = text_of(task.get("description"))
        title = text_of(task.get("name")) or first_words(description)
        status = "Todo" if task.get("output") is None else "Done"
        yield Task(text_of(task.get("id")) or title, title, description, status)


def _crew(thread_id: str, kept: Sequence[_Checkpoint], state: Json) -> Thread:
    tasks = list(_tasks(state))
    metadata: dict[str, Json] = {
        "checkpoints": len(kept),
        "branches": [*dict.fromkeys(checkpoint.branch for checkpoint in kept)],
    }
    return Thread(
        id=thread_id,
        name=text_of(object_of(state).get("name")) or thread_id,
        status="completed" if tasks and all(task.is_done for task in tasks) else "idle",
        state=state,
        created_at=kept[0].at,
        updated_at=kept[-1].at,
        metadata=metadata,
    )


def _recorded(rows: Rows, kept: Sequence[_Checkpoint], after: str) -> list[Event]:
    """Return the events of the newest checkpoint of each line: it repeats those of the ones before it."""
    parents = {checkpoint.parent for checkpoint in kept}
    known = {
        key for checkpoint in kept if checkpoint.key == after for key, *_ in _nodes(rows, checkpoint, keys_only=True)
    }
    events: dict[str, Event] = {}
    for checkpoint in kept:
        if checkpoint.key in parents or checkpoint.key == after:
            continue
        for key, node in _nodes(rows, checkpoint):
            if key not in known:
                events.setdefault(text_of(key), _event(text_of(key), object_of(object_of(json_of(node)).get("event"))))
    return list(events.values())


def _nodes(rows: Rows, checkpoint: _Checkpoint, *, keys_only: bool = False) -> Iterator[tuple[Value, ...]]:
    """Return the keys and the values of a checkpoint's events in the order of their emission."""
    value = "NULL" if keys_only else "json(value)"
    return rows.execute(
        f"SELECT key, {value} FROM checkpoints,"  # noqa: S608  one of two words
        " json_each(CASE WHEN json_valid(data, 9) THEN data ELSE '{}' END, '$.event_record.nodes')"
        " WHERE checkpoints.rowid = ? AND type = 'object'"
        " ORDER BY json_extract(value, '$.event.emission_sequence')",
        (checkpoint.number,),
    )


def _event(key: str, event: dict[str, Json]) -> Event:
    kind = text_of(event.get("type")) or "event"
    content = next((words for words in map(_words, map(event.get, _SAID_IN)) if words), "")
    metadata = _named(event, "parent_event_id", "emission_sequence", "task_id", "task_name", "agent_role", "branch")
    told = {name: value for name, value in metadata.items() if value is not None}
    return Event(key, seconds(event.get("timestamp")) or 0.0, _actor(kind), kind, content, told)


def _actor(kind: str) -> str:
    if kind.startswith("tool_"):
        return TOOL
    return AGENT if kind.startswith(("agent_", "task_", "llm_")) else SYSTEM


def _words(value: Json) -> str:
    """Return what an event says: of an output, its raw text."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("raw", "output", "text") if name in value), value)
    return as_text(value) if value is not None else ""
