"""Restores that are wrong on purpose: the canaries. Each undoes one thing that restore.py is careful about."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from statestore.db import transactions
from statestore.errors import Conflict

if TYPE_CHECKING:
    from statestore import models, restore
    from statestore.access.audit import Actor


def check(planned: "restore.RestorePlan") -> None:
    """Compare the hash, as a careless program does: before it writes, and not when it writes."""
    from statestore import models

    agent = models.AgentState.objects.using(planned.using).get(agent_id=planned.agent.agent_id)
    if agent.etag() != planned.expected_etag:
        raise Conflict("It moved.")


def write_unchecked(planned: "restore.RestorePlan", *, by: "Actor") -> "models.Restore":
    """Restore in one transaction, over whatever is there, believing that it is still what was planned against."""
    from statestore.restore.apply import _write

    with transactions.writing(planned.using):
        return _write(planned.agent, planned, planned.expected_etag, by=by, reason="", undoes=None)


@contextlib.contextmanager
def _each_statement_by_itself(using: str) -> Iterator[None]:
    yield


def piecemeal() -> None:
    """Make all writes of this process a handful of statements that each commit by themselves."""
    transactions.writing = _each_statement_by_itself


class Piecemeal(AppConfig):
    """An app whose presence makes the whole site write piecemeal."""

    name = "tests.faults"
    label = "piecemeal"

    def ready(self) -> None:
        piecemeal()
        connection_created.connect(_slow_down, weak=False)


def _slow_down(connection: BaseDatabaseWrapper, **_: object) -> None:
    connection.execute_wrappers.append(_dawdle)


def _dawdle(execute: Callable[..., object], sql: str, *arguments: object) -> object:
    result = execute(sql, *arguments)
    if sql.startswith(("INSERT", "UPDATE")):
        # Most of a restore is then a gap between two statements, so that the canary's first kills meet one.
        time.sleep(0.05)
    return result
