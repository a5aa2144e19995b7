"""What changed across agents: each record once, newest first, in pages without a gap, narrowed as asked."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import connections

from statestore import history, models
from statestore.access.scope import Scope
from statestore.db.fields import StoredBlob
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.history import limits
from statestore.history.across import Asked
from statestore.models.audit import Action
from statestore.store import StateStore
from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db

ALL = Asked(0, NOW + 10**6)


def edited(at: int, row_id: str = "a1", *, noun: str = "agent", actor: str = "ada", action: str = Action.STATUS) -> Any:
    return models.AuditEntry.objects.create(
        at=at,
        actor=actor,
        action=action,
        noun=noun,
        row_id=row_id,
        before='{"status": "idle"}',
        after='{"status": "x"}',
    )


def told(asked: Asked = ALL, seen: Scope | None = None) -> list[tuple[str, int, str]]:
    found = history.changes_across(seen or Scope(), asked).rows
    return [(one.kind, one.at, one.agent_id) for one in found]


def test_all_kinds_are_merged_newest_first():
    make_transition("a1", timestamp=NOW)
    make_snapshot("a2", created_at=NOW + 1)
    edited(NOW + 2)
    edited(NOW + 3, "t1", noun="task")
    assert told() == [
        ("edit", NOW + 3, ""), ("edit", NOW + 2, "a1"), ("snapshot", NOW + 1, "a2"), ("transition", NOW, "a1"),
    ]  # fmt: skip


def test_a_stretch_has_both_of_its_ends_and_nothing_beyond():
    for at in (9, 10, 20, 21):
        make_transition("a1", timestamp=at)
        make_snapshot("a1", created_at=at)
        edited(at)
    assert {at for _, at, _ in told(Asked(10, 20))} == {10, 20}
    assert len(told(Asked(10, 20))) == 6


def test_pages_have_each_record_once_with_many_in_one_second():
    for number in range(7):
        make_transition(f"a{number}", timestamp=NOW + number // 5)
        make_snapshot(f"a{number}", created_at=NOW + number // 5)
        edited(NOW + number // 5, f"a{number}")
    seen: list[tuple[str, int]] = []
    cursor = ""
    while True:
        page = history.changes_across(Scope(), ALL, cursor=cursor, size=2)
        seen += [(one.source, one.row.pk) for one in page.rows]
        if page.older is None:
            break
        assert len(page.rows) == 2
        cursor = page.older
    assert len(seen) == len(set(seen)) == 21
    whole = history.changes_across(Scope(), ALL, size=100).rows
    assert seen == [(one.source, one.row.pk) for one in whole]


def test_a_restore_is_one_change_and_leads_to_its_page():
    store = StateStore()
    store.save_agent_state("a1", {"n": 1})
    snapshot = store.create_snapshot("a1", "good")
    store.save_agent_state("a1", {"n": 2})
    store.restore_snapshot(snapshot.pk)
    (restored,) = history.changes_across(Scope(), replace(ALL, kind="restore", end=models.now() + 60)).rows
    assert restored.restore == models.Restore.objects.get()
    assert told(replace(ALL, kind="restore", end=1)) == []
    assert "restore" not in {kind for kind, *_ in told(replace(ALL, kind="transition", end=models.now() + 60))}


def test_what_is_asked_for_narrows():
    make_agent("a1", namespace="build")
    make_agent("a2", namespace="ops")
    make_transition("a1", reason="context LOST", timestamp=NOW, metadata='{"by": "ada"}')
    make_transition("a2", reason="all well", timestamp=NOW + 1)
    make_snapshot("a2", description="lost and found", created_at=NOW + 2)
    edited(NOW + 3, "a1", actor="grace")
    assert told(replace(ALL, kind="snapshot")) == [("snapshot", NOW + 2, "a2")]
    assert [agent for *_, agent in told(replace(ALL, agent_id="a1"))] == ["a1", "a1"]
    assert [agent for *_, agent in told(replace(ALL, namespace="ops"))] == ["a2", "a2"]
    assert [at for _, at, _ in told(replace(ALL, reason="lost"))] == [NOW + 2, NOW]
    assert told(replace(ALL, person="grace")) == [("edit", NOW + 3, "a1")]
    assert told(replace(ALL, person="ada")) == [("transition", NOW, "a1")]
    assert [kind for kind, *_ in told(replace(ALL, with_edits=False))] == ["snapshot", "transition", "transition"]


def test_a_limited_scope_sees_its_own_changes_alone():
    make_agent("a1", namespace="build")
    make_agent("a2", namespace="ops")
    for agent in ("a1", "a2", "gone"):
        make_transition(agent, timestamp=NOW)
        make_snapshot(agent, created_at=NOW)
        edited(NOW, agent)
    assert {agent for *_, agent in told(seen=Scope(("build",)))} == {"a1"}
    assert len(told(seen=Scope(("build",)))) == 3
    assert told(seen=Scope(())) == []


def test_a_text_is_looked_for_in_the_newest_changes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SEARCHED_CHANGES", 2)
    for number in range(4):
        make_transition("a1", reason="same", timestamp=NOW + number)
    assert [at for _, at, _ in told(replace(ALL, reason="same"))] == [NOW + 3, NOW + 2]


def test_texts_of_edits_are_looked_for_in_the_newest_of_them_too(monkeypatch: pytest.MonkeyPatch):
    edited(NOW, actor="grace")
    edited(NOW + 1)
    edited(NOW + 2)
    assert [at for _, at, _ in told(replace(ALL, person="grace"))] == [NOW]
    assert len(told(replace(ALL, reason="IDLE", kind="edit"))) == 0, "what it was before is no reason"
    assert len(told(replace(ALL, reason="x", person="ada"))) == 2
    monkeypatch.setattr(limits, "SEARCHED_CHANGES", 2)
    assert told(replace(ALL, person="grace")) == []


@pytest.mark.sqlite
def test_an_id_of_any_bytes_stays_itself():
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(
            "INSERT INTO state_transitions (id, agent_id, state_before, state_after, timestamp) VALUES"
            " ('t', x'00ff', '{}', '{}', %s)", [NOW],
        )  # fmt: skip
    (found,) = history.changes_across(Scope(), ALL).rows
    assert isinstance(found.agent_id, StoredBlob)
    assert found.agent_id.raw == b"\x00\xff"


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WyJhIiwiYiIsImMiXQ"])
def test_a_damaged_cursor_is_refused(cursor: str):
    with pytest.raises(ValidationError):
        history.changes_across(Scope(), ALL, cursor=cursor)
