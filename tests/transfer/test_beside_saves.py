"""A store is transferred while its orchestrator saves: the copy is of one moment, and no save waits or is lost."""

import json
from pathlib import Path

import pytest

from statestore import models, transfer
from statestore.adoption.adopt import adopt
from statestore.adoption.temporary_store import database_at
from statestore.db.routers import chosen
from tests.faults.scale import tell, times
from tests.foreign.harm import held_seconds, watched
from tests.stores import make_store
from tests.transfer.conftest import Database, sqlite_url

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.sqlite]


def turns_in(place: str) -> dict[str, int]:
    """Return the newest turn that each table of a copy has, and how many turns the transitions tell of."""
    with database_at(place) as alias, chosen(alias):
        busy = {"agent_id__startswith": "busy-"}
        states = models.AgentState.objects.filter(**busy).values_list("state_data", flat=True)
        reasons = models.Transition.objects.filter(**busy).values_list("reason", flat=True)
        contents = models.Event.objects.filter(actor_id__startswith="busy-").values_list("content", flat=True)
        last_words = [[int(str(text).rsplit(" ", 1)[1]) for text in texts] for texts in (reasons, contents)]
        return {
            "agents": max((json.loads(state)["turn"] for state in states), default=0),
            "transitions": max(last_words[0], default=0),
            "events": max(last_words[1], default=0),
            "turns recorded": len(set(last_words[0])),
        }


def test_a_copy_beside_saves_is_of_one_moment_and_no_save_waits(tmp_path: Path, database: Database):
    path, other = make_store(tmp_path / "store.db"), make_store(tmp_path / "other.db")
    for each in (path, other):
        adopt(each, backup_dir=tmp_path / "backups", wal=True)
    # In a file of its own: its saves are turns, too.
    held = held_seconds(other)
    found: list[dict[str, int]] = []
    with watched(path, "--per-second", "100") as run:
        for _ in range(times(2, 20)):
            place = database()
            transfer.transfer(sqlite_url(path), place)
            found.append(turns_in(place))
    torn = [
        turns
        for turns in found
        if not turns["agents"] - 1 <= turns["events"] <= turns["transitions"] <= turns["agents"]
    ]
    lost = [turns for turns in found if turns["turns recorded"] != turns["transitions"]]
    tell(
        "transfers beside saves", transfers=len(found), saves=len(run.saves), waits=run.waits,
        failures=len(torn + lost), canary="a bad guest in the same run",
    )  # fmt: skip
    assert found[-1]["agents"] > found[0]["agents"] > 0, "It did not save meanwhile."
    assert torn == []
    assert lost == []
    assert run.harm(held) == []
