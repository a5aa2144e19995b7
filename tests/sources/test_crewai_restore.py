"""A restore of a CrewAI flow: the wanted state is the newest one in its file, and nothing was removed."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Conflict, Moved
from statestore.jsondiff.parsing import Json
from statestore.models.sources import Source
from statestore.sources import files, mirror
from statestore.sources.readers.crewai import CrewAICheckpointsReader, CrewAIFlowReader
from statestore.sources.row_ids import row_id
from statestore.sources.state_texts import state_text
from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db

FLOWS = "crewai/flow_states.db"
TWICE, ONCE = "e9f6aa5d-d1a0-4f4d-8c58-873c6d3ebb37", "6c7c27eb-1151-41b0-b564-7037bd3813ab"
AGENT = f"flow_states/{TWICE}"


def run(source: Source, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(source.path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def saved(source: Source) -> list[tuple[object, ...]]:
    return run(source, "SELECT * FROM flow_states ORDER BY id")


def state_of(source: Source, flow: str = TWICE) -> Json:
    with files.opened(Path(source.path)) as rows:
        return CrewAIFlowReader().read(rows, flow).thread.state


def moment(source: Source, key: str, flow: str = TWICE, side: str = "after") -> str:
    mirrored = source.threads.select_related("source").get(thread_id=flow)
    return f"transition:{row_id(mirrored, 'transition', key)}:{side}"


def restored(source: Source, key: str, flow: str = TWICE) -> models.Restore:
    planned = restore.plan(f"flow_states/{flow}", moment(source, key, flow))
    return restore.apply(planned, by=SYSTEM, reason="it went wrong")


def test_the_old_state_is_saved_once_more_as_it_stood(opened: Opener):
    source = opened(FLOWS)
    before = saved(source)
    restored(source, "2")
    after = saved(source)
    assert after[:-1] == before, "a row was changed or removed"
    assert after[-1][1:3] == (TWICE, "restored")
    assert after[-1][4] == before[1][4], "byte for byte"


@pytest.mark.parametrize("flow", [TWICE, ONCE])
def test_every_step_of_every_flow_can_be_put_back(opened: Opener, flow: str):
    source = opened(FLOWS)
    for key, state in run(source, "SELECT id, state_json FROM flow_states WHERE flow_uuid = ?", flow):
        restored(source, str(key), flow)
        assert state_of(source, flow) == json.loads(str(state))


def test_the_mirror_has_the_restore_once(opened: Opener):
    source = opened(FLOWS)
    restored(source, "2")
    rows = models.Transition.objects.of_agent(AGENT).count()
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    assert models.Transition.objects.of_agent(AGENT).count() == rows
    # What the flow saves next is one step more.
    run(source, "INSERT INTO flow_states SELECT NULL, flow_uuid, 'work', timestamp, state_json FROM flow_states"
                " WHERE id = 3")  # fmt: skip
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    assert models.Transition.objects.of_agent(AGENT).count() == rows + 1


def test_undo_saves_the_former_state(opened: Opener):
    source = opened(FLOWS)
    was = state_of(source)
    done = restored(source, "1")
    assert state_of(source) != was
    restore.undo(done, by=SYSTEM)
    assert state_of(source) == was


def test_a_part_and_a_correction_are_written(opened: Opener):
    source = opened(FLOWS)
    restore.apply(restore.plan(AGENT, moment(source, "1"), paths=["/count"]), by=SYSTEM)
    now = state_of(source)
    assert isinstance(now, dict)
    assert (now["count"], len(str(now["notes"]))) == (1, len(str(json.loads(str(saved(source)[5][4]))["notes"])))
    edits = [("/notes", '["one", "\\ud83d\\ude00",  2.50]')]
    restore.apply(restore.plan(AGENT, moment(source, "1"), edits=edits), by=SYSTEM)
    assert json.loads(str(saved(source)[-1][4]))["notes"] == ["one", "😀", 2.5]


def test_one_step_is_taken_back_and_later_ones_stay(opened: Opener):
    source = opened(FLOWS)
    made = moment(source, "5").split(":")[1]
    clashes = restore.plan_revert(AGENT, made).clashes
    planned = restore.plan_revert(AGENT, made, sides={clash.path: "ours" for clash in clashes})
    restore.apply(planned, by=SYSTEM)
    assert state_text(state_of(source)) == models.AgentState.objects.get(agent_id=AGENT).state_data


def test_a_state_without_the_flows_id_is_refused(opened: Opener):
    source = opened(FLOWS)
    rows = saved(source)
    with pytest.raises(Conflict, match="must stay e9f6aa5d"):
        restore.plan(AGENT, moment(source, "1", side="before"))
    with pytest.raises(Conflict, match="must stay e9f6aa5d"):
        restore.plan(AGENT, moment(source, "1"), edits=[("/id", '"another"')])
    assert saved(source) == rows


def test_a_flow_that_went_on_is_left_alone(opened: Opener):
    source = opened(FLOWS)
    planned = restore.plan(AGENT, moment(source, "1"))
    run(source, "INSERT INTO flow_states SELECT NULL, flow_uuid, method_name, timestamp, state_json FROM flow_states"
                " WHERE id = 4")  # fmt: skip
    rows = saved(source)
    with pytest.raises(Moved, match="The thread went on"):
        restore.apply(planned, by=SYSTEM)
    assert saved(source) == rows
    assert models.Restore.objects.count() == 0


def test_the_preview_says_what_is_written_and_that_feedback_is_awaited(opened: Opener):
    source = opened(FLOWS)
    planned = restore.plan(AGENT, moment(source, "1"))
    said = [warning.text for warning in planned.warnings if warning.kind == "source"]
    assert said[0] == (
        "The state is saved once more in flow_states.db, as the flow's newest. No saved state is removed."
    )
    run(source, "INSERT INTO pending_feedback VALUES (1, ?, '{}', '{}', '2026-11-26')", TWICE)
    planned = restore.plan(AGENT, moment(source, "1"))
    assert any("waits for feedback" in warning.text for warning in planned.warnings)


# Crews

CREW, CREW_AGENT = "fde3aa69-1276-4691-abe3-e63395a274e8", "checkpoints/fde3aa69-1276-4691-abe3-e63395a274e8"
KEYS = ["20261126T172931_3f15aab1", "20261126T172935_7bf29502", "20261126T172936_d1f4922e"]


def checkpoints(source: Source) -> list[tuple[object, ...]]:
    return run(source, "SELECT id, created_at, parent_id, branch, data FROM checkpoints ORDER BY rowid")


def crew_put_back(source: Source, key: str) -> models.Restore:
    return restore.apply(restore.plan(CREW_AGENT, moment(source, key, CREW)), by=SYSTEM)


def crew_state(source: Source) -> str:
    with files.opened(Path(source.path)) as rows:
        return state_text(CrewAICheckpointsReader().read(rows, CREW).thread.state)


def test_the_newest_checkpoint_is_a_copy_of_the_old_one_and_its_child(opened: Opener):
    source = opened("crewai/checkpoints.db")
    before = checkpoints(source)
    crew_put_back(source, KEYS[0])
    *earlier, made = checkpoints(source)
    assert earlier == before, "a row was changed or removed"
    assert made[2:] == (KEYS[0], "main", before[0][4])
    assert str(made[0]).startswith(f"{made[1]}_")


def test_every_checkpoint_can_be_put_back_and_undone(opened: Opener):
    source = opened("crewai/checkpoints.db")
    was = crew_state(source)
    for key in KEYS:
        done = crew_put_back(source, key)
        assert crew_state(source) == models.AgentState.objects.get(agent_id=CREW_AGENT).state_data
        restore.undo(done, by=SYSTEM)
        assert crew_state(source) == was


def test_the_mirror_has_a_crews_restore_once(opened: Opener):
    source = opened("crewai/checkpoints.db")
    crew_put_back(source, KEYS[0])
    rows = models.Transition.objects.of_agent(CREW_AGENT).count()
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())
    assert models.Transition.objects.of_agent(CREW_AGENT).count() == rows


def test_a_part_of_a_crews_state_is_refused(opened: Opener):
    source = opened("crewai/checkpoints.db")
    with pytest.raises(Conflict, match="only whole moments of a crew"):
        restore.plan(CREW_AGENT, moment(source, KEYS[0], CREW), edits=[("/name", '"other"')])


def test_a_crew_that_went_on_is_left_alone(opened: Opener):
    source = opened("crewai/checkpoints.db")
    planned = restore.plan(CREW_AGENT, moment(source, KEYS[0], CREW))
    run(source, "INSERT INTO checkpoints SELECT 'new', created_at, id, branch, data FROM checkpoints WHERE rowid = 3")
    rows = checkpoints(source)
    with pytest.raises(Moved, match="The thread went on"):
        restore.apply(planned, by=SYSTEM)
    assert checkpoints(source) == rows
