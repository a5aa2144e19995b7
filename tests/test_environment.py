"""Variables are taken literally; what is wrong is named with its value and with what to write."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from descartes_site import database_urls
from descartes_site.environment import Environment


def read(name: str, text: str) -> Any:
    """Return what the settings make of a value; raises ImproperlyConfigured as they do."""
    env = Environment({name: text})
    value = {
        "NUMBER": lambda: env.integer(name, 7, least=1, most=100),
        "HOURS": lambda: env.decimal(name, 12.0, above=0, most=100),
        "SWITCH": lambda: env.boolean(name, default=True),
        "LEVEL": lambda: env.level(name, "WARNING"),
        "RATE": lambda: env.rate(name, "60000/minute"),
        "HOSTS": lambda: env.hosts(name, ["localhost"]),
        "COMMIT": lambda: env.commit_url(name),
        "WORDS": lambda: env.words(name),
    }[name]()
    env.verify()
    return value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("NUMBER", "", 7), ("NUMBER", " 5 ", 5), ("HOURS", "", 12.0), ("HOURS", "0.5", 0.5),
        ("SWITCH", "", True), ("SWITCH", "Off", False), ("LEVEL", "", "WARNING"), ("LEVEL", "debug", "DEBUG"),
        ("RATE", "", (60_000, 60)), ("RATE", "3/hour", (3, 3600)), ("HOSTS", "", ["localhost"]),
        ("HOSTS", "a, b.example.org ,.c.org,[::1],*", ["a", "b.example.org", ".c.org", "[::1]", "*"]),
        ("COMMIT", "", ""), ("COMMIT", "https://x/{commit}", "https://x/{commit}"),
        ("WORDS", " a b ,, c", ["a b", "c"]),
        ("WORDS", "$HOME", ["$HOME"]),
    ],
)  # fmt: skip
def test_a_value_is_read_without_the_spaces_around_it_and_an_empty_one_is_the_default(
    name: str, text: str, value: object
):
    assert read(name, text) == value


@pytest.mark.parametrize(
    ("name", "texts", "advice"),
    [
        ("NUMBER", ["many", "0", "101", "1.5", "$7", "1e9"], "use a whole number from 1 to 100"),
        ("HOURS", ["nan", "inf", "0", "-1", "12,5", "12h"], "use a number above 0, at most 100"),
        ("SWITCH", ["2", "maybe"], "use 1 or 0"),
        ("LEVEL", ["LOUD", "10"], "use DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("RATE", ["600", "0/minute", "600/day", "x/minute", "600 / minute"], "such as 600/minute"),
        ("HOSTS", ["a b", "http://a", "a:8000", "a/", "::1", "a;b"], "separated by commas"),
        ("COMMIT", ["https://x/", "javascript:{commit}", "x/{commit}"], "https://git.example.org/repo/commit/{commit}"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_value_and_what_to_write(name: str, texts: list[str], advice: str):
    for text in texts:
        with pytest.raises(ImproperlyConfigured) as refused:
            read(name, text)
        (line,) = str(refused.value).splitlines()
        assert line.startswith(f"{name} is “{text}”; ")
        assert advice in line


def test_a_value_with_control_characters_is_one_line_all_the_same():
    with pytest.raises(ImproperlyConfigured, match=r"NUMBER is “5\\n6\\x1b”; use"):
        read("NUMBER", "5\n6\x1b")


def test_all_that_is_wrong_is_said_at_once():
    env = Environment({"A": "x", "B": "y"})
    env.boolean("A", default=False)
    env.rate("B", "1/hour")
    with pytest.raises(ImproperlyConfigured) as refused:
        env.verify()
    assert [line[0] for line in str(refused.value).splitlines()] == ["A", "B"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////srv/d.db", "/srv/d.db"), ("SQLite:////srv/d.db", "/srv/d.db"),
        ("sqlite:////srv/ops #1 x/[a]/d.db", "/srv/ops #1 x/[a]/d.db"), ("sqlite:////srv/c++/d.db", "/srv/c++/d.db"),
        ("sqlite:////$HOME/d.db", "/$HOME/d.db"), ("sqlite:////srv/50%/d.db", "/srv/50%/d.db"),
        ("sqlite:////srv/what%3F%23/%25d.db", "/srv/what?#/%d.db"), ("sqlite:////srv/%FF.db", "/srv/\udcff.db"),
        ("sqlite:////srv/a@b:c/d.db", "/srv/a@b:c/d.db"),
    ],
)  # fmt: skip
def test_a_file_is_the_one_that_its_url_spells(url: str, path: str):
    assert database_urls.parsed(url) == {"ENGINE": "sqlite", "NAME": path}
    assert database_urls.parsed(database_urls.sqlite_url(path))["NAME"] == path


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "use sqlite:////absolute/path or postgres://user:password@host/name"),
        ("mysql://ada:secret@host/name", "use sqlite:////absolute/path"),
        ("sqlite:///d.db", "four slashes"), ("sqlite://:memory:", "four slashes"), ("sqlite:////", "name the file"),
        ("sqlite:////tmp", "name the file"), ("sqlite:////srv/d.db?mode=ro", "write %3F for a ?"),
        ("sqlite:////srv/%00", "no NUL"), ("postgres://host", "%2F for a /"), ("postgres://host/", "name the database"),
        ("postgres://ada:secret@host:http/name", "from 1 to 65535"), ("postgres://host:65536/name", "from 1 to 65535"),
        ("postgres://::1/name", "an IPv6 address has brackets"), ("postgres://host/name?sslmode", "?name=value"),
        ("postgres://host/name?pool_max=0", "pool_max is a number of connections from 1 to 1000"),
        ("postgres://host/name?pool_max=many", "pool_max is a number of connections"),
        ("postgres://host/name?pool_min=-1", "pool_min is a number of connections from 0"),
        ("postgres://host/name?pool_min=11", "pool_min is more than pool_max"),
        ("postgres://host/name?pool_min=5&pool_max=4", "pool_min is more than pool_max"),
        ("postgres://ada:secret/name", "from 1 to 65535"),
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_is_refused_without_its_password(url: str, words: str):
    env = Environment({"STORE_URL": url})
    env.database("STORE_URL", Path("/default.db"))
    with pytest.raises(ImproperlyConfigured) as refused:
        env.verify()
    (line,) = str(refused.value).splitlines()
    assert line.startswith("STORE_URL is “")
    assert words in line
    assert "secret" not in line


@pytest.mark.parametrize("password", ["p", "p#1", "p?1", "p/1", "p[1", "p@1", "p:1", "$p", "p%", "p+1", "#?/[@:$%+"])
def test_a_password_needs_no_encoding(password: str):
    place = database_urls.parsed(f"postgres://ada:{password}@db:5433/name?sslmode=require")
    assert (place["USER"], place["PASSWORD"], place["HOST"], place["PORT"]) == ("ada", password, "db", "5433")
    assert (place["NAME"], place["OPTIONS"]) == ("name", {"sslmode": "require"})


def test_the_sizes_of_the_pool_are_no_options_of_the_driver():
    place = database_urls.parsed("postgres://host/name?pool_min=2&pool_max=20&sslmode=require")
    assert place["POOL"] == {"min_size": 2, "max_size": 20}
    assert place["OPTIONS"] == {"sslmode": "require"}
    assert database_urls.parsed("postgres://host/name")["POOL"] == {}


def test_a_password_may_be_encoded():
    assert database_urls.parsed("postgres://a%40b:p%23%2F%25@%2Frun%2Fpg/n")["PASSWORD"] == "p#/%"
    assert database_urls.parsed("postgres://a%40b:p@%2Frun%2Fpg/n")["USER"] == "a@b"
    assert database_urls.parsed("postgres://[::1]:5433/n")["HOST"] == "::1"
    assert database_urls.parsed("postgres://a,b/n")["HOST"] == "a,b"


def test_an_empty_url_is_the_default():
    env = Environment({"STORE_URL": " "})
    assert env.database("STORE_URL", Path("/default.db")) == {"ENGINE": "sqlite", "NAME": "/default.db"}
    env.verify()


URL = "postgres://ada:p@db/name"


@pytest.mark.parametrize(
    ("own", "store", "is_one", "words"),
    [
        (URL, URL, True, ""),
        (URL, "postgresql://ada:p@DB:5432/name", True, ""),
        (URL, "postgres://ada:p@db/other", False, ""),
        (f"{URL}?search_path=dash", f"{URL}?search_path=agents", False, ""),
        (f"{URL}?options=-c%20search_path%3Ddash", f"{URL}?search_path=agents", False, ""),
        (URL, f"{URL}?search_path=agents", False, ""),
        (URL, f"{URL}?search_path=agents,public", False, "both look into its schema public"),
        (URL, f"{URL}?search_path=ada", False, "both look into its schema ada"),
        (URL, "postgres://bob:p@db/name", True, "write both alike"),
        (URL, f"{URL}?sslmode=require", True, "write both alike"),
    ],
)
def test_schemas_of_a_database_are_told_apart(own: str, store: str, is_one: bool, words: str):
    env = Environment({"DATABASE_URL": own, "STORE_URL": store})
    places = [env.database(name, Path("/default.db")) for name in ("DATABASE_URL", "STORE_URL")]
    assert env.is_one_database(*places) is is_one
    if not words:
        env.verify()
        return
    with pytest.raises(ImproperlyConfigured, match=words):
        env.verify()
