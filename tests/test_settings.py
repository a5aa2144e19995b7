"""Configuration by environment: defaults that are safe, and errors that say what to write instead."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
ASKED = (
    "import django; from django.conf import settings; django.setup();"
    "print(settings.STORE_ALIAS, sorted(settings.DATABASES), settings.DEBUG, settings.SESSION_COOKIE_SECURE,"
    " settings.STORE_IS_EMBEDDED, settings.DATABASES.get('store', {}).get('HOST') or None)"
)


def start(code: str = ASKED, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh process with only these variables."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**kept, "DJANGO_SETTINGS_MODULE": "descartes_site.settings", "SECRET_KEY": "k" * 50, **variables},
    )  # fmt: skip


def test_the_defaults_are_an_embedded_store_without_debug():
    defaults = ["store", "['default',", "'store']", "False", "False", "True", "None"]
    assert start().stdout.split() == defaults
    assert start(STORE_URL="", DATABASE_URL="", VAR_DIR="").stdout.split() == defaults


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"STORE_URL": "mysql://x/y"}, "use sqlite:////absolute/path or postgres://"),
        ({"STORE_URL": "sqlite://relative.db"}, "four slashes"),
        ({"MASK_PATTERNS": "fine ( here"}, "use regular expressions"),
        ({"MASK_PATTERNS": "x*"}, "use regular expressions"),
        ({"STORE_URL": "nonsense"}, "use sqlite:////absolute/path or postgres://"),
        ({"DEBUG": "maybe"}, "DEBUG is “maybe”; use 1 or 0"),
        ({"HTTPS": "2"}, "HTTPS is “2”; use 1 or 0"),
        ({"STORE_URL": "sqlite:////tmp/a.db", "DATABASE_URL": "sqlite:////tmp/a.db"}, "the same SQLite file"),
        ({"STORE_URL": "sqlite:////tmp/a.db", "DATABASE_URL": "sqlite:////tmp/x/../a.db"}, "the same SQLite file"),
    ],
)
def test_what_cannot_be_is_said_at_the_start(variables: dict[str, str], words: str):
    done = start(**variables)
    assert done.returncode != 0
    assert words in done.stderr


def test_a_password_is_never_in_an_error():
    assert "secret" not in start(STORE_URL="mysql://ada:secret@host/name").stderr.splitlines()[-1]


def test_one_postgresql_database_for_both_is_one_alias():
    url = "postgres://ada@%2Ftmp/descartes"
    assert start(STORE_URL=url, DATABASE_URL=url).stdout.startswith("default ['default']")


def test_a_url_says_how_many_connections_are_held_and_what_they_are_called():
    code = (
        "from django.conf import settings; options = settings.DATABASES['store']['OPTIONS'];"
        " print(options['pool']['min_size'], options['pool']['max_size'], options['application_name'])"
    )
    url = "postgres://u@h/agents?pool_min=1&pool_max=3"
    assert start(code, STORE_URL=url).stdout.split() == ["1", "3", "descartes-statestore"]
    mine = "postgres://u@h/agents?application_name=mine"
    assert start(code, STORE_URL=mine).stdout.split() == ["0", "10", "mine"]


def test_a_postgresql_server_that_is_away_is_not_waited_for_long():
    code = (
        "from django.conf import settings; options = settings.DATABASES['store']['OPTIONS'];"
        "print(options['connect_timeout'], options['pool']['timeout'], options['pool']['reconnect_timeout'])"
    )
    url = "postgres://ada@%2Ftmp/descartes?application_name=x"
    seconds = [float(word) for word in start(code, STORE_URL=url).stdout.split()]
    assert all(0 < limit <= 3 for limit in seconds)


def test_a_postgresql_server_that_is_cut_off_is_noticed():
    code = (
        "from django.conf import settings; options = settings.DATABASES['store']['OPTIONS'];"
        "print(options['keepalives_idle'] + options['keepalives_interval'] * options['keepalives_count'],"
        " options['tcp_user_timeout'] / 1000)"
    )
    seconds = [float(word) for word in start(code, STORE_URL="postgres://ada@db/descartes").stdout.split()]
    assert all(0 < limit <= 25 for limit in seconds)


def test_a_socket_directory_is_decoded():
    assert start(STORE_URL="postgres://ada@%2Frun%2Fpg/descartes").stdout.split()[-1] == "/run/pg"


def test_https_makes_cookies_secure():
    assert start(HTTPS="1").stdout.split()[4] == "True"


def test_cookies_are_bound_to_their_host_under_https():
    code = (
        "from django.conf import settings as s; names = [s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME,"
        " s.KNOWN_BROWSER_COOKIE_NAME];"
        " print(*names, s.SESSION_COOKIE_PATH, s.CSRF_COOKIE_PATH, s.SESSION_COOKIE_DOMAIN)"
    )
    *names, session_path, csrf_path, domain = start(code, HTTPS="1").stdout.split()
    assert names == ["__Host-descartes_session", "__Host-csrftoken", "__Host-descartes_browser"]
    assert (session_path, csrf_path, domain) == ("/", "/", "None")  # What browsers demand of such names.
    assert not any(name.startswith("__") for name in start(code).stdout.split())


@pytest.mark.parametrize(
    ("variables", "header"),
    [
        ({}, "0 False False"),
        ({"HTTPS": "1"}, "31536000 False False"),
        ({"HTTPS": "1", "HSTS_INCLUDE_SUBDOMAINS": "1"}, "31536000 True False"),
        ({"HTTPS": "1", "HSTS_INCLUDE_SUBDOMAINS": "1", "HSTS_PRELOAD": "1"}, "31536000 True True"),
    ],
)
def test_strict_transport_reaches_beyond_the_host_by_choice(variables: dict[str, str], header: str):
    code = (
        "from django.conf import settings as s; print(s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS,"
        " s.SECURE_HSTS_PRELOAD)"
    )
    assert start(code, **variables).stdout.strip() == header


@pytest.mark.parametrize(
    ("variables", "values"),
    [
        ({}, "'' []"),
        ({"PATH_PREFIX": " statestore/ "}, "'/statestore' []"),
        ({"PATH_PREFIX": "/"}, "'' []"),
        (
            {"PATH_PREFIX": "/a/b", "CSRF_TRUSTED_ORIGINS": "https://a:8443/, https://b"},
            "'/a/b' ['https://a:8443', 'https://b']",
        ),
    ],
)
def test_addresses_are_taken_as_they_are_meant(variables: dict[str, str], values: str):
    code = "from django.conf import settings as s; print(repr(s.PATH_PREFIX), s.CSRF_TRUSTED_ORIGINS)"
    assert start(code, **variables).stdout.strip() == values


@pytest.mark.parametrize(
    ("variables", "trusted"),
    [
        ({}, "[] False"),
        ({"HTTPS": "1"}, "['127.0.0.0/8', '::1'] False"),
        ({"HTTPS": "1", "TRUSTED_PROXIES": "10.0.0.1, 10.1.0.0/16"}, "['10.0.0.1', '10.1.0.0/16'] True"),
        ({"TRUSTED_PROXIES": " , "}, "[] False"),
    ],
)
def test_a_proxy_is_trusted_if_it_is_named_or_ends_tls_on_this_machine(variables: dict[str, str], trusted: str):
    code = "from django.conf import settings as s; print(s.TRUSTED_PROXIES, s.TRUSTED_PROXIES_ARE_NAMED)"
    assert start(code, **variables).stdout.strip() == trusted


def test_the_deployment_check_asks_which_proxy_ends_tls():
    check = (
        "from django.core.management import execute_from_command_line as run; run(['manage.py', 'check', '--deploy'])"
    )
    assert "statestore.W001" in start(check, HTTPS="1").stderr
    assert "statestore.W001" not in start(check, HTTPS="1", TRUSTED_PROXIES="10.0.0.1").stderr


def test_all_that_is_written_lies_in_one_directory(tmp_path: Path):
    asked = (
        "from django.conf import settings as s; import sys; names = [s.SEARCH_INDEX, s.STATIC_ROOT, s.VAR_DIR,"
        " *(each['NAME'] for each in s.DATABASES.values())]; print(*map(str, names), sep='\\n')"
    )
    done = start(asked, VAR_DIR=str(tmp_path / "a" / "var"), SECRET_KEY="")
    paths = done.stdout.splitlines()
    assert len(paths) == 5, done.stderr
    # A checkout in which static files were collected keeps them.
    apart = [path for path in paths if not path.startswith(f"{tmp_path}/a/var") and not path.endswith("/staticfiles")]
    assert apart == []
    assert (tmp_path / "a" / "var" / "secret_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("variables", "codes"),
    [
        ({"REMOTE_USER_HEADER": "Remote-User", "TRUSTED_PROXIES": "10.0.0.1,proxy"}, {"E007"}),
        ({"REMOTE_USER_HEADER": "Remote-User"}, {"E008"}),
        ({"PATH_PREFIX": "/agents", "CSRF_TRUSTED_ORIGINS": "https://a/b"}, {"E012", "E013"}),
        ({"PATH_PREFIX": "/a b"}, {"E011"}),
    ],
)
def test_check_names_all_that_is_wrong_and_nothing_else(variables: dict[str, str], codes: set[str]):
    check = "from django.core.management import execute_from_command_line as run; run(['manage.py', 'check'])"
    done = start(check, **variables)
    assert done.returncode == 1
    assert set(re.findall(r"statestore\.(E\d+)", done.stderr)) == codes


WRONG = {"STORE_URL": "sqlite:////tmp/a?b.db", "CAPTURE_ROWS": "many", "LOG_LEVEL": "loud"}
ENTRIES = (
    ["manage.py", "check"],
    ["manage.py", "serve"],
    ["manage.py", "adopt", "x.db"],
    ["-c", "import descartes_site.wsgi"],
    ["-c", "import descartes_site.asgi"],
    ["-c", "import descartes_site.rsgi"],
)


def run(words: list[str], variables: dict[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Python with only these variables."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False,
        env={**kept, "SECRET_KEY": "k" * 50, **variables},
    )  # fmt: skip


@pytest.mark.parametrize("words", ENTRIES)
def test_each_wrong_variable_is_a_line_wherever_a_process_starts(words: list[str]):
    done = run(words, WRONG)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["CAPTURE_ROWS", "STORE_URL", "LOG_LEVEL"]
    assert done.stdout == ""


def test_a_server_starts_with_no_settings_that_a_command_would_refuse():
    done = run(["-c", "import descartes_site.rsgi"], {"TRUSTED_PROXIES": "10.0.0.1,proxy"})
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("TRUSTED_PROXIES is wrong: 'proxy'")


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_wrong_port_is_named(port: str):
    done = run(["manage.py", "serve", f"--port={port}"], {})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"argument --port: {port} is not a number from 1 to 65535")


def test_a_dollar_is_a_dollar():
    key = "$HOME" + "k" * 50
    code = (
        "from django.conf import settings as s; d = s.DATABASES['store'];"
        "print(s.SECRET_KEY, d['NAME'], d['USER'], d['PASSWORD'])"
    )
    url = "postgres://$USER:$HOME#1?@db/$LANG"
    assert start(code, SECRET_KEY=key, STORE_URL=url).stdout.split() == [key, "$LANG", "$USER", "$HOME#1?"]


def test_a_key_that_cannot_be_read_or_kept_is_a_line(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "var" / "secret_key").mkdir(parents=True)
    for place in ("file/var", "var"):
        done = run(["manage.py", "check"], {"SECRET_KEY": "", "VAR_DIR": str(tmp_path / place)})
        assert done.returncode == 1
        assert done.stderr.startswith(f"VAR_DIR is “{tmp_path / place}”; its secret_key cannot be read or made (")
        assert done.stderr.count("\n") == 1


def test_an_empty_key_of_a_start_that_was_interrupted_is_made_again(tmp_path: Path):
    (tmp_path / "secret_key").touch(mode=0o600)
    done = start(
        "from django.conf import settings as s; print(len(s.SECRET_KEY))", SECRET_KEY="", VAR_DIR=str(tmp_path)
    )
    assert int(done.stdout) >= 50
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_relative_directories_begin_at_the_checkout(tmp_path: Path):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from django.conf import settings as s; " + (
        "print(s.VAR_DIR, s.SEARCH_INDEX)"
    )
    variables = {"DJANGO_SETTINGS_MODULE": "descartes_site.settings", "VAR_DIR": "x", "SEARCH_INDEX": "y/s.db"}
    assert run(["-c", code], variables, tmp_path).stdout.split() == [f"{ROOT}/x", f"{ROOT}/y/s.db"]


def test_exactly_one_sqlite_library_is_in_the_process():
    code = (
        "import descartes_site, sys, sqlite3, django.db.backends.sqlite3.base as base;"
        "print(base.Database is sqlite3.dbapi2 or base.Database.sqlite_version == sqlite3.sqlite_version,"
        " '_sqlite3' in sys.modules and sqlite3.__name__ != 'sqlite3')"
    )
    assert start(code).stdout.split() == ["True", "False"]


def test_the_first_migrate_makes_both_files(tmp_path: Path):
    variables = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'dashboard.db'}",
        "STORE_URL": f"sqlite:///{tmp_path / 'descartes.db'}",
    }
    code = (
        "import sys; from django.core.management import execute_from_command_line as run;"
        "[run(['manage.py', 'migrate', '-v', '0', '--database', alias]) for alias in ('default', 'store')]"
    )
    done = start(code, **variables)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} >= {"dashboard.db", "descartes.db"}


def test_the_admin_finds_its_pages_when_it_is_asked_and_not_before():
    done = start(
        "import sys, django; django.setup();"
        " from django.contrib import admin; from statestore.models import Task;"
        " assert 'statestore.admin' not in sys.modules, 'Commands would wait for it.';"
        " assert admin.site.is_registered(Task); assert len(admin.site._registry) >= 8"
    )
    assert done.returncode == 0, done.stderr
