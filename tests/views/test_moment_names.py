"""Moments are called by what people know of them: a description, a reason, a time; not by ids."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from statestore import models, restore
from statestore.access.audit import Actor
from statestore.store import StateStore
from tests.builders import NOW, make_agent, make_snapshot, make_transition

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


@pytest.fixture
def restored() -> models.Restore:
    agent = make_agent("coder", state={"step": 2})
    snapshot = make_snapshot(agent, {"step": 1}, description="before <refactor>")
    return StateStore(actor=Actor("ada")).restore_snapshot(snapshot.pk, reason="lost its goal")


def test_a_restore_names_its_snapshot_by_its_description(operator: Client, restored: models.Restore):
    for page in (restored.get_absolute_url(), "/restores/", "/agents/coder/"):
        text = text_of(operator.get(page))
        assert "snapshot “before &lt;refactor&gt;”" in text, page
        assert restored.moment.partition(":")[2][:6] not in text.partition("Proof")[0], page


def test_the_safety_snapshot_is_named_too(operator: Client, restored: models.Restore):
    proof = text_of(operator.get(restored.get_absolute_url())).partition("Proof")[2]
    assert "snapshot “Safety snapshot before restore to" in proof
    assert restored.safety_snapshot_id[:6] not in proof


def test_a_snapshot_without_a_description_is_named_by_its_time(operator: Client):
    agent = make_agent("coder", state={"step": 2})
    snapshot = make_snapshot(agent, {"step": 1}, description=None, created_at=NOW)
    done = StateStore(actor=Actor("ada")).restore_snapshot(snapshot.pk)
    shown = operator.get(done.get_absolute_url()).content.decode()
    assert re.search(r"snapshot of <time[^>]*>2026-", shown)


def test_a_transition_is_named_by_its_reason_and_a_gone_record_by_its_id(operator: Client, restored: models.Restore):
    transition = make_transition("coder", {"step": 0}, {"step": 2}, reason="context compacted")
    models.Restore.objects.filter(pk=restored.pk).update(moment=f"transition:{transition.pk}:before")
    page = restored.get_absolute_url()
    assert "before transition “context compacted”" in text_of(operator.get(page))
    name = transition.pk[:4]
    transition.delete()
    assert name in text_of(operator.get(page)).partition("Proof")[0]


def test_the_names_of_a_list_take_no_query_for_each_row(
    operator: Client, restored: models.Restore, django_assert_max_num_queries: Any
):
    operator.get("/restores/")
    for number in range(9):
        snapshot = make_snapshot("coder", {"step": number}, description=f"point {number}")
        StateStore(actor=Actor("ada")).restore_snapshot(snapshot.pk)
    with django_assert_max_num_queries(16):
        assert "“point 8”" in text_of(operator.get("/restores/"))


def test_who_may_not_see_snapshots_does_not_read_their_descriptions(client: Client, restored: models.Restore):
    user = User.objects.create_user("auditor")
    user.user_permissions.add(Permission.objects.get(codename="view_restore"))
    client.force_login(user)
    page = client.get("/restores/")
    assert page.status_code == 200
    assert "refactor" not in text_of(page)


def test_the_overview_says_what_was_restored_and_what_was_undone(operator: Client, restored: models.Restore):
    assert "to snapshot “before &lt;refactor&gt;” ● Active" in text_of(operator.get("/"))
    restore.undo(restored, by=Actor("ada"))
    text = text_of(operator.get("/"))
    assert "to snapshot “before &lt;refactor&gt;” ○ Undone" in text
    assert "(undo) ● Active" in text
