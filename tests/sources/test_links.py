"""A file that was added, and leads elsewhere later: it is not followed, at no opening and in no part of its path."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from statestore import models
from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.models.sources import Source
from statestore.sources import adding, allowed, documents, files, mirror, quarantine, real_paths
from tests.conftest import signed_in
from tests.sources.conftest import FILES

pytestmark = pytest.mark.django_db

DEMO = Actor("demo")
SMALL, FORKS = FILES / "langgraph" / "small.sqlite", FILES / "langgraph" / "forks.sqlite"
CHECKPOINTS = FILES / "documents" / "agent_framework"


@pytest.fixture
def directory(settings: Any, tmp_path: Path) -> Path:
    """Return a directory from which files may be mirrored."""
    folder = tmp_path / "agents"
    (folder / "team").mkdir(parents=True)
    settings.STORE_IS_EMBEDDED = True
    settings.VAR_DIR = tmp_path / "var"
    settings.SOURCE_DIRS = [str(folder)]
    settings.SOURCE_UPLOAD_MB = 1
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a directory of another user, with a store in it that is not to be shown."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copy(FORKS, folder / "mine.sqlite")
    shutil.copy(FORKS, folder / "upload")
    shutil.copytree(CHECKPOINTS, folder / "checkpoints")
    return folder


def synced(source: Source) -> Source:
    source = Source.objects.using(store_alias()).get(pk=source.pk)
    mirror.sync(source, using=store_alias())
    return Source.objects.using(store_alias()).get(pk=source.pk)


def swap_file(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to(elsewhere / path.name)


def swap_folder(path: Path, elsewhere: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.symlink_to(elsewhere)


@pytest.mark.parametrize("swap", [swap_file, swap_folder])
def test_an_added_file_that_became_a_link_is_refused_on_its_row(
    people: dict[str, User], directory: Path, elsewhere: Path, swap: Callable[[Path, Path], None]
):
    path = Path(shutil.copy(SMALL, directory / "team" / "mine.sqlite"))
    source = synced(allowed.mirror(str(path), using=store_alias(), by=DEMO))
    before = set(models.AgentState.objects.values_list("agent_id", flat=True))
    swap(path, elsewhere)
    source = synced(source)
    assert "is a link now, which is not followed" in source.problem
    assert set(models.AgentState.objects.values_list("agent_id", flat=True)) == before
    page = signed_in(people["viewer"]).get("/sources/").content.decode()
    assert "is a link now, which is not followed" in page


@pytest.mark.parametrize("swap", [swap_file, swap_folder])
def test_a_folder_of_documents_that_became_a_link_is_refused(
    directory: Path, elsewhere: Path, swap: Callable[[Path, Path], None]
):
    path = directory / "team" / "checkpoints"
    path.mkdir()
    first = sorted(CHECKPOINTS.glob("*.json"))[0]
    shutil.copy(first, path)
    source = synced(adding.add_source(path, using=store_alias()))
    before = models.Transition.objects.count()
    shutil.rmtree(path)
    if swap is swap_folder:
        swap_folder(path, elsewhere)
    else:
        path.symlink_to(elsewhere / "checkpoints")
    source = synced(source)
    assert "is a link now, which is not followed" in source.problem
    assert models.Transition.objects.count() == before


def test_an_upload_that_became_a_link_is_refused(directory: Path, elsewhere: Path):
    source = quarantine.receive(BytesIO(SMALL.read_bytes()).read, "mine.db", using=store_alias(), by=DEMO)
    swap_file(Path(source.path), elsewhere)
    assert "is a link now, which is not followed" in synced(source).problem
    assert models.AgentState.objects.count() == 0


def test_a_file_that_was_put_back_is_read_again(directory: Path, elsewhere: Path):
    path = Path(shutil.copy(SMALL, directory / "team" / "mine.sqlite"))
    source = synced(allowed.mirror(str(path), using=store_alias(), by=DEMO))
    swap_file(path, elsewhere)
    assert synced(source).problem
    path.unlink()
    shutil.copy(SMALL, path)
    assert synced(source).problem == ""


def test_a_log_that_is_a_link_is_not_read(directory: Path, elsewhere: Path):
    """A crash left the log: to be read it is copied, and a link in its place would be copied too."""
    path = Path(shutil.copy(SMALL, directory / "team" / "mine.sqlite"))
    with closing(sqlite3.connect(path)) as framework:
        framework.execute("PRAGMA journal_mode = WAL")
    (elsewhere / "mine.sqlite-wal").write_bytes(b"secret")
    path.with_name("mine.sqlite-wal").symlink_to(elsewhere / "mine.sqlite-wal")
    with pytest.raises(ValidationError, match="is a link now"), files.opened(path):
        pytest.fail("the log was read")


def test_a_file_that_leads_elsewhere_is_not_written(directory: Path, elsewhere: Path):
    path = Path(shutil.copy(SMALL, directory / "team" / "mine.sqlite"))
    swap_file(path, elsewhere)
    with pytest.raises(ValidationError, match="is a link now"), files.writing(path):
        pytest.fail("it was opened for writing")


@pytest.mark.parametrize("opening", [files.opened, files.writing])
def test_a_link_that_is_there_only_while_the_file_is_opened_is_noticed(
    directory: Path, elsewhere: Path, opening: Any, monkeypatch: pytest.MonkeyPatch
):
    """The link is put there after the look at the path, and taken away before the next one."""
    path = Path(shutil.copy(SMALL, directory / "team" / "mine.sqlite"))
    really, aside = sqlite3.connect, path.with_name("aside")

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        path.rename(aside)
        path.symlink_to(elsewhere / "mine.sqlite")
        try:
            connection: sqlite3.Connection = really(*args, **options)
            return connection
        finally:
            path.unlink()
            aside.rename(path)

    monkeypatch.setattr(files.sqlite3, "connect", connect)
    with pytest.raises(ValidationError, match="was replaced while it was opened"), opening(path):
        pytest.fail("another file was opened")


def test_a_document_that_is_swapped_after_the_look_is_not_read(
    directory: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
):
    path = directory / "team" / "mine.json"
    path.write_text("[]")
    (elsewhere / "mine.json").write_text('["secret"]')
    looked = documents.is_document

    def look(found: Path) -> bool:
        is_one = looked(found)
        swap_file(path, elsewhere)
        return is_one

    monkeypatch.setattr(documents, "is_document", look)
    with pytest.raises(ValidationError, match="is a link now"), files.opened(path):
        pytest.fail("it was read")


def test_a_link_that_is_opened_on_the_command_line_is_resolved_once(directory: Path, elsewhere: Path, tmp_path: Path):
    """The user who runs `open` chooses the file; what the link leads to later is not chosen."""
    link = tmp_path / "newest.sqlite"
    link.symlink_to(elsewhere / "mine.sqlite")
    source = synced(adding.add_source(link, using=store_alias()))
    assert source.path == str(elsewhere / "mine.sqlite")
    assert source.problem == ""


def test_no_descriptor_is_left_open(directory: Path):
    path = Path(shutil.copy(SMALL, directory / "team" / "mine.sqlite"))
    before = real_paths._open_files()
    with files.opened(path) as rows:
        assert rows.tables()
    with files.writing(path):
        pass
    assert real_paths._open_files() == before
