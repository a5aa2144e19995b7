"""The house's plan holds: imports point one way, the faces decide nothing, files stay short."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "statestore"

# A room may import from the rooms above it and from its own, never from below.
ROOMS = [
    {"errors", "jsontext", "sequences", "schema", "logs", "rendering", "coroutines"},
    {"changes", "align", "textdiff", "conditions", "dialect", "routers"},
    {"diff", "fields", "rewrite"},
    {"addresses", "merge"},
    {"moments", "paging"},
    {"models"},
    {"plain", "search"},
    {"audit", "history", "work", "retention", "seen", "reach", "saving", "ingest", "tokens", "sessions", "saved_views"},
    {"taskgraph"},
    {"restore", "edits", "capture"},
    {"store"},
    {"bulk"},
    {"adoption", "doctor", "demo", "exchange", "readiness", "metrics"},
    {"forms", "json_links"},
    {"templatetags"},
    {"views", "api"},
    {"admin", "middleware", "management", "urls", "checks", "apps"},
]
# What stands outside of the order: Django loads migrations by itself.
OUTSIDE = {"migrations"}
FLOOR = {name: floor for floor, room in enumerate(ROOMS) for name in room}
MAX_LINES = 400
MAX_FUNCTION_LINES = 40


def modules() -> list[Path]:
    return [path for path in APP.rglob("*.py") if "migrations" not in path.parts]


def room_of(path: Path) -> str:
    return path.relative_to(APP).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    """Return the rooms of this app that a module imports at its top, TYPE_CHECKING and late imports excepted."""
    found = set()
    for node in tree.body if isinstance(tree, ast.Module) else []:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "statestore":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(APP)))
def test_imports_point_one_way(path: Path):
    room = room_of(path)
    if room in OUTSIDE or room == "__init__":
        return
    assert room in FLOOR, f"{path.name} has no place: add it to ROOMS and to the map in statestore/__init__.py"
    for other in imported(ast.parse(path.read_text())):
        assert FLOOR[other] <= FLOOR[room], f"{room} may not import {other}"


def test_every_room_is_on_the_map():
    text = (APP / "__init__.py").read_text()
    for name in FLOOR:
        assert re.search(rf"\b{name}\b", text) or name in {"urls", "apps", "templatetags"}, f"{name} is missing"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(APP)))
def test_files_and_functions_stay_short(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


def sources(*names: str) -> str:
    return "\n".join(path.read_text() for name in names for path in sorted(APP.glob(name)))


def test_only_the_dialect_asks_which_database_it_is():
    for path in modules():
        if path.name == "dialect.py":
            continue
        assert ".vendor ==" not in path.read_text(), f"{path.name} asks for the vendor"


def test_the_faces_do_not_know_each_other():
    for face, other in (("views", "api"), ("api", "views")):
        for path in (APP / face).rglob("*.py"):
            assert f"statestore.{other}" not in path.read_text(), path.name


def test_the_faces_build_no_conditions():
    text = sources("views/*.py", "api/*.py")
    assert not re.search(r"\bQ\(|\bF\(|RawSQL|\.raw\(", text)


def test_nothing_expands_a_request_into_a_query():
    assert not re.search(r"filter\(\*\*request\.", sources("**/*.py"))


def test_no_template_marks_text_as_safe():
    for path in (ROOT / "templates").rglob("*.html"):
        assert not re.search(r"\|\s*safe\b|autoescape off", path.read_text()), path.name


def test_no_template_carries_script_or_style():
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text), path.name


def test_colours_stand_in_the_tokens_alone():
    for path in (ROOT / "static" / "statestore").glob("*.css"):
        if path.name != "tokens.css":
            assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsl\(", path.read_text()), path.name
