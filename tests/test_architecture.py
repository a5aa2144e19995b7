"""What no linter can tell: who asks for the vendor, who builds conditions, what templates and style sheets may hold."""

import ast
import re
from collections import Counter
from pathlib import Path

from django.template.loader import get_template

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "statestore"
TEMPLATES = ROOT / "templates"
# Django and its applications load these by their own names.
LOADED_BY_DJANGO = re.compile(r"(403|404|500)\.html|(admin|registration)/.*")


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


def test_pages_and_the_admin_take_their_rows_from_the_scope_of_their_user():
    assert ".objects" not in sources("views/**/*.py", "admin.py")
    assert "_base_manager" not in sources("views/**/*.py", "admin.py")


def test_nothing_expands_a_request_into_a_query():
    assert not re.search(r"filter\(\*\*request\.", sources("**/*.py"))


def says_any(node: ast.AST) -> bool:
    """Return whether a node is the type `Any`: by name, as `typing.Any`, or imported under another name."""
    match node:
        case ast.Name(id="Any") | ast.Attribute(attr="Any"):
            return True
        case ast.alias(name="Any", asname=str()):
            return True
    return False


def test_few_types_say_nothing():
    """Nothing checks what is done with an `Any`. It is right where Django or a driver has no type of its own."""
    found = Counter(
        path.relative_to(APP).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if says_any(node)
    )
    assert found.total() < 150, (
        f"statestore/ says Any {found.total()} times, most in {found.most_common(5)}. Name the type: object for what is"
        " only passed on, else a model, a queryset, a Protocol, a TypedDict or a TypeVar."
    )


def test_no_template_marks_text_as_safe():
    for path in TEMPLATES.rglob("*.html"):
        assert not re.search(r"\|\s*safe\b|autoescape off", path.read_text()), path.name


def test_no_template_carries_script_or_style():
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text), path.name


def templates_named_in_python() -> set[str]:
    names = set()
    for path in [*modules(), ROOT / "descartes_site" / "settings.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".html"):
                # Views name templates below templates/statestore: `render_page` adds the folder.
                is_below = path.is_relative_to(APP / "views") and not node.value.startswith("statestore/")
                names.add(f"statestore/{node.value}" if is_below else node.value)
    return names


def templates_named_in_templates() -> set[str]:
    named = re.compile(r'{% (?:include|extends) "([^"]+)"')
    return {name for path in TEMPLATES.rglob("*.html") for name in named.findall(path.read_text())}


def test_every_template_that_is_named_exists():
    for name in templates_named_in_python() | templates_named_in_templates():
        get_template(name)


def test_every_template_is_used():
    files = {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")}
    unused = files - templates_named_in_python() - templates_named_in_templates()
    assert {name for name in unused if not LOADED_BY_DJANGO.fullmatch(name)} == set()


def test_colours_stand_in_the_tokens_alone():
    for path in (ROOT / "static" / "statestore").glob("*.css"):
        if path.name != "tokens.css":
            assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsl\(", path.read_text()), path.name


def test_scripts_take_addresses_from_the_page():
    """A path prefix is known to the server alone."""
    for path in sorted((ROOT / "static" / "statestore").glob("*.js")):
        assert re.findall(r"[\"'`]/[\w./-]+[\"'`]", path.read_text()) == [], path.name


def test_templates_name_addresses_by_tags():
    for path in sorted((ROOT / "templates").rglob("*.html")):
        assert re.findall(r"(?:href|src|action|hx-get|hx-post)=\"/[^\"]*\"", path.read_text()) == [], path.name


def test_common_table_expressions_name_their_columns_in_their_bodies():
    """Citus rewrites a recursive one, and loses names that stand in its head alone."""
    head = re.compile(r"(?:WITH(?: RECURSIVE)?|,)\s+\w+\s*\([\w, ]+\)\s+AS\s*\(", re.IGNORECASE)
    written = {path: head.findall(path.read_text()) for path in (ROOT / "statestore").rglob("*.py")}
    # The search index is SQLite's alone.
    found = {path.name: heads for path, heads in written.items() if heads and "fts" not in path.parts}
    assert not found, f"name the columns in the SELECTs: {found}"
