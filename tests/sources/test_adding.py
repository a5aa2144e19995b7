"""Sources that administrators add on the page and by the API: from allowed directories, and by upload."""

import errno
import json
import os
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from statestore import models
from statestore.access.audit import Actor
from statestore.agents import service
from statestore.db.routers import store_alias
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.models.sources import Source, SourceThread
from statestore.restore import in_place
from statestore.sources import adding, allowed, files, mirror, quarantine, servers
from tests.api.conftest import Script, script_of
from tests.conftest import signed_in
from tests.sources.conftest import FILES
from tests.sources.servers import Database, Server

pytestmark = pytest.mark.django_db

DEMO = Actor("demo")
SMALL = FILES / "langgraph" / "small.sqlite"
CODEX = FILES / "documents" / "codex.jsonl"


@pytest.fixture
def administrator(people: dict[str, User]) -> Client:
    return signed_in(people["administrator"])


@pytest.fixture(autouse=True)
def directory(settings: Any, tmp_path: Path) -> Path:
    """Return a directory from which files may be mirrored."""
    folder = tmp_path / "agents"
    folder.mkdir()
    settings.STORE_IS_EMBEDDED = True
    settings.VAR_DIR = tmp_path / "var"
    settings.SOURCE_DIRS = [str(folder)]
    settings.SOURCE_UPLOAD_MB = 1
    return folder


def kept() -> list[Path]:
    """Return the files that lie in the quarantine."""
    return [path for path in quarantine.directory().rglob("*") if path.is_file()]


def receive(content: bytes, name: str = "mine.db") -> Source:
    return quarantine.receive(BytesIO(content).read, name, using=store_alias(), by=DEMO)


# From directories


def test_the_files_that_a_reader_knows_are_listed_the_newest_first(administrator: Client, directory: Path):
    shutil.copy(SMALL, directory / "old.sqlite")
    (directory / "below").mkdir()
    shutil.copy(CODEX, directory / "below" / "new.jsonl")
    (directory / "notes.json").write_text('{"a": 1}')
    os.utime(directory / "old.sqlite", (1_700_000_000, 1_700_000_000))
    found = allowed.listing(store_alias()).files
    assert [(Path(file.path).name, file.formats, file.is_being_written) for file in found] == [
        ("new.jsonl", "Codex transcripts", True), ("old.sqlite", "LangGraph checkpoints", False),
    ]  # fmt: skip
    page = administrator.get("/sources/").content.decode()
    assert page.index("new.jsonl") < page.index("old.sqlite")
    assert "notes.json" not in page


def test_one_button_mirrors_a_file_and_its_source_is_followed(administrator: Client, directory: Path, tmp_path: Path):
    path = Path(shutil.copy(SMALL, directory / "it is 🚀 'here'.sqlite"))
    answer = administrator.post("/add-source/", {"path": json.dumps(str(path))}, follow=True)
    assert "Mirroring LangGraph checkpoints as the namespace" in answer.content.decode()
    source = Source.objects.get()
    assert source.path == str(path)
    assert (tmp_path / "var" / "sources.lock").exists(), "no server would follow it"
    entry = models.AuditEntry.objects.newest_first()[0]
    assert (entry.action, json.loads(entry.detail)["path"]) == ("mirror", str(path))
    assert not allowed.listing(store_alias()).files, "it is offered again"


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "{dir}/../secret.sqlite", "{dir}", "relative.sqlite", "", "{dir}/a\0b"]
)
def test_a_path_that_leads_out_of_the_directories_is_refused(
    administrator: Client, directory: Path, tmp_path: Path, text: str
):
    shutil.copy(SMALL, tmp_path / "secret.sqlite")
    answer = administrator.post("/add-source/", {"path": json.dumps(text.format(dir=directory))})
    assert answer.status_code == (403 if text else 422)
    assert not Source.objects.exists()


def test_a_link_that_leads_out_is_neither_listed_nor_mirrored(administrator: Client, directory: Path, tmp_path: Path):
    shutil.copy(SMALL, tmp_path / "secret.sqlite")
    link = directory / "link.sqlite"
    link.symlink_to(tmp_path / "secret.sqlite")
    assert not allowed.listing(store_alias()).files
    answer = administrator.post("/add-source/", {"path": str(link)})
    assert answer.status_code == 403
    assert "in none of the directories that SOURCE_DIRS names" in answer.content.decode()


def test_so_many_files_are_listed_and_the_rest_is_said(directory: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(allowed, "MOST_LISTED", 3)
    for number in range(5):
        shutil.copy(CODEX, directory / f"{number}.jsonl")
    listing = allowed.listing(store_alias())
    assert (len(listing.files), listing.is_partial) == (3, True)


def test_without_directories_none_is_offered_and_none_taken(administrator: Client, directory: Path, settings: Any):
    path = shutil.copy(SMALL, directory / "a.sqlite")
    settings.SOURCE_DIRS = []
    assert "Files that can be mirrored" not in administrator.get("/sources/").content.decode()
    assert administrator.post("/add-source/", {"path": str(path)}).status_code == 403


def test_nothing_is_mirrored_into_an_orchestrators_store(administrator: Client, directory: Path, settings: Any):
    path = shutil.copy(SMALL, directory / "a.sqlite")
    settings.STORE_IS_EMBEDDED = False
    assert administrator.post("/add-source/", {"path": str(path)}).status_code == 409
    with pytest.raises(Conflict, match="STORE_URL names a store of its own"):
        receive(SMALL.read_bytes())
    assert kept() == []


# Removed


def test_a_source_that_is_removed_leaves_its_agents_which_are_then_our_own(administrator: Client, directory: Path):
    path = Path(shutil.copy(SMALL, directory / "small.sqlite"))
    source = adding.add_source(path, using=store_alias())
    mirror.sync(source, using=store_alias())
    transitions = models.Transition.objects.count()
    answer = administrator.post(f"/sources/{source.pk}/remove/", follow=True)
    assert "The source is removed. Its 2 agents stay" in answer.content.decode()
    assert not Source.objects.exists()
    assert not SourceThread.objects.exists()
    assert models.Transition.objects.count() == transitions
    assert path.read_bytes() == SMALL.read_bytes()
    service.change_status(store_alias(), "small/thread-1", "paused", by=DEMO)
    entry = models.AuditEntry.objects.filter(action="unmirror").get()
    assert json.loads(entry.detail)["agents"] == 2


def test_a_file_that_is_mirrored_again_gets_agents_of_its_own(directory: Path):
    path = Path(shutil.copy(SMALL, directory / "small.sqlite"))
    for name in ("small", "small-2"):
        source = adding.add_source(path, using=store_alias())
        mirror.sync(source, using=store_alias())
        assert source.name == name
        assert models.Transition.objects.of_agent(f"{name}/thread-1").count() == 10
        adding.remove_source(source.pk, using=store_alias(), by=DEMO)


def test_a_source_that_was_removed_while_it_was_read_stays_removed(directory: Path):
    source = adding.add_source(Path(shutil.copy(SMALL, directory / "small.sqlite")), using=store_alias())
    Source.objects.all().delete()
    mirror.sync(source, using=store_alias())
    assert not Source.objects.exists()


def test_a_source_is_removed_once(administrator: Client):
    assert administrator.post("/sources/7/remove/").status_code == 404
    with pytest.raises(NotFound, match="removed already"):
        adding.remove_source(7, using=store_alias(), by=DEMO)


# Uploaded


def test_an_upload_is_mirrored_once_and_says_so(administrator: Client):
    file = SimpleUploadedFile("../../etc/my log.jsonl", CODEX.read_bytes())
    answer = administrator.post("/upload-source/", {"file": file}, follow=True)
    assert "Uploaded Codex transcripts as the namespace my-log" in answer.content.decode()
    source = Source.objects.get()
    (path,) = kept()
    assert source.path == str(path)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "log" not in str(path.relative_to(quarantine.directory())).replace("upload", ""), "the user's name is a path"
    assert mirror.sync(source, using=store_alias()).is_complete
    page = " ".join(administrator.get("/sources/").content.decode().split())
    assert "my log.jsonl" in page
    assert str(path) not in page
    assert "uploaded" in page
    assert "being written" not in page


def test_an_upload_is_not_restored_in_place_and_says_why():
    source = receive(SMALL.read_bytes(), "small.sqlite")
    mirror.sync(source, using=store_alias())
    agent = models.AgentState.objects.get(agent_id="small/thread-1")
    with pytest.raises(Conflict, match=r"“small.sqlite” was uploaded: what lies here is a copy, which no framework"):
        in_place.writer_of(agent, store_alias())


def test_removing_an_upload_deletes_its_copy():
    source = receive(CODEX.read_bytes(), "a.jsonl")
    adding.remove_source(source.pk, using=store_alias(), by=DEMO)
    assert list(quarantine.directory().iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.db", b"x" * (1024 * 1024 + 1), "larger than 1 MB"),
        ("a.db", b"SQLite format 3\0" + b"\xff" * 4096, "cannot be read"),
        ("a.json", b"[" * 5_000 + b"]" * 5_000, "nests deeper than 100 levels"),
        ("a.json", b'{"a": ', "cannot be read as JSON"),
        ("a.zip", b"PK\x03\x04zip", "a ZIP archive"),
        ("a.json", b'{"n": 1}', "is JSON of no format that is known here"),
        ("a.db", b"", "empty"),
    ],
)
def test_what_cannot_be_mirrored_is_refused_in_words_and_not_kept(
    administrator: Client, name: str, content: bytes, words: str
):
    answer = administrator.post("/upload-source/", {"file": SimpleUploadedFile(name, content)})
    # Django's client sends an empty file as one.
    assert answer.status_code in (413, 422)
    assert words in " ".join(answer.content.decode().split())
    assert list(quarantine.directory().iterdir()) == []
    assert not Source.objects.exists()


def test_a_full_disk_leaves_nothing_half_written(monkeypatch: pytest.MonkeyPatch):
    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(quarantine, "_write", lambda read, path: full(path))
    with pytest.raises(ValidationError, match=r"cannot be kept: No space left on device. Nothing was kept"):
        receive(SMALL.read_bytes())
    assert list(quarantine.directory().iterdir()) == []


def test_a_full_disk_while_the_form_is_read_is_said(administrator: Client, monkeypatch: pytest.MonkeyPatch):
    def full() -> BytesIO:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(quarantine, "nameless_file", full)
    answer = administrator.post("/upload-source/", {"file": SimpleUploadedFile("a.db", SMALL.read_bytes())})
    assert answer.status_code == 422
    assert "No space left on device" in answer.content.decode()


def test_a_form_without_a_file_asks_for_one(administrator: Client):
    answer = administrator.post("/upload-source/", {})
    assert answer.status_code == 422
    assert "Choose a file to upload" in answer.content.decode()


def test_who_may_not_import_sends_no_file(operator: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quarantine, "nameless_file", lambda: pytest.fail("the file was taken"))
    answer = operator.post("/upload-source/", {"file": SimpleUploadedFile("a.db", SMALL.read_bytes())})
    assert answer.status_code in (403, 413)


def test_a_file_without_the_forms_token_is_refused_and_gone(people: dict[str, Any]):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["administrator"], "django.contrib.auth.backends.ModelBackend")
    answer = client.post("/upload-source/", {"file": SimpleUploadedFile("a.db", SMALL.read_bytes())})
    assert answer.status_code == 403
    assert list(quarantine.directory().iterdir()) == []


def test_uploads_can_be_switched_off(administrator: Client, settings: Any):
    settings.SOURCE_UPLOAD_MB = 0
    assert "Upload a file" not in administrator.get("/sources/").content.decode()
    answer = administrator.post("/upload-source/", {"file": SimpleUploadedFile("a.db", SMALL.read_bytes())})
    assert answer.status_code == 422
    assert "switched off" in answer.content.decode()


def test_the_quarantine_never_deletes_what_lies_elsewhere(tmp_path: Path):
    other = tmp_path / "var" / "uploads-of-others" / "a" / "file"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    quarantine.discard(other)
    assert other.exists()


# By the JSON API


@pytest.fixture
def call(people: dict[str, User]) -> Script:
    """Return a script of an administrator, with every scope."""
    return script_of(people["administrator"])


def test_a_script_adds_lists_and_removes_sources(call: Script, directory: Path):
    path = shutil.copy(SMALL, directory / "a.sqlite")
    answer = call("POST", "/sources", {"path": str(path)})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["name"], made["path"], made["upload"]) == ("a", str(path), "")
    assert [item["id"] for item in call("GET", "/sources").json()["items"]] == [made["id"]]
    assert call("DELETE", f"/sources/{made['id']}").status_code == 204
    assert call("DELETE", f"/sources/{made['id']}").status_code == 404
    assert call("DELETE", "/sources/none").status_code == 404
    assert call("POST", "/sources", {"path": "/etc/passwd"}).status_code == 403


def test_a_script_uploads_a_file_once_for_each_key(call: Script):
    sent = {"content_type": "application/octet-stream", "idempotency_key": "one"}
    for _ in range(2):
        answer = call("POST", "/uploads?name=a.jsonl", CODEX.read_bytes(), **sent)
        assert answer.status_code == 201, answer.content
        assert answer.json()["upload"] == "a.jsonl"
    assert Source.objects.count() == 1
    assert len(kept()) == 1


def test_a_script_is_told_why_a_file_is_not_taken(call: Script):
    answer = call("POST", "/uploads?name=a.db", b"x" * (1024 * 1024 + 1), content_type="application/octet-stream")
    assert (answer.status_code, "larger than 1 MB" in answer.json()["detail"]) == (422, True)
    assert call("POST", "/uploads?name=a.db", {}, content_type="application/json").status_code == 415
    assert kept() == []


def test_a_pipe_in_a_directory_keeps_nobody_waiting(directory: Path):
    os.mkfifo(directory / "pipe.json")
    assert not allowed.listing(store_alias()).files
    assert not files.is_being_written(directory / "missing")


# Databases of servers


@pytest.fixture
def database(server: Server, settings: Any) -> Database:
    """Return a database of LangGraph's on a server that may be mirrored."""
    made = server.made("langgraph/postgres.sql")
    settings.SOURCE_SERVERS = [str(server.cluster.home)]
    return made


def test_a_database_of_an_allowed_server_is_mirrored_by_its_url(administrator: Client, database: Database):
    assert b"database-url" in administrator.get("/sources/").content
    answer = administrator.post("/add-source/", {"url_with_password": database.url}, follow=True)
    assert "Mirroring LangGraph checkpoints" in answer.content.decode()
    source = Source.objects.get()
    assert mirror.sync(source, using=store_alias()).is_complete, source.problem
    assert source.threads.exists()


def test_a_script_mirrors_a_database_of_an_allowed_server(call: Script, database: Database):
    answer = call.post("/sources", {"path": database.url})
    assert answer.status_code == 201, answer.content
    assert answer.json()["formats"] == "LangGraph checkpoints"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@elsewhere/agents",
        "postgresql://me:secret@db.example.com:6432/agents",
        "postgresql://me:secret@db.example.com,elsewhere/agents",
        "postgresql:///agents",
        "postgresql://me:secret@/agents?host=/var/run/postgresql",
    ],
)
def test_a_database_elsewhere_is_refused_and_not_connected_to(
    administrator: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, url: str
):
    settings.SOURCE_SERVERS = ["db.example.com"]
    monkeypatch.setattr(servers, "opened", None)
    answer = administrator.post("/add-source/", {"url_with_password": url})
    assert answer.status_code == 403
    assert "on none of the servers that SOURCE_SERVERS names. Nothing was read" in answer.content.decode()
    assert "secret" not in answer.content.decode()
    assert not Source.objects.exists()


@pytest.mark.parametrize("parameter", ["hostaddr=10.0.0.1", "service=o", "passfile=/etc/passwd", "sslkey=/root/key"])
def test_a_url_that_names_files_or_other_hosts_is_refused(administrator: Client, settings: Any, parameter: str):
    settings.SOURCE_SERVERS = ["db.example.com"]
    answer = administrator.post(
        "/add-source/", {"url_with_password": f"postgresql://me@db.example.com/agents?{parameter}"}
    )
    assert answer.status_code == 422
    assert f"has no {parameter.partition('=')[0]}" in answer.content.decode()


def test_a_url_of_something_else_is_refused_in_words(administrator: Client):
    answer = administrator.post("/add-source/", {"url_with_password": "file:///etc/passwd"})
    assert answer.status_code == 422
    assert "Write the URL of a database" in answer.content.decode()


def test_without_servers_no_database_is_offered_and_none_taken(administrator: Client):
    assert b"database-url" not in administrator.get("/sources/").content
    assert (
        administrator.post("/add-source/", {"url_with_password": "postgresql://me@localhost/agents"}).status_code == 403
    )
