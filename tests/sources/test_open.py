"""`manage.py open`: from a file to a mirror that is served, with the file named and left as it was."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from statestore import models
from statestore.management import embedded_store
from tests.sources.conftest import FILES, FileMaker
from tests.stores import execute, make_store

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def embedded(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' store stands for the embedded one."""
    settings.STORE_IS_EMBEDDED = True
    settings.VAR_DIR = tmp_path / "var"
    monkeypatch.setattr(embedded_store, "prepare", lambda: False)


def opened(*paths: Path, **options: Any) -> str:
    out = StringIO()
    call_command("open", *map(str, paths), no_serve=True, stdout=out, **options)
    return out.getvalue()


def test_a_file_is_named_with_what_it_holds(framework_file: FileMaker):
    said = opened(framework_file("langgraph/small.sqlite"))
    assert "LangGraph checkpoints, SQLite, 2 threads, 20 checkpoints, being written. Namespace: small." in said
    assert models.AgentState.objects.count() == 2


def test_a_document_is_named_with_what_it_holds_and_that_it_is_being_written(framework_file: FileMaker):
    path = framework_file("documents/codex.jsonl")
    assert "Codex transcripts, JSON, 1 thread, 8 messages, being written. Namespace: codex." in opened(path)


def test_a_file_that_nobody_writes_is_not_said_to_be_written(framework_file: FileMaker):
    path = framework_file("langgraph/small.sqlite")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert "being written" not in opened(path)


def test_several_files_are_opened_side_by_side(framework_file: FileMaker):
    names = ("langgraph/forks.sqlite", "openai_agents/small.sqlite", "crewai/flow_states.db")
    said = opened(*map(framework_file, names))
    assert "OpenAI Agents sessions" in said
    assert "CrewAI flow states" in said
    namespaces = {agent.namespace for agent in models.AgentState.objects.all()}
    assert namespaces == {"forks", "small", "flow_states"}


def test_to_open_a_file_again_adds_nothing(framework_file: FileMaker):
    path = framework_file("google_adk/sqlite_service.sqlite")
    opened(path)
    before = models.Transition.objects.count(), models.Event.objects.count(), models.Source.objects.count()
    opened(path)
    assert (models.Transition.objects.count(), models.Event.objects.count(), models.Source.objects.count()) == before


def test_a_name_is_chosen_for_one_file_alone(framework_file: FileMaker):
    path = framework_file("langgraph/small.sqlite")
    with pytest.raises(CommandError, match="--name is for one file"):
        opened(path, path, name="billing")
    opened(path, name="billing")
    assert models.Source.objects.get().name == "billing"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is neither an SQLite database nor JSON, but empty"),
        (b"{}", "is JSON of no format that is known here: an empty object"),
        (b"SQLite format 3\0" + b"\xff" * 4096, "cannot be read"),
    ],
)
def test_what_is_no_store_is_refused_in_words(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / "some.db"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=words):
        opened(path)
    assert path.read_bytes() == content
    assert models.Source.objects.count() == 0


@pytest.mark.parametrize("layout", ["version 4", "version 5"])
def test_an_orchestrators_own_store_is_looked_at_without_moving_in(tmp_path: Path, layout: str):
    path = make_store(tmp_path / "fleet.db", layout)
    content = path.read_bytes()
    said = opened(path)
    assert "Descartes agents, SQLite" in said
    assert path.read_bytes() == content
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        for table, model in (
            ("agent_states", models.AgentState), ("state_transitions", models.Transition),
            ("state_snapshots", models.Snapshot), ("events", models.Event), ("tasks", models.Task),
            ("sessions", models.Session),
        ):  # fmt: skip
            ((count,),) = store.execute(f"SELECT count(*) FROM {table}")
            assert model.objects.count() >= count, f"{table} are left out"


def test_a_store_that_was_adopted_is_named_to_the_dashboard_otherwise(tmp_path: Path):
    path = make_store(tmp_path / "fleet.db")
    execute(path, "CREATE TABLE dash_audit (id INTEGER)")
    with pytest.raises(CommandError, match="was adopted: STORE_URL names it"):
        opened(path)


def test_a_layout_that_only_init_makes_is_opened(tmp_path: Path):
    path = make_store(tmp_path / "fleet.db", "the init layout")
    content = path.read_bytes()
    assert "Descartes agents, of init, SQLite" in opened(path)
    assert path.read_bytes() == content


def test_a_file_whose_program_was_killed_while_it_wrote_is_read_as_it_was_before(framework_file: FileMaker):
    """SQLite's journal takes the half of it back; that is done in a copy, and the file stays as it was left."""
    path = framework_file("google_adk/sqlite_service.sqlite")
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        " c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN IMMEDIATE');"
        " c.execute(\"UPDATE events SET event_data = event_data || printf('%.20000c', ' ')\"); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    journal = path.with_name(f"{path.name}-journal")
    left = path.read_bytes(), journal.read_bytes()
    assert left[0] != (FILES / "google_adk" / "sqlite_service.sqlite").read_bytes(), "nothing was written by half"
    assert "Google ADK sessions" in opened(path)
    assert not models.Source.objects.get().problem
    assert (path.read_bytes(), journal.read_bytes()) == left
