"""Each audit entry as a sentence: every action of the list, with names, what changed, and nothing out of scope."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test.utils import CaptureQueriesContext

from statestore import history, models, restore, retention
from statestore.access import audit, audited_rows, tokens
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.agents import capture, service
from statestore.db.routers import store_alias
from statestore.models.audit import Action
from statestore.sessions import service as session_service
from statestore.store import StateStore
from statestore.tasks import edits
from statestore.tasks import service as task_service
from tests.builders import NOW, make_agent, make_session, make_snapshot, make_task, make_transition

pytestmark = pytest.mark.django_db

DEMO = Actor("demo")


def said(*entries: models.AuditEntry, scope: Scope | None = None) -> list[str]:
    """Return the sentences of some entries, or of all, oldest first."""
    rows = list(entries or models.AuditEntry.objects.order_by("id"))
    return [str(one) for one in history.sentences(rows, scope or Scope())]


def last() -> models.AuditEntry:
    entry = models.AuditEntry.objects.newest_first().first()
    assert entry is not None
    return entry


def save(task_id: str, **columns: Any) -> models.AuditEntry:
    task_service.save_task(store_alias(), {"id": task_id, **columns}, by=DEMO)
    return last()


def test_every_action_has_its_sentence(people: dict[str, User]):
    """Done by the services that record it, so that a sentence tells what an entry really has."""
    store = StateStore(actor=DEMO)
    agent = make_agent("coder-2", name="Coder 2", status="idle")
    snapshot = make_snapshot(agent, {"n": 1}, description="before refactor")
    make_snapshot(agent, {"n": 2}, id="nameless")
    make_snapshot(agent, id="old", description="nightly", expires_at=1)
    lost = make_transition(agent, {"n": 1}, {"n": 2}, reason="context lost")
    save("t1", title="Parser", status="InProgress")
    save("t1", status="Blocked")
    save("t1", priority="high")
    session = session_service.start_session(store_alias(), "coder-2", session_id="build-7", metadata=None, by=DEMO)
    session_service.end_session(store_alias(), session.pk, status="completed", by=DEMO)
    store.update_agent_status("coder-2", "paused")
    store.create_snapshot("coder-2", "after")
    done = store.restore_snapshot(snapshot.pk, reason="it looped")
    restore.undo(done, by=DEMO)
    store.restore_snapshot("nameless")
    plan = restore.save(restore.plan("coder-2", f"transition:{lost.pk}:before"), by=DEMO)
    restore.approve(plan, by=Actor("ada"))
    batch = restore.prepare([("coder-2", "0" * 64)], NOW, by=DEMO)
    restore.approve_batch(batch, by=Actor("ada"))
    restore.fork("coder-2", f"snapshot:{snapshot.pk}", "coder-2b", by=DEMO, name="Coder 2b")
    service.change_agent(store_alias(), "coder-2b", {"name": "Coder 3", "metadata": "{}"}, by=DEMO, reason="clearer")
    store.delete_agent("coder-2b", reason="not needed")
    service.bring_back(store_alias(), "coder-2b", by=DEMO)
    store.delete_agent("coder-2b")
    store.purge_agent("coder-2b")
    store.delete_snapshot(snapshot.pk)
    store.delete_expired_snapshots()
    token, _ = tokens.create(people["operator"], "ci", ["read"], by=DEMO)
    tokens.revoke(token.public_id)
    capture.switch_on(by=DEMO, using=store_alias())
    capture.switch_off(by=DEMO, using=store_alias())
    audit.record(Action.IMPORT, "store", by=DEMO, row_id="", detail={"inserted": 12, "updated": 3, "refused": 0})
    retention.hold(store_alias(), "agent", "coder-2", reason="case 7", by=DEMO)
    retention.hold(store_alias(), "snapshot", "nameless", by=DEMO)
    retention.release(store_alias(), "agent", "coder-2", by=DEMO)
    audit.record(Action.PRUNE, "audit log", by=DEMO, row_id="", detail={"rows": 1200})
    audit.record(Action.SEAL, "captured changes", by=DEMO, row_id="", detail={"ranges": {"1-100": [], "101-200": []}})
    audit.record(Action.ARCHIVE, "agent", by=DEMO, row_id="coder-2", detail={"records": 64})
    audit.record(Action.UNARCHIVE, "store", by=DEMO, row_id="", detail={"records": 64})
    audit.record(Action.PARTITION, "store", by=DEMO, row_id="", detail={"table": "events", "rows": 1200})
    audit.record(Action.UNPARTITION, "store", by=DEMO, row_id="", detail={"table": "events", "rows": 1200})
    where = {"path": "/srv/agents/checkpoints.sqlite"}
    audit.record(Action.MIRROR, "source", by=DEMO, row_id="1", detail={"name": "checkpoints"} | where)
    audit.record(Action.MIRROR, "source", by=DEMO, row_id="2", detail={"name": "log", "upload": "log.jsonl"})
    audit.record(Action.UNMIRROR, "source", by=DEMO, row_id="1", detail={"name": "checkpoints", "agents": 1200})
    audit.record(Action.ADD, "store", by=DEMO, row_id="alpha", detail={"path": "/srv/stores/alpha.db"})
    audit.record(Action.REMOVE, "store", by=DEMO, row_id="alpha", detail={"path": "/srv/stores/alpha.db"})
    audit.record(Action.REPLACE, "store", by=DEMO, row_id="", detail={"backup": "20260921-030000"})
    assert said() == [
        "demo created the task Parser",
        "demo moved Parser from InProgress to Blocked",
        "demo changed the priority of Parser from medium to high",
        "demo started session build-7 of Coder 2",
        "demo ended session build-7",
        "demo set the status of Coder 2 from idle to paused",
        "demo took the snapshot “after” of Coder 2",
        "demo restored Coder 2 to snapshot “before refactor” — it looped",
        "demo undid a restore of Coder 2",
        "demo restored Coder 2 to a snapshot",
        "demo planned a restore of Coder 2 to the state before “context lost”",
        "ada approved the plan to restore Coder 2",
        "demo planned to restore 1 agent to 2026-09-21 14:13:20 UTC",
        "ada approved a batch of restores",
        "demo created coder-2b as a fork of Coder 2, snapshot “before refactor”",
        "demo changed the metadata and name of coder-2b — clearer",
        "demo moved coder-2b to the trash — not needed",
        "demo restored coder-2b from the trash",
        "demo moved coder-2b to the trash",
        "demo deleted Coder 3 for good",
        "demo deleted the snapshot “before refactor” of Coder 2",
        "demo deleted the expired snapshot “nightly” of Coder 2",
        "demo created the token “ci” of operator",
        "system revoked the token “ci” of operator",
        "demo turned change capture on",
        "demo turned change capture off",
        "demo imported rows: 12 inserted, 3 updated, 0 refused",
        "demo held Coder 2 — case 7",
        "demo held a snapshot",
        "demo took the hold off Coder 2",
        "demo deleted the 1,200 oldest entries of the audit log",
        "demo sealed the captured changes 1 to 200",
        "demo archived 64 records of Coder 2",
        "demo put 64 archived records back",
        "demo made events anew by month, with 1,200 rows",
        "demo made events anew as a table without partitions, with 1,200 rows",
        "demo began to mirror the source “checkpoints”, /srv/agents/checkpoints.sqlite",
        "demo began to mirror the source “log”, the upload log.jsonl",
        "demo removed the source “checkpoints”; its 1,200 agents stayed",
        "demo added this store as “alpha”, /srv/stores/alpha.db",
        "demo removed this store from the dashboard, where it was “alpha”, /srv/stores/alpha.db",
        "demo replaced the store with the backup 20260921-030000",
    ]
    assert {entry.action for entry in models.AuditEntry.objects.all()} | {"edit"} == set(Action), (
        "A new action needs a deed here."
    )


def test_an_edit_says_what_was_before_and_after_and_names_long_values_by_their_column():
    task = make_task("Parser", id="t1")
    assert said(save(task.pk, priority="high", assigned_to="coder-1", description="long " * 50)) == [
        "demo edited Parser: description, priority medium → high, assignee none → coder-1"
    ]
    assert said(save(task.pk, description="other")) == ["demo changed the description of Parser"]


def test_an_undo_says_that_it_is_one():
    make_task("Parser", id="t1")
    moved = save("t1", status="Done")
    edits.revert(moved, by=DEMO)
    assert said(last()) == ["demo moved Parser back from Done to Todo"]
    edited = save("t1", priority="high", complexity="epic")
    edits.revert(edited, by=DEMO)
    assert said(last()) == ["demo undid an edit of Parser: priority high → medium, complexity epic → moderate"]


def test_what_is_deleted_is_told_by_the_name_that_it_had():
    made = save("t1", title="Parser")
    audited_rows.delete(store_alias(), models.Task.objects.get(pk="t1"), by=DEMO)
    deleted = last()
    assert said(made, deleted) == ["demo created the task Parser", "demo deleted the task Parser"]
    (sentence,) = history.sentences([deleted], Scope())
    assert sentence.target is not None
    assert sentence.target.noun == "", "There is no page to lead to."
    edits.revert(deleted, by=DEMO)
    assert said(last()) == ["demo recreated the task Parser"]


def test_a_session_that_ended_otherwise_says_how():
    make_session(make_agent("a"), id="build-7", ended_at=None, status="active")
    session_service.end_session(store_alias(), "build-7", status="failed", by=DEMO)
    assert said(last()) == ["demo ended session build-7 as failed"]


def test_names_out_of_scope_are_not_told():
    make_agent("own", namespace="m")
    make_agent("other", name="Secret", namespace="x")
    entry = audit.record(
        Action.FORK, models.AgentState.objects.get(agent_id="own"), by=DEMO, detail={"parent": "other"}
    )
    assert said(entry, scope=Scope(("m",))) == ["demo created Own as a fork of other"]


@pytest.mark.parametrize("text", ["", "null", "[]", "not JSON", '{"moment": 5, "columns": null, "snapshot": [1]}'])
def test_entries_with_any_detail_are_told(text: str):
    """Early releases, and other programs, may have written any."""
    rows = [
        models.AuditEntry(
            pk=number, at=NOW, actor="x", action=action, noun=noun, row_id="r", detail=text, before=text, after=text
        )
        for number, (action, noun) in enumerate(
            (action, noun)
            for action in (*Action, "word")
            for noun in ("agent", "task", "session", "snapshot", "batch", "store")
        )
    ]
    told = said(*rows)
    assert len(told) == len(rows)
    assert all(sentence.startswith("x ") for sentence in told)


def test_the_number_of_queries_does_not_grow_with_the_entries():
    counts = []
    for number in (2, 30):
        for _ in range(number):
            agent, task = make_agent(), make_task()
            snapshot = make_snapshot(agent, description="kept")
            audit.record(Action.SNAPSHOT, agent, by=DEMO, detail={"snapshot": snapshot.pk})
            audit.record(Action.MOVE, task, by=DEMO, before={"status": "Todo"}, after={"status": "Done"})
        entries = list(models.AuditEntry.objects.all())
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            assert json.dumps(said(*entries))
        counts.append(len(queries))
    assert counts[0] == counts[1] == 3, counts
