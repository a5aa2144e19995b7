"""The real LangGraph says the same of its history as the mirror, and goes on from what was restored."""

import json
import os
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from statestore import history, models, restore
from statestore.access.audit import SYSTEM
from statestore.db.routers import store_alias
from statestore.models.sources import Source, SourceThread
from statestore.sources import adding, mirror
from statestore.sources.row_ids import row_id
from tests.frameworks.programs import forked, kept_in, mirrored, run

PYTHON = os.environ.get("FRAMEWORKS_PYTHON", "")
PROGRAM = Path(__file__).with_name("langgraph_program.py")

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.frameworks,
    pytest.mark.skipif(not PYTHON, reason="`make test-frameworks` installs the frameworks"),
]


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def source(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Source:
    """Return the source of a store in which a thread waits for an approval."""
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    is_file = request.param == "SQLite"
    path = tmp_path / "agents.db" if is_file else request.getfixturevalue("server").made().url
    program(path, "run", "t1", "hello")
    program(path, "run", "t2", "another")
    made = adding.add_source(path, name="agents", using=store_alias())
    mirror.sync(made, using=store_alias())
    return made


def program(path: Path | str, verb: str, thread: str, *texts: str) -> dict[str, Any]:
    done = subprocess.run(
        [PYTHON, str(PROGRAM), str(path), verb, thread, *texts], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def sync(source: Source) -> None:
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())


def moment(checkpoint_id: str, thread: str = "t1") -> str:
    mirrored = SourceThread.objects.select_related("source").get(thread_id=thread)
    return f"transition:{row_id(mirrored, 'transition', checkpoint_id)}:after"


def restored(checkpoint_id: str, thread: str = "t1") -> models.Restore:
    return restore.apply(restore.plan(f"agents/{thread}", moment(checkpoint_id, thread)), by=SYSTEM)


def test_each_state_is_what_langgraph_says_it_was(source: Source):
    for thread in ("t1", "t2"):
        for checkpoint_id, values, _ in program(source.path, "state", thread)["history"]:
            shown = history.state_at(f"agents/{thread}", history.moments.parse(moment(checkpoint_id, thread)))
            # LangGraph begins a list that has no value yet with an empty one, which is in no checkpoint.
            assert json.loads(shown.text) == {name: value for name, value in values.items() if value != []}


def test_every_step_put_back_is_langgraphs_state_again(source: Source):
    for checkpoint_id, values, nodes in program(source.path, "state", "t1")["history"]:
        restored(checkpoint_id)
        now = program(source.path, "state", "t1")
        assert (now["values"], now["next"]) == (values, nodes)


def test_the_graph_goes_on_from_the_restored_step_and_from_the_undone_one(source: Source):
    waiting = program(source.path, "state", "t1")
    assert waiting["next"] == ["ask"]
    first = next(step for step in waiting["history"] if step[1].get("rounds") == 1)
    done = restored(first[0])
    restore.undo(done, by=SYSTEM)
    undone = program(source.path, "state", "t1")
    assert (undone["values"], undone["next"]) == (waiting["values"], ["ask"])
    sync(source)
    restored(first[0])
    went_on = program(source.path, "go-on", "t1")
    assert went_on["values"]["said"] == ["hello", "thought 0", "thought 1", "thought 2"]
    assert program(source.path, "approve", "t1")["values"]["answer"] == "yes"
    assert program(source.path, "state", "t2")["values"]["said"][0] == "another"
    sync(source)
    agent = models.AgentState.objects.get(agent_id="agents/t1")
    assert json.loads(agent.state_data)["answer"] == "yes"


def test_a_restore_planned_before_the_graph_went_on_is_refused(source: Source):
    first = program(source.path, "state", "t1")["history"][-2]
    planned = restore.plan("agents/t1", moment(first[0]))
    after = program(source.path, "approve", "t1")
    with pytest.raises(restore.Moved):
        restore.apply(planned, by=SYSTEM)
    assert program(source.path, "state", "t1") == after


def test_a_fork_is_a_thread_that_the_graph_goes_on_with_and_the_old_one_stays(source: Source):
    whole = program(source.path, "state", "t1")
    for number, (checkpoint_id, values, nodes) in enumerate(whole["history"]):
        forked("t1", checkpoint_id, f"fork {number} 🌱")
        now = program(source.path, "state", f"fork {number} 🌱")
        assert (now["values"], now["next"]) == (values, nodes)
        assert now["history"][1:] == whole["history"][number + 1 :], "its past is that of the old one"
    first = next(number for number, step in enumerate(whole["history"]) if step[1].get("rounds") == 1)
    went_on = program(source.path, "go-on", f"fork {first} 🌱")
    assert went_on["values"]["said"] == ["hello", "thought 0", "thought 1", "thought 2"]
    assert program(source.path, "approve", f"fork {first} 🌱")["values"]["answer"] == "yes"
    assert program(source.path, "state", "t1") == whole
    sync(source)
    agent = models.AgentState.objects.get(agent_id=f"agents/fork {first} 🌱")
    assert json.loads(agent.state_data)["answer"] == "yes"


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_channels_of_changes_and_graphs_within_are_in_a_fork(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, settings: Any
):
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path = kept_in(tmp_path, request, is_server=database == "PostgreSQL")
    for _ in range(2):
        run("langgraph_delta_program.py", path, "run")
    mirrored(path)
    before = run("langgraph_delta_program.py", path, "state")
    for number, (checkpoint_id, values) in enumerate(before["history"]):
        forked("t1", checkpoint_id, f"fork-{number}")
        assert run("langgraph_delta_program.py", path, "state", f"fork-{number}")["values"] == values
    # Before the graph within ran for the second time.
    after = run("langgraph_delta_program.py", path, "run", "fork-3")
    assert after["values"]["log"] == before["history"][3][1]["log"] + [f"step {number}" for number in range(5)]
    assert after["within"]["seen"] == [5, 5]
    assert run("langgraph_delta_program.py", path, "state") == before


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_channels_of_changes_and_graphs_within_go_back_and_on(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, settings: Any
):
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path = kept_in(tmp_path, request, is_server=database == "PostgreSQL")
    for _ in range(2):
        run("langgraph_delta_program.py", path, "run")
    mirrored(path)
    before = run("langgraph_delta_program.py", path, "state")
    for checkpoint_id, values in before["history"][::3]:
        done = restored(checkpoint_id)
        assert run("langgraph_delta_program.py", path, "state")["values"] == values
        restore.undo(done, by=SYSTEM)
        undone = run("langgraph_delta_program.py", path, "state")
        assert (undone["values"], undone["within"]) == (before["values"], before["within"])
    # Before the graph within ran for the second time.
    restored(before["history"][3][0])
    after = run("langgraph_delta_program.py", path, "run")
    assert after["values"]["log"] == before["history"][3][1]["log"] + [f"step {number}" for number in range(5)]
    assert after["within"]["seen"] == [5, 5]


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_what_is_sent_and_what_waits_for_several_runs_again_after_a_restore(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, settings: Any
):
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path = kept_in(tmp_path, request, is_server=database == "PostgreSQL")
    before = [run("langgraph_joins_program.py", path, "run", "joins")["history"] for _ in range(2)][-1]
    source = mirrored(path)
    for checkpoint_id, values, nodes in before[:7]:
        done = restored(checkpoint_id, thread="joins")
        now = run("langgraph_joins_program.py", path, "state", "joins")["history"][0]
        assert now[1:] == [values, nodes]
        assert json.loads(models.AgentState.objects.get(agent_id="agents/joins").state_data) == values
        restore.undo(done, by=SYSTEM)
    sent = next(step for step in before if step[2] == ["send"] * 3)
    restored(sent[0], thread="joins")
    assert run("langgraph_joins_program.py", path, "go-on", "joins")["history"][0][1] == before[0][1]
    sync(source)
    waiting = next(step for step in before if step[2] == ["join"])
    restored(waiting[0], thread="joins")
    assert run("langgraph_joins_program.py", path, "go-on", "joins")["history"][0][1] == before[0][1]


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_a_program_without_a_graph_goes_on_with_what_it_had_saved(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, settings: Any
):
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path = kept_in(tmp_path, request, is_server=database == "PostgreSQL")
    before = [run("langgraph_joins_program.py", path, "run", "functions")["history"] for _ in range(3)][-1]
    source = mirrored(path)
    agent = models.AgentState.objects.get(agent_id="agents/functions")
    assert json.loads(agent.state_data) == {"returned": 10, "saved": 30}
    first = [step for step in before if not step[2]][-1]
    restored(first[0], thread="functions")
    again = run("langgraph_joins_program.py", path, "run", "functions")["history"]
    assert again[0][1] == 10
    sync(source)
    agent.refresh_from_db()
    assert json.loads(agent.state_data) == {"returned": 10, "saved": 20}


def test_random_programs_are_what_langgraph_says_before_and_after_a_restore(tmp_path: Path, settings: Any):
    settings.STORE_IS_EMBEDDED, settings.VAR_DIR = True, tmp_path / "var"
    path, number = tmp_path / "agents.db", "150"
    before = run("langgraph_random_program.py", path, "run", number)
    mirrored(path)
    wanted = {}
    for thread, steps in before.items():
        for checkpoint_id, values, _ in steps:
            shown = history.state_at(f"agents/{thread}", history.moments.parse(moment(checkpoint_id, thread)))
            assert json.loads(shown.text) == {name: value for name, value in values.items() if value != []}
        checkpoint_id, *wanted[thread] = Random(thread).choice(steps)
        restored(checkpoint_id, thread)
    after = run("langgraph_random_program.py", path, "state", number)
    assert {thread: steps[0][1:] for thread, steps in after.items()} == wanted
    assert {thread: len(steps) for thread, steps in after.items()} == {
        thread: len(steps) + 1 for thread, steps in before.items()
    }
