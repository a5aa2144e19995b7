"""The demo's agents: how each lived its last three days, turn by turn."""

import copy
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from statestore import models
from statestore.demo import script
from statestore.models.agents import ACTIVE

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# coder-2 loses its goal at this turn: the moment that the walk of docs/tour.md finds.
WRONG_TURN = 31


@dataclass(frozen=True, slots=True)
class Cast:
    """One agent of the story."""

    agent_id: str
    name: str
    namespace: str
    role: str
    status: str
    turns: int
    ended_seconds_ago: int
    goes_wrong: bool = False


CAST = (
    Cast("planner-1", "Planner", "build", "planner", "running", 44, 2 * MINUTE),
    Cast("coder-1", "Coder 1", "build", "coder", "running", 52, 4 * MINUTE),
    Cast("coder-2", "Coder 2", "build", "coder", "failed", 48, 3 * HOUR, goes_wrong=True),
    Cast("reviewer-1", "Reviewer", "build", "reviewer", "idle", 36, 9 * MINUTE),
    Cast("tester-1", "Tester", "build", "tester", "running", 40, 5 * HOUR),
    Cast("docs-1", "Docs writer", "build", "writer", "completed", 22, 26 * HOUR),
    Cast("release-1", "Release manager", "build", "release", "terminated", 18, 7 * HOUR),
    Cast("triage-1", "Triage", "ops", "triage", "running", 38, 1 * MINUTE),
    Cast("deployer-1", "Deployer", "ops", "deployer", "paused", 26, 2 * HOUR),
    Cast("watcher-1", "Watcher", "ops", "watcher", "thinking", 46, 6 * MINUTE),
    Cast("scribe-1", "Scribe", "ops", "writer", "completed", 16, 20 * HOUR),
    Cast("analyst-1", "Analyst", "ops", "analyst", "idle", 30, 40 * MINUTE),
)


def live(cast: Cast, chance: random.Random, now: int) -> Iterator[object]:
    """Yield all rows of one agent's life, oldest first within each table."""
    state = script.first_state(cast.role, chance)
    times = _times(cast, chance, now)
    created = times[0] - 5 * MINUTE
    for turn, at in enumerate(times):
        before = copy.deepcopy(state)
        session = _session_id(cast, turn)
        reason, events = _act(cast, state, turn, chance)
        yield _transition(cast, before, state, reason, at, chance)
        yield from _events(cast, events, session, at, chance)
        yield from _snapshots(cast, state, turn, at, now, chance)
    yield from _sessions(cast, times)
    yield models.AgentState(
        key=f"{cast.namespace}:{cast.agent_id}",
        agent_id=cast.agent_id,
        name=cast.name,
        status=cast.status,
        metadata=json.dumps({"model": "opal-3", "owner": "platform", "role": cast.role}),
        state_data=_text(state),
        version=1,
        created_at=created,
        updated_at=times[-1],
    )


def _act(cast: Cast, state: dict[str, object], turn: int, chance: random.Random) -> tuple[str, list[script.Utterance]]:
    if cast.goes_wrong and turn == WRONG_TURN:
        return script.lose_the_goal(state)
    if cast.goes_wrong and turn > WRONG_TURN:
        return script.go_round_in_circles(state, turn, chance)
    return script.work(state, cast.role, turn, chance)


def _times(cast: Cast, chance: random.Random, now: int) -> list[int]:
    """Return when each turn ended. The one that goes wrong does so about a day ago."""
    last = now - cast.ended_seconds_ago
    gaps = [chance.randint(8, 90) * MINUTE for _ in range(cast.turns - 1)]
    if cast.goes_wrong:
        after = cast.turns - 1 - WRONG_TURN
        gaps[WRONG_TURN:] = [(22 * HOUR - cast.ended_seconds_ago) // after] * after
    times = [last]
    for gap in reversed(gaps):
        times.append(times[-1] - gap)
    return times[::-1]


def _text(state: dict[str, object]) -> str:
    return json.dumps(state, ensure_ascii=False, separators=(",", ":"))


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _transition(
    cast: Cast, before: dict[str, object], after: dict[str, object], reason: str, at: int, chance: random.Random
) -> models.Transition:
    return models.Transition(
        id=_id(chance),
        agent_id=cast.agent_id,
        state_before=_text(before),
        state_after=_text(after),
        reason=reason,
        timestamp=at,
    )


def _events(
    cast: Cast, utterances: list[script.Utterance], session: str, at: int, chance: random.Random
) -> Iterator[models.Event]:
    start = at - len(utterances) * 7
    for position, spoken in enumerate(utterances):
        actor_type, actor = ("Agent", cast.agent_id) if spoken.by == "agent" else (spoken.by.title(), f"{spoken.by}-1")
        when = start + position * 7
        yield models.Event(
            id=_id(chance),
            event_type=spoken.kind,
            timestamp=when,
            session_id=session,
            actor_type=actor_type,
            actor_id=actor,
            content=spoken.content,
            metadata=json.dumps(spoken.metadata) if spoken.metadata else None,
            git_commit=spoken.commit,
            created_at=when,
        )


def _snapshots(
    cast: Cast, state: dict[str, object], turn: int, at: int, now: int, chance: random.Random
) -> Iterator[object]:
    descriptions = {10: "after planning", 20: "nightly"}
    if cast.goes_wrong:
        descriptions[WRONG_TURN - 2] = "before refactor"
    if cast.agent_id == "tester-1":
        descriptions[30] = "green suite"
    if turn in descriptions:
        expires = now + 2 * DAY + 5 * HOUR if descriptions[turn] == "green suite" else None
        snapshot_id = _id(chance)
        if expires:
            yield models.SnapshotExpiry(snapshot_id=snapshot_id, expires_at=expires)
        yield models.Snapshot(
            id=snapshot_id,
            agent_id=cast.agent_id,
            state_data=_text(state),
            description=descriptions[turn],
            created_at=at + 20,
            expires_at=expires,
        )


def _session_id(cast: Cast, turn: int) -> str:
    return f"{cast.namespace}-{cast.agent_id}-{turn // 16 + 1}"


def _sessions(cast: Cast, times: list[int]) -> Iterator[models.Session]:
    last = (len(times) - 1) // 16
    for number in range(last + 1):
        turns = times[number * 16 : number * 16 + 16]
        is_open = number == last and cast.status in ACTIVE
        yield models.Session(
            id=_session_id(cast, number * 16),
            agent_id=cast.agent_id,
            started_at=turns[0] - 2 * MINUTE,
            ended_at=None if is_open else turns[-1],
            status="active" if is_open else "failed" if number == last and cast.status == "failed" else "completed",
            created_at=turns[0] - 2 * MINUTE,
        )
