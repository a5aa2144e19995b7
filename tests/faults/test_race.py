"""Two restores racing: exactly one wins. A restore racing the orchestrator's save: no unseen change is overwritten."""

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db import connections

from statestore import models
from statestore.db.routers import store_alias
from tests.builders import make_agent
from tests.faults.racer import Racer, racing
from tests.faults.scale import tell, times
from tests.faults.sites import LONG_AGO, QUIET, Site, SiteMaker
from tests.faults.wholeness import damage, unsound
from tests.foreign.orchestrator import Orchestrator

pytestmark = pytest.mark.faults

CANARY_ROUNDS = 20
AGENT = "raced"


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


@pytest.fixture(params=["delete", pytest.param("wal", marks=pytest.mark.sqlite)])
def journal_mode(request: pytest.FixtureRequest, transactional_db: None, on_sqlite: bool) -> Iterator[str]:
    """Run the test in both of SQLite's journal modes; on PostgreSQL once, where there are none."""
    if not on_sqlite:
        yield "postgresql"
        return
    _switch(request.param)
    yield request.param
    _switch("delete")


def _switch(journal_mode: str) -> None:
    assert rows(f"PRAGMA journal_mode = {journal_mode}") == [(journal_mode,)]


@contextmanager
def two_restorers() -> Iterator[list[Racer]]:
    """Yield two processes on the store that the tests run on."""
    name = str(connections[store_alias()].settings_dict["NAME"])
    environment = dict(os.environ)
    if connections[store_alias()].vendor == "sqlite":
        environment["STORE_URL"] = f"sqlite:///{name}"
    else:
        for variable in ("STORE_URL", "DATABASE_URL"):
            environment[variable] = f"{os.environ[variable].rpartition('/')[0]}/{name}"
    with ExitStack() as stack:
        yield [stack.enter_context(racing("restorer", who, environment=environment)) for who in ("ada", "bob")]


def race(racers: list[Racer], numbers: range, *, canary: bool) -> list[str]:
    """Let them race so many times, each for another state; return what is wrong, in sentences."""
    wrong = []
    for number in numbers:
        snapshots = models.Snapshot.objects.bulk_create(
            models.Snapshot(agent_id=AGENT, state_data=f'{{"round": {number}, "side": {side}}}', created_at=LONG_AGO)
            for side in range(2)
        )
        counted = counts()
        for racer, snapshot in zip(racers, snapshots, strict=True):
            racer.tell(agent=AGENT, snapshot=snapshot.pk, canary=canary)
        seen = [racer.hear()["etag"] for racer in racers]
        assert seen[0] == seen[1]
        for racer in random.sample(racers, 2):
            racer.tell(go=True)
        outcomes = [racer.hear()["outcome"] for racer in racers]
        if sorted(outcomes) != ["conflict", "won"]:
            wrong.append(f"round {number}: {outcomes}")
        if set((counts() - counted).values()) != {1}:
            wrong.append(f"round {number} wrote {counts() - counted}")
        state = models.AgentState.objects.get(agent_id=AGENT).state_data
        if [outcomes[side] for side in range(2) if snapshots[side].state_data == state] != ["won"]:
            wrong.append(f"round {number}: the state is not the winner's")
    return wrong


def counts() -> Counter[str]:
    """Return how many rows there are of all that a restore writes."""
    kinds = (models.Restore, models.AuditEntry, models.Transition, models.Snapshot)
    return Counter({kind.__name__: kind.objects.count() for kind in kinds})


@pytest.mark.django_db(transaction=True)
def test_of_two_restores_racing_exactly_one_wins(journal_mode: str):
    agent = make_agent(AGENT)
    rounds = times(80, 5_000) if journal_mode != "postgresql" else times(100, 10_000)
    with two_restorers() as racers:
        wrong = race(racers, range(rounds), canary=False)
        wrong += damage(rows, initial={AGENT: agent.state_data})
        by = Counter(models.Restore.objects.values_list("actor", flat=True))
        caught = race(racers, range(rounds, rounds + CANARY_ROUNDS), canary=True)
    caught_by_chain = damage(rows, initial={AGENT: agent.state_data})
    flagged = len([words for words in caught if "['won', 'won']" in words])
    tell(
        f"two restores racing ({journal_mode})", rounds=rounds, failures=len(wrong), won=dict(by),
        canary=f"flagged in {flagged} of {CANARY_ROUNDS} rounds",
    )  # fmt: skip
    assert not wrong, wrong[:5]
    assert len(by) == 2, "one always won: this was no race"
    assert flagged
    assert caught_by_chain, "the canary lost changes and the chain of states did not show it"


@pytest.mark.sqlite
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_restore_never_overwrites_a_save_unseen(make_site: SiteMaker, mode: str):
    site, rounds = make_site(mode), times(80, 5_000)
    with racing("restorer", "ada", environment=site.environment) as restorer, racing("saver", str(site.store)) as saver:
        outcomes, wrong = against_saves(site, restorer, saver, range(rounds), canary=False)
        canary_rounds = range(rounds, rounds + 3 * CANARY_ROUNDS)
        _, caught = against_saves(site, restorer, saver, canary_rounds, canary=True)
    wrong += unsound(site.rows)
    tell(
        f"a restore against a save ({mode})", rounds=rounds, failures=len(wrong), outcomes=dict(outcomes),
        canary=f"flagged in {len(caught)} of {len(canary_rounds)} rounds",
    )  # fmt: skip
    assert not wrong, wrong[:5]
    assert set(outcomes) == {"won", "conflict"}, "the same one was always first: this was no race"
    assert caught


def against_saves(
    site: Site, restorer: Racer, saver: Racer, numbers: range, *, canary: bool
) -> tuple[Counter[str], list[str]]:
    """Let a restore and the orchestrator's save race; return the restores' outcomes, and what is wrong."""
    agent_id, outcomes, wrong = QUIET[0], Counter[str](), list[str]()
    with Orchestrator(site.store) as orchestrator:
        for number in numbers:
            target, saved = f'{{"restored": {number}}}', f'{{"saved": {number}}}'
            restorer.tell(agent=agent_id, snapshot=orchestrator.create_snapshot(agent_id, target), canary=canary)
            seen = restorer.hear()["seen"]
            orders: list[tuple[Racer, dict[str, Any]]] = [
                (restorer, {"go": True}),
                (saver, {"agent": agent_id, "state": saved}),
            ]
            # A save is one statement and a restore nine: a head start lets either be first.
            (first, order), (second, last) = orders if random.random() < 0.7 else orders[::-1]
            first.tell(**order)
            threading.Event().wait(random.uniform(0, 0.003))
            second.tell(**last)
            outcome = restorer.hear()["outcome"]
            assert saver.hear()["outcome"] == "saved"
            outcomes[outcome] += 1
            wrong += _unseen(orchestrator, agent_id, outcome, seen, saved, number)
    return outcomes, wrong


def _unseen(
    orchestrator: Orchestrator, agent_id: str, outcome: str, seen: str, saved: str, number: int
) -> Iterator[str]:
    """Say where the restore has replaced something else than the state that its plan was made against."""
    if outcome not in {"won", "conflict"}:
        yield f"round {number}: {outcome}"
    ((state,),) = orchestrator.rows("SELECT state_data FROM agent_states WHERE agent_id = ?", agent_id)
    if state != saved:
        yield f"round {number}: the save is gone, the state is {state}"
    if outcome == "won":
        newest = "SELECT state_before FROM state_transitions WHERE agent_id = ? ORDER BY rowid DESC LIMIT 1"
        ((before,),) = orchestrator.rows(newest, agent_id)
        if before != seen:
            yield f"round {number}: it replaced {before}, which nobody had seen"
