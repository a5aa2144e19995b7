"""The chain of the audit log: each change behind its back is found, at its place."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections, transaction

from statestore import models, restore
from statestore.access import audit, audit_chain
from statestore.access.audit import Actor
from statestore.db import transactions
from statestore.db.routers import store_alias
from statestore.models.audit import Action
from tests.builders import make_agent, make_snapshot, make_task
from tests.faults.scale import times

pytestmark = pytest.mark.django_db

ADA = Actor("ada", "192.0.2.1")


@contextmanager
def behind_its_back() -> Iterator[Callable[..., None]]:
    """Yield a function that runs statements on the store, the guards of the audit log lifted."""
    connection = connections[store_alias()]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE name LIKE 'dash_audit_no%%'")
            guards = cursor.fetchall()
            for name, _ in guards:
                cursor.execute(f"DROP TRIGGER {name}")
        else:
            cursor.execute("ALTER TABLE dash_audit DISABLE TRIGGER USER")
        yield lambda sql, *parameters: cursor.execute(sql, parameters)
        if connection.vendor == "sqlite":
            for _, sql in guards:
                cursor.execute(sql)
        else:
            cursor.execute("ALTER TABLE dash_audit ENABLE TRIGGER USER")


def make_entries(count: int) -> list[models.AuditEntry]:
    task = make_task()
    with transactions.writing(store_alias()):
        return [
            audit.record(Action.EDIT, task, by=ADA, before={"title": str(n)}, after={"title": str(n + 1)})
            for n in range(count)
        ]


def test_a_chain_that_nobody_changed_is_whole():
    make_entries(20)
    found = audit_chain.verify()
    assert found.is_good
    assert found.entries == 20
    assert found.head == audit_chain.head_of()


COLUMNS = ("at", "actor", "address", "verb", "noun", "row_id", "hash_before", "hash_after", "before", "after",
           "reverts", "detail", "vouched", "digest")  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_a_change_of_any_column_is_found(column: str):
    entries = make_entries(5)
    value = 5 if column in {"at", "reverts"} else "x"
    with behind_its_back() as run:
        run(f"UPDATE dash_audit SET {column} = %s WHERE id = %s", value, entries[2].pk)
    found = audit_chain.verify()
    assert found.faults
    assert found.faults[0].entry_id == entries[2].pk
    assert "was changed, inserted or moved" in found.faults[0].text


def tamper(run: Callable[..., None], ids: list[int], chance: random.Random) -> set[int]:
    """Change the log in one of the ways in which a forger would, and return the ids at which that shows."""
    place = chance.randrange(1, len(ids) - 1)
    match chance.choice(["edit", "delete", "swap", "insert"]):
        case "edit":
            column = chance.choice([name for name in COLUMNS if name != "digest"])
            run(
                f"UPDATE dash_audit SET {column} = %s WHERE id = %s",
                7 if column in {"at", "reverts"} else "x",
                ids[place],
            )
            return {ids[place]}
        case "delete":
            run("DELETE FROM dash_audit WHERE id = %s", ids[place])
            return {ids[place + 1]}
        case "swap":
            for before, after in ((ids[place], -1), (ids[place + 1], ids[place]), (-1, ids[place + 1])):
                run("UPDATE dash_audit SET id = %s WHERE id = %s", after, before)
            return {ids[place], ids[place + 1]}
        case _:
            run("UPDATE dash_audit SET id = id + 1000000 WHERE id > %s", ids[place])
            run(
                "INSERT INTO dash_audit (id, at, actor, address, verb, noun, row_id, hash_before, hash_after, detail)"
                " VALUES (%s, 1, 'eve', '', 'edit', 'task', 'x', '', '', '')",
                ids[place] + 1,
            )
            return {ids[place] + 1}


@pytest.mark.thorough
def test_random_tamperings_are_each_found_at_their_place():
    chance = random.Random(16)
    ids = [entry.pk for entry in make_entries(30)]
    unseen = []
    for number in range(times(100, 1_000)):
        sid = transaction.savepoint(using=store_alias())
        with behind_its_back() as run:
            expected = tamper(run, ids, chance)
        found = {fault.entry_id for fault in audit_chain.verify(heads=[]).faults or []}
        if not expected <= found:
            unseen.append((number, expected, found))
        transaction.savepoint_rollback(sid, using=store_alias())
    assert unseen == []
    assert audit_chain.verify().is_good


def test_an_end_that_was_cut_off_is_found_by_the_noted_head():
    ids = [entry.pk for entry in make_entries(5)]
    assert audit_chain.verify().is_good
    with behind_its_back() as run:
        run("DELETE FROM dash_audit WHERE id > %s", ids[2])
    (fault,) = audit_chain.verify().faults or []
    assert fault.entry_id == ids[-1]
    assert "is missing" in fault.text


def test_a_chain_that_was_made_anew_is_found_by_the_noted_head():
    entries = make_entries(3)
    assert audit_chain.verify().is_good
    with behind_its_back() as run:
        previous = ""
        for entry in entries:
            entry.actor = "eve"
            previous = audit_chain.digest_of(entry, previous)
            run("UPDATE dash_audit SET actor = 'eve', digest = %s WHERE id = %s", previous, entry.pk)
    (fault,) = audit_chain.verify().faults or []
    assert "is not the one that was noted before" in fault.text


def test_entries_from_before_the_chain_are_counted_and_not_judged():
    ids = [entry.pk for entry in make_entries(3)]
    with behind_its_back() as run:
        run("UPDATE dash_audit SET digest = NULL WHERE id <= %s", ids[-1])
    make_entries(2)
    found = audit_chain.verify(heads=[])
    assert (found.is_good, found.older, found.entries) == (True, 3, 2)


def restored() -> models.Restore:
    agent = make_agent(state={"step": 2})
    snapshot = make_snapshot(agent, {"step": 1})
    planned = restore.plan(agent.agent_id, f"snapshot:{snapshot.pk}")
    return restore.apply(planned, by=ADA, reason="")


def test_a_restore_that_was_changed_is_found():
    done = restored()
    assert audit_chain.verify().vouched == 1
    models.Restore.objects.filter(pk=done.pk).update(actor="eve")
    (fault,) = audit_chain.verify().faults or []
    assert fault.text.startswith(f"The restore {done.pk} was changed")


def test_a_restore_that_is_missing_is_found():
    done = restored()
    models.Restore.objects.filter(pk=done.pk).delete()
    (fault,) = audit_chain.verify().faults or []
    assert fault.text.startswith(f"The restore {done.pk} is missing")


def test_odd_texts_are_chained_as_they_are_stored(on_sqlite: bool):
    name = "caf\udcc3 ö" if on_sqlite else "café ö"
    with transactions.writing(store_alias()):
        audit.record(Action.EDIT, "task", row_id=name, by=Actor(name), after={"title": name})
    assert audit_chain.verify().is_good


def verify(**options: Any) -> str:
    out = StringIO()
    call_command("verify", stdout=out, **options)
    return out.getvalue()


def test_the_command_says_that_the_chain_is_whole_and_fails_when_it_is_not():
    entries = make_entries(3)
    assert "3 audit entries" in verify()
    with behind_its_back() as run:
        run("UPDATE dash_audit SET actor = 'eve' WHERE id = %s", entries[1].pk)
    with pytest.raises(CommandError, match=rf"Audit entry {entries[1].pk} \(eve edit task"):
        verify()


def test_a_signed_head_proves_the_chain_on_another_machine(tmp_path: Path):
    make_entries(3)
    key, head = tmp_path / "key", tmp_path / "head.json"
    key.write_bytes(b"secret")
    verify(export_head=head, key_file=key)
    make_entries(2)
    models.ChainHead.objects.all().delete()
    assert "The chain is whole" in verify(head=head, key_file=key)
    body = json.loads(head.read_text())
    head.write_text(json.dumps({**body, "entry": body["entry"] - 1}))
    with pytest.raises(CommandError, match="not signed by this key"):
        verify(head=head, key_file=key)


def test_what_is_no_head_is_refused(tmp_path: Path):
    (tmp_path / "head").write_text("[]")
    with pytest.raises(CommandError, match="not an exported head"):
        verify(head=tmp_path / "head")
