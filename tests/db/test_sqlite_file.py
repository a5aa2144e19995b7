"""A file that is replaced within a transaction, while its lock is waited for, or while it is opened."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.sqlite3 import base as stock
from pytest_django.plugin import DjangoDbBlocker

from statestore import models
from statestore.adoption.temporary_store import store_at
from statestore.db import transactions
from statestore.db.sqlite import base
from statestore.errors import Unavailable
from tests.builders import make_event
from tests.stores import adopt_by_command, make_store

pytestmark = pytest.mark.sqlite


@pytest.fixture(autouse=True)
def _databases_may_be_used(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = make_store(tmp_path / "store.db")
    adopt_by_command(path)
    return path


def replace_file(path: Path) -> None:
    """Put a copy in the file's place, as rsync does."""
    os.replace(shutil.copy(path, path.with_name("copy.db")), path)


def save_event_and(using: str, deed: Callable[[], None]) -> None:
    with transactions.writing(using):
        make_event(content="new")
        deed()


def events(path: Path) -> int:
    with store_at(path) as using:
        return int(models.Event.objects.using(using).filter(content="new").count())


def once(monkeypatch: pytest.MonkeyPatch, name: str, deed: Callable[[], None]) -> None:
    """Let something happen right after the stock backend's method has run for the first time."""
    method = getattr(stock.DatabaseWrapper, name)
    left = [deed]

    def then(self: stock.DatabaseWrapper, *arguments: object) -> object:
        result = method(self, *arguments)
        while left:
            left.pop()()
        return result

    monkeypatch.setattr(stock.DatabaseWrapper, name, then)


def test_what_was_saved_into_a_file_that_was_replaced_meanwhile_is_not_acknowledged(path: Path):
    with store_at(path) as using:
        with pytest.raises(Unavailable, match="was replaced or moved while this was saved"):
            save_event_and(using, lambda: replace_file(path))
        assert not models.Event.objects.using(using).filter(content="new").exists()
        with transactions.writing(using):
            make_event(content="new")
    assert events(path) == 1


def test_a_transaction_begins_in_the_file_that_is_there_when_it_has_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    with store_at(path) as using:
        models.Event.objects.using(using).first()
        once(monkeypatch, "_start_transaction_under_autocommit", lambda: replace_file(path))
        with transactions.writing(using):
            make_event(content="new")
    assert events(path) == 1


def test_a_file_that_is_replaced_while_it_is_opened_is_opened_again(path: Path, monkeypatch: pytest.MonkeyPatch):
    with store_at(path) as using:
        once(monkeypatch, "get_new_connection", lambda: replace_file(path))
        with transactions.writing(using):
            make_event(content="new")
        connection = connections[using]
        assert isinstance(connection, base.DatabaseWrapper)
        assert connection.opened == base.identity_of(str(path))
    assert events(path) == 1


def test_a_missing_file_is_not_created_by_a_question(tmp_path: Path):
    with store_at(tmp_path / "nowhere.db") as using, pytest.raises(base.FileMissing):
        connections[using].cursor()
    assert not (tmp_path / "nowhere.db").exists()


def test_the_file_is_looked_at_before_a_transaction_after_it_began_and_after_its_commit(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    looks: list[bool] = []
    is_replaced = base.DatabaseWrapper.is_replaced

    def look(self: base.DatabaseWrapper) -> bool:
        looks.append(self.connection.in_transaction)
        return is_replaced(self)

    with store_at(path) as using:
        make_event(content="connected")
        monkeypatch.setattr(base.DatabaseWrapper, "is_replaced", look)
        with transactions.writing(using):
            assert looks == [False, True]
            models.Event.objects.using(using).update(content="changed")
            assert looks == [False, True], "a file that is replaced now is noticed after the commit"
        assert looks == [False, True, False]


def test_a_percent_sign_in_a_statement_stays_one(path: Path):
    with store_at(path) as using, connections[using].cursor() as cursor:
        for _ in range(2):
            cursor.execute("SELECT '100%%', %s, 7 %% 4", ["%s"])
            assert cursor.fetchone() == ("100%", "%s", 3)
            cursor.execute("SELECT %(text)s", {"text": "named"})
            assert cursor.fetchone() == ("named",)
