"""What every test may ask for."""

import gc
import os
import shlex
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connections, transaction
from django.test import Client, override_settings
from pytest_django.plugin import DjangoDbBlocker

from statestore import models, partitions
from statestore.access import audit, reauthentication
from statestore.access.browser_sessions import SessionStore
from statestore.adoption import status
from statestore.agents import limits as agent_limits
from statestore.api.auth import wrong_tokens
from statestore.db import damage
from statestore.db.routers import store_alias
from statestore.search.fts import index_file as search_file
from tests import below_a_store
from tests.commands import manage
from tests.faults.scale import LONG
from tests.templates import Templates

# Playwright's event loop runs in the tests' thread; the ORM is not used from inside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


# What was imported and collected lives to the end; without this, each collection of garbage walks all of it again.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of the collection of garbage."""
    gc.freeze()
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the suite run with its store as one of several."""
    below_a_store.add_option(parser)
    parser.addoption("--partitioned", action="store_true", help="run the tests with events and transitions by month")


def pytest_configure(config: pytest.Config) -> None:
    """Serve several stores, if that is asked for."""
    below_a_store.begin(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test that uses a database both of them; nothing in this product lives in one alone."""
    below_a_store.left_out(config, items)
    for item in items:
        for marker in item.iter_markers("django_db"):
            marker.kwargs.setdefault("databases", "__all__")


ROLES = ("viewer", "operator", "manager", "administrator")
STAFF = {"manager", "administrator"}
# What migrations wrote and no test changes; and what the database itself guards against being deleted.
KEPT_TABLES = {"migrations", "auth_group", "auth_group_permissions", "auth_permission", "django_content_type"}
GUARD = "dash_audit_no_delete"


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Return what the processes of this run make once and share."""
    base = tmp_path_factory.getbasetemp()
    return Templates((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "templates")


def migrate_into(directory: Path) -> None:
    """Make both databases as SQLite files."""
    urls = {
        variable: f"sqlite:///{directory / f'{alias}.db'}"
        for alias, variable in (("default", "DATABASE_URL"), ("store", "STORE_URL"))
    }
    manage(urls, ("migrate",), ("migrate", "--database", "store"))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory, templates: Templates
) -> None:
    """Use files: SQLite's shared memory locks tables at once, where a file's lock is waited for.

    They are copied, so that one process migrates for all; PostgreSQL does the same by TEMPLATE (tests/postgres.py).
    """
    own = tmp_path_factory.mktemp("databases")
    for connection in connections.all():
        if connection.vendor == "sqlite":
            name = "default" if connection.alias == "default" else "store"
            made = templates.get("migrated", migrate_into) / f"{name}.db"
            connection.settings_dict["TEST"]["NAME"] = shutil.copy(made, own / f"{connection.alias}.db")
        else:
            connection.settings_dict["TEST"]["TEMPLATE"] = connection.settings_dict["NAME"]


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Keep what was copied: Django would delete the files and migrate anew."""
    return all(connection.vendor == "sqlite" for connection in connections.all())


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Let tests with real transactions be cleaned up: keep the migrations' rows, lift the audit's guard meanwhile."""
    for connection in connections.all():
        flush = connection.ops.sql_flush

        def sql_flush(
            style: Any, tables: Any, flush: Any = flush, connection: Any = connection, **how: Any
        ) -> list[str]:
            statements: list[str] = flush(style, [table for table in tables if table not in KEPT_TABLES], **how)
            if connection.vendor == "sqlite" and "events" in tables:
                # No model has it; and the triggers have just filled it with what was deleted.
                statements.append("DELETE FROM dash_dirty")
            if connection.vendor != "sqlite" or "dash_audit" not in tables:
                return statements
            with connection.cursor() as cursor:
                cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [GUARD])
                (create,) = cursor.fetchone()
            return [f"DROP TRIGGER {GUARD}", *statements, create]

        connection.ops.sql_flush = sql_flush  # type: ignore[method-assign]
    if request.config.getoption("--partitioned"):
        with django_db_blocker.unblock():
            partitions.partition(store_alias(), by=audit.SYSTEM)
            with connections[store_alias()].cursor() as cursor:
                cursor.execute("TRUNCATE dash_audit")
    yield
    for connection in connections.all():
        if connection.vendor == "postgresql":
            connection.close_pool()


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """Let no test see what another one counted; and let the store be known to be ready, as after a first request.

    Whether it is costs queries, which tests count: which test comes first must not matter.
    """
    _forget()


def _forget() -> None:
    cache.clear()
    damage.forget()
    wrong_tokens.forget()
    status.take_as_ready(store_alias())


@contextmanager
def undone() -> Iterator[None]:
    """Undo what a request writes and counts, so that the next one of the same test finds the same."""
    first, *others = connections
    with transaction.atomic(using=first), ExitStack() as stack:
        for alias in others:
            stack.enter_context(transaction.atomic(using=alias))
        yield
        for alias in connections:
            transaction.set_rollback(True, using=alias)
    _forget()


@pytest.fixture(autouse=True)
def _no_search_index(settings: Any) -> None:
    """Let no test find the index of another; those about the index say where it lies."""
    settings.SEARCH_INDEX = "/dev/null/search.db"


@pytest.fixture
def index_file(_no_search_index: None, settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Return where the test's own search index lies, which is made when it is asked for."""
    settings.SEARCH_INDEX = str(tmp_path / "index" / "search.db")
    yield search_file.path()
    search_file.close()


@pytest.fixture(scope="session", autouse=True)
def _test_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let templates name static files without a manifest, and without the folder, that only `collectstatic` makes.

    The folder must be nobody else's: each client reads all of it, and takes nothing but regular files.
    """
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    storages = {**settings.STORAGES, "staticfiles": plain}
    # A password that is meant to be slow to check would cost a second each time.
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    empty = str(tmp_path_factory.mktemp("empty"))
    with (
        override_settings(STATIC_ROOT=empty, STORAGES=storages, PASSWORD_HASHERS=hashers),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(agent_limits, "MEASURED_SECONDS", 0.02)
        yield


def _make_var(directory: Path) -> None:
    """Let a process of the dashboard make its embedded store, and what else it keeps."""
    urls = dict.fromkeys(("STORE_URL", "DATABASE_URL"), "")
    manage({**urls, "VAR_DIR": str(directory)}, ("migrate",), ("migrate", "--database", "store"))


@pytest.fixture
def var(templates: Templates, tmp_path: Path) -> Path:
    """Return a VAR_DIR with an embedded store in which nothing is: a process that migrates one takes seconds."""
    return shutil.copytree(templates.get("var", _make_var), tmp_path / "var")


@pytest.fixture
def quick_disk() -> Iterator[Path]:
    """Return a directory in memory where there is one: a busy disk stalls for longer than any lock that is measured."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="statestore-", dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture
def people(db: None) -> dict[str, User]:
    """Return one user for each role, and one without any."""
    password = make_password(None)
    rows = [User(username=name, password=password, is_staff=name in STAFF) for name in ("nobody", *ROLES)]
    made = {user.username: user for user in User.objects.bulk_create(rows)}
    groups = {group.name: group for group in Group.objects.filter(name__in=ROLES)}
    memberships = [User.groups.through(user_id=made[role].pk, group_id=groups[role].pk) for role in ROLES]
    User.groups.through.objects.bulk_create(memberships)
    return made


def signed_in(user: User) -> Client:
    """Return a client whose requests are the user's; the session is made directly, without the signals of a login."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session[reauthentication.PROVED_AT] = models.now()
    session.create()
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
    return client


@pytest.fixture
def operator(people: dict[str, User]) -> Client:
    return signed_in(people["operator"])


@pytest.fixture
def viewer(people: dict[str, User]) -> Client:
    return signed_in(people["viewer"])


@pytest.fixture
def manager(people: dict[str, User]) -> Client:
    return signed_in(people["manager"])


@pytest.fixture(scope="session")
def on_sqlite() -> bool:
    """Whether the store of this run is an SQLite file."""
    return connections[store_alias()].vendor == "sqlite"


# The gate tries the same examples each time, so that it tells of a change and not of its luck; `make faults` tries
# others. A busy machine is no fault of the code: speed is measured by ratios, elsewhere.
hypothesis.settings.register_profile(
    "shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=not LONG
)
hypothesis.settings.load_profile("shared")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the output of a failing test end with the line that repeats it alone."""
    report = yield
    if report.failed:
        report.sections.append(("Repeat it alone", repeat_line(item)))
    return report


def repeat_line(item: pytest.Item) -> str:
    """Return the shell command that runs one test as this run did: on the same database, with the same seed."""
    words = ["FAULTS=long"] if LONG else []
    words += [".venv/bin/python", "-m"]
    if os.environ.get("STORE_URL", "").startswith("postgres"):
        words += ["tests.postgres", ".venv/bin/pytest"]
    else:
        words += ["pytest"]
    seed = item.config.getoption("randomly_seed", None)
    words += [f"--randomly-seed={seed}"] if isinstance(seed, int) else []
    return " ".join([*words, shlex.quote(item.nodeid)])
