"""What remains of an agent whose row its orchestrator deleted: its transitions, snapshots and captured changes.

Its past can be read as long as there are any. Its namespace is unknown: only the row's key had it.
"""

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.ids import RowId
from statestore.db.routers import store_alias
from statestore.history.past import Past
from statestore.history.state_at import state_at
from statestore.models.querysets import AddressedQuerySet


def find_agent(address: RowId, *, using: str | None = None) -> models.AgentState | None:
    """Return an agent, or what remains of it as a row that is not stored; None if there is nothing.

    That row has the last known state, and the time of the last record as its last change.
    """
    using = using or store_alias()
    with translated_errors():
        agent = models.AgentState.objects.using(using).named(address, "agent_id")
        return agent or remains_of(address, using=using)


def remains_of(address: RowId, *, using: str | None = None) -> models.AgentState | None:
    """Return what remains of a deleted agent as a row that is not stored; None if there is nothing."""
    using = using or store_alias()
    agent_id = address if isinstance(address, str) else _id_of(address, using)
    last = Past(agent_id, using=using).last() if agent_id is not None else None
    if agent_id is None or last is None:
        return None
    text = state_at(agent_id, last.moment, using=using).text
    return models.AgentState.gone(agent_id, state_data=text, updated_at=last.at)


def _id_of(address: RowId, using: str) -> str | None:
    """Return the id that a hashed address names, searched in what remains."""
    tables: tuple[AddressedQuerySet[models.Transition] | AddressedQuerySet[models.Snapshot], ...] = (
        models.Transition.objects.using(using).without_states(),
        models.Snapshot.objects.using(using).without_state(),
    )
    rows = (table.named(address, "agent_id") for table in tables)
    return next((str(row.agent_id) for row in rows if row is not None), None)
