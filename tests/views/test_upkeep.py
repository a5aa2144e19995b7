"""The page of upkeep tells how the store is kept, writes nothing, and asks a constant number of queries."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from statestore import models, retention
from statestore.access import audit
from statestore.access.audit import SYSTEM, Actor
from statestore.db.routers import store_alias
from statestore.errors import DatabaseError
from statestore.models import HousekeepingRun
from statestore.models.audit import Action
from statestore.operations import housekeeping, upkeep
from tests.access.test_audit_chain import behind_its_back
from tests.api.conftest import Script, script_of
from tests.builders import NOW, make_agent, make_backup
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

HOUR = 3600


@pytest.fixture(autouse=True)
def directory(tmp_path: Path) -> Iterator[Path]:
    with override_settings(BACKUP_DIR=tmp_path / "backups", BACKUP_EVERY_HOURS=24, ARCHIVE_AFTER_HOURS=720):
        yield tmp_path / "backups"


@pytest.fixture
def administrator(people: dict[str, User]) -> Client:
    return signed_in(people["administrator"])


@pytest.fixture
def script(people: dict[str, User]) -> Script:
    return script_of(people["administrator"])


def text_of(client: Client, address: str = "/upkeep/") -> str:
    """Return the words of a page."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.content[:500]
    return words(answer.content.decode())


def words(html: str) -> str:
    main = html[html.index("<main") : html.index("</main>")]
    return unescape(" ".join(re.sub("<[^>]+>", " ", main).split()))


def run(work: str, **columns: Any) -> HousekeepingRun:
    now = models.now()
    return HousekeepingRun.objects.create(work=work, **{"started_at": now, "ended_at": now, **columns})


def make_entries(count: int) -> None:
    agent = make_agent()
    for _ in range(count):
        audit.record(Action.STATUS, agent, by=SYSTEM, using=store_alias())


def test_an_empty_store_says_what_will_be_there(viewer: Client):
    text = text_of(viewer)
    headings = ["Housekeeping", "Backups", "Archive", "Chain of the audit log"]
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    for words_of in ("Nothing was done yet", "There is no verified backup", "Nothing is archived", "Not verified yet"):
        assert words_of in text


def test_what_housekeeping_did_is_told_newest_first_with_its_problem(viewer: Client):
    run("policies", about="snapshots of all namespaces", rows=12_000, bytes=5 * 1024 * 1024)
    run("backup", problem="The disk <b>is full</b>.")
    run("clock", about="ada")
    text = text_of(viewer)
    assert text.index("The disk <b>is full</b>.") < text.index("snapshots of all namespaces 12,000 5.0 MB")
    assert "ada" not in text, "a note of the time is no work"


@pytest.mark.one_store
def test_backups_are_shown_with_what_was_found_and_a_command_to_copy(viewer: Client, directory: Path, on_sqlite: bool):
    good = make_backup(directory, models.now() - HOUR)
    good.note_drilled(["The table events is missing.", "And another."])
    make_backup(directory, models.now() - 2 * HOUR, problems=["store.db is damaged."])
    html = viewer.get("/upkeep/").content.decode()
    text = words(html)
    assert text.index(good.name) < text.index("store.db is damaged.")
    assert "The table events is missing. And 1 more." in text
    assert "store (4.0 KB)" in text
    assert "no verified backup" not in text
    assert 'data-copy="&quot;.venv/bin/python manage.py backup&quot;"' in html
    newest = good.path
    for how, is_shown in (("--agent ID", True), ("--replace", on_sqlite)):
        command = f".venv/bin/python manage.py restore-backup {newest} {how}"
        assert (f'data-copy="&quot;{command}&quot;"' in html) == is_shown


@pytest.mark.one_store
@pytest.mark.parametrize(("age", "warns"), [(47, False), (49, True)])
def test_a_backup_older_than_twice_the_time_is_warned_of(viewer: Client, directory: Path, age: int, warns: bool):
    make_backup(directory, models.now() - age * HOUR)
    assert ("but one is due every 24 hours" in text_of(viewer)) is warns


def test_a_directory_of_backups_that_cannot_be_read_is_told(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path) -> list[Any]:
        raise DatabaseError("The directory cannot be read: Permission denied.")

    monkeypatch.setattr(upkeep.backups, "newest_first", refuse)
    assert "The directory cannot be read: Permission denied." in text_of(viewer)


def test_a_doubt_about_the_clock_is_a_warning_with_the_command(viewer: Client):
    run("clock", ended_at=models.now() - 100 * 24 * HOUR)
    html = viewer.get("/upkeep/").content.decode()
    assert "The clock stands 100 days after" in words(html)
    assert 'data-copy="&quot;.venv/bin/python manage.py housekeeping --once --confirm-clock&quot;"' in html


def test_the_archive_tells_its_size_and_ratio(viewer: Client):
    models.ArchiveFrame.objects.create(
        agent_id="a1", at=NOW, states=3, unpacked_bytes=64 * 1024, data=b"x" * 1024, sha256="0" * 64
    )
    models.ArchivedSnapshot.objects.create(id="s1", agent_id="a1", state_data="", created_at=NOW, place=1)
    text = text_of(viewer)
    assert "Archive Records older than 30 d" in text
    assert "1 record states of 64.0 KB in frames of 1.0 KB 64 times smaller" in text


def test_what_is_held_is_listed_with_who_held_it_and_why(viewer: Client):
    make_agent("planner")
    assert "Held" not in text_of(viewer)
    retention.hold(store_alias(), "agent", "planner", reason="case 7", by=Actor("ada"))
    retention.hold(store_alias(), "restore", "<script>", by=Actor("ada"))
    page = viewer.get("/upkeep/").content.decode()
    assert '<a href="/agents/planner/">planner</a>' in page
    assert "<script>" not in page[page.index("holds-title") :].partition("</section>")[0]
    assert re.search(r"agent planner .* ada case 7", words(page))


def test_a_verification_says_that_all_is_well(administrator: Client):
    make_entries(3)
    answer = administrator.post("/upkeep/verify/", follow=True)
    assert "Verified 3 entries of the audit log: none was changed, removed or moved." in answer.content.decode()
    assert "3 entries, none changed, removed or moved." in words(answer.content.decode())


def test_a_verification_names_each_fault(administrator: Client):
    make_entries(3)
    with behind_its_back() as execute:
        execute("UPDATE dash_audit SET actor = 'eve' WHERE id = (SELECT MAX(id) FROM dash_audit)")
    answer = administrator.post("/upkeep/verify/")
    assert answer.status_code == 200
    text = words(answer.content.decode())
    assert "1 fault in 3 entries." in text
    assert re.search(r"Audit entry \d+ \(eve status agent .*\) was changed, inserted or moved", text)
    assert "was changed, inserted or moved" in text_of(administrator), "and it is told until the next verification"


def test_a_verification_that_would_take_too_long_is_stopped_and_says_what_to_run(
    administrator: Client, script: Script, monkeypatch: pytest.MonkeyPatch
):
    make_entries(3)
    monkeypatch.setattr(housekeeping, "VERIFY_SECONDS", -1.0)
    answer = administrator.post("/upkeep/verify/", follow=True)
    assert "the rest was not reached in" in answer.content.decode()
    assert "manage.py verify" in answer.content.decode()
    stopped = script.post("/audit/verify").json()
    assert (stopped["is_complete"], stopped["is_good"], stopped["entries"]) == (False, True, 0)
    assert not HousekeepingRun.objects.of(housekeeping.CHAIN.name).exists(), "what was not walked is not noted as good"


def test_the_place_of_copies_is_told(viewer: Client, settings: Any):
    settings.BACKUP_COPY_TO, settings.BACKUP_EVERY_HOURS = "s3://fleet/backups", 24
    assert "One every 24 hours, each copied to s3://fleet/backups" in words(viewer.get("/upkeep/").content.decode())


def test_only_who_may_manage_retention_is_offered_a_verification(administrator: Client, operator: Client):
    assert "Verify now" in text_of(administrator)
    assert "Verify now" not in text_of(operator)


def test_the_page_writes_nothing(administrator: Client, directory: Path):
    make_backup(directory, problems=None)
    make_entries(2)
    queries: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        queries.append(sql)
        return execute(sql, *arguments)

    before = sorted(path.name for path in directory.rglob("*"))
    with connections[store_alias()].execute_wrapper(note):
        assert administrator.get("/upkeep/").status_code == 200
    assert queries
    assert all(sql.lstrip().startswith("SELECT") for sql in queries), queries
    assert sorted(path.name for path in directory.rglob("*")) == before


def test_the_number_of_queries_does_not_grow(viewer: Client, directory: Path):
    def asked() -> int:
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            assert viewer.get("/upkeep/").status_code == 200
        return len(queries)

    run("clock")
    asked()
    first = asked()
    for number in range(60):
        run("policies", rows=number, about=f"policy {number}")
        make_backup(directory, NOW + number)
    make_entries(5)
    assert asked() == first
    assert text_of(viewer).count("policy ") == 20, "the newest twenty"


def test_scripts_read_what_housekeeping_did_page_by_page(script: Script):
    for number in range(5):
        run("backup", about=f"backup {number}")
    run("clock")
    first = script.get("/upkeep/runs?limit=3").json()
    assert [row["about"] for row in first["items"]] == ["backup 4", "backup 3", "backup 2"]
    assert first["items"][0]["work"] == "backup"
    assert first["items"][0]["problem"] is None
    rest = script.get(f"/upkeep/runs?cursor={first['next']}").json()
    assert [row["about"] for row in rest["items"]] == ["backup 1", "backup 0"]


@pytest.mark.one_store
def test_scripts_read_backups_without_paths_of_the_machine(script: Script, directory: Path):
    make_backup(directory, NOW)
    make_backup(directory, NOW - HOUR, problems=["store.db is damaged."])
    answer = script.get("/backups")
    good, bad = answer.json()["items"]
    assert (good["is_good"], good["made_at_seconds"], good["fault"], good["drilled"]) == (True, NOW, None, None)
    assert [file["database"] for file in good["files"]] == ["store"]
    assert bad["verified"]["problems"] == ["store.db is damaged."]
    assert "/data/" not in answer.content.decode()


def test_scripts_verify_the_audit_log_and_it_is_noted(script: Script):
    make_entries(2)
    good = script.post("/audit/verify").json()
    assert good["is_good"]
    assert good["faults"] == []
    assert good["entries"] >= 2
    with behind_its_back() as execute:
        execute("UPDATE dash_audit SET actor = 'eve' WHERE id = (SELECT MAX(id) FROM dash_audit)")
    bad = script.post("/audit/verify").json()
    assert (bad["is_good"], bad["fault_count"]) == (False, len(bad["faults"]))
    assert "was changed" in bad["faults"][0]["text"]
    assert HousekeepingRun.objects.of(housekeeping.CHAIN.name).count() == 2
