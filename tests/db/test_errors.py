"""The drivers' errors in words: what happened, to which database, and what to do."""

from typing import Any

import pytest
from django.db import connections, transaction
from django.db.utils import DataError, InterfaceError, OperationalError, ProgrammingError

from statestore import errors
from statestore.db import postgresql
from statestore.db.errors import translate
from statestore.db.routers import store_alias

CASES = [
    (OperationalError("database or disk is full"), errors.Unavailable, "disk of {} is full"),
    (OperationalError("could not extend file: No space left on device"), errors.Unavailable, "disk of {} is full"),
    (OperationalError("database is locked"), errors.Busy, "writing to {}"),
    (OperationalError("canceling statement due to lock timeout"), errors.Busy, "writing to {}"),
    (OperationalError("canceling statement due to statement timeout"), errors.TooSlow, "in time"),
    (OperationalError("attempt to write a readonly database"), errors.ReadOnly, "file or directory"),
    (OperationalError("cannot execute UPDATE in a read-only transaction"), errors.ReadOnly, "server takes no writes"),
    (OperationalError("no such table: agent_states"), errors.MigrationError, "{} has another schema"),
    (OperationalError("no such column: agent_states.name"), errors.MigrationError, "{} has another schema"),
    (OperationalError("table events has no column named content"), errors.MigrationError, "{} has another schema"),
    (ProgrammingError('relation "agent_states" does not exist'), errors.MigrationError, "{} has another schema"),
    (ProgrammingError("column agent_states.name does not exist"), errors.MigrationError, "{} has another schema"),
    (OperationalError('connection failed: database "x" does not exist'), errors.Unavailable, "{} cannot be reached"),
    (ProgrammingError('column "name" does not exist'), errors.MigrationError, "{} has another schema"),
    (OperationalError("database disk image is malformed"), errors.Unavailable, "{} is damaged"),
    (OperationalError("file is not a database"), errors.Unavailable, "{} is damaged"),
    (OperationalError("invalid page in block 7 of relation base/5/1"), errors.Unavailable, "{} is damaged"),
    (OperationalError("couldn't get a connection after 2.00 sec"), errors.Unavailable, "{} cannot be reached"),
    (OperationalError("the database system is starting up"), errors.Unavailable, "{} cannot be reached"),
    (OperationalError("terminating connection due to administrator command"), errors.Unavailable, "cannot be reached"),
    (InterfaceError("connection already closed"), errors.Unavailable, "{} cannot be reached"),
    (OperationalError("disk I/O error"), errors.Unavailable, "{} is not usable"),
    (DataError("bigint out of range"), errors.DatabaseError, "out of range"),
]


@pytest.mark.parametrize(("error", "kind", "words"), CASES, ids=[str(case[0])[:40] for case in CASES])
def test_an_error_names_the_database_that_it_is_about(error: Any, kind: type[errors.StateStoreError], words: str):
    for alias, name in ((store_alias(), "the store"), ("default", "the dashboard's own database")):
        if alias == store_alias() and name != "the store":
            continue  # One PostgreSQL database for both.
        error.alias = alias
        translated = translate(error)
        assert type(translated) is kind
        assert words.format(name).lower() in str(translated).lower()
    assert translated.status == (500 if kind is errors.DatabaseError else 503)


@pytest.mark.django_db
def test_each_database_marks_its_errors():
    for alias in connections:
        with (
            pytest.raises((OperationalError, ProgrammingError)) as caught,
            transaction.atomic(using=alias),
            connections[alias].cursor() as cursor,
        ):
            cursor.execute("SELECT 1 FROM nowhere_at_all")
        assert caught.value.alias == alias
        assert isinstance(translate(caught.value), errors.MigrationError)


def test_a_process_that_serves_bounds_its_statements(monkeypatch: pytest.MonkeyPatch):
    base = pytest.importorskip("statestore.db.postgresql.base")
    executed: list[Any] = []

    class Connection:
        def execute(self, sql: str, parameters: list[str]) -> None:
            executed.append(parameters)

    monkeypatch.setattr(postgresql, "_bounds", {})
    monkeypatch.setattr(base.base.DatabaseWrapper, "_configure_connection", lambda *_: False)
    wrapper = base.DatabaseWrapper({"OPTIONS": {}}, "store")
    assert not wrapper._configure_connection(Connection())
    postgresql.bound_statements()
    assert wrapper._configure_connection(Connection())
    assert executed == [
        ["statement_timeout", "30s"],
        ["lock_timeout", "5s"],
        ["idle_in_transaction_session_timeout", "90s"],
    ]


def test_a_server_that_was_away_just_now_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    base = pytest.importorskip("statestore.db.postgresql.base")
    now, attempts = [0.0], []

    def refuse(self: Any, parameters: Any) -> None:
        attempts.append(now[0])
        raise self.Database.OperationalError("couldn't get a connection after 2.00 sec")

    monkeypatch.setattr(base.base.DatabaseWrapper, "get_new_connection", refuse)
    monkeypatch.setattr(base.DatabaseWrapper, "_away_until", {})
    monkeypatch.setattr(base.time, "monotonic", lambda: now[0])
    wrapper = base.DatabaseWrapper({"OPTIONS": {}}, "store")
    for moment in (0.0, 0.1, 0.9, 1.1, 1.2):
        now[0] = moment
        with pytest.raises(wrapper.Database.OperationalError):
            wrapper.get_new_connection({})
    assert attempts == [0.0, 1.1]
