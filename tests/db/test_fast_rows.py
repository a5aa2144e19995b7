"""Rows by statements compiled once: they store and read what the ORM would, whatever it is."""

from contextlib import nullcontext
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import Model
from hypothesis import example, given
from hypothesis import strategies as st

from statestore import models
from statestore.db import fast_rows
from statestore.db.errors import translated_errors
from statestore.db.fields import NonInteger, StoredBlob
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from tests.builders import NOW, make_agent, make_session, make_task
from tests.examples import thoroughly_on_the_store

pytestmark = pytest.mark.django_db

# As they come out of the store: any text, invalid UTF-8, a blob.
stored_texts = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.binary(max_size=20).map(StoredBlob),
)
stored_integers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.one_of(st.text(max_size=20), st.binary(max_size=20), st.floats(allow_nan=False)).map(NonInteger),
)
columns = st.fixed_dictionaries(
    {"agent_id": stored_texts, "state_data": stored_texts, "created_at": stored_integers},
    optional={"description": st.none() | stored_texts, "expires_at": st.none() | stored_integers},
)


def stored_form(row: Model) -> list[tuple[object, ...]]:
    """Return the row's columns as the database holds them: on SQLite with their type and bytes."""
    connection = connections[store_alias()]
    names = [str(field.column) for field in row._meta.concrete_fields if field.column not in ("rowid", "id")]
    shown = [f"typeof({name}), hex({name})" if connection.vendor == "sqlite" else name for name in names]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(shown)} FROM {row._meta.db_table} WHERE id = %s", [row.pk])
        return list(cursor.fetchall())


def outcome(work: Any) -> object:
    """Return what a work returns, or the kind of error that it raises."""
    try:
        with translated_errors(), transaction.atomic(using=store_alias()):
            return work()
    except (StateStoreError, OverflowError, TypeError, ValueError) as error:
        return type(error)


def as_read(row: Model | None) -> object:
    """Return the values of a row's columns with what they really were."""
    if row is None:
        return None
    values = [(field.attname, getattr(row, field.attname)) for field in row._meta.concrete_fields]
    return [(name, type(value), getattr(value, "raw", value)) for name, value in values if name not in ("rowid", "id")]


@thoroughly_on_the_store
@given(columns)
@example({"agent_id": "a\0b", "state_data": "\udcff", "created_at": 2**63 - 1})
@example({"agent_id": "a", "state_data": StoredBlob(b"\xff"), "created_at": NonInteger("2026-11-22 21:28:06")})
def test_a_row_is_inserted_as_the_orm_would(given_columns: dict[str, Any]):
    fast, slow = models.Snapshot(**given_columns), models.Snapshot(**given_columns)
    results = [
        outcome(lambda: fast_rows.insert(fast, store_alias())),
        outcome(lambda: slow.save(using=store_alias(), force_insert=True)),
    ]
    assert results[0] == results[1]
    assert stored_form(fast) == stored_form(slow)
    assert results[0] is not None or not fast._state.adding


@thoroughly_on_the_store
@given(columns, columns)
def test_a_row_is_updated_as_the_orm_would(before: dict[str, Any], after: dict[str, Any]):
    rows = [models.Snapshot(**before) for _ in range(2)]
    if any(outcome(lambda row=row: row.save(force_insert=True)) for row in rows):
        return
    for row in rows:
        for name, value in after.items():
            setattr(row, name, value)
    results = [
        outcome(lambda: fast_rows.update(rows[0], store_alias(), after)),
        outcome(lambda: rows[1].save(update_fields=list(after))),
    ]
    assert results[0] == results[1]
    assert stored_form(rows[0]) == stored_form(rows[1])


@thoroughly_on_the_store
@given(columns, st.booleans())
def test_a_row_is_found_and_read_as_the_orm_would(given_columns: dict[str, Any], is_locked: bool):
    row = models.Snapshot(**given_columns)
    if outcome(lambda: row.save(force_insert=True)):
        return
    alike = {"agent_id": row.agent_id, "id": row.pk, "expires_at": None}
    for conditions in (alike, {**alike, "agent_id": str(row.agent_id)}, {"state_data": row.state_data, "id": row.pk}):
        rows = models.Snapshot.objects.filter(**conditions)
        found = fast_rows.find(models.Snapshot, store_alias(), lock=is_locked, **conditions)
        assert as_read(found) == as_read(rows.first())
        assert fast_rows.exists(models.Snapshot, store_alias(), **conditions) == rows.exists()


def test_a_key_that_the_database_makes_is_known_after_the_insertion():
    rows = [models.AuditEntry(at=NOW, actor="ada", action="edit", noun="agent", row_id=name) for name in "ab"]
    for row in rows:
        fast_rows.insert(row, store_alias())
    assert [models.AuditEntry.objects.get(row_id=name).pk for name in "ab"] == [row.pk for row in rows]


def test_rows_are_deleted_by_their_values_alone():
    tasks = [make_task(id=name) for name in "abc"]
    for task in tasks[:2]:
        models.TaskDependency.objects.create(task=task, depends_on=tasks[2])
    fast_rows.delete(models.TaskDependency, store_alias(), task_id="a")
    assert [edge.task_id for edge in models.TaskDependency.objects.all()] == ["b"]


def test_null_is_found_by_none():
    make_session("a", ended_at=NOW)
    assert not fast_rows.exists(models.Session, store_alias(), agent_id="a", ended_at=None)
    make_session("a", ended_at=None)
    assert fast_rows.exists(models.Session, store_alias(), agent_id="a", ended_at=None)


def test_an_update_of_a_row_that_is_gone_is_an_error():
    agent = make_agent("a")
    models.AgentState.objects.all().delete()
    for key in ("a", None):
        agent.key = key
        with pytest.raises(StateStoreError, match="Nothing was changed"), translated_errors():
            fast_rows.update(agent, store_alias(), ["name"])


def test_what_observes_statements_sees_those_of_fast_rows():
    seen: list[str] = []

    def note(execute: Any, sql: str, *how: Any) -> Any:
        seen.append(sql.split()[0])
        return execute(sql, *how)

    with connections[store_alias()].execute_wrapper(note):
        task = make_task()
        fast_rows.insert(models.Task(title="t", created_at=NOW, updated_at=NOW), store_alias())
        fast_rows.find(models.Task, store_alias(), id=task.pk)
    assert seen[-2:] == ["INSERT", "SELECT"]


@pytest.mark.parametrize("is_observed", [False, True])
def test_a_broken_transaction_takes_no_more_statements(is_observed: bool):
    connection = connections[store_alias()]
    observed = connection.execute_wrapper(lambda execute, *how: execute(*how)) if is_observed else nullcontext()
    with observed, transaction.atomic(using=store_alias()):
        transaction.set_rollback(True, using=store_alias())
        connection.needs_rollback = True
        with pytest.raises(transaction.TransactionManagementError):
            fast_rows.exists(models.Task, store_alias(), id="x")


def test_errors_of_the_driver_are_those_of_django():
    task = make_task()
    with pytest.raises(IntegrityError), transaction.atomic(using=store_alias()):
        fast_rows.insert(models.Task(id=task.pk, title="t", created_at=NOW, updated_at=NOW), store_alias())


@thoroughly_on_the_store
@given(columns)
@example({"agent_id": "a\0b", "state_data": "\udcff", "created_at": 2**63 - 1})
def test_new_rows_are_inserted_as_the_orm_would_and_those_that_are_there_stay(given_columns: dict[str, Any]):
    plain = {"agent_id": "a", "state_data": "{}", "created_at": NOW}
    fast, slow = [[models.Snapshot(**given_columns), models.Snapshot(**plain)] for _ in range(2)]
    results = [
        outcome(lambda: fast_rows.insert_new(fast, store_alias())),
        outcome(lambda: models.Snapshot.objects.bulk_create(slow, ignore_conflicts=True) and None),
    ]
    assert results[0] == results[1]
    assert list(map(stored_form, fast)) == list(map(stored_form, slow))
    if results[0] is not None:
        return  # The database takes none of them.
    known = stored_form(fast[1])
    fast_rows.insert_new([models.Snapshot(pk=fast[1].pk, **plain | {"state_data": "[]"})], store_alias())
    assert stored_form(fast[1]) == known
    fast_rows.insert_new([], store_alias())
