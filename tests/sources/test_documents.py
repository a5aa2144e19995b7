"""JSON documents of agents: recognised, read in their own order, and mirrored as the stores of frameworks are."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from statestore import models
from statestore.db.routers import store_alias
from statestore.errors import Conflict, StateStoreError, ValidationError
from statestore.models.sources import SourceThread
from statestore.restore import in_place
from statestore.sources import adding, documents, files, mirror
from statestore.sources.contract import DocumentReader, History
from statestore.sources.readers import known_document_readers, known_readers
from statestore.sources.readers.columns import list_of, object_of
from tests.faults.scale import times
from tests.sources.conftest import FILES, Opener
from tests.sources.stores import whole

FOLDER = FILES / "documents"
OWNERS = {
    "pydantic_ai.json": "pydantic-ai", "letta.af": "letta", "letta_first_layout.af": "letta",
    "agent_framework": "agent-framework", "crewai": "crewai-files", "claude_code.jsonl": "claude-code",
    "codex.jsonl": "codex",
}  # fmt: skip
DEEP = "[" * 100_000 + "]" * 100_000


def read(path: Path) -> dict[str, History]:
    """Return all threads of a document, each of their values checked."""
    document = documents.opened(path).document
    ((_, reader),) = recognised(path).items()
    reader.count(document)
    return {thread_id: whole(reader.read(document, thread_id)) for thread_id, _ in reader.positions(document)}


def recognised(path: Path) -> dict[str, DocumentReader]:
    document = documents.opened(path).document
    return {key: reader for key, reader in known_document_readers().items() if reader.recognises(document)}


@pytest.mark.parametrize("name", OWNERS)
def test_a_document_is_recognised_by_its_own_reader_alone(name: str):
    assert list(recognised(FOLDER / name)) == [OWNERS[name]]


def test_no_key_stands_for_two_readers():
    assert not known_readers().keys() & known_document_readers().keys()


@pytest.mark.parametrize(
    ("name", "threads"),
    [
        (
            "pydantic_ai.json",
            {"pydantic_ai.json": ["turn 1: What is the weather in Köln?", "turn 2: And tomorrow? [image-url]"]},
        ),
        ("letta.af", {"agent-0": []}),
        ("agent_framework", {"triage 🚑/north": ["iteration 1", "iteration 2", "iteration 3", "iteration 4"]}),
        (
            "codex.jsonl",
            {"019a2d7a-0000-7000-8000-000000000001": ["turn 1", "turn 2: List the files.", "turn 3: Delete it."]},
        ),
        (
            "claude_code.jsonl",
            {
                "5b0c7d0e-0000-4000-8000-000000000001 side chain": ["turn 1: Look for other sleeps"],
                "5b0c7d0e-0000-4000-8000-000000000001": [
                    "turn 1: Why is test_rivers flaky?", "turn 2: Delete the test.",
                    "turn 3: Wait for the condition instead.",
                ],
            },
        ),
    ],
)  # fmt: skip
def test_the_turns_of_each_thread_are_its_steps(name: str, threads: dict[str, list[str]]):
    found = read(FOLDER / name)
    assert {thread_id: [step.reason for step in history.steps] for thread_id, history in found.items()} == threads


def test_what_is_said_is_told_by_who_said_it():
    (history,) = read(FOLDER / "pydantic_ai.json").values()
    told = [(event.actor, event.kind) for step in history.steps for event in step.events]
    assert told == [
        ("System", "system-prompt"), ("User", "user-prompt"), ("Agent", "tool-call"), ("Tool", "tool-return"),
        ("Agent", "text"), ("User", "user-prompt"), ("Agent", "thinking"), ("Agent", "text"),
    ]  # fmt: skip


def test_a_prompt_that_was_taken_back_is_a_step_back():
    history = read(FOLDER / "claude_code.jsonl")["5b0c7d0e-0000-4000-8000-000000000001"]
    first, deleted, last = history.steps
    assert last.before == first.after != deleted.after
    assert last.back == "back to an earlier message"
    assert len(list_of(object_of(history.thread.state)["messages"])) == 6, (
        "the messages of the branch that was left are among them"
    )


def test_a_checkpoint_of_a_branch_comes_from_the_one_it_names():
    (history,) = read(FOLDER / "agent_framework").values()
    _, second, _, fourth = history.steps
    assert fourth.before == second.after
    assert history.marks == {fourth.key: "waits for a request"}
    assert history.thread.status == "paused"


def test_a_pickle_in_a_checkpoint_stays_closed():
    (history,) = read(FOLDER / "agent_framework").values()
    shown = json.dumps(next(iter(history.steps)).after)
    assert '"$opaque": "pickle"' in shown
    assert "gASV" not in shown


def test_memory_blocks_are_named_by_their_labels():
    (history,) = read(FOLDER / "letta.af").values()
    assert object_of(history.thread.state)["memory"] == {"human": "Likes rivers.", "persona": "A librarian."}
    exported = known_document_readers()["letta"].read(documents.opened(FOLDER / "letta.af").document, "agent-0")
    assert [snapshot.description for snapshot in exported.snapshots] == ["as exported"]


def test_checkpoint_files_are_read_as_the_table_of_them_is():
    (found,) = read(FOLDER / "crewai").values()
    reader = known_readers()["crewai-checkpoints"]
    with files.opened(FILES / "crewai" / "checkpoints.db") as rows:
        ((thread_id, _),) = reader.positions(rows)
        wanted = whole(reader.read(rows, thread_id))
    assert [step.after for step in found.steps] == [step.after for step in wanted.steps]
    assert [event.key for event in found.events] == [event.key for event in wanted.events]


@pytest.mark.parametrize("name", OWNERS)
def test_reading_after_each_step_gives_the_later_ones(name: str):
    document = documents.opened(FOLDER / name).document
    ((_, reader),) = recognised(FOLDER / name).items()
    for thread_id, history in read(FOLDER / name).items():
        steps = list(history.steps)
        for place, step in enumerate(steps, 1):
            later = whole(reader.read(document, thread_id, step.key))
            assert [one.after for one in later.steps] == [one.after for one in steps[place:]], step.reason


# Mirrored


@pytest.fixture
def mirrored(opened: Opener, tmp_path: Path) -> Callable[[str], models.Source]:
    """Return what mirrors a document's copy to its end."""
    opened("langgraph/small.sqlite")

    def mirror_it(name: str) -> models.Source:
        kept = shutil.copytree if (FOLDER / name).is_dir() else shutil.copy
        source = adding.add_source(Path(kept(FOLDER / name, tmp_path / name)), using=store_alias())
        assert mirror.sync(source, using=store_alias()).is_complete, source.problem
        return source

    return mirror_it


@pytest.mark.django_db
@pytest.mark.parametrize("name", OWNERS)
def test_a_document_becomes_agents_whose_past_ends_in_the_present(mirrored: Callable[[str], models.Source], name: str):
    source = mirrored(name)
    agents = list(models.AgentState.objects.filter(key__startswith=f"{source.name}:"))
    assert agents
    for agent in agents:
        rows = list(models.Transition.objects.of_agent(agent.agent_id).oldest_first())
        assert not rows or rows[-1].state_after == agent.state_data
        assert (
            models.Event.objects.filter(
                session_id__in=models.Session.objects.filter(agent_id=agent.agent_id).values("id")
            ).exists()
            or name == "agent_framework"
        )


@pytest.mark.django_db
def test_lines_that_are_added_are_followed(mirrored: Callable[[str], models.Source]):
    source = mirrored("codex.jsonl")
    before = models.Transition.objects.count()
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Then rename it."}]}
    line = json.dumps({"timestamp": "2026-11-26T13:01:00Z", "type": "response_item", "payload": said})
    with Path(source.path).open("a") as file:
        file.write(line + "\n" + line[:40])
    done = mirror.sync(source, using=store_alias())
    assert (done.steps, models.Transition.objects.count()) == (1, before + 1), "half a line is no message yet"
    with Path(source.path).open("a") as file:
        file.write(line[40:] + "\n")
    assert mirror.sync(source, using=store_alias()).steps == 1


@pytest.mark.django_db
def test_a_new_file_of_a_folder_is_followed(mirrored: Callable[[str], models.Source]):
    source = mirrored("agent_framework")
    last = sorted(Path(source.path).iterdir())[-1]
    data = json.loads(last.read_text()) | {"checkpoint_id": "five", "timestamp": "2026-11-27T00:00:00+00:00"}
    (Path(source.path) / "five.json").write_text(json.dumps(data))
    assert mirror.sync(source, using=store_alias()).steps == 1


@pytest.mark.django_db
def test_a_document_is_not_restored_in_place_and_says_why(mirrored: Callable[[str], models.Source]):
    mirrored("codex.jsonl")
    thread = SourceThread.objects.get(reader="codex")
    agent = models.AgentState.objects.get(agent_id=thread.agent_id)
    with pytest.raises(Conflict, match="Codex transcripts can be read here, but not be restored in place"):
        in_place.writer_of(agent, store_alias())


# Bad input


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b'{"a": 1', "a.json cannot be read as JSON"),
        ("a.json", DEEP.encode(), "nests deeper than 100 levels"),
        ("a.json", b'{"a": 1, "a": 2}', "cannot be read as JSON"),
        ("a.json", b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        ("a.json", b'{"n": 1, "m": [2]}', "an object with the members n, m"),
        ("a.json", b'[{"x": 1}]', "a list of 1, the first an object with the members x"),
        ("a.jsonl", b'{"n": 1}\n{"n": 2}\n', "2 values, the first an object with the members n"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 30, "but a ZIP archive. Unpack it"),
        ("a.pkl", b"\x80\x05]\x94.", "a Python pickle, which is never read here"),
        ("a.txt", "hello, Köln".encode(), "but text."),
        ("a.bin", bytes(range(128, 256)), "but binary data"),
        ("a.db", b"", "but empty."),
    ],
)
def test_what_is_no_known_document_is_named_as_far_as_it_can_be(
    tmp_path: Path, settings: Any, name: str, content: bytes, words: str
):
    settings.STORE_IS_EMBEDDED = True
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValidationError, match=words), files.opened(path) as store:
        files.readers_of(store, path)
    assert path.read_bytes() == content


def test_a_document_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "large.json"
    path.write_bytes(b"[" + b" " * 2_000_000)
    monkeypatch.setattr(documents, "MOST_BYTES", 1024 * 1024)
    with pytest.raises(ValidationError, match=r"large.json is too large: 2 MiB of JSON, where 1 MiB can be read"):
        documents.opened(path)


def test_a_damaged_line_is_one_opaque_message_between_the_others(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    lines = (FOLDER / "claude_code.jsonl").read_bytes().splitlines()
    lines[3] = lines[3][:40]
    path.write_bytes(b"\n".join(lines) + b"\n")
    told = [event.kind for history in read(path).values() for step in history.steps for event in step.events]
    assert told.count("unreadable") == 1
    assert told.count("message") >= 8


def test_links_in_a_folder_are_not_followed(tmp_path: Path):
    secret = tmp_path / "secret.json"
    secret.write_text(
        '{"checkpoint_id": "x", "timestamp": "", "messages": {}, "iteration_count": 1, "workflow_id": "w"}'
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.json").symlink_to(secret)
    with pytest.raises(ValidationError, match="folder without JSON files"):
        documents.opened(folder)


STRANGE: tuple[Any, ...] = (
    None, True, 0, -1, 10**400, 1.5, "", "null", [], {}, [[]], [{}], {"type": []}, {"$opaque": 1}, "\ud800",
    "🚀/a:b" * 60, {"text": {"text": []}}, [{"part_kind": {}}], [[[[[]]]]], "2026-13-45",
    "9999-12-31T23:59:59+00:00", -1e300,
)  # fmt: skip


def scrambled(value: Any, dice: Random) -> Any:
    """Return a value with one of those in it replaced, or left out."""
    while isinstance(value, dict | list) and value:
        place = dice.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if dice.random() < 0.25 or not isinstance(value[place], dict | list):
            if dice.random() < 0.2:
                del value[place]
            else:
                value[place] = deepcopy(dice.choice(STRANGE))
            return value
        scrambled(value[place], dice)
        return value
    return value


def test_a_document_with_any_value_anywhere_is_read_or_is_no_ones(tmp_path: Path):
    dice = Random(17)
    names = [name for name in OWNERS if (FOLDER / name).is_file()]
    known = 0
    for number in range(times(300, 3_000)):
        name = dice.choice(names)
        text = (FOLDER / name).read_text()
        values = [json.loads(line) for line in text.splitlines()] if name.endswith("l") else [json.loads(text)]
        for _ in range(dice.choice([1, 3, 10])):
            scrambled(values, dice)
        path = tmp_path / f"{number}-{name}"
        path.write_text("\n".join(map(json.dumps, values)) or "[]")
        found = recognised(path)
        known += bool(found)
        for reader in found.values():
            document = documents.opened(path).document
            reader.count(document)
            for thread_id, _ in list(reader.positions(document)):
                whole(reader.read(document, thread_id))
        path.unlink()
    assert known > 100, "nothing was left to be read"


@pytest.mark.django_db
def test_a_document_with_damaged_bytes_is_mirrored_or_refused_in_words(opened: Opener, tmp_path: Path):
    opened("langgraph/small.sqlite")
    dice = Random(18)
    names = [name for name in OWNERS if (FOLDER / name).is_file()]
    refused = whole_ones = 0
    for number in range(times(60, 3_000)):
        name = dice.choice(names)
        data = bytearray((FOLDER / name).read_bytes())
        for _ in range(dice.choice([1, 2, 20])):
            data[dice.randrange(len(data))] = dice.choice(b'{}[]",:0\\ \n\xff\x00')
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(data[: dice.randrange(len(data))] if dice.random() < 0.2 else data)
        try:
            source = adding.add_source(path, using=store_alias())
        except StateStoreError:
            refused += 1
        else:
            mirror.sync(source, using=store_alias())
            assert "its reader failed" not in source.problem, (number, source.problem)
            whole_ones += not source.problem
        path.unlink()
    assert refused > 0
    assert whole_ones > 0


def test_the_database_of_checkpoint_files_is_never_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[object] = []
    connect = sqlite3.connect

    def note(name: str) -> sqlite3.Connection:
        made.append(name)
        return connect(name)

    monkeypatch.setattr(sqlite3, "connect", note)
    read(FOLDER / "crewai")
    assert set(made) == {":memory:"}
