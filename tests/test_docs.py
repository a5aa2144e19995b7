"""README and docs are true: links, names, tables, Python examples. The JSON API has tests/api/test_docs.py."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from statestore import models
from statestore.store import StateStore

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in PAGES}
README, OPERATIONS = TEXTS["README.md"], TEXTS["docs/operations.md"]
SETTINGS = (ROOT / "descartes_site" / "settings.py").read_text()
COMMANDS = {path.stem for path in (ROOT / "statestore" / "management" / "commands").glob("*.py")} - {"__init__"}
LIBRARY_COMMANDS = {"check", "createsuperuser", "collectstatic", "migrate", "axes_reset", "axes_reset_username"}
README_LINES = 150
EXAMPLES = re.findall(r"^```python\n(.*?)^```", TEXTS["docs/python-api.md"], re.DOTALL | re.MULTILINE)
# What a path in backticks begins with, if it is one of the repository; var/ is made at run time.
PATH = re.compile(
    r"((?:\.ci|\.github|descartes_site|docs|requirements|static|statestore|templates|tests)/[\w./-]*"
    r"|[\w-]+\.(?:md|toml|py)|Makefile)"
)


def code_of(text: str) -> list[str]:
    """Return what a page shows as code: fenced and indented blocks, and what stands in backticks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*fenced, *re.findall(r"^    .+", rest, re.MULTILINE), *re.findall(r"`([^`\n]+)`", rest)]


def links_of(text: str) -> Iterator[str]:
    """Yield the targets of a page's links and pictures, except for those on other sites."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target)


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub forms them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    assert len(README.splitlines()) <= README_LINES


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_and_picture_exists(name: str):
    for link in links_of(TEXTS[name]):
        target, _, anchor = unquote(link).partition("#")
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), link
        assert not anchor or anchor in anchors_of(path), link


def test_every_page_and_every_picture_is_linked():
    linked = {
        ((ROOT / name).parent / link.partition("#")[0]).resolve() for name in TEXTS for link in links_of(TEXTS[name])
    }
    from_readme = {(ROOT / link.partition("#")[0]).resolve() for link in links_of(README)}
    assert set(PAGES[1:]) <= from_readme
    assert set((ROOT / ".github" / "pictures").iterdir()) <= linked


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_that_is_named_exists(name: str):
    for code in re.findall(r"`([^`\n]+)`", TEXTS[name]):
        if path := PATH.fullmatch(code):
            assert (ROOT / path[1]).exists() or (ROOT / "docs" / path[1]).exists(), code


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_exists(name: str):
    assert set(re.findall(r"manage\.py ([a-z_-]+)", TEXTS[name])) <= COMMANDS | LIBRARY_COMMANDS


@pytest.mark.parametrize("name", TEXTS)
def test_every_verb_of_make_exists(name: str):
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for code in code_of(TEXTS[name]):
        assert set(re.findall(r"\bmake ([a-z-]+)", code)) <= verbs, code


def test_the_table_of_verbs_is_the_makefiles():
    verbs = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    documented = set(re.findall(r"`make ([a-z-]+)", TEXTS["docs/contributing.md"]))
    assert documented | {"venv", "help", "clean"} == set(verbs)


def test_the_table_of_variables_is_the_one_that_the_settings_read():
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", OPERATIONS, re.MULTILINE))
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", SETTINGS))

    assert documented == read


def test_every_role_is_a_group():
    table = re.search(r"\| group \| may \|\n(.*?)\n\n", OPERATIONS, re.DOTALL)
    assert table
    assert re.findall(r"^\| (\w+) \|", table[1], re.MULTILINE) == ["viewer", "operator", "manager", "administrator"]


def test_every_promise_names_its_tests():
    section = TEXTS["docs/architecture.md"].partition("## The guest's promises")[2]
    promises = re.findall(r"^\d+\. (.+(?:\n   .+)*)$", section, re.MULTILINE)
    assert len(promises) == 8
    for promise in promises:
        tests = re.findall(r"`(tests/[\w/.]+)`", promise)
        assert tests, promise
        assert all((ROOT / name).is_file() for name in tests), promise


def test_every_chapter_of_the_security_standard_names_tests_that_exist():
    rows = re.findall(r"^\| V(\d+) [^|]+\|([^|]*)\|([^|]*)\|([^|]*)\|$", TEXTS["docs/asvs.md"], re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 18))
    for number, covered, tests, left in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)`", tests)
        assert bool(named) is bool(covered.strip()), number
        assert named or left.strip(), number
        for name in named:
            assert "def test_" in (ROOT / name).read_text(), name


@pytest.mark.django_db(transaction=True)
def test_the_python_examples_run_in_order():
    assert len(EXAMPLES) >= 12
    names: dict[str, Any] = {}
    try:
        for code in EXAMPLES:
            exec(compile(code, "docs/python-api.md", "exec"), names)
    finally:
        # Coroutines use a thread of their own, and its connections.
        asyncio.run(sync_to_async(connections.close_all)())
    assert models.Restore.objects.count() == 3
    assert StateStore().load_agent_state("coder-1").state_data == '{"step":8}'


def test_the_python_examples_are_a_program_that_makes_its_store(tmp_path: Path):
    urls = {name: f"sqlite:///{tmp_path}/{name.lower()}.db" for name in ("STORE_URL", "DATABASE_URL")}
    environment = {**os.environ, **urls, "PYTHONPATH": str(ROOT), "SECRET_KEY": "k" * 50}
    command = [sys.executable, "-c", "\n".join(EXAMPLES)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_lock_names_an_address():
    for path in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in path.read_text()
