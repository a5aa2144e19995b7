"""Killed at random moments of its restores, the dashboard has lost none that it acknowledged, and torn none."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.faults.scale import tell, times
from tests.faults.server import CONNECTION_LOST, Visitor, hidden, restore_id, serving
from tests.faults.sites import JOURNAL_MODES, QUIET, ROOT, Site, SiteMaker
from tests.faults.wholeness import damage, lost, unsound

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

CHECKED_EVERY = 10
CANARY_KILLS = 25
# A server is killed within so many restores after its first.
RESTORES = 3
# A server that was killed may start as slowly as the machine is; what it left must not make the next one wait.
SLOWER_AT_MOST = 3


def kill_victims(site: Site, kills: int, variant: str) -> tuple[list[str], list[str], int]:
    """Return the restores acknowledged by so many killed processes, what is wrong, and how many died in the middle."""
    initial = {agent_id: site.state(agent_id) for agent_id in QUIET}
    acknowledged: list[str] = []
    wrong: list[str] = []
    in_the_middle = 0
    command = [sys.executable, "-m", "tests.faults.victim", str(kills), variant, str(random.randrange(10**9))]
    with subprocess.Popen(
        command, cwd=ROOT, env=site.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, line in enumerate(process.stdout, start=1):
            said = json.loads(line)
            acknowledged += said["acknowledged"]
            wrong += said["errors"]
            in_the_middle += said["in_the_middle"]
            # Nine of ten crashes are cleaned up by the next process of the dashboard, the tenth by another program.
            if number % CHECKED_EVERY == 0 or number == kills:
                wrong += unsound(site.rows) + damage(site.rows, initial=initial) + lost(site.rows, acknowledged)
            if wrong:
                break
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdin.close()
    assert wrong or number == kills
    return acknowledged, wrong, in_the_middle


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_a_killed_process_leaves_no_restore_torn_and_none_lost(make_site: SiteMaker, journal_mode: str):
    kills = times(20, 950)
    site = make_site(journal_mode)
    acknowledged, wrong, in_the_middle = kill_victims(site, kills, "whole")
    _, caught, _ = kill_victims(make_site(journal_mode, site.store.parent / "canary"), CANARY_KILLS, "piecemeal")
    tell(
        f"killed process ({journal_mode})", kills=kills, in_the_middle_of_a_restore=in_the_middle,
        acknowledged=len(acknowledged), failures=len(wrong), canary=f"{len(caught)} kinds of damage flagged",
    )  # fmt: skip
    assert not wrong, wrong[:5]
    assert in_the_middle > kills / 4, "hardly any kill met a restore"
    assert caught


def kill_servers(site: Site, kills: int) -> Iterator[tuple[float, list[str], list[str]]]:
    """Yield for each killed server the seconds that it took to start, what it acknowledged, and what is wrong now."""
    initial = {agent_id: site.state(agent_id) for agent_id in QUIET}
    cookies: dict[str, str] = {}
    for _ in range(kills):
        with serving(site) as server:
            visitor = Visitor(server.port, cookies)
            if not cookies:
                visitor.sign_in()
            acknowledged: list[str] = []
            wrong: list[str] = []
            restore_seconds = restore_once(site, visitor, acknowledged)
            posting = threading.Event()
            using = threading.Thread(target=restore_until_lost, args=(site, visitor, posting, acknowledged, wrong))
            using.start()
            posting.wait()
            # Nothing is awaited here: any moment within the next restores is as good as another.
            threading.Event().wait(random.uniform(0, RESTORES * restore_seconds))
            server.kill()
            using.join()
            cookies = visitor.cookies
        wrong += unsound(site.rows) + damage(site.rows, initial=initial) + lost(site.rows, acknowledged)
        yield server.started_seconds, acknowledged, wrong


def restore_once(site: Site, visitor: Visitor, acknowledged: list[str]) -> float:
    """Restore by preview and click, note that it was acknowledged, and return how long the click took."""
    agent_id = random.choice(QUIET)
    done = visitor.restore(agent_id, random.choice(site.snapshots(agent_id)))
    acknowledged.append(str(restore_id(done)))
    return done.seconds


def restore_until_lost(
    site: Site, visitor: Visitor, posting: threading.Event, acknowledged: list[str], wrong: list[str]
) -> None:
    """Restore by preview and click until the connection breaks, noting what was acknowledged."""
    snapshots = {agent_id: site.snapshots(agent_id) for agent_id in QUIET}
    try:
        while True:
            agent_id = random.choice(QUIET)
            snapshot_id = random.choice(snapshots[agent_id])
            etag = hidden(visitor.preview(agent_id, snapshot_id), "etag")
            posting.set()
            answer = visitor.restore_seen(agent_id, snapshot_id, etag)
            done = restore_id(answer)
            if done is None:
                wrong.append(str(answer))
                return
            acknowledged.append(done)
    except CONNECTION_LOST:
        return
    finally:
        posting.set()
        visitor.connection.close()


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
def test_a_killed_server_leaves_no_restore_torn_and_none_lost(make_site: SiteMaker, journal_mode: str):
    kills = times(3, 60)
    site = make_site(journal_mode)
    starts, acknowledged, wrong = list[float](), 0, list[str]()
    for started_seconds, told, found in kill_servers(site, kills):
        starts.append(started_seconds)
        acknowledged, wrong = acknowledged + len(told), wrong + found
    broken = replace(make_site(journal_mode, site.store.parent / "canary"), settings="tests.faults.broken_settings")
    caught = (number for number, (_, _, found) in enumerate(kill_servers(broken, CANARY_KILLS), start=1) if found)
    needed = next(caught, None)
    tell(
        f"killed server ({journal_mode})", kills=kills, acknowledged=acknowledged, first_start=f"{starts[0]:.1f} s",
        later_starts=f"{min(starts[1:]):.1f}-{max(starts[1:]):.1f} s",
        failures=len(wrong), canary=f"flagged after {needed} kills",
    )  # fmt: skip
    assert not wrong, wrong[:5]
    assert acknowledged
    assert min(starts[1:]) <= SLOWER_AT_MOST * starts[0], starts
    assert needed


def test_a_restore_is_undone_after_the_server_was_killed(make_site: SiteMaker):
    """The safety snapshot is in the store: what a restore replaced does not depend on the process that replaced it."""
    site = make_site("wal")
    agent_id = QUIET[0]
    before = site.state(agent_id)
    cookies: dict[str, str] = {}
    with serving(site) as server, Visitor(server.port, cookies) as visitor:
        done = restore_id(visitor.sign_in().restore(agent_id, site.snapshots(agent_id)[0]))
        server.kill()
    assert done
    assert site.state(agent_id) != before
    with serving(site) as server, Visitor(server.port, cookies) as visitor:
        undone = visitor.post(f"/restores/{done}/undo/", etag=hidden(visitor.get(f"/restores/{done}/"), "etag"))
    assert undone.status == 302, undone
    assert site.state(agent_id) == before
    assert not unsound(site.rows)
