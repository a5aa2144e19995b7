"""The index is built, kept up to date, distinguished from another store's, and trusted only as far as it reaches."""

import re
import sqlite3
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from statestore import search
from statestore.db.routers import store_alias
from statestore.search import limits
from statestore.search.fts import change_log, coverage, index_file, source
from statestore.search.fts import indexer as indexing
from tests.builders import NOW, make_event
from tests.search.oracle import everything, like, wrong

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def execute(sql: str, *parameters: Any) -> None:
    with connections[store_alias()].cursor() as cursor:
        cursor.execute(sql, parameters)


def like_skips_blobs() -> bool:
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("SELECT sqlite_compileoption_used('LIKE_DOESNT_MATCH_BLOBS')")
        return bool(cursor.fetchone()[0])


def documents() -> int:
    index = index_file.reading()
    assert index is not None
    return int(index.execute("SELECT count(*) FROM doc").fetchone()[0])


def test_without_an_index_events_are_read_and_the_page_says_so():
    make_event(content="lonely")
    page = search.find(search.parse("lonely"))
    assert len(page) == 1
    assert "no search index yet" in page.notes[0]
    assert not index_file.path().exists(), "a reader created the index"


def ids(numbers: Any) -> list[str]:
    return [f"e{number}" for number in numbers]


@pytest.fixture
def portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read three events at once, and six for one answer."""
    monkeypatch.setattr(limits, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(limits, "LAST_INSERTED_EVENTS", 6)


@pytest.mark.usefixtures("portions")
def test_without_an_index_further_pages_read_the_other_events():
    """Regression: an old word was not found, and the page had no older one and claimed to be complete."""
    for number in range(40):
        make_event(
            id=f"e{number}", content="every other" if number % 2 else "old" * (number == 2), timestamp=NOW + number
        )
    page = search.find(search.parse("old"))
    assert (len(page), page.is_complete) == (0, False)
    assert page.older
    assert everything("old") == ["e2"]
    odd = ids(range(39, 0, -2))
    for limit in (1, 2, 3, 50):
        assert everything("every", limit=limit) == odd
        assert everything("every", limit=limit, backwards=True) == odd


@pytest.mark.usefixtures("portions")
def test_pages_of_both_directions_meet_without_an_index():
    for number in range(30):
        make_event(id=f"e{number}", content="word", timestamp=NOW + number)
    query = search.parse("word")
    forth = [search.find(query, limit=4)]
    while forth[-1].older:
        forth.append(search.find(query, cursor=forth[-1].older, limit=4))
    assert [event.pk for page in forth for event in page] == ids(range(29, -1, -1))
    back = [forth[-1]]
    while back[-1].newer:
        back.append(search.find(query, cursor=back[-1].newer, limit=4))
    assert [event.pk for page in back[1:] for event in reversed(page.rows)] == ids(range(len(forth[-1]), 30))


@pytest.mark.usefixtures("portions")
def test_gaps_between_rowids_are_skipped():
    make_event(id="e1", content="far")
    make_event(id="e2", content="far")
    execute("UPDATE events SET rowid = 4000000000000000000 WHERE id = 'e2'")
    assert everything("far") == ["e2", "e1"]


@pytest.mark.usefixtures("portions")
def test_while_the_index_is_built_paging_loses_nothing(monkeypatch: pytest.MonkeyPatch):
    for number in range(60):
        make_event(id=f"e{number}", content="built", timestamp=NOW + number * 7 % 60)
    monkeypatch.setattr(limits, "CHUNK_ROWS", 5)
    monkeypatch.setattr(limits, "WALK_ROWS", 5)
    indexer = indexing.Indexer()
    while not documents():
        indexer.step()
    cursor: str | None = ""
    read = []
    while cursor is not None:
        page = search.find(search.parse("built"), cursor=cursor, limit=4)
        read += [event.pk for event in page]
        cursor = page.older
        indexer.step()
    indexer.close()
    assert sorted(read) == sorted(ids(range(60)))


def test_with_too_many_changes_the_index_is_bypassed(monkeypatch: pytest.MonkeyPatch):
    make_event(id="e0", content="before")
    search.index_all()
    for number in range(1, 5):
        make_event(id=f"e{number}", content="before", timestamp=NOW + number)
    monkeypatch.setattr(limits, "MARKED_EVENTS", 3)
    assert everything("before") == ids(range(4, -1, -1))
    assert "Very many events changed" in search.find(search.parse("before")).notes[0]


def test_an_indexer_that_runs_between_two_reads_does_not_invalidate_the_index(monkeypatch: pytest.MonkeyPatch):
    make_event(id="e1", content="first")
    search.index_all()
    make_event(id="e2", content="second")
    status = change_log.status
    statuses = []

    def with_a_round_after_it(using: str) -> change_log.LogStatus:
        log = status(using)
        statuses.append(log)
        if len(statuses) == 1:
            search.index_all()
        return log

    monkeypatch.setattr(change_log, "status", with_a_round_after_it)
    assert coverage.coverage(store_alias()).index is not None


def test_what_changed_is_marked_found_and_the_mark_cleared():
    event = make_event(content="first")
    search.index_all()
    assert change_log.marked(store_alias(), 10) == []
    execute("UPDATE events SET content = 'second' WHERE id = %s", event.pk)
    assert [key for key, _ in change_log.marked(store_alias(), 10)] == [change_log.key_of(event.pk)]
    assert everything("second") == [event.pk]
    assert everything("first") == []
    search.index_all()
    assert change_log.marked(store_alias(), 10) == []
    assert not search.find(search.parse("second")).notes


def test_a_lagging_index_says_by_how_many_seconds():
    search.index_all()
    event = make_event(content="recent")
    assert search.find(search.parse("recent")).notes == ()
    execute("UPDATE dash_dirty SET at = at - 60")
    (note,) = search.find(search.parse("recent")).notes
    assert re.match("The search index is 6[0-3] s behind", note)
    assert everything("recent") == [event.pk]


def test_a_mark_that_was_set_again_meanwhile_is_not_cleared():
    event = make_event()
    seen = change_log.marked(store_alias(), 10)
    execute("UPDATE events SET content = 'later' WHERE id = %s", event.pk)
    present = change_log.status(store_alias()).token
    change_log.clear(store_alias(), seen, "token", instead_of=present)
    assert len(change_log.marked(store_alias(), 10)) == 1


def test_an_event_that_is_read_twice_is_indexed_once(monkeypatch: pytest.MonkeyPatch):
    # Between two reads, a REPLACE by another program may give an event the rowid of another.
    make_event(id="e1", content="first")
    search.index_all()
    make_event(id="e2", content="second", timestamp=NOW + 10)
    by_keys = source.by_keys

    def with_another(using: str, keys: list[bytes]) -> Any:
        yield from by_keys(using, keys)
        yield from by_keys(using, [b"te1"])
        yield from by_keys(using, keys)

    monkeypatch.setattr(source, "by_keys", with_another)
    built = index_file.reading()
    assert search.index_all()
    assert index_file.reading() is built, "the index was rebuilt"
    assert (everything("first"), everything("second")) == (["e1"], ["e2"])
    assert documents() == 2


def test_an_indexer_that_dies_between_index_and_marks_loses_nothing(monkeypatch: pytest.MonkeyPatch):
    search.index_all()
    make_event(id="e1", content="precious")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(change_log, "clear", die)
        with pytest.raises(KeyboardInterrupt):
            search.index_all()
    assert everything("precious") == ["e1"]
    search.index_all()
    assert everything("precious") == ["e1"]
    assert documents() == 1


def test_a_walk_goes_on_where_it_was_interrupted(monkeypatch: pytest.MonkeyPatch):
    for number in range(50):
        make_event(id=f"e{number}", content=f"step {number}")
    monkeypatch.setattr(limits, "CHUNK_ROWS", 10)
    monkeypatch.setattr(limits, "WALK_ROWS", 10)
    indexer = indexing.Indexer()
    while not documents():
        indexer.step()
    indexer.close()
    page = search.find(search.parse("step"), limit=50)
    assert len(page) == 50, "what is not indexed yet is read"
    assert "being built" in page.notes[0]
    done = documents()
    assert 0 < done < 50
    resumed = indexing.Indexer()
    progress = resumed.progress
    resumed.close()
    assert progress is not None
    assert progress.done == done
    search.index_all()
    assert documents() == 50
    assert not search.find(search.parse("step")).notes


def test_an_index_of_another_store_is_not_trusted():
    make_event(id="e1", content="here")
    search.index_all()
    with sqlite3.connect(index_file.path()) as index:
        index.execute("UPDATE meta SET value = '/another/store.db' WHERE name = 'store'")
    make_event(id="e2", content="here")
    assert everything("here") == ["e2", "e1"]
    search.index_all()
    assert everything("here") == ["e2", "e1"]


def test_a_store_restored_from_a_copy_is_noticed():
    make_event(id="e1", content="kept")
    search.index_all()
    # As an older copy of the store would be: other rows, no marks, an older token.
    execute("UPDATE events SET content = 'as it was' WHERE id = 'e1'")
    execute("DELETE FROM dash_dirty")
    execute("UPDATE dash_index SET token = 'older'")
    assert everything("as it was") == ["e1"]
    search.index_all()
    assert everything("as it was") == ["e1"]
    assert everything("kept") == []


def test_without_triggers_everything_is_polled():
    for name in change_log.TRIGGERS:
        execute(f"DROP TRIGGER {name}")
    make_event(id="e1", content="polled")
    search.index_all()
    make_event(id="e2", content="polled")
    assert everything("polled") == ["e2", "e1"], "what was inserted since is read"
    search.index_all()
    execute("DELETE FROM events WHERE id = 'e2'")
    make_event(id="e3", content="polled")
    assert everything("polled") == ["e3", "e1"]
    search.index_all()
    assert everything("polled") == ["e3", "e1"]


def test_a_large_event_is_searched_beyond_its_indexed_beginning():
    make_event(id="large", content="alpha " + "x" * limits.INDEXED_BYTES + " omega")
    make_event(id="small", content="alpha")
    search.index_all()
    page = search.find(search.parse("alpha"))
    assert {event.pk for event in page} == {"large", "small"}
    assert page.cut == {"large"}
    for text in ("omega", "omega session:session-1", "omega type:message", "xx omega"):
        assert everything(text) == ["large"], text
        assert search.facets_of(search.parse(text)).total == 1
        assert sum(bar.count for bar in search.histogram_of(search.parse(text)).bars) == 1
    assert everything("alpha -omega") == ["small"]


def test_with_too_many_large_events_some_are_searched_in_part_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch,
):
    for number in range(3):
        make_event(id=f"e{number}", content="x" * limits.INDEXED_BYTES + " omega", timestamp=NOW + number)
    search.index_all()
    monkeypatch.setattr(limits, "LARGE_EVENT_BYTES", limits.INDEXED_BYTES * 2 - 1)
    page = search.find(search.parse("omega"))
    assert [event.pk for event in page] == ["e2"]
    assert page.notes[0].startswith("2 events have more than 1 MB")
    assert [event.pk for event in search.find_all(search.parse("omega"))] == ["e2", "e1", "e0"], "an export is whole"


def test_invalid_utf8_is_found_as_like_finds_it():
    for number, content in enumerate((b"caf\xc3\xa9 \xff\xfe raw", b"one\0two", "\ud7ff\ufffd".encode())):
        execute(
            "INSERT INTO events (id, event_type, timestamp, session_id, actor_type, actor_id, content)"
            " VALUES (%s, 't', %s, 's', 'Agent', 'a', CAST(%s AS TEXT))",
            f"e{number}", NOW, content,
        )  # fmt: skip
    execute(
        "INSERT INTO events (id, event_type, timestamp, session_id, actor_type, actor_id, content)"
        " VALUES (%s, 't', 'not a time', 's', 'Agent', 'a', %s)", b"\x01blob", b"raw blob",
    )  # fmt: skip
    words = ["raw", "caf", "café", "one", "two", "blob", "\ufffd"]
    assert wrong(words) == []
    search.index_all()
    assert wrong(words) == []
    # Debian's SQLite is built so that LIKE matches no blob.
    assert len(like("raw")) == (1 if like_skips_blobs() else 2)


def test_names_of_invalid_utf8_are_counted_from_the_index():
    """Regression: such a type broke the search page as soon as it was indexed."""
    make_event(event_type="plain")
    execute("UPDATE events SET event_type = CAST(%s AS TEXT), actor_id = CAST(%s AS TEXT)", b"caf\xe9", b"\xff")
    search.index_all()
    counted = search.facets_of(search.parse("")).values
    assert (counted["type"], counted["actor"]) == ([("caf\udce9", 1)], [("\udcff", 1)])


def test_many_events_of_one_second_keep_their_order():
    for number in range(300):
        make_event(id=f"e{number}", content="same second")
    search.index_all()
    execute("UPDATE events SET timestamp = timestamp + 1 WHERE id LIKE 'e1%%'")
    search.index_all()
    execute("UPDATE events SET timestamp = timestamp - 1 WHERE id LIKE 'e1%%'")
    search.index_all()
    assert everything("same second", limit=40) == [f"e{number}" for number in reversed(range(300))]


def test_the_command_reports_its_progress_and_rebuilds_the_index():
    make_event(content="told")
    out = StringIO()
    call_command("index", stdout=out)
    first = index_file.path().stat().st_ino
    call_command("index", rebuild=True, stdout=out)
    assert "The search index is up to date." in out.getvalue()
    assert index_file.path().stat().st_ino != first or documents() == 1
    assert index_file.path().stat().st_mode & 0o077 == 0, "other users may read the index"


def test_only_one_process_indexes():
    with index_file.lease() as is_ours, index_file.lease() as is_ours_too:
        assert (is_ours, is_ours_too) == (True, False)
        with pytest.raises(CommandError, match="Another process"):
            call_command("index", stdout=StringIO())
    code = "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, 2); print(flush=True); input()"
    lock = str(index_file.path()) + ".lock"
    command = [sys.executable, "-c", code, lock]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with index_file.lease() as is_ours:
            assert not is_ours
    finally:
        process.kill()
        process.communicate()
    with index_file.lease() as is_ours:
        assert is_ours, "the lease of a process that died has not ended"


def test_a_damaged_index_is_rebuilt():
    make_event(id="e1", content="unharmed")
    search.index_all()
    index_file.close()
    path = Path(index_file.path())
    path.write_bytes(b"garbage" * 1000)
    assert everything("unharmed") == ["e1"]
    search.index_all()
    assert everything("unharmed") == ["e1"]
    assert documents() == 1
