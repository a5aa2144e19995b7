"""Rows whose states went into frames as they were written answer every question as others do."""

from collections.abc import Callable

import pytest
from django.db import connections, transaction

from statestore import archive, models
from statestore.access import audit_chain
from statestore.access.audit import SYSTEM
from statestore.archive import candidates
from statestore.db import fast_rows
from statestore.db.routers import store_alias
from statestore.models.querysets import delete_unused_frames
from tests.archive.test_answers import DAY, answers, archive_all, exported, make_history
from tests.builders import NOW

pytestmark = pytest.mark.django_db

Rows = list[models.Transition | models.Snapshot]


def packed(agent: models.AgentState) -> Rows:
    """Write the agent's past again as a mirror does, and return its rows."""
    rows: Rows = [*models.Transition.objects.of_agent(agent.agent_id).oldest_first()]
    rows += models.Snapshot.objects.of_agent(agent.agent_id).order_by("created_at", "rowid")
    for model in (models.Transition, models.Snapshot):
        model.objects.of_agent(agent.agent_id).delete()
    archive.switch_on(store_alias())
    with transaction.atomic(store_alias()):
        archive.pack(store_alias(), agent.agent_id, rows, newest=agent.state_data, by=SYSTEM)
        for kind in (models.Transition, models.Snapshot):
            fast_rows.insert_new([row for row in rows if isinstance(row, kind)], store_alias())
    return rows


def stored_bytes() -> int:
    """Return how many bytes the columns of states take in the orchestrator's tables."""
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("SELECT state_before, state_after FROM state_transitions")
        return sum(len(text) for row in cursor.fetchall() for text in row)


def test_a_packed_past_answers_as_one_that_is_whole():
    agent = make_history()
    expected, lines, whole = answers(agent), exported(), stored_bytes()
    packed(agent)
    assert answers(agent) == expected
    assert exported() == lines
    assert stored_bytes() < whole / 10
    assert archive.archived_records(store_alias()) == 39 + 4


@pytest.mark.parametrize("deleted", ["of_agent", "each"])
def test_frames_go_with_the_last_packed_row_and_not_before(deleted: str):
    agent = make_history()
    packed(agent)
    models.Snapshot.objects.of_agent(agent.agent_id).delete()
    first, *others = models.Transition.objects.of_agent(agent.agent_id).oldest_first()
    ways: dict[str, Callable[[], object]] = {
        "of_agent": models.Transition.objects.of_agent(agent.agent_id).exclude(pk=first.pk).delete,
        "each": lambda: [row.delete() for row in others],
    }
    ways[deleted]()
    assert models.ArchiveFrame.objects.exists()
    assert models.Transition.objects.get().state_after == first.state_after
    assert audit_chain.verify().is_good
    first.delete()
    assert not models.ArchiveFrame.objects.exists()
    assert audit_chain.verify().is_good


def test_a_frame_of_packed_rows_is_not_taken_for_one_without_any():
    agent = make_history()
    packed(agent)
    with transaction.atomic(store_alias()):
        assert delete_unused_frames(store_alias(), agent.agent_id) == []


def test_what_is_packed_is_not_archived_again():
    agent = make_history()
    packed(agent)
    assert candidates.records_of(store_alias(), agent.agent_id, NOW + 10 * DAY) == []
    assert archive_all() == archive.Archived()


def test_packed_rows_are_put_back_byte_for_byte():
    agent = make_history()
    lines, whole = exported(), stored_bytes()
    packed(agent)
    assert archive.put_back(store_alias(), by=SYSTEM) == 39 + 4
    assert stored_bytes() == whole
    assert exported() == lines
    assert not models.ArchiveFrame.objects.exists()
    assert archive.archived_records(store_alias()) == 0


def test_a_missing_frame_of_packed_rows_is_found_by_the_chain():
    packed(make_history())
    frame = models.ArchiveFrame.objects.latest("pk")
    models.ArchiveFrame.objects.filter(pk=frame.pk).delete()
    (fault,) = audit_chain.verify().faults or []
    assert fault.text.startswith(f"The archive frame {frame.pk} is missing")


@pytest.mark.sqlite
def test_a_state_with_half_of_a_surrogate_pair_stays_whole():
    """It has no bytes that are read as the same text."""
    agent = make_history(count=3)
    rows = [*models.Transition.objects.of_agent(agent.agent_id).oldest_first()]
    rows[0].state_after = '{"half": "\ud83d"}'
    archive.switch_on(store_alias())
    with transaction.atomic(store_alias()):
        archive.pack(store_alias(), agent.agent_id, rows, newest=agent.state_data, by=SYSTEM)
    assert rows[0].state_after == '{"half": "\ud83d"}'
    assert rows[1].state_after.startswith("archived:")


def test_a_text_that_looks_like_a_marker_is_a_state():
    """Its word is not the store's."""
    agent = make_history(count=2)
    text = "archived:0123456789abcdef:000000000012:000000000001:0000"
    models.Transition.objects.of_agent(agent.agent_id).update(state_after=text)
    archive.switch_on(store_alias())
    assert not models.Transition.objects.packed().exists()
    assert models.Transition.objects.get().state_after == text
