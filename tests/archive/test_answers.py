"""What was archived answers every question as before, byte for byte."""

import collections
import difflib
import itertools
import json
import random
import re
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.db import connections, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from statestore import archive, history, import_export, models
from statestore.access.audit import SYSTEM
from statestore.access.scope import Scope
from statestore.archive import frames, moving
from statestore.db import archive as storage
from statestore.db.fields import StoredBlob
from statestore.db.routers import store_alias
from statestore.errors import NotFound, StateStoreError
from statestore.history import moments, walk
from statestore.models.querysets import delete_unused_frames
from tests.builders import NOW, make_agent, make_snapshot, make_transition
from tests.examples import thoroughly_on_the_store

pytestmark = pytest.mark.django_db

numbers = itertools.count()
DAY = 24 * 3600


def archive_all() -> archive.Archived:
    total = archive.Archived()
    for _, moved in archive.archive_before(store_alias(), NOW + 10 * DAY, by=SYSTEM):
        total += moved
    return total


def make_history(agent_id: str = "planner", count: int = 40) -> models.AgentState:
    """Return an agent whose conversation grew, with a snapshot of each tenth state."""
    messages: list[dict[str, object]] = []
    states = []
    for number in range(count):
        messages.append({"role": "user" if number % 2 else "assistant", "content": f"message {number} " * 5})
        states.append(json.dumps({"step": number, "messages": messages}, ensure_ascii=False))
    agent = make_agent(agent_id, state=states[-1], updated_at=NOW + count * 60)
    for number, (before, after) in enumerate(itertools.pairwise(states)):
        make_transition(agent, before, after, timestamp=NOW + number * 60, reason=f"step {number}")
        if number % 10 == 0:
            make_snapshot(agent, after, created_at=NOW + number * 60, description=f"after {number}")
    return agent


def exported() -> bytes:
    lines = import_export.export_lines(import_export.Wanted(Scope(), ("state_transitions", "state_snapshots")))
    return b"".join(lines)


odd_texts = st.one_of(
    st.sampled_from(["A", "B", '{"a": 1}', '{"a": 1, "b": [1, 2]}', "", "[]"]),
    st.text(max_size=20).filter(lambda text: "\0" not in text and text.isprintable()),
)
seconds = st.integers(0, 5)
histories = st.tuples(
    st.lists(st.tuples(seconds, odd_texts, odd_texts), max_size=8), st.lists(st.tuples(seconds, odd_texts), max_size=4)
)


def answers(agent: models.AgentState) -> list[object]:
    """Return what can be asked of an agent's past."""
    past = history.Past(agent.agent_id)
    found: list[object] = [
        [(record.kind, record.at, record.row.pk, getattr(record.row, "size", None)) for record in past.page(100)]
    ]
    found += [
        (row.size_before, row.size_after)
        for row in models.Transition.objects.with_sizes().of_agent(agent.agent_id).oldest_first()
    ]
    for record in past.page(100):
        known = history.state_at(agent.agent_id, record.moment)
        found.append((known.text, type(known.text), known.at, known.label))
    for second in range(NOW - 1, NOW + 7):
        try:
            known = history.state_at(agent.agent_id, moments.AtTime(second))
            found.append((known.text, known.at, known.doubt_until))
        except NotFound:
            found.append(None)
    found.append({key: state.text for key, state in history.states_at([agent], NOW + 3).items()})
    found.append(models.Transition.objects.of_agent(agent.agent_id).of_changes().count())
    return found


@thoroughly_on_the_store
@given(histories, st.booleans())
def test_any_history_answers_as_before(drawn: Any, has_bases: bool):
    with pytest.MonkeyPatch.context() as patch:
        if has_bases:
            patch.setattr(storage, "BASED_BYTES", 0)
        answers_as_before(drawn)


def answers_as_before(drawn: Any) -> None:
    agent_id = f"agent-{next(numbers)}"
    agent = make_agent(agent_id, state="{}", updated_at=NOW + 6)
    for at, before, after in drawn[0]:
        make_transition(agent, before, after, timestamp=NOW + at)
    for at, text in drawn[1]:
        make_snapshot(agent, text, created_at=NOW + at)
    before_it, lines = answers(agent), exported()
    archive_all()
    assert answers(agent) == before_it
    assert exported() == lines
    archive.put_back(store_alias(), by=SYSTEM)
    assert answers(agent) == before_it
    assert exported() == lines


@pytest.fixture
def bases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of ten states with a base, however short the states are."""
    monkeypatch.setattr(storage, "FRAME_STATES", 10)
    monkeypatch.setattr(storage, "BASED_BYTES", 0)


def bases_of(agent_id: str) -> set[int]:
    frames = models.ArchiveFrame.objects.filter(agent_id=agent_id)
    return {base_id for base_id in frames.values_list("base_id", flat=True) if base_id is not None}


@pytest.mark.usefixtures("bases")
def test_frames_of_one_agent_share_a_base_that_has_the_newest_state():
    agent = make_history(count=60)
    before_it, lines = answers(agent), exported()
    archive_all()
    (base,) = bases_of("planner")
    frames = models.ArchiveFrame.objects.exclude(pk=base)
    assert frames.count() >= 6
    assert all(len(frame.data) < 10 * 100 for frame in frames), "each state costs its entry and some bytes"
    archive.put_back(store_alias(), by=SYSTEM)
    assert (answers(agent), exported()) == (before_it, lines)
    assert not models.ArchiveFrame.objects.exists()


@pytest.mark.usefixtures("bases")
def test_a_new_base_is_made_once_the_frames_with_the_old_one_take_more_than_it():
    chance = random.Random(3)
    texts = [json.dumps({"step": number, "noise": chance.randbytes(300).hex()}) for number in range(60)]
    agent = make_agent("noise", state=texts[-1], updated_at=NOW + 100)
    for number, (before, after) in enumerate(itertools.pairwise(texts)):
        make_transition(agent, before, after, timestamp=NOW + number)
    before_it = answers(agent)
    archive_all()
    frames = models.ArchiveFrame.objects.filter(base_id__gt=0)
    shared = collections.Counter(frames.values_list("base_id", flat=True))
    assert len(shared) >= 3, "states that are not alike"
    assert max(shared.values()) <= 2
    assert answers(agent) == before_it


@pytest.mark.usefixtures("bases")
def test_a_damaged_base_is_named_and_others_are_read():
    make_history("planner", 30)
    make_history("other", 30)
    archive_all()
    (base,) = bases_of("planner")
    frame = models.ArchiveFrame.objects.get(pk=base)
    models.ArchiveFrame.objects.filter(pk=base).update(data=bytes(frame.data)[:-9] + bytes(9))
    storage.forget_token(store_alias())
    first = models.ArchivedTransition.objects.filter(agent_id="planner").earliest("timestamp")
    with pytest.raises(StateStoreError, match=f"Archive frame {base}, a base of others, is damaged"):
        models.Transition.objects.get(pk=first.pk)
    other = models.ArchivedTransition.objects.filter(agent_id="other").earliest("timestamp")
    assert models.Transition.objects.get(pk=other.pk).state_before
    # What is archived later does without it.
    agent = models.AgentState.objects.get(agent_id="planner")
    for number in range(20):
        make_transition(agent, "{}", '{"later": true}', timestamp=NOW + DAY + number)
    assert archive_all().records
    assert len(bases_of("planner")) == 2


@pytest.mark.usefixtures("bases")
def test_a_base_stays_as_long_as_a_frame_needs_it():
    make_history(count=60)
    archive_all()
    (base,) = bases_of("planner")
    rows = models.Transition.objects.of_agent("planner").oldest_first()
    expected = {row.pk: row.state_after for row in rows}
    models.Snapshot.objects.of_agent("planner").delete()
    gone = [row.pk for row in rows[10:50]]
    models.Transition.objects.filter(pk__in=gone).delete()
    assert models.ArchiveFrame.objects.filter(pk=base).exists()
    left = models.Transition.objects.of_agent("planner")
    assert {row.pk: row.state_after for row in left} == {pk: expected[pk] for pk in expected if pk not in gone}
    models.Transition.objects.of_agent("planner").delete()
    assert not models.ArchiveFrame.objects.exists()


@pytest.mark.usefixtures("bases")
def test_a_base_that_was_deleted_meanwhile_costs_no_state(monkeypatch: pytest.MonkeyPatch):
    """Another process may put all back between the choice of a base and the frame that names it."""
    make_history(count=30)
    lines = exported()
    archive_all()
    (base,) = bases_of("planner")
    agent = models.AgentState.objects.get(agent_id="planner")
    for number in range(5):
        make_transition(agent, agent.state_data, agent.state_data, timestamp=NOW + DAY + number)
    lines, prove = exported(), frames.prove

    def deleted_meanwhile(*about: Any) -> None:
        prove(*about)
        models.ArchiveFrame.objects.filter(pk=base).delete()

    with monkeypatch.context() as patch, transaction.atomic(store_alias()):
        patch.setattr(frames, "prove", deleted_meanwhile)
        assert archive_all() == archive.Archived()
        transaction.set_rollback(True, using=store_alias())
    assert exported() == lines


@pytest.mark.usefixtures("bases")
def test_a_missing_base_is_found_by_the_chain():
    from statestore.access import audit_chain

    make_history("planner", 30)
    archive_all()
    assert audit_chain.verify().is_good
    (base,) = bases_of("planner")
    models.ArchiveFrame.objects.filter(pk=base).delete()
    (fault,) = audit_chain.verify().faults or []
    assert fault.text.startswith(f"The archive frame {base} is missing")


def test_a_fleet_asks_as_many_queries_for_archived_states(django_assert_num_queries: Any):
    agents = [make_history(f"agent-{number}", 10) for number in range(3)]
    expected = {key: state.text for key, state in history.states_at(agents, NOW + 250).items()}
    archive_all()
    with django_assert_num_queries(8, connection=connections[store_alias()]):  # Five, and a frame of each agent.
        found = history.states_at(agents, NOW + 250)
    assert {key: state.text for key, state in found.items()} == expected


@pytest.mark.sqlite
def test_blobs_and_invalid_utf_8_come_back_as_they_were():
    agent = make_agent("odd", updated_at=NOW + 9)
    texts = [StoredBlob(b"\xff\x00blob"), "caf\udcc3", "nul\0", "plain"]
    for number, text in enumerate(texts):
        make_transition(agent, text, texts[number - 1], timestamp=NOW + number)
    before_it, lines = answers(agent), exported()
    assert archive_all().records
    assert answers(agent) == before_it
    assert exported() == lines
    archive.put_back(store_alias(), by=SYSTEM)
    assert exported() == lines


def shown(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", answer.content.decode())


def addresses(agent: models.AgentState) -> list[str]:
    oldest = models.Transition.objects.of_agent(agent.agent_id).oldest_first()[3]
    snapshot = models.Snapshot.objects.of_agent(agent.agent_id).oldest_first()[0]
    page, call = f"/agents/{agent.agent_id}/", f"/api/v1/agents/{agent.agent_id}/"
    return [
        page, f"{page}timeline/", f"{page}timeline/?at={NOW + 200}", f"{page}blame/", f"{page}history/?path=/step",
        f"{page}restore/?to=snapshot:{snapshot.pk}", f"/transitions/{oldest.pk}/", f"/snapshots/{snapshot.pk}/",
        f"/compare/?left={agent.agent_id}&left_at=transition:{oldest.pk}:before&right={agent.agent_id}&right_at=now",
        "/snapshots/", "/changes/", "/agents/",
        f"{call}transitions", f"{call}snapshots", f"{call}state?moment=at:{NOW + 300}", f"{call}blame",
    ]  # fmt: skip


def test_every_page_and_call_of_an_agent_is_the_same(operator: Client, monkeypatch: pytest.MonkeyPatch):
    # A page follows a past for a quarter of a second; how far that is depends on the machine.
    monkeypatch.setattr(walk, "time", SimpleNamespace(monotonic=lambda: 0.0))
    agent = make_history()
    models.AgentState.objects.filter(pk=agent.pk).update(state_data='{"step": 99}')
    with time_machine.travel(NOW + DAY, tick=False):
        wanted = [address for address in addresses(agent) if operator.get(address).status_code == 200]
        assert len(wanted) >= 10
        pages = {address: shown(operator, address) for address in wanted}
        assert archive_all().records > 30
        later = {address: shown(operator, address) for address in wanted}
        different = [difflib.unified_diff(pages[a].splitlines(), later[a].splitlines(), a, a, n=0)
                     for a in wanted if pages[a] != later[a]]  # fmt: skip
        assert ["\n".join(lines) for lines in different] == []


def test_a_growing_conversation_becomes_fifty_times_smaller():
    make_history(count=400)
    moved = archive_all()
    assert moved.records > 400
    assert moved.bytes / moved.packed_bytes > 50


def test_a_state_is_restored_from_the_archive_and_undone():
    from statestore import restore

    agent = make_history()
    oldest = models.Transition.objects.of_agent("planner").oldest_first()[0]
    text = oldest.state_before
    archive_all()
    done = restore.apply(restore.plan("planner", f"transition:{oldest.pk}:before"), by=SYSTEM)
    assert models.AgentState.objects.get(pk=agent.pk).state_data == text
    assert models.Restore.objects.with_standing().get(pk=done.pk).stands
    archive_all()
    assert models.Restore.objects.with_standing().get(pk=done.pk).stands, "its own transition is compared, so it stays"
    restore.undo(done, by=SYSTEM)
    assert models.AgentState.objects.get(pk=agent.pk).state_data == agent.state_data


def test_the_python_api_reads_archived_rows():
    from statestore.store import StateStore

    make_history()
    store = StateStore()
    before_it = [(row.pk, row.state_after) for row in store.get_state_history("planner")]
    kept = [(row.pk, row.state_data) for row in store.list_snapshots("planner")]
    archive_all()
    assert [(row.pk, row.state_after) for row in store.get_state_history("planner")] == before_it
    assert [(row.pk, row.state_data) for row in store.list_snapshots("planner")] == kept
    store.restore_snapshot(kept[-1][0])
    assert store.load_agent_state("planner").state_data == kept[-1][1]


def test_a_text_that_looks_like_a_marker_is_the_text_that_it_is():
    make_history()
    archive_all()
    mark = models.ArchivedTransition.objects.values_list("state_before", flat=True)[0]
    forged = f"archived:{'0' * 16}{mark[25:]}"
    make_transition(make_agent("eve"), forged, forged, timestamp=NOW)
    row = models.Transition.objects.with_sizes().of_agent("eve").get()
    assert (row.state_before, row.size_before) == (forged, len(forged))


def test_what_is_deleted_is_deleted_from_the_archive_with_its_frames():
    from statestore.agents import retention

    agent = make_history()
    archive_all()
    models.AgentState.objects.filter(pk=agent.pk).update(is_deleted=1)
    retention.purge_agent(store_alias(), lambda: models.AgentState.objects.get(pk=agent.pk), by=SYSTEM)
    for model in (models.ArchivedTransition, models.ArchivedSnapshot, models.ArchiveFrame, models.Transition):
        assert model.objects.count() == 0, model


def test_an_archived_snapshot_can_be_deleted():
    from statestore.agents import snapshots

    make_history()
    oldest = models.Snapshot.objects.oldest_first()[0]
    archive_all()
    assert models.ArchivedSnapshot.objects.filter(pk=oldest.pk).exists()
    snapshots.delete_snapshot(store_alias(), oldest.pk, by=SYSTEM)
    assert not models.Snapshot.objects.filter(pk=oldest.pk).exists()


def test_policies_thin_archived_rows_as_the_simulator_says():
    from statestore import retention

    make_history()
    archive_all()
    made = retention.create(store_alias(), "transitions", None, retention.Limits(keep_count=5), by=SYSTEM)
    simulated = retention.simulate(made, now=NOW)
    gone = retention.carry_out(made, store_alias(), by=SYSTEM, now=NOW)
    assert (gone.rows, gone.bytes) == (simulated.rows, simulated.bytes)
    assert models.Transition.objects.count() == 5


def test_an_import_over_archived_rows_leaves_each_once():
    make_history()
    lines = exported().splitlines(keepends=True)
    archive_all()
    report = import_export.import_lines(lines, using=store_alias(), by=SYSTEM)
    assert report.is_complete
    assert sorted(exported().splitlines()[1:-1]) == sorted(line.rstrip(b"\n") for line in lines[1:-1])


def test_nothing_that_the_orchestrator_or_a_page_compares_is_archived():
    make_history()
    newest = models.Transition.objects.newest_first()[0]
    archive_all()
    assert not models.ArchivedTransition.objects.filter(pk=newest.pk).exists()
    assert not models.ArchivedSnapshot.objects.filter(created_at__gte=NOW + 30 * 60).exists(), "the newest snapshot"


def test_a_row_that_was_replaced_meanwhile_stays():
    from statestore.archive.candidates import records_of

    agent = make_history(count=6)
    records = records_of(store_alias(), "planner", NOW + DAY)
    models.Transition.objects.filter(pk=records[0].pk).update(state_before="{}")
    moved = archive.archive_agent(store_alias(), agent.agent_id, records, by=SYSTEM)
    assert moved.records == len(records) - 1
    assert models.Transition.objects.get(pk=records[0].pk).state_before == "{}"


def test_a_frame_that_was_deleted_before_its_rows_were_moved_costs_no_state(monkeypatch: pytest.MonkeyPatch):
    """Another process may archive the agent, or delete one of its snapshots, between the frame and its first row."""
    make_history(count=10)
    lines, move = exported(), moving._move

    def deleted_meanwhile(using: str, frame: models.ArchiveFrame, *rest: Any) -> archive.Archived:
        assert delete_unused_frames(using, "planner") == [frame.pk]
        return move(using, frame, *rest)

    monkeypatch.setattr(moving, "_move", deleted_meanwhile)
    assert archive_all().records == 0
    assert exported() == lines


def test_archiving_twice_archives_nothing_more():
    make_history()
    assert archive_all().records
    assert archive_all() == archive.Archived()


def test_an_agent_in_error_is_told_from_others():
    """A frame that is damaged is named; states of other frames are read."""
    make_history("planner", 10)
    make_history("other", 10)
    archive_all()
    frame = models.ArchiveFrame.objects.get(agent_id="planner")
    data = bytearray(frame.data)
    data[-3] ^= 0xFF
    models.ArchiveFrame.objects.filter(pk=frame.pk).update(data=bytes(data))
    first, *_, last = models.ArchivedTransition.objects.filter(agent_id="planner").order_by("timestamp")
    with pytest.raises(StateStoreError, match=f"Archive frame {frame.pk} is damaged"):
        models.Transition.objects.get(pk=first.pk)
    assert models.Transition.objects.of_agent("other").newest_first()[3].state_before
    assert models.Transition.objects.get(pk=last.pk).state_before, "the states after it are packed without it"


def test_a_damaged_frame_is_found_by_the_chain():
    from statestore.access import audit_chain

    make_history("planner", 10)
    archive_all()
    assert audit_chain.verify().is_good
    frame = models.ArchiveFrame.objects.get()
    models.ArchiveFrame.objects.filter(pk=frame.pk).update(data=bytes(frame.data)[:-1] + b"x")
    (fault,) = audit_chain.verify().faults or []
    assert fault.text.startswith(f"The archive frame {frame.pk} was changed")
    models.ArchiveFrame.objects.all().delete()
    (fault,) = audit_chain.verify().faults or []
    assert fault.text.startswith(f"The archive frame {frame.pk} is missing")
