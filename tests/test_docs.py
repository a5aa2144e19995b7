"""The README tells the truth: its variables, its commands, its links, its example."""

import re
from pathlib import Path

import pytest

from statestore import models
from statestore.store import StateStore

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "descartes_site" / "settings.py").read_text()
COMMANDS = {path.stem for path in (ROOT / "statestore" / "management" / "commands").glob("*.py")} - {"__init__"}
DJANGO_COMMANDS = {"check", "createsuperuser", "migrate"}


def test_the_table_of_variables_is_the_one_that_the_settings_read():
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", SETTINGS))
    read |= set(re.findall(r"_(?:boolean|database)\(\"([A-Z_]+)\"", SETTINGS))
    assert documented == read


def test_every_command_of_the_readme_exists():
    named = set(re.findall(r"manage\.py ([a-z]+)", README))
    assert named <= COMMANDS | DJANGO_COMMANDS


def test_every_verb_of_make_in_the_readme_exists():
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", re.sub(r"and make\.|makes? (the|a|you)", "", README))) <= verbs | {"it"}


def test_every_file_that_the_readme_names_exists():
    for name in re.findall(r"`(tests/[\w/.]+|statestore/[\w/.]+)`", README) + re.findall(
        r"\]\((\.github/[^)]+)\)", README
    ):
        assert (ROOT / name).exists(), name


def test_every_role_of_the_readme_is_a_group():
    table = re.search(r"\| group \| may \|\n(.*?)\n\n", README, re.DOTALL)
    assert table
    assert re.findall(r"^\| (\w+) \|", table[1], re.MULTILINE) == ["viewer", "operator", "manager", "administrator"]


@pytest.mark.django_db
def test_the_python_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(code, {})
    assert models.Restore.objects.get().reason == "lost its goal"
    assert "Refactor" in StateStore(prefix="build").load_agent_state("coder-1").state_data


def test_no_lock_names_an_address():
    for path in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in path.read_text()
