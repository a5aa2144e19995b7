"""What no linter can tell: who asks for the vendor, who builds conditions, what templates and style sheets may hold."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "statestore"


def modules() -> list[Path]:
    return [path for path in APP.rglob("*.py") if "migrations" not in path.parts]


def sources(*names: str) -> str:
    return "\n".join(path.read_text() for name in names for path in sorted(APP.glob(name)))


def test_one_module_asks_which_database_it_is():
    for path in modules():
        if path.relative_to(APP) != Path("db/vendor.py"):
            assert ".vendor ==" not in path.read_text(), f"{path.name} asks for the vendor"


def test_the_faces_build_no_conditions():
    conditions = {"Q", "F", "Exists", "Subquery", "OuterRef", "RawSQL"}
    for path in [*(APP / "views").rglob("*.py"), *(APP / "api").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django.db.models"):
                assert not conditions & {alias.name for alias in node.names}, path.name


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
