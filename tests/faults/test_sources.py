"""Sources beside their frameworks: followed while they write, and mirrored whole after any kill."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.commands import manage
from tests.faults.scale import tell, times
from tests.faults.sites import ROOT
from tests.postgres import binaries
from tests.sources.conftest import FILES, server
from tests.waiting import wait_for

__all__ = ["server"]

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

# A live mirror is at most so far behind; the tests' machines may be slow and busy.
BEHIND_SECONDS = 10.0
COPY_THREAD = """
    INSERT INTO checkpoints SELECT ?, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
    FROM checkpoints WHERE thread_id = 'fork-thread'
"""
NEW_CHECKPOINT = """
    INSERT INTO checkpoints
    SELECT thread_id, checkpoint_ns, ? || substr(checkpoint_id, 9), checkpoint_id, type, checkpoint, metadata
    FROM checkpoints WHERE thread_id = 'fork-thread' ORDER BY checkpoint_id DESC LIMIT 1
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a dashboard with an embedded store of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in {"STORE_URL", "DATABASE_URL"}}
    return {**kept, "VAR_DIR": str(tmp_path / "var"), "STORE_URL": "", "DATABASE_URL": ""}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a copy of a file of LangGraph's."""
    return Path(shutil.copy(FILES / "langgraph" / "forks.sqlite", tmp_path / "agents.db"))


def rows(environment: dict[str, str], sql: str) -> list[tuple[object, ...]]:
    store = Path(environment["VAR_DIR"]) / "descartes.db"
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def test_what_a_framework_writes_is_mirrored_while_it_goes_on(environment: dict[str, str], path: Path):
    manage(environment, ("open", str(path), "--no-serve"))
    count = rows(environment, "SELECT count(*) FROM state_transitions")
    with subprocess.Popen(
        [sys.executable, "manage.py", "mirror", "--follow"], cwd=ROOT, env=environment, stdin=subprocess.PIPE
    ) as follower:
        with closing(sqlite3.connect(path, isolation_level=None)) as framework:
            # Until the first one is there, the follower starts.
            for number in range(3):
                framework.execute(NEW_CHECKPOINT, [f"1f2e{number:04x}"])
                began = time.monotonic()
                count = wait_for(
                    partial(_more_than, count, environment), "the new checkpoint",
                    is_alive=lambda: follower.poll() is None,
                )  # fmt: skip
                behind = time.monotonic() - began
            framework.execute("BEGIN IMMEDIATE")
            framework.execute("ROLLBACK")
        assert follower.stdin is not None
        follower.stdin.close()
        assert follower.wait(timeout=60) == 0
    assert [found.name for found in path.parent.glob("agents.db*")] == ["agents.db"], "something was left beside it"
    tell("following", seconds_behind=round(behind, 1), failures=behind > BEHIND_SECONDS, canary="none")
    assert behind < BEHIND_SECONDS


@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed")
def test_what_a_framework_writes_on_a_server_is_mirrored_while_it_goes_on(
    environment: dict[str, str], request: pytest.FixtureRequest
):
    database = request.getfixturevalue("server").made("langgraph/postgres.sql")
    manage(environment, ("open", database.url, "--no-serve"))
    count = rows(environment, "SELECT count(*) FROM state_transitions")
    delays, waits = [], []
    with subprocess.Popen(
        [sys.executable, "manage.py", "mirror", "--follow"], cwd=ROOT, env=environment, stdin=subprocess.PIPE
    ) as follower:
        with database.server.connected(database.name) as framework:
            # The framework's program waits for no lock, however often it writes.
            framework.execute("SET lock_timeout = '200ms'")
            for number in range(times(5, 50)):
                began = time.monotonic()
                framework.execute(NEXT_CHECKPOINT, [f"1f2e{number:04x}"])
                waits.append(time.monotonic() - began)
                count = wait_for(partial(_more_than, count, environment), "the new checkpoint")
                assert follower.poll() is None
                delays.append(time.monotonic() - began)
        assert follower.stdin is not None
        follower.stdin.close()
        assert follower.wait(timeout=60) == 0
    tell(
        "following a server", seconds_behind=round(max(delays[1:]), 1), longest_write=round(max(waits), 2),
        failures=max(delays[1:]) > BEHIND_SECONDS, canary="none",
    )  # fmt: skip
    # Until the first one is there, the follower starts.
    assert max(delays[1:]) < BEHIND_SECONDS


def _more_than(known: list[tuple[object, ...]], environment: dict[str, str]) -> list[tuple[object, ...]]:
    """Return the number of transitions if it has grown, else nothing."""
    count = rows(environment, "SELECT count(*) FROM state_transitions")
    return count if count > known else []


NEXT_CHECKPOINT = """
    INSERT INTO checkpoints
    SELECT thread_id, checkpoint_ns, overlay(checkpoint_id placing %s from 1 for 8), checkpoint_id, type, checkpoint,
    metadata FROM checkpoints ORDER BY checkpoint_id DESC LIMIT 1
"""


def test_a_killed_mirror_is_whole_after_the_next_run(environment: dict[str, str], path: Path):
    with closing(sqlite3.connect(path)) as framework:
        for number in range(200):
            framework.execute(COPY_THREAD, [f"thread-{number:03d}"])
        framework.commit()
    manage(environment, ("open", str(FILES / "langgraph" / "small.sqlite"), "--no-serve"))
    wanted = expected(path)
    kills, in_the_middle = times(3, 50), 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "manage.py", "open", str(path), "--no-serve"], cwd=ROOT, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            wait_for(lambda: mirrored(environment) > 0 or process.poll() is not None, "the first rows")
            # Nothing is awaited: any moment is as good as another.
            threading.Event().wait(random.uniform(0, 0.5))
            process.kill()
        in_the_middle += 0 < mirrored(environment) < wanted
    manage(environment, ("open", str(path), "--no-serve"))
    found = mirrored(environment)
    distinct = rows(
        environment, "SELECT count(DISTINCT agent_id || id) FROM state_transitions WHERE agent_id LIKE 'agents/%'"
    )
    tell("killed mirrors", kills=kills, in_the_middle=in_the_middle, failures=found != wanted, canary="none")
    assert found == wanted
    assert distinct == [(wanted,)]


def mirrored(environment: dict[str, str]) -> int:
    ((count,),) = rows(environment, "SELECT count(*) FROM state_transitions WHERE agent_id LIKE 'agents/%'")
    return int(str(count))


def expected(path: Path) -> int:
    """Return how many transitions there are to be: one for each checkpoint, and four steps back in each thread."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        ((checkpoints, threads),) = connection.execute("SELECT count(*), count(DISTINCT thread_id) FROM checkpoints")
        return int(checkpoints) + 4 * int(threads)


# Writers

IN_FILES = {
    "langgraph": "langgraph/small.sqlite",
    "openai-agents": "openai_agents/small.sqlite",
    "openai-agents-branches": "openai_agents/advanced_branches.sqlite",
    "google-adk": "google_adk/sqlite_service.sqlite",
    "crewai-flow": "crewai/flow_states.db",
    "crewai-checkpoints": "crewai/checkpoints.db",
    "agno": "agno/small.sqlite",
}
ON_SERVERS = {
    "langgraph": "langgraph/postgres.sql",
    "openai-agents": "openai_agents/postgres.sql",
    "google-adk": "google_adk/postgres.sql",
    "agno": "agno/postgres.sql",
}


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables of a dashboard that mirrors a file of each framework, named by its key."""
    folder = tmp_path_factory.mktemp("victims")
    kept = {name: value for name, value in os.environ.items() if name not in {"STORE_URL", "DATABASE_URL"}}
    environment = {**kept, "VAR_DIR": str(folder / "var"), "STORE_URL": "", "DATABASE_URL": ""}
    (folder / "files").mkdir()
    copies = [
        shutil.copy(FILES / name, folder / "files" / f"{key}{Path(name).suffix}") for key, name in IN_FILES.items()
    ]
    manage(environment, ("open", *map(str, copies), "--no-serve"))
    return environment


@pytest.mark.parametrize("key", IN_FILES)
def test_a_writer_that_is_killed_leaves_a_file_whole(victims: dict[str, str], key: str):
    expect_whole(victims, key)


@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed")
@pytest.mark.parametrize("key", ON_SERVERS)
def test_a_writer_that_is_killed_leaves_a_database_whole(
    victims: dict[str, str], key: str, request: pytest.FixtureRequest
):
    database = request.getfixturevalue("server").made(ON_SERVERS[key])
    manage(victims, ("open", database.url, "--name", f"{key}-server", "--no-serve"))
    expect_whole(victims, f"{key}-server")


# Of the longest session with branches no step can be put back.
@pytest.mark.parametrize("key", sorted(IN_FILES.keys() - {"openai-agents-branches"}))
def test_a_restore_that_dies_between_both_commits_is_recorded_by_the_next_look(
    environment: dict[str, str], tmp_path: Path, key: str
):
    recorded, was, now = between_commits(environment, key, tmp_path)
    assert recorded == 1
    assert now == was, "it is undone in the framework's store, too"


def test_without_a_note_a_restore_that_dies_there_is_not_recorded(environment: dict[str, str], tmp_path: Path):
    """The canary: the test above fails once what is intended is not noted."""
    recorded, was, now = between_commits(environment, "openai-agents", tmp_path, "broken")
    assert recorded == 0
    assert now != was


def between_commits(environment: dict[str, str], key: str, folder: Path, *broken: str) -> tuple[int, object, object]:
    """Kill a restore between both commits; return how many are recorded, the state before, and that after the undo."""
    path = shutil.copy(FILES / IN_FILES[key], folder / f"{key}{Path(IN_FILES[key]).suffix}")
    manage(environment, ("open", str(path), "--no-serve"))
    states = "SELECT state_data FROM agent_states"
    ((agent_id, was),) = rows(
        environment,
        "SELECT agent_id, state_data FROM agent_states AS a ORDER BY"
        " (SELECT count(*) FROM state_transitions AS r WHERE r.agent_id = a.agent_id) DESC, agent_id LIMIT 1",
    )
    died = run_between_commits(environment, "die", str(agent_id), *broken)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert rows(environment, f"{states} WHERE agent_id = '{agent_id}'") == [(was,)], "ours was taken back"
    manage(environment, ("mirror",))
    assert rows(environment, f"{states} WHERE agent_id = '{agent_id}'") != [(was,)], "the source has it"
    ((recorded,),) = rows(environment, "SELECT count(*) FROM dash_restore")
    undone = run_between_commits(environment, "undo", str(agent_id))
    assert undone.returncode == 0, undone.stderr
    return int(str(recorded)), json.loads(str(was)), json.loads(undone.stdout)


def run_between_commits(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.between_commits", *words], cwd=ROOT,
        env={**environment, "DJANGO_SETTINGS_MODULE": "descartes_site.settings"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def expect_whole(environment: dict[str, str], source: str) -> None:
    """Kill processes that restore the agent of a source with most steps, and expect both stores whole after each."""
    ((agent_id,),) = rows(
        environment,
        "SELECT agent_id FROM dash_source_thread AS t JOIN dash_source AS s ON s.id = t.source_id"
        f" WHERE s.name = '{source}' ORDER BY"
        " (SELECT count(*) FROM state_transitions AS r WHERE r.agent_id = t.agent_id) DESC LIMIT 1",
    )
    kills = times(2, 50)
    words = ["-m", "tests.faults.source_victim", str(agent_id), str(kills), str(random.randrange(2**32))]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env={**environment, "DJANGO_SETTINGS_MODULE": "descartes_site.settings"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    faults = [fault for one in found for fault in one["faults"]]
    tell(
        f"killed writers of {source}", kills=len(found), in_the_middle=sum(one["in_the_middle"] for one in found),
        acknowledged=sum(one["acknowledged"] for one in found), failures=len(faults), canary="none",
    )  # fmt: skip
    assert len(found) == kills
    assert not faults, faults[:3]
