"""Putting a CrewAI flow back: its state is plain JSON, and the newest row is what a flow of that id begins with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from statestore.access.audit import Actor
from statestore.errors import Conflict, DatabaseError, Moved
from statestore.history import KnownState
from statestore.jsondiff import parsing
from statestore.models.sources import SourceThread
from statestore.restore.in_place import PutBack
from statestore.sources import mirror
from statestore.sources.readers.columns import is_opaque, json_of
from statestore.sources.writers import steps
from statestore.sources.writers.steps import WritableRows

METHOD: Final = "restored"


class CrewAIFlowWriter:
    """Writes one flow of a file of `@persist`: whole states, and any that were edited or merged."""

    def __init__(self, thread: SourceThread) -> None:
        self._thread = thread

    def effects(self, target: KnownState, text: str) -> Sequence[str]:
        """Return what a restore does in the file, and what it leaves."""
        _check(text)
        return [
            f"The state becomes the flow's newest row in {Path(self._thread.source.path).name}. No row is removed.",
            "The flow begins with it once it is started with its id. What its methods did outside is not turned back.",
        ]

    def prepare(self, target: KnownState, text: str, by: Actor) -> PutBack:
        """Return the write of a row with the wanted state."""
        _check(text)
        return _Row(self._thread, text)


@dataclass(frozen=True, slots=True)
class _Row:
    """The write: a row with a state, if the flow's newest row is still the one that was mirrored."""

    thread: SourceThread
    text: str

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the transition says of it: after which row it was."""
        return {"method": METHOD, "after": self.thread.last_step}

    def write(self) -> None:
        """Write, read back and commit; the mirror then has the state already."""
        with steps.writing(self.thread) as rows:
            if _newest(rows, self.thread.thread_id)[0] != self.thread.last_step:
                raise Moved("The flow went on since your preview. Nothing was written. Review the new differences.")
            rows.execute(
                "INSERT INTO flow_states (flow_uuid, method_name, timestamp, state_json) VALUES (?, ?, ?, ?)",
                [self.thread.thread_id, METHOD, datetime.now(UTC).isoformat(), self.text],
            )
            key, state = _newest(rows, self.thread.thread_id)
            if state != mirror.state_text(parsing.parse(self.text)):
                raise DatabaseError(
                    "The state read back from the file differs from the one written. Nothing was changed."
                )
        steps.note_written(self.thread, key)


def _check(text: str) -> None:
    """Raise Conflict if a text is no state of a flow."""
    try:
        state = parsing.parse(text)
    except parsing.NotJson:
        state = None
    if not isinstance(state, dict) or is_opaque(state):
        raise Conflict("A flow's state is a JSON object; this is none. Nothing was written. Choose another moment.")


def _newest(rows: WritableRows, flow: str) -> tuple[str, str]:
    """Return (key, state) of a flow's newest row."""
    sql = "SELECT id, state_json FROM flow_states WHERE flow_uuid = ? ORDER BY id DESC LIMIT 1"
    found = next(rows.execute(sql, [flow]), None)
    return ("", "") if found is None else (str(found[0]), mirror.state_text(json_of(found[1])))
