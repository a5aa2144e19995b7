"""A schema that another program changed, and damaged pages: probes, doctor and pages say so."""

from typing import Any

import pytest
from django.db import connections, transaction
from django.db.utils import OperationalError
from django.test import Client

from statestore.db import damage
from statestore.db.errors import translate
from statestore.db.routers import store_alias
from statestore.operations import doctor, readiness, schema
from tests.builders import make_agent, make_event

pytestmark = pytest.mark.django_db

CHANGES = {
    "a dropped table": ("DROP TABLE task_dependencies", "the table task_dependencies"),
    "a renamed table": ("ALTER TABLE events RENAME TO happenings", "the table events"),
    "a renamed column": ("ALTER TABLE agent_states RENAME COLUMN name TO title", "the column name of agent_states"),
    "a side table": ("DROP TABLE dash_restore", "the table dash_restore"),
}


def execute(sql: str, alias: str | None = None) -> None:
    with connections[alias or store_alias()].cursor() as cursor:
        cursor.execute(sql)


def test_nothing_is_missing_from_what_was_migrated():
    for alias in connections:
        assert schema.missing(connections[alias]) == []
    assert readiness._store() == readiness._own() == ""


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_schema_is_named_by_probe_and_doctor(change: str):
    statement, name = CHANGES[change]
    execute(statement)
    assert schema.missing(connections[store_alias()]) == [name]
    assert name in readiness._store().lower()
    assert "is missing. Run `manage.py doctor`" in readiness._store()
    found = {finding.title.lower(): finding.level for finding in doctor.examine(thorough=True)}
    assert found[f"{name} is missing"] == "error"


def test_a_change_of_our_own_database_is_named():
    execute("ALTER TABLE axes_accessattempt RENAME COLUMN username TO who", "default")
    assert "column username of axes_accessattempt" in readiness._own()


@pytest.mark.parametrize(
    ("statement", "addresses"),
    [
        ("ALTER TABLE agent_states RENAME COLUMN name TO title", ("/agents/", "/agents/a/", "/api/v1/agents")),
        ("ALTER TABLE events RENAME TO happenings", ("/events/?q=hello", "/api/v1/events", "/sessions/")),
        ("ALTER TABLE state_transitions RENAME TO changes", ("/agents/a/", "/agents/a/timeline/")),
        ("DROP TABLE dash_restore", ("/restores/", "/api/v1/restores")),
    ],
)
def test_pages_and_calls_of_a_changed_schema_are_refused_in_words(
    operator: Client, statement: str, addresses: tuple[str, ...]
):
    make_agent("a")
    make_event(content="hello")
    execute(statement)
    for address in addresses:
        with transaction.atomic(using=store_alias()):
            answer = operator.get(address)
            transaction.set_rollback(True, using=store_alias())
        text = answer.content.decode()
        assert answer.status_code == 503, address
        assert "has another schema than before" in text, address
        assert "manage.py doctor" in text, address


def test_damage_that_a_statement_met_is_told_by_the_probe(monkeypatch: pytest.MonkeyPatch):
    error: Any = OperationalError("database disk image is malformed")
    error.alias = store_alias()
    monkeypatch.setattr(damage, "_is_over", lambda *_: False)
    translate(error)
    assert readiness._store().startswith("The store is damaged")
    if store_alias() != "default":
        assert readiness._own() == ""
    monkeypatch.undo()
    # What was repaired, or put back, is sound at the next probe; where that cannot be asked, after a while.
    monkeypatch.setattr(damage, "_TOLD_SECONDS", -1)
    assert readiness._store() == ""
