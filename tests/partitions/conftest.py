"""A store on PostgreSQL of the tests' own, with rows of several months."""

from collections.abc import Iterator
from typing import Final

import pytest
from django.core.management import call_command
from django.db import connections

from statestore import models, partitions
from statestore.access import audit
from statestore.adoption.temporary_store import database_at
from statestore.db.routers import chosen
from statestore.partitions import moving
from tests.builders import NOW, make_agent, make_event, make_transition
from tests.transfer.conftest import Database, _databases_may_be_used, cluster, database

__all__ = ["_databases_may_be_used", "cluster", "database"]

MONTH: Final = 30 * 24 * 3600
# Of the months that are made, of none that is made, and of no month at all.
TIMES: Final = (*(NOW - number * MONTH for number in range(6)), NOW + 40 * MONTH, -5, 2**62)


def fill() -> None:
    """Put events and transitions of several months into the chosen store."""
    for number in range(3):
        agent = make_agent(f"agent-{number}")
        for at in TIMES:
            make_event(id=f"event {number} {at}", actor_id=agent.agent_id, timestamp=at, content=f"said ö {at}")
            make_transition(agent, {"at": at}, {"at": at + 1}, id=f"transition {number} {at}", timestamp=at)


@pytest.fixture
def place(database: Database) -> str:
    """Return the URL of a store with rows of several months."""
    made = database()
    with database_at(made) as alias, chosen(alias):
        call_command("migrate", database=alias, verbosity=0)
        fill()
    return made


@pytest.fixture
def using(place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the alias of that store, chosen."""
    monkeypatch.setattr(moving.partitioned, "NOTICED_SECONDS", 0.05)
    with database_at(place) as alias, chosen(alias):
        yield alias


@pytest.fixture
def parted(using: str) -> str:
    """Return the alias of a store that has partitions."""
    partitions.partition(using, by=audit.SYSTEM)
    return using


def rows_of(using: str) -> dict[str, list[tuple[object, ...]]]:
    """Return all events and transitions, with their order of insertion."""
    return {
        model._meta.db_table: sorted(model._default_manager.using(using).values_list())
        for model in (models.Event, models.Transition)
    }


def ask(using: str, sql: str) -> list[tuple[object, ...]]:
    """Return the rows that a statement gives."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []
