"""What a hostile or unlucky user opens: each is mirrored as far as it goes, or refused in words; nothing is lost."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import models, restore
from statestore.access.audit import Actor
from statestore.db.ids import to_address
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.models.sources import Source
from statestore.sources import adding, mirror
from tests.bench import langgraph_files
from tests.faults.scale import times
from tests.sources.conftest import FileMaker, Opener

pytestmark = pytest.mark.django_db


def look(source: Source) -> mirror.Synced:
    source.refresh_from_db()
    done = mirror.sync(source, using=store_alias())
    source.refresh_from_db()
    return done


def added(path: Path) -> Source:
    source = adding.add_source(path, using=store_alias())
    mirror.sync(source, using=store_alias())
    source.refresh_from_db()
    return source


def take(path: Path, table: str, other: Path) -> None:
    """Copy a table of another file into a file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ATTACH ? AS other", [str(other)])
        ((sql,),) = connection.execute("SELECT sql FROM other.sqlite_master WHERE name = ?", [table])
        connection.execute(sql)
        connection.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")
        connection.commit()


def test_two_formats_in_one_file_are_both_mirrored(embedded: None, framework_file: FileMaker):
    path = framework_file("langgraph/small.sqlite")
    other = shutil.copy(path.parent / path.name, path.parent / "two.sqlite")
    for table in ("agent_sessions", "agent_messages"):
        take(Path(other), table, framework_file("openai_agents/small.sqlite"))
    source = added(Path(other))
    assert source.formats == "LangGraph checkpoints, OpenAI Agents sessions"
    assert not source.problem
    threads = set(source.threads.values_list("reader", "thread_id"))
    assert {("langgraph", "thread-1"), ("openai-agents", "conversation-1")} <= threads


def test_a_file_that_another_framework_s_takes_the_place_of_is_read_as_that_one(
    opened: Opener, framework_file: FileMaker, tmp_path: Path
):
    source = opened("langgraph/forks.sqlite")
    before = models.Transition.objects.of_agent("forks/fork-thread").count()
    new = shutil.copy(framework_file("openai_agents/small.sqlite"), tmp_path / "new")
    os.replace(new, source.path)
    assert look(source).is_complete
    assert source.formats == "OpenAI Agents sessions"
    assert models.AgentState.objects.filter(agent_id="forks/conversation-1").exists()
    assert models.Transition.objects.of_agent("forks/fork-thread").count() == before, "the old mirror stays"


def test_a_thread_whose_framework_is_no_longer_in_the_file_is_not_restored(
    opened: Opener, framework_file: FileMaker, tmp_path: Path
):
    source = opened("langgraph/forks.sqlite")
    os.replace(shutil.copy(framework_file("openai_agents/small.sqlite"), tmp_path / "new"), source.path)
    row = models.Transition.objects.of_agent("forks/fork-thread").oldest_first()[2]
    content = Path(source.path).read_bytes()
    with pytest.raises(StateStoreError) as raised:
        restore.apply(restore.plan("forks/fork-thread", f"transition:{row.pk}:after"), by=Actor("ada"))
    assert "cannot be read: no such table: checkpoints. It was not changed." in str(raised.value)
    assert Path(source.path).read_bytes() == content


def test_states_of_five_megabytes_are_mirrored_shown_and_put_back(
    embedded: None, framework_file: FileMaker, viewer: Client
):
    path = framework_file("openai_agents/small.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO agent_sessions (session_id) VALUES ('large')")
        for number in range(5):
            item = {"role": "user", "content": f"{number} " + "x" * 1_000_000}
            sql = "INSERT INTO agent_messages (session_id, message_data) VALUES ('large', ?)"
            connection.execute(sql, [json.dumps(item)])
        connection.commit()
    source = added(path)
    assert not source.problem
    agent = models.AgentState.objects.get(agent_id="small/large")
    assert len(agent.state_data) > 5_000_000
    rows = list(models.Transition.objects.of_agent("small/large").oldest_first())
    assert [len(json.loads(row.state_after)["items"]) for row in rows] == [1, 2, 3, 4, 5]
    assert viewer.get(f"/agents/{to_address('small/large')}/").status_code == 200
    done = restore.apply(restore.plan("small/large", f"transition:{rows[1].pk}:after"), by=Actor("ada"))
    restore.undo(done, by=Actor("ada"))
    assert models.AgentState.objects.get(agent_id="small/large").state_data == agent.state_data


def test_one_session_of_two_users_is_two_agents(opened: Opener):
    source = opened("google_adk/sqlite_service.sqlite")
    same = set(source.threads.filter(thread_id__endswith="/s1").values_list("agent_id", flat=True))
    assert same == {"sqlite_service/demo_app/user-1/s1", "sqlite_service/demo_app/user-2/s1"}


ODD_IDS = ("🌱/a b/%2F", "x" * 300, "../../etc/passwd", "tab\tnew\nline", "<b>&amp;'\"", "e\u0301")


def test_a_source_of_very_many_threads_is_mirrored_to_its_end(embedded: None, tmp_path: Path, viewer: Client):
    number = times(1_000, 50_000)
    path = tmp_path / "many.sqlite"
    langgraph_files.make(path, number, 1, 0)
    with closing(sqlite3.connect(path)) as connection:
        for place, odd in enumerate(ODD_IDS):
            for table in ("checkpoints", "writes"):
                sql = f"UPDATE {table} SET thread_id = ? WHERE thread_id = ?"
                connection.execute(sql, [odd, f"thread-{place:06d}"])
        connection.commit()
    source = adding.add_source(path, using=store_alias())
    done = mirror.sync(source, using=store_alias(), go_on=lambda: False)
    assert not done.is_complete
    assert source.threads.count() == mirror.GLANCED_THREADS, "the newest are shown before any past is read"
    source.stamp = ""
    assert look(source).is_complete, source.problem
    assert source.threads.count() == number
    assert models.AgentState.objects.filter(agent_id__startswith="many/").count() == number
    for odd in ODD_IDS:
        page = viewer.get(f"/agents/{to_address(f'many/{odd}')}/", follow=True)
        assert page.status_code == 200, odd
    page = viewer.get("/agents/")
    assert page.status_code == 200
    assert len(page.content) < 1_000_000, "a list is a page of its agents"
    assert look(source).threads == 0, "nothing is read twice"


def test_a_new_thread_costs_few_queries(
    embedded: None,
    tmp_path: Path,
    django_assert_max_num_queries: Callable[..., AbstractContextManager[CaptureQueriesContext]],
):
    """Of many threads each has but a few steps: what each of them costs counts."""
    number = mirror.GLANCED_THREADS
    langgraph_files.make(tmp_path / "many.sqlite", number, 1, 0)
    source = adding.add_source(tmp_path / "many.sqlite", using=store_alias())
    with django_assert_max_num_queries(number * 3 + 50, using=store_alias()) as asked:
        assert mirror.sync(source, using=store_alias()).is_complete
    updates = [
        found["sql"] for found in asked.captured_queries if found["sql"].startswith('UPDATE "dash_source_thread"')
    ]
    assert not updates, "a thread that was just created is up to date"
