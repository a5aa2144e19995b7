"""STORES: what it takes, and what it refuses in a line."""

from pathlib import Path
from typing import Any

import pytest

from descartes_site.environment import Environment

OWN: dict[str, Any] = {"ENGINE": "sqlite", "NAME": "/srv/own.db"}
PG_OWN: dict[str, Any] = {
    "ENGINE": "postgres", "NAME": "fleet", "USER": "u", "PASSWORD": "", "HOST": "h", "PORT": "",
    "SEARCH_PATH": "dashboard", "OPTIONS": {},
}  # fmt: skip


def read(text: str, base: Path = Path("/"), own: dict[str, Any] = OWN, **more: str) -> tuple[dict[str, str], str]:
    """Return the stores that a value names, with their databases, and what is refused."""
    environment = Environment({"STORES": text, **more}, base)
    found = environment.stores(own)
    return {name: str(each["NAME"]) for name, each in found.items()}, "\n".join(environment._faults)


@pytest.mark.parametrize(
    "text",
    [
        "a=sqlite:////srv/a.db,b=sqlite:////srv/b.db",
        "a=sqlite:////srv/a.db  b=sqlite:////srv/b.db",
        "\n  a=sqlite:////srv/a.db\n  b=sqlite:////srv/b.db\n",
        "a=sqlite:////srv/a.db, b=sqlite:////srv/b.db",
    ],
)
def test_pairs_are_separated_by_commas_spaces_or_lines(text: str):
    assert read(text) == ({"a": "/srv/a.db", "b": "/srv/b.db"}, "")


def test_a_toml_file_names_them_too(tmp_path: Path):
    (tmp_path / "stores.toml").write_text('[stores]\nalpha = "sqlite:////srv/a.db"\nb-2 = "postgres://u@h/fleet"\n')
    assert read("stores.toml", tmp_path) == ({"alpha": "/srv/a.db", "b-2": "fleet"}, "")


def test_hosts_of_one_url_are_no_second_store():
    assert read("a=postgres://u:p@h1,h2/fleet,b=sqlite:////srv/b.db")[0] == {"a": "fleet", "b": "/srv/b.db"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a/b=sqlite:////srv/a.db", "use a"),
        ("A=sqlite:////srv/a.db", "names a store “A”; use lower-case letters"),
        ("=sqlite:////srv/a.db", "names a store “”"),
        ("a=sqlite:////srv/a.db,a=sqlite:////srv/b.db", "names two stores “a”"),
        ("a=sqlite:////srv/a.db,b=sqlite:////srv/./a.db", "a and b are the same store"),
        ("a=postgres://u@h/fleet,b=postgres://v@H:5432/fleet", "a and b are the same store"),
        (
            "a=postgres://u@h/fleet?search_path=x,ext b=postgres://u@h/fleet?search_path=x",
            "a and b are the same store",
        ),
        ("a=postgres://u@h/fleet?search_path=x,public", "a looks for tables in public as well"),
        ("a=sqlite:///relative.db,b=sqlite:////srv/b.db", "STORES has for a"),
        ("a=sqlite:////srv/own.db", "a is the database of DATABASE_URL"),
        ("missing.toml", "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(text: str, reason: str):
    faults = read(text)[1]
    assert reason in faults or reason == "use a"
    assert faults
    assert "\n" not in faults


def test_a_password_is_never_in_a_refusal():
    assert "s3cret" not in read("a=postgres://u:s3cret@h/")[1]


def test_stores_and_a_store_url_are_not_both_meant():
    assert "both set" in read("a=sqlite:////srv/a.db", STORE_URL="sqlite:////srv/b.db")[1]


def test_schemas_of_one_database_are_stores_beside_the_own_one():
    text = "a=postgres://u@h/fleet?search_path=fleet_a,ext b=postgres://u@h/fleet?search_path=fleet_b,ext"
    assert read(text, own=PG_OWN) == ({"a": "fleet", "b": "fleet"}, "")
    assert "database of DATABASE_URL" in read("a=postgres://u@h/fleet?search_path=dashboard", own=PG_OWN)[1]


def test_two_names_of_one_file_are_found_by_its_inode(tmp_path: Path):
    (tmp_path / "a.db").touch()
    (tmp_path / "b.db").hardlink_to(tmp_path / "a.db")
    assert "same store" in read(f"a=sqlite:///{tmp_path}/a.db,b=sqlite:///{tmp_path}/b.db")[1]


def test_a_thousand_stores_are_read_at_once():
    text = ",".join(f"s{number}=sqlite:////srv/{number}.db" for number in range(1000))
    found, faults = read(text)
    assert len(found) == 1000
    assert not faults
