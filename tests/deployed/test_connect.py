"""What the page Connect shows runs as it stands there against a served dashboard, and what it saves is found."""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest

from statestore.sources.connecting import FRAMEWORKS
from tests.deployed.sites import deployed
from tests.faults.server import Visitor, serving
from tests.faults.sites import NAME, ROOT, Site
from tests.sources.conftest import FILES
from tests.templates import Templates

pytestmark = [pytest.mark.faults, pytest.mark.sqlite, pytest.mark.skipif(not shutil.which("curl"), reason="no curl")]

# Of each framework, a file of its own under the name that the page gives it.
MADE_BY = {
    "LangGraph": "langgraph/small.sqlite",
    "OpenAI Agents": "openai_agents/small.sqlite",
    "Google ADK": "google_adk/sqlite_service.sqlite",
    "CrewAI": "crewai/flow_states.db",
    "Agno": "agno/small.sqlite",
    "pydantic-ai": "documents/pydantic_ai.json",
    "Letta": "documents/letta.af",
    "Microsoft Agent Framework": "documents/agent_framework",
    "Claude Code, Codex": "documents/codex.jsonl",
}


def copied(page: str, label: str) -> str:
    """Return what a button of the page copies."""
    begin = page.index(label)
    button = page[page.rindex("<button", 0, begin) : page.index(">", begin)]
    return str(json.loads(unescape(button.partition('data-copy="')[2].partition('"')[0])))


def shell(script: str, site: Site, folder: Path) -> str:
    """Run lines in a shell, in the checkout, and return what they print."""
    done = subprocess.run(
        ["bash", "-e"], input=script, cwd=folder, env={**site.environment, "HOME": str(folder)}, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder in which the lines find the checkout's command, and that is no checkout."""
    folder = tmp_path / "checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    (folder / "manage.py").write_text(
        f"import runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"runpy.run_path({str(ROOT / 'manage.py')!r}, run_name='__main__')\n"
    )
    return folder


def test_the_lines_for_programs_run_as_they_are_shown(templates: Templates, tmp_path: Path, checkout: Path):
    site = deployed(templates, tmp_path / "site")
    with serving(site) as server, Visitor(server.port) as visitor:
        page = visitor.sign_in().get("/connect/").text
        token, curl, python = (
            copied(page, label)
            for label in (
                "Copy the command that makes a token",
                "Copy the lines for a shell",
                "Copy the lines of Python",
            )
        )
        # The one word that its reader fills in.
        token = token.replace("--user NAME", f"--user {NAME}")
        shell(f"{token}\n{curl}\n", site, checkout)
        assert "first" in site.state("my-agent")
        assert site.rows("SELECT session_id, content FROM events WHERE actor_id = 'my-agent'") == [
            ("my-session", "Done.")
        ]
        (checkout / "agent.py").write_text(python)
        shell(f"{token}\n.venv/bin/python agent.py\n", site, checkout)
        assert json.loads(site.state("my-agent"))["plan"] == "second"
        assert "the user spoke" in visitor.get("/agents/my-agent/").text


def test_the_line_of_each_framework_opens_its_file(checkout: Path, tmp_path: Path):
    assert {framework.name for framework in FRAMEWORKS} == {*MADE_BY, "Descartes"}
    kept = {name: value for name, value in os.environ.items() if name not in {"STORE_URL", "DATABASE_URL"}}
    environment = {**kept, "VAR_DIR": str(tmp_path / "var")}
    for framework in FRAMEWORKS[: len(MADE_BY)]:
        made, target = FILES / MADE_BY[framework.name], checkout / framework.file
        shutil.rmtree(target, ignore_errors=True)
        (shutil.copytree if made.is_dir() else shutil.copy)(made, target)
        line = f".venv/bin/python manage.py {framework.arguments}"
        # It would serve until it is stopped.
        said = subprocess.run(
            [*shlex.split(line), "--no-serve"], cwd=checkout, env=environment, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert said.returncode == 0, f"{line}: {said.stderr}"
        assert any(name in said.stdout for name in framework.formats.split(", ")), said.stdout
    with closing(sqlite3.connect(tmp_path / "var" / "descartes.db")) as store:
        mirrored = {path for (path,) in store.execute("SELECT path FROM dash_source WHERE synced_at IS NOT NULL")}
        assert mirrored == {str(checkout / framework.file.rstrip("/")) for framework in FRAMEWORKS[: len(MADE_BY)]}
        assert store.execute("SELECT count(*) FROM agent_states").fetchone()[0] >= len(mirrored)
