"""How long PostgreSQL is waited for, and how long it waits for us: each with a server and another program."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from descartes_site.postgres_cluster import STORE
from statestore import errors
from statestore.adoption.temporary_store import database_at
from statestore.db import postgresql, transactions
from statestore.db.errors import translated_errors
from statestore.db.routers import chosen
from statestore.store import StateStore
from tests import postgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postgres.binaries() is None, reason="NOT TESTED: PostgreSQL IS NOT INSTALLED"),
]
LOCK = "SELECT 1 FROM agent_states WHERE agent_id = 'a1' FOR UPDATE"
SAVE = "UPDATE agent_states SET status = '{}' WHERE agent_id = 'a1'"
STATUS = "SELECT status FROM agent_states WHERE agent_id = 'a1'"


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.running_cluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@contextmanager
def store_on(cluster: postgres.Cluster) -> Iterator[str]:
    """Yield the alias of the store on a cluster, with one agent, by a connection that is made anew."""
    with database_at(cluster.url(STORE)) as alias, chosen(alias):
        StateStore().save_agent_state("a1", "{}")
        yield alias


@contextmanager
def orchestrator(cluster: postgres.Cluster) -> Iterator[Any]:
    """Yield a connection of another program's, which would not wait for ever."""
    psycopg = pytest.importorskip("psycopg")
    options = "-c statement_timeout=20s"
    with psycopg.connect(
        host=str(cluster.home), user="postgres", dbname=STORE, options=options, autocommit=True
    ) as connection:
        yield connection


def test_a_save_waits_for_a_row_that_is_locked_and_gives_up(cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch):
    with store_on(cluster), orchestrator(cluster) as program:
        monkeypatch.setattr(transactions, "LOCK_WAIT_SECONDS", 0.2)
        with program.transaction():
            program.execute(LOCK)
            with pytest.raises(errors.Busy, match="Nothing was changed"):
                StateStore().save_agent_state("a1", '{"step": 2}')
        StateStore().save_agent_state("a1", '{"step": 3}')
        assert StateStore().load_agent_state("a1").state_data == '{"step": 3}'


def test_a_read_that_may_take_so_long_takes_no_longer(cluster: postgres.Cluster):
    with store_on(cluster) as alias, connections[alias].cursor() as cursor:

        def read() -> None:
            with transactions.in_time(alias, 0.2):
                cursor.execute("SELECT pg_sleep(30)")

        with pytest.raises(errors.TooSlow):
            read()


def test_a_transaction_of_a_server_process_that_hangs_lets_the_orchestrator_go_on(
    cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgresql, "_bounds", {})
    monkeypatch.setattr(postgresql, "IDLE_SECONDS", 0.2)
    postgresql.bound_statements()
    with store_on(cluster) as alias, orchestrator(cluster) as program:

        def hang() -> None:
            with transactions.writing(alias), connections[alias].cursor() as cursor:
                cursor.execute(LOCK)
                # Here we hang; without the bound, so would the orchestrator.
                program.execute(SAVE.format("failed"))
                cursor.execute(SAVE.format("idle"))

        with pytest.raises(errors.Unavailable, match="Nothing was changed"):
            hang()
        assert program.execute(STATUS).fetchone() == ("failed",), "what the orchestrator saved was lost"


def test_a_pool_whose_connections_are_all_in_use_is_waited_for_in_time(cluster: postgres.Cluster):
    refusals: list[errors.StateStoreError] = []
    with store_on(cluster) as alias:
        connections[alias].close()
        connections[alias].settings_dict["OPTIONS"]["pool"] = {"min_size": 0, "max_size": 1, "timeout": 0.3}

        def ask() -> None:
            try:
                with translated_errors(), connections[alias].cursor():
                    pass
            except errors.StateStoreError as error:
                refusals.append(error)

        with connections[alias].cursor():
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
        connections[alias].close()
        connections[alias].close_pool()
    assert [type(refusal) for refusal in refusals] == [errors.Unavailable]
