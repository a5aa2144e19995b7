"""What every test may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connections
from django.test import Client, override_settings

from statestore.routers import store_alias
from statestore.search import file

# Playwright's event loop runs in the tests' thread; the ORM is not used from inside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test that uses a database both of them; nothing in this product lives in one alone."""
    for item in items:
        for marker in item.iter_markers("django_db"):
            marker.kwargs.setdefault("databases", "__all__")


# What migrations wrote and no test changes; and what the database itself guards against being deleted.
KEPT_TABLES = {"migrations", "auth_group", "auth_group_permissions", "auth_permission", "django_content_type"}
GUARD = "dash_audit_no_delete"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Use files: SQLite's shared memory locks tables at once, where a file's lock is waited for."""
    for connection in connections.all():
        if connection.vendor == "sqlite":
            path = tmp_path_factory.mktemp("databases") / f"{connection.alias}.db"
            connection.settings_dict["TEST"]["NAME"] = str(path)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
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
    yield
    for connection in connections.all():
        if connection.vendor == "postgresql":
            connection.close_pool()


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """Let no test see what another one counted."""
    cache.clear()


@pytest.fixture(autouse=True)
def _no_search_index(settings: Any) -> None:
    """Let no test find the index of another; those about the index say where it lies."""
    settings.SEARCH_INDEX = "/nonexistent/search.db"


@pytest.fixture
def index_file(_no_search_index: None, settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Return where the test's own search index lies, which is made when it is asked for."""
    settings.SEARCH_INDEX = str(tmp_path / "index" / "search.db")
    yield file.path()
    file.close()


@pytest.fixture(scope="session", autouse=True)
def _plain_static_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let templates name static files without a manifest, and without the folder, that only `collectstatic` makes.

    The folder must be nobody else's: each client reads all of it, and takes nothing but regular files.
    """
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    storages = {**settings.STORAGES, "staticfiles": plain}
    with override_settings(STATIC_ROOT=str(tmp_path_factory.mktemp("empty")), STORAGES=storages):
        yield


@pytest.fixture
def people(db: None) -> dict[str, User]:
    """Return one user for each role, and one without any."""
    made = {"nobody": User.objects.create_user("nobody")}
    for role in ("viewer", "operator", "manager", "administrator"):
        made[role] = User.objects.create_user(role, is_staff=role in {"manager", "administrator"})
        made[role].groups.add(Group.objects.get(name=role))
    return made


def signed_in(user: User) -> Client:
    """Return a client whose requests are the user's."""
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
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


# A busy machine is no fault of the code: speed is measured by ratios, elsewhere.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")
