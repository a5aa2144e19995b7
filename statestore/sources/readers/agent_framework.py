"""Checkpoints of Microsoft's Agent Framework: one JSON file for each, or a folder of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from statestore.jsondiff.parsing import Json
from statestore.sources.contract import Document, History, Step, Thread, opaque
from statestore.sources.readers.columns import object_of, raw, seconds, text_of

_COLUMNS: Final = {"checkpoint_id", "timestamp", "messages", "iteration_count"}
_WORKFLOWS: Final = ("workflow_name", "workflow_id")
_STATES: Final = ("state", "shared_state")
_PICKLED: Final = "__pickled__"
_DEPTH: Final = 100


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    key: str
    previous: str
    at: float
    number: Json
    state: Json
    data: dict[str, Json]


class AgentFrameworkReader:
    """Reads checkpoints; a thread is a workflow. Pickled values stay opaque, as they are everywhere."""

    name: ClassVar[str] = "Agent Framework checkpoints"

    def recognises(self, document: Document) -> bool:
        """Return whether one of the values has the members of a checkpoint."""
        return any(_is_checkpoint(page.value) for page in document.pages)

    def count(self, document: Document) -> Mapping[str, int]:
        """Return how many threads and checkpoints there are."""
        workflows = _workflows(document)
        return {"threads": len(workflows), "checkpoints": sum(map(len, workflows.values()))}

    def positions(self, document: Document) -> Iterator[tuple[str, str]]:
        """Yield (thread id, position), the workflow that changed last first."""
        found = sorted(_workflows(document).items(), key=lambda one: one[1][-1].at, reverse=True)
        for thread_id, kept in found:
            yield thread_id, f"{len(kept)}:{kept[-1].key}"

    def read(self, document: Document, thread_id: str, after: str = "") -> History:
        """Return a workflow with one step for each checkpoint."""
        kept = _workflows(document)[thread_id]
        new = next((place for place, checkpoint in enumerate(kept, 1) if checkpoint.key == after), 0)
        last = kept[-1]
        waits = bool(last.data.get("pending_request_info_events"))
        thread = Thread(
            thread_id, thread_id, "paused" if waits else "idle", last.state, kept[0].at, last.at,
            {"checkpoints": len(kept)},
        )  # fmt: skip
        marks = {one.key: "waits for a request" for one in kept if one.data.get("pending_request_info_events")}
        return History(thread, _steps(kept, new), marks=marks)


def _is_checkpoint(value: Json) -> bool:
    members = object_of(value).keys()
    return members >= _COLUMNS and any(name in members for name in _WORKFLOWS)


def _workflows(document: Document) -> dict[str, list[_Checkpoint]]:
    """Return each workflow's checkpoints, oldest first."""
    found: dict[str, dict[str, _Checkpoint]] = {}
    for number, page in enumerate(document.pages):
        if _is_checkpoint(page.value):
            data = object_of(page.value)
            workflow = next(filter(None, (text_of(data.get(name)) for name in _WORKFLOWS)), document.name)
            checkpoint = _checkpoint(data, number, document.at)
            found.setdefault(workflow, {})[checkpoint.key] = checkpoint
    return {workflow: sorted(kept.values(), key=lambda one: (one.at, one.key)) for workflow, kept in found.items()}


def _checkpoint(data: dict[str, Json], number: int, at: float) -> _Checkpoint:
    state = next((data[name] for name in _STATES if name in data), {})
    return _Checkpoint(
        key=text_of(data.get("checkpoint_id")) or str(number),
        previous=text_of(data.get("previous_checkpoint_id")),
        at=seconds(data.get("timestamp")) or at,
        number=data.get("iteration_count"),
        state=_plain({"state": state, "messages": data.get("messages")}, 0),
        data=data,
    )


def _plain(value: Json, depth: int) -> Json:
    """Return a value with what is pickled in it as its kind, size and hash."""
    if depth > _DEPTH:
        return opaque("value that nests too deep", raw(json.dumps(depth)))
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        if _PICKLED in value:
            return opaque("pickle", raw(text_of(value[_PICKLED])))
        return {name: _plain(item, depth + 1) for name, item in value.items()}
    return value


def _steps(kept: Sequence[_Checkpoint], new: int) -> Iterator[Step]:
    known = {checkpoint.key: checkpoint for checkpoint in kept}
    last = kept[new - 1] if new else None
    for checkpoint in kept[new:]:
        # Older releases do not say which one was before.
        parent = known.get(checkpoint.previous) if checkpoint.previous else last
        before: Json = parent.state if parent else {}
        back = f"back to checkpoint {parent.key}" if parent else "back to the start"
        metadata: dict[str, Json] = {"iteration": checkpoint.number}
        words = f"iteration {text_of(checkpoint.number)}".strip()
        yield Step(
            checkpoint.key, checkpoint.at, before, checkpoint.state, words, metadata, back,
            parent=parent.key if parent else "",
        )  # fmt: skip
        last = checkpoint
