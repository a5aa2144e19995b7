"""A restore in place of a CrewAI flow: the state is its newest row, and no row was changed or removed."""

import json
import sqlite3
from contextlib import closing

import pytest

from statestore import models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.errors import Conflict, Moved
from statestore.models.sources import Source
from statestore.sources import mirror
from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db

Row = tuple[int, str, str, str, str]


def saved(source: Source) -> list[Row]:
    with closing(sqlite3.connect(f"file:{source.path}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT id, flow_uuid, method_name, timestamp, state_json FROM flow_states ORDER BY id"
        ).fetchall()


def flow_of(source: Source) -> tuple[str, list[Row]]:
    """Return the flow that saved most, with its rows."""
    rows = saved(source)
    flow = max({row[1] for row in rows}, key=lambda one: sum(row[1] == one for row in rows))
    return flow, [row for row in rows if row[1] == flow]


def moment_of(source: Source, flow: str, row_id: int) -> str:
    thread = source.threads.select_related("source").get(thread_id=flow)
    return f"transition:{mirror.row_id(thread, 'transition', str(row_id))}:after"


def test_every_saved_state_can_be_the_newest_row_again(opened: Opener):
    source = opened("crewai/flow_states.db")
    flow, rows = flow_of(source)
    for row in rows:
        before = saved(source)
        restore.apply(restore.plan(f"flow_states/{flow}", moment_of(source, flow, row[0])), by=SYSTEM)
        after = saved(source)
        assert after[:-1] == before, "a row was changed or removed"
        assert (after[-1][1], json.loads(after[-1][4])) == (flow, json.loads(row[4]))


def test_undo_makes_the_former_state_the_newest(opened: Opener):
    source = opened("crewai/flow_states.db")
    flow, rows = flow_of(source)
    done = restore.apply(restore.plan(f"flow_states/{flow}", moment_of(source, flow, rows[0][0])), by=SYSTEM)
    restore.undo(done, by=SYSTEM)
    assert json.loads(saved(source)[-1][4]) == json.loads(rows[-1][4])


def test_an_edited_state_is_written_and_mirrored_once(opened: Opener):
    source = opened("crewai/flow_states.db")
    flow, rows = flow_of(source)
    name = next(iter(json.loads(rows[0][4])))
    planned = restore.plan(
        f"flow_states/{flow}", moment_of(source, flow, rows[0][0]), edits=[(f"/{name}", '{"edited":  true}')]
    )
    restore.apply(planned, by=SYSTEM)
    assert json.loads(saved(source)[-1][4])[name] == {"edited": True}
    count = models.Transition.objects.of_agent(f"flow_states/{flow}").count()
    source.refresh_from_db()
    assert mirror.sync(source, using=store_alias()).threads == 1, "the file was not read again"
    assert models.Transition.objects.of_agent(f"flow_states/{flow}").count() == count


def test_a_flow_that_went_on_is_left_alone(opened: Opener):
    source = opened("crewai/flow_states.db")
    flow, rows = flow_of(source)
    planned = restore.plan(f"flow_states/{flow}", moment_of(source, flow, rows[0][0]))
    with closing(sqlite3.connect(source.path)) as framework:
        framework.execute(
            "INSERT INTO flow_states (flow_uuid, method_name, timestamp, state_json) VALUES (?, 'next', '', '{}')",
            [flow],
        )
        framework.commit()
    now = saved(source)
    with pytest.raises(Moved, match="The flow went on"):
        restore.apply(planned, by=SYSTEM)
    assert saved(source) == now


def test_what_is_no_object_is_refused(opened: Opener):
    source = opened("crewai/flow_states.db")
    flow, rows = flow_of(source)
    with pytest.raises(Conflict, match="A flow's state is a JSON object"):
        restore.plan(f"flow_states/{flow}", moment_of(source, flow, rows[0][0]), edits=[("", "[1]")])
