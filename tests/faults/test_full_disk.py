"""On a full disk everything can be read, a restore says so and leaves nothing half, and works again with room."""

import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.faults.scale import LONG, tell
from tests.faults.server import Answer, Server, Visitor, restore_id, serving
from tests.faults.sites import JOURNAL_MODES, LONG_AGO, NAME, PASSWORD, QUIET, Site, SiteMaker
from tests.faults.wholeness import damage, unsound
from tests.foreign.orchestrator import Orchestrator
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

PAGES = (
    "/", "/agents/", "/agents/quiet-0/", "/agents/planner/", "/snapshots/", "/restores/", "/events/", "/audit/",
    "/trash/", "/admin/statestore/task/",
)  # fmt: skip
MEGABYTE = 1024 * 1024
ROOM = 256 * 1024


@dataclass
class MountedDisk:
    """A disk of 3 MB in memory, filled by a file of ballast."""

    directory: Path

    def fill(self, site: Site, server: Server, room: int) -> None:
        """Leave no more than so much room."""
        free = os.statvfs(self.directory)
        with (self.directory / "ballast").open("ab") as ballast:
            ballast.write(b"x" * max(0, free.f_bavail * free.f_bsize - room))

    def empty(self) -> None:
        (self.directory / "ballast").unlink()


@dataclass
class LimitedFiles:
    """A disk that is full for one server only: its files may not grow. Needs no permission to mount anything."""

    directory: Path
    processes: list[int] = field(default_factory=list)

    def fill(self, site: Site, server: Server, room: int) -> None:
        """Let the store grow by no more than so much."""
        self.processes = [server.process.pid, *_children(server.process.pid)]
        self._limit(site.store.stat().st_size + room)

    def empty(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for process in self.processes:
            resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return found + [grandchild for child in found for grandchild in _children(child)]


@contextmanager
def small_disk(kind: str, directory: Path, *, megabytes: int = 3) -> Iterator[MountedDisk | LimitedFiles]:
    """Yield a disk that can be filled; where none can be mounted, limited files stand in for it."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "statestore-test", str(directory)]
    if kind == "limited" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield LimitedFiles(directory)
        return
    try:
        yield MountedDisk(directory)
    finally:
        # The processes beside the server end a moment after it.
        leave = ["umount", str(directory)]
        wait_for(lambda: subprocess.run(leave, capture_output=True, check=False).returncode == 0, "the disk is left")


def large_snapshot(site: Site) -> str:
    """Return a snapshot that does not fit into the room that is left."""
    with Orchestrator(site.store) as orchestrator:
        return orchestrator.create_snapshot(QUIET[0], f'{{"notes": "{"n" * MEGABYTE}"}}', at=LONG_AGO)


def await_index(site: Site) -> None:
    """Wait until the search index has all events: it lies on the same disk, and takes room and gives it back."""
    ((count,),) = site.rows("SELECT count(*) FROM events")
    index = site.environment["SEARCH_INDEX"]

    def is_built() -> bool:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as found:
            return bool(found.execute("SELECT count(*) FROM doc").fetchone() == (count,))
        return False

    wait_for(is_built, "the search index")


def unread(visitor: Visitor) -> list[str]:
    return [str(answer) for answer in map(visitor.get, PAGES) if answer.status != 200]


def is_refused(answer: Answer) -> bool:
    """Return whether an answer says that the disk is full, and that nothing was changed."""
    return answer.status in {503, 507} and "disk" in answer.text and "Nothing was changed" in answer.text


@pytest.mark.parametrize("journal_mode", JOURNAL_MODES)
@pytest.mark.parametrize("kind", ["mounted", "limited"] if LONG else ["mounted"])
def test_a_full_disk_refuses_restores_whole_and_shows_every_page(
    make_site: SiteMaker, journal_mode: str, kind: str, tmp_path: Path
):
    wrong: list[str] = []
    with small_disk(kind, tmp_path / "disk") as disk:
        site = make_site(journal_mode, disk.directory)
        large, small = large_snapshot(site), site.snapshots(QUIET[0])[0]
        initial = {agent_id: site.state(agent_id) for agent_id in QUIET}
        with serving(site) as server, Visitor(server.port) as visitor:
            wrong += unread(visitor.sign_in())
            await_index(site)
            for room, snapshot_id in ((ROOM, large), (0, small)):
                disk.fill(site, server, room)
                answer = visitor.restore(QUIET[0], snapshot_id)
                # A write-ahead log keeps the room that a refused restore had taken: the small one may fit in.
                fits = journal_mode == "wal" and snapshot_id == small and restore_id(answer)
                wrong += [] if fits or is_refused(answer) else [f"with {room} bytes of room: {answer}"]
                wrong += unread(visitor)
            wrong += damage(site.rows, initial=initial)
            disk.empty()
            done = visitor.restore(QUIET[0], small)
            wrong += [] if restore_id(done) else [f"with room again: {done}"]
            wrong += unread(visitor)
        wrong += damage(site.rows, initial=initial) + unsound(site.rows)
    caught = canary(make_site, journal_mode, kind, tmp_path)
    tell(
        f"full disk ({kind}, {journal_mode})",
        pages=4 * len(PAGES),
        failures=len(wrong),
        canary=f"{len(caught)} torn, flagged",
    )
    assert not wrong, wrong[:5]
    assert caught


def canary(make_site: SiteMaker, journal_mode: str, kind: str, tmp_path: Path) -> list[str]:
    """Return the damage that a server does whose restores are no transactions."""
    with small_disk(kind, tmp_path / "canary") as disk:
        site = replace(make_site(journal_mode, disk.directory), settings="tests.faults.broken_settings")
        large = large_snapshot(site)
        initial = {agent_id: site.state(agent_id) for agent_id in QUIET}
        with serving(site) as server, Visitor(server.port) as visitor:
            visitor.sign_in().get("/")
            await_index(site)
            disk.fill(site, server, ROOM)
            visitor.restore(QUIET[0], large)
            disk.empty()
        return damage(site.rows, initial=initial)


def own_disk_full(answer: Answer) -> bool:
    """Return whether an answer says which disk is full, and what holds."""
    return answer.status == 503 and "own database is full" in answer.text and "Nothing was changed" in answer.text


def test_a_full_disk_of_our_own_database_is_named_and_the_store_works_on(make_site: SiteMaker, tmp_path: Path):
    wrong: list[str] = []
    with small_disk("mounted", tmp_path / "own") as disk:
        site = make_site("wal", tmp_path / "store")
        site = replace(site, dashboard=Path(shutil.move(site.dashboard, disk.directory / "dashboard.db")))
        with serving(site) as server, Visitor(server.port) as visitor, Visitor(server.port) as stranger:
            wrong += unread(visitor.sign_in())
            disk.fill(replace(site, store=site.dashboard), server, 0)
            # What room the file has left may take some logins.
            refused = next((answer for answer in map(login, [stranger] * 20) if answer.status != 302), None)
            wrong += [] if refused and own_disk_full(refused) else [f"a login on a full disk: {refused}"]
            wrong += unread(visitor)
            done = visitor.restore(QUIET[0], site.snapshots(QUIET[0])[0])
            wrong += [] if restore_id(done) else [f"the store has room, but: {done}"]
            out = visitor.post("/logout/")
            wrong += [] if out.status == 302 or own_disk_full(out) else [str(out)]
            disk.empty()
            wrong += unread(stranger.sign_in())
    tell("full disk of our own", pages=3 * len(PAGES), failures=len(wrong), canary="none")
    assert not wrong, wrong[:5]


def login(visitor: Visitor) -> Answer:
    visitor.get("/login/")
    return visitor.post("/login/", username=NAME, password=PASSWORD)
