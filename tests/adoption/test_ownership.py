"""No migration of ours runs in a database that belongs to another program: it is named, and left untouched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from statestore.adoption.status import store_status
from statestore.adoption.temporary_store import store_at
from statestore.errors import MigrationError
from statestore.store import StateStore
from tests.stores import adopt_by_command, execute, fingerprint, make_store

ANOTHERS = (
    "CREATE TABLE invoices (id INTEGER)",
    "CREATE TABLE django_migrations (id INTEGER, app TEXT, name TEXT, applied TEXT)",
    "INSERT INTO django_migrations VALUES (1, 'shop', '0001_initial', '2026-01-01')",
)


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.mark.sqlite
def test_another_programs_file_gets_no_table_of_ours(tmp_path: Path):
    path = tmp_path / "shop.db"
    execute(path, *ANOTHERS)
    before = fingerprint(tmp_path)
    with store_at(path) as using:
        with pytest.raises(CommandError, match="belongs to another program: it has the tables django_migrations, inv"):
            call_command("migrate", database=using, verbosity=0)
        with pytest.raises(MigrationError, match="belongs to another program"):
            StateStore(using=using).initialize()
    assert fingerprint(tmp_path) == before


@pytest.mark.sqlite
def test_an_orchestrators_file_is_adopted_and_not_migrated(tmp_path: Path):
    path = make_store(tmp_path / "store.db")
    before = fingerprint(tmp_path)
    with store_at(path) as using, pytest.raises(CommandError, match=r"Run `manage\.py adopt"):
        call_command("migrate", database=using, verbosity=0)
    assert fingerprint(tmp_path) == before
    adopt_by_command(path)
    with store_at(path) as using:
        call_command("migrate", database=using, verbosity=0)


@pytest.mark.sqlite
def test_an_empty_file_and_none_get_our_tables(tmp_path: Path):
    (tmp_path / "empty.db").touch()
    for name in ("empty.db", "new.db"):
        with store_at(tmp_path / name) as using:
            StateStore(using=using).initialize()
            assert store_status(using).is_ready


@contextmanager
def postgresql_database(name: str, *statements: str, options: str = "") -> Iterator[str]:
    """Yield the alias of a database of its own beside the tests' one."""
    with connections["default"].cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} {options}")
    settings = {**connections["default"].settings_dict, "NAME": name, "OPTIONS": {}}
    connections.databases[name] = settings
    try:
        with connections[name].cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        yield name
    finally:
        connections[name].close()
        del connections[name]
        del connections.databases[name]
        with connections["default"].cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")


def tables(using: str) -> set[str]:
    return set(connections[using].introspection.table_names())


@pytest.mark.django_db(transaction=True)
def test_another_programs_postgresql_database_gets_no_table_of_ours(on_sqlite: bool):
    if on_sqlite:
        pytest.skip("about PostgreSQL")
    with postgresql_database("shop", *ANOTHERS) as using:
        with pytest.raises(CommandError, match="shop belongs to another program: it has the tables django_migrations"):
            call_command("migrate", database=using, verbosity=0)
        status = store_status(using)
        assert (status.state, status.remedy) == ("not adopted", "")
        assert "belongs to another program" in status.found
        assert tables(using) == {"invoices", "django_migrations"}


@pytest.mark.django_db(transaction=True)
def test_a_postgresql_database_that_cannot_hold_every_state_is_refused(on_sqlite: bool):
    if on_sqlite:
        pytest.skip("about PostgreSQL")
    options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    with postgresql_database("western", options=options) as using:
        with pytest.raises(CommandError, match="western keeps texts as LATIN1"):
            call_command("migrate", database=using, verbosity=0)
        assert "LATIN1" in store_status(using).found
        assert tables(using) == set()


@pytest.mark.django_db(transaction=True)
def test_tables_of_an_extension_belong_to_no_program(on_sqlite: bool):
    if on_sqlite:
        pytest.skip("about PostgreSQL")
    with postgresql_database("extended", "CREATE TABLE spatial (id INTEGER)") as using:
        with connections[using].cursor() as cursor:
            cursor.execute("CREATE EXTENSION pg_trgm")
            cursor.execute("ALTER EXTENSION pg_trgm ADD TABLE spatial")
        assert store_status(using).remedy.startswith("Run `manage.py migrate")
