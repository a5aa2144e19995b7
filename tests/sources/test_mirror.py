"""A mirror answers as its framework's own history does, adds nothing twice, and loses nothing."""

import hashlib
import json
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore import history, models
from statestore.access.audit import SYSTEM
from statestore.agents import service
from statestore.db.routers import store_alias
from statestore.errors import Conflict, ValidationError
from statestore.jsondiff.parsing import parse
from statestore.models.sources import Source, SourceThread
from statestore.sources import adding, files, following, mirror
from statestore.sources.readers.langgraph import LangGraphReader
from statestore.sources.row_ids import row_id
from statestore.sources.state_texts import Texts, state_text
from tests.sources.conftest import FILES, FileMaker, Opener

pytestmark = pytest.mark.django_db

FILE_NAMES = sorted(str(path.relative_to(FILES)) for path in FILES.glob("*/*") if path.suffix in {".sqlite", ".db"})
ADD_CHECKPOINT = """
    INSERT INTO checkpoints
    SELECT thread_id, checkpoint_ns, replace(checkpoint_id, '1f1e', '1f1f'), checkpoint_id, type, checkpoint, metadata
    FROM checkpoints WHERE thread_id = 'thread-1' ORDER BY checkpoint_id DESC LIMIT 1
"""


def agent(agent_id: str) -> models.AgentState:
    return models.AgentState.objects.get(agent_id=agent_id)


def counts() -> tuple[int, ...]:
    kinds = (models.AgentState, models.Transition, models.Event, models.Session, models.Snapshot)
    return tuple(kind.objects.count() for kind in kinds)


def change(path: str, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_source_that_takes_long_to_look_at_rests_longer(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    opened("langgraph/small.sqlite")
    clock = iter([0.0, 1.0, 3.9, 4.1, 4.2])
    looks: list[Source] = []
    monkeypatch.setattr(following, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(mirror, "sync", lambda source, **_: looks.append(source))
    due: dict[int, float] = {}
    for wanted in (1, 1, 2):
        following.sync_all(store_alias(), lambda: True, due)
        assert len(looks) == wanted, "a look of a second is followed by three of rest"


def test_a_thread_is_an_agent_in_the_namespace_of_its_source(opened: Opener):
    opened("langgraph/small.sqlite")
    mirrored = agent("small/thread-1")
    assert (mirrored.namespace, mirrored.name, mirrored.status, mirrored.version) == ("small", "thread-1", "idle", 10)
    assert json.loads(mirrored.metadata)["thread_id"] == "thread-1"
    assert models.Session.objects.get(agent_id="small/thread-1").status == "active"


@pytest.mark.parametrize("name", FILE_NAMES)
def test_each_step_of_the_past_is_what_the_reader_gives(opened: Opener, name: str):
    source = opened(name)
    with files.opened(Path(source.path)) as rows:
        for key, reader in files.readers_of(rows, Path(source.path)).items():
            for thread_id, _ in list(reader.positions(rows)):
                thread = SourceThread.objects.select_related("source").get(reader=key, thread_id=thread_id)
                for step in reader.read(rows, thread_id).steps:
                    made = row_id(thread, "transition", step.key)
                    shown = history.state_at(thread.agent_id, history.moments.AtTransition(made, "after"))
                    assert shown.text == state_text(step.after), f"{thread_id} {step.reason}"


@pytest.mark.parametrize("name", FILE_NAMES)
def test_every_past_is_one_line_that_ends_in_the_present(opened: Opener, name: str):
    opened(name)
    for mirrored in models.AgentState.objects.all():
        rows = list(models.Transition.objects.of_agent(mirrored.agent_id).oldest_first())
        for earlier, later in pairwise(rows):
            assert earlier.state_after == later.state_before, f"{mirrored}: {earlier.reason} / {later.reason}"
        assert not rows or rows[-1].state_after == mirrored.state_data


@pytest.mark.parametrize("in_one_go", [True, False])
def test_a_clock_that_was_set_back_leaves_the_order_as_it_is(
    framework_file: FileMaker, embedded: None, in_one_go: bool
):
    path = framework_file("openai_agents/small.sqlite")
    source = adding.add_source(path, using=store_alias())
    if not in_one_go:
        mirror.sync(source, using=store_alias())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        session = connection.execute("SELECT session_id FROM agent_messages").fetchone()[0]
        connection.executemany(
            "INSERT INTO agent_messages (session_id, message_data, created_at) VALUES (?, ?, '2020-01-01 00:00:00')",
            [(session, json.dumps({"role": role, "content": "later"})) for role in ("user", "assistant")],
        )
    source.refresh_from_db()
    mirror.sync(source, using=store_alias())

    *earlier, last = models.Transition.objects.of_agent(f"small/{session}").oldest_first()
    assert last.state_before == earlier[-1].state_after
    assert models.AgentState.objects.get(agent_id=f"small/{session}").state_data == last.state_after
    assert last.timestamp == earlier[-1].timestamp
    assert json.loads(last.metadata)["at"] == datetime(2020, 1, 1, tzinfo=UTC).timestamp()


def test_a_branch_is_told_as_a_step_back(opened: Opener):
    opened("langgraph/forks.sqlite")
    rows = list(models.Transition.objects.of_agent("forks/fork-thread").oldest_first())
    assert [row.reason for row in rows if "back" in str(row.reason)] == [
        "back to step 3", "back to step 3", "back to step 2", "back to step 7",
    ]  # fmt: skip


def test_reading_the_same_again_adds_nothing(opened: Opener):
    source = opened("langgraph/interrupt_subgraph.sqlite")
    before = counts()
    SourceThread.objects.update(position="", last_step="")
    Source.objects.update(stamp="")
    source.refresh_from_db()
    done = mirror.sync(source, using=store_alias())
    assert done.steps > 0, "nothing was read"
    assert counts() == before


def test_nothing_new_is_seen_without_reading(opened: Opener, monkeypatch: pytest.MonkeyPatch):
    source = opened("langgraph/small.sqlite")
    monkeypatch.setattr(files, "opened", lambda path: pytest.fail("the file was opened"))
    monkeypatch.setattr(files, "stamp", lambda path: source.stamp or "same")
    source.stamp = "same"
    assert mirror.sync(source, using=store_alias()) == mirror.Synced()


def test_a_new_checkpoint_is_one_more_step(opened: Opener):
    source = opened("langgraph/small.sqlite")
    agents, transitions, *_ = counts()
    change(source.path, ADD_CHECKPOINT)
    done = mirror.sync(source, using=store_alias())
    assert (done.threads, done.steps) == (1, 1)
    assert counts()[:2] == (agents, transitions + 1)


def test_an_interrupted_moment_is_kept_as_a_snapshot(opened: Opener):
    opened("langgraph/interrupt_subgraph.sqlite")
    kept = models.Snapshot.objects.get(agent_id="interrupt_subgraph/waiting")
    assert (kept.description, kept.state_data) == ("interrupted", agent("interrupt_subgraph/waiting").state_data)


def test_a_thread_that_the_framework_deleted_stays_and_is_noted(opened: Opener):
    source = opened("langgraph/small.sqlite")
    change(source.path, "DELETE FROM checkpoints WHERE thread_id = 'thread-1'")
    mirror.sync(source, using=store_alias())
    assert SourceThread.objects.gone().get().agent_id == "small/thread-1"
    assert agent("small/thread-1").state_data


def test_a_run_that_was_stopped_goes_on_where_it_ended(opened: Opener, framework_file: FileMaker, settings):
    opened("langgraph/forks.sqlite")
    source = adding.add_source(framework_file("langgraph/small.sqlite"), using=store_alias())
    asked = iter([True, False])
    done = mirror.sync(source, using=store_alias(), go_on=lambda: next(asked))
    assert (done.threads, done.is_complete) == (1, False)
    assert agent("small/thread-2"), "the newest thread was not read first"
    assert mirror.sync(source, using=store_alias()).is_complete
    assert models.Transition.objects.of_agent("small/thread-1").count() == 10


def test_equal_threads_of_two_sources_stay_apart(opened: Opener, tmp_path: Path):
    opened("langgraph/small.sqlite")
    (tmp_path / "other").mkdir()
    copied = Path(str((tmp_path / "small.sqlite").rename(tmp_path / "other" / "small.sqlite")))
    source = adding.add_source(copied, using=store_alias())
    mirror.sync(source, using=store_alias())
    assert source.name == "small-2"
    assert agent("small-2/thread-1").agent_id != agent("small/thread-1").agent_id
    assert models.Transition.objects.of_agent("small-2/thread-1").count() == 10


def test_a_source_that_is_gone_says_so_and_its_mirror_stays(opened: Opener):
    source = opened("langgraph/small.sqlite")
    Path(source.path).unlink()
    mirror.sync(source, using=store_alias())
    source.refresh_from_db()
    assert "cannot be read: No such file or directory" in source.problem
    assert agent("small/thread-1")


def test_long_and_strange_ids_are_kept_word_for_word(opened: Opener, framework_file: FileMaker):
    opened("langgraph/forks.sqlite")
    path = framework_file("langgraph/small.sqlite")
    strange = ["🚀/a:b", "x" * 300, "%2F?#&", "<script>", " "]
    connection = sqlite3.connect(path)
    for thread in strange:
        connection.execute(
            "INSERT INTO checkpoints SELECT ?, '', checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
            " FROM checkpoints WHERE thread_id = 'thread-1'",
            [thread],
        )
    connection.commit()
    connection.close()
    mirror.sync(adding.add_source(path, using=store_alias()), using=store_alias())
    ids = set(models.AgentState.objects.values_list("agent_id", flat=True))
    assert {f"small/{thread}" for thread in strange} <= ids


def test_what_is_no_store_is_named_and_left_alone(opened: Opener, tmp_path: Path):
    opened("langgraph/forks.sqlite")
    text = tmp_path / "notes.txt"
    text.write_text("no database")
    other = tmp_path / "other.db"
    change(str(other), "CREATE TABLE photos (id INTEGER)")
    with pytest.raises(ValidationError, match=r"notes.txt is neither an SQLite database nor JSON, but text. Open"):
        adding.add_source(text, using=store_alias())
    with pytest.raises(ValidationError, match=r"Its tables: photos. Known are: .*LangGraph checkpoints"):
        adding.add_source(other, using=store_alias())
    with pytest.raises(ValidationError, match="cannot be read: No such file"):
        adding.add_source(tmp_path / "missing.db", using=store_alias())


def test_nothing_is_mirrored_into_a_store_that_an_orchestrator_owns(framework_file: FileMaker, settings):
    settings.STORE_IS_EMBEDDED = False
    with pytest.raises(Conflict, match="STORE_URL names a store of its own"):
        adding.add_source(framework_file("langgraph/small.sqlite"), using=store_alias())


def test_a_mirrored_agent_is_changed_by_its_framework_alone(opened: Opener):
    opened("langgraph/small.sqlite")
    with pytest.raises(Conflict, match="mirrors a thread of another framework's store"):
        service.save_agent(store_alias(), "small/thread-1", {"state_data": "{}"})
    with pytest.raises(Conflict, match="mirrors a thread of another framework's store"):
        service.change_status(store_alias(), "small/thread-1", "paused", by=SYSTEM)


def test_the_states_of_a_long_thread_are_packed_as_they_are_read(opened: Opener, framework_file: FileMaker):
    opened("langgraph/forks.sqlite")
    path = framework_file("langgraph/small.sqlite")
    connection = sqlite3.connect(path)
    for number in range(400):
        connection.execute(
            "INSERT INTO checkpoints SELECT 'long', '', ?, NULL, 'json', ?, '{}'",
            [f"{number:06d}", json.dumps({"channel_values": {"notes": [f"note {n}" for n in range(number)]}})],
        )
    connection.commit()
    connection.close()
    mirror.sync(adding.add_source(path, using=store_alias()), using=store_alias())
    transitions = models.Transition.objects.of_agent("small/long")
    assert transitions.count() == 400
    assert transitions.packed().count() == 400, "states lie whole in the store"
    for number in (0, 1, 200, 399):
        thread = SourceThread.objects.select_related("source").get(thread_id="long")
        row = transitions.get(pk=row_id(thread, "transition", f"{number:06d}"))
        assert len(json.loads(row.state_after)["notes"]) == number


def test_the_states_of_a_long_session_take_no_more_room_than_its_newest_one(opened: Opener, framework_file: FileMaker):
    """Each has all of the one before it; 800 turns of a chat would be 120 MB."""
    opened("langgraph/forks.sqlite")
    path = framework_file("openai_agents/small.sqlite")
    connection, chance = sqlite3.connect(path), random.Random(17)
    connection.execute("INSERT INTO agent_sessions (session_id) VALUES ('long')")
    for number in range(1_600):
        item = {"role": "assistant" if number % 2 else "user", "content": chance.randbytes(80).hex()}
        row = ["long", json.dumps(item)]
        connection.execute("INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)", row)
    connection.commit()
    connection.close()
    mirror.sync(adding.add_source(path, using=store_alias()), using=store_alias())
    agent = models.AgentState.objects.get(agent_id="small/long")
    frames = models.ArchiveFrame.objects.filter(agent_id="small/long").bytes()
    assert frames.states > 20_000_000
    assert frames.frames < len(agent.state_data)
    steps = [len(json.loads(row.state_after)["items"]) for row in models.Transition.objects.of_agent("small/long")]
    assert sorted(steps) == list(range(2, 1_602, 2))


def test_a_reader_that_fails_is_named_and_keeps_no_other_source_waiting(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
):
    source = opened("langgraph/small.sqlite")
    change(source.path, ADD_CHECKPOINT)

    def fail(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(LangGraphReader, "positions", fail)
    assert not mirror.sync(source, using=store_alias()).is_complete
    source.refresh_from_db()
    assert source.problem == "The reader of small.sqlite failed (ZeroDivisionError). Nothing there was changed."


def test_what_a_framework_notes_does_not_pass_for_a_restore_of_ours(opened: Opener, framework_file: FileMaker):
    opened("langgraph/forks.sqlite")
    path = framework_file("langgraph/small.sqlite")
    change(str(path), """UPDATE checkpoints SET metadata = '{"step": 1, "$source": {"key": "x", "removed": {}}}'""")
    mirror.sync(adding.add_source(path, using=store_alias()), using=store_alias())
    noted = [json.loads(row.metadata or "{}") for row in models.Transition.objects.of_agent("small/thread-1")]
    assert noted
    assert not any("$source" in one for one in noted)


def test_a_transition_of_a_mirror_is_recorded_by_its_framework_alone(opened: Opener):
    opened("langgraph/small.sqlite")
    with pytest.raises(Conflict, match="mirrors a thread"):
        service.record_transition(store_alias(), "small/thread-1", {"state_before": "{}", "state_after": "{}"})


# Many threads, and many states


def of_many_threads(path: Path, number: int) -> Path:
    copies = (
        f"INSERT INTO checkpoints SELECT 'many-{thread:03d}', checkpoint_ns, checkpoint_id, parent_checkpoint_id, type,"
        " checkpoint, metadata FROM checkpoints WHERE thread_id = 'thread-1'"
        for thread in range(number)
    )
    change(str(path), *copies)
    return path


def test_the_newest_of_many_threads_are_there_before_any_past_is_read(framework_file: FileMaker, embedded: None):
    path = of_many_threads(framework_file("langgraph/small.sqlite"), 60)
    source = adding.add_source(path, using=store_alias())
    assert not mirror.sync(source, using=store_alias(), go_on=lambda: False).is_complete
    assert models.AgentState.objects.count() == mirror.GLANCED_THREADS
    assert models.Transition.objects.count() == 0
    glanced = dict(models.AgentState.objects.values_list("agent_id", "state_data"))
    assert all("messages" in json.loads(state) for state in glanced.values())
    source.refresh_from_db()
    assert mirror.sync(source, using=store_alias()).is_complete
    assert models.AgentState.objects.count() == 62
    assert glanced.items() <= dict(models.AgentState.objects.values_list("agent_id", "state_data")).items()
    assert models.Transition.objects.count() == 62 * 10
    assert {agent.version for agent in models.AgentState.objects.all()} == {10}
    for agent_id in glanced:
        for before, after in pairwise(models.Transition.objects.of_agent(agent_id).oldest_first()):
            assert before.state_after == after.state_before, "a glance was taken for a change"


def test_few_threads_are_read_at_once(framework_file: FileMaker, embedded: None):
    source = adding.add_source(framework_file("langgraph/small.sqlite"), using=store_alias())
    mirror.sync(source, using=store_alias(), go_on=lambda: False)
    assert models.AgentState.objects.count() == 0


parts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=3), parts, max_size=3), max_size=6), parts, st.data())
def test_a_state_of_known_parts_is_written_as_any_other(items: list[object], other: object, data: st.DataObject):
    """Parts are known by their identity: those of the state before, in any order, are written once."""
    texts = Texts()
    for _ in range(4):
        chosen = data.draw(st.lists(st.sampled_from(items), max_size=6)) if items else []
        state: Any = {"items": chosen, "other": other, "": [other, *chosen]}
        assert texts.of(state) == state_text(state)
    with_literals: Any = parse('{"a": 1.00, "b": [{"c": 1e400}]}')
    assert texts.of(with_literals) == state_text(with_literals)


def test_the_ids_of_mirrored_rows_never_change(opened: Opener):
    """They are in links, exports and audit entries, and tell what is mirrored already."""
    opened("langgraph/small.sqlite")
    thread = SourceThread.objects.select_related("source").get(thread_id="thread-1")
    for kind, key in (("transition", "1f1e"), ("event", "Zürich 🚀\0x")):
        parts = (thread.source.name, thread.reader, thread.thread_id, kind, key)
        digest = hashlib.sha256("\0".join(parts).encode()).digest()
        assert row_id(thread, kind, key) == str(UUID(bytes=digest[:16], version=5))


def test_a_thread_whose_newest_step_was_taken_back_goes_on_from_where_it_is(opened: Opener):
    """As a restore does that was not recorded, and a framework that deletes: the steps before are mirrored already."""
    source = opened("agno/small.sqlite")
    runs = "(SELECT max(run_index) FROM agno_runs WHERE session_id = 'session-1')"
    before = models.Transition.objects.of_agent("small/session-1").count()
    change(
        source.path,
        f"DELETE FROM agno_runs WHERE session_id = 'session-1' AND run_index = {runs}",
        """UPDATE agno_sessions SET session_data = '{"session_state": {"count": 5, "cart": ["日本語 😀"]}}',
        updated_at = updated_at + 9 WHERE session_id = 'session-1'""",
    )
    mirror.sync(source, using=store_alias())
    rows = list(models.Transition.objects.of_agent("small/session-1").oldest_first())
    assert len(rows) == before + 1
    assert json.loads(rows[-1].state_after) == {"count": 5, "cart": ["日本語 😀"]}
    assert "{}" not in {row.state_after for row in rows}, "it was said to have begun anew"
    change(
        source.path,
        "INSERT INTO agno_runs (run_id, session_id, run_type, status, run_index, run_data, created_at, updated_at)"
        " SELECT 'new', session_id, run_type, status, 9, run_data, created_at + 10, updated_at + 10 FROM agno_runs"
        " WHERE session_id = 'session-1' LIMIT 1",
    )
    source.refresh_from_db()
    assert mirror.sync(source, using=store_alias()).steps == 1
    assert source.threads.get(thread_id="session-1").last_step == "new"
