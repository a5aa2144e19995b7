"""Cases: what is known of an agent, or of one transition, in one file for a ticket, its secrets masked.

masking   secrets in texts, masked in place; plain Python
contents  what a file holds, as records
seal      the hash at the end of a file
page      the records as one HTML page
"""

import json
from typing import Final

from django.conf import settings

from statestore import models
from statestore.access.scope import Scope
from statestore.cases import limits, page
from statestore.cases.contents import Record, Wanted, of_agent, of_transition
from statestore.cases.masking import Masker, Rules
from statestore.cases.seal import sealed, verified

FORMATS: Final = {"html": "text/html; charset=utf-8", "ndjson": "application/x-ndjson"}


def agent_case(agent: models.AgentState, wanted: Wanted, seen: Scope, kind: str) -> bytes:
    """Return the case of an agent as a file in one of the formats."""
    return _written(of_agent(agent, wanted, seen, _masker()), kind)


def transition_case(transition: models.Transition, agent: models.AgentState | None, kind: str) -> bytes:
    """Return the case of one transition as a file in one of the formats."""
    return _written(of_transition(transition, agent, _masker()), kind)


def _masker() -> Masker:
    return Masker(Rules(tuple(settings.MASK_KEYS), tuple(settings.MASK_PATTERNS)))


def _written(records: list[Record], kind: str) -> bytes:
    if kind == "html":
        return sealed(page.html(records), kind)
    # Half a surrogate pair, which stands for a byte of invalid UTF-8, is escaped.
    return sealed("".join(f"{json.dumps(record)}\n" for record in records).encode(), kind)


__all__ = ["FORMATS", "Wanted", "agent_case", "limits", "transition_case", "verified"]
