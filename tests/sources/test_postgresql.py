"""Sources on PostgreSQL servers: opened by URL, read without keeping anyone waiting, their passwords shown nowhere."""

import logging
import stat
import sys
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.core.management import call_command
from django.core.serializers import serialize
from django.test import Client

from statestore import models
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError, Unavailable, ValidationError
from statestore.management import embedded_store
from statestore.sources import adding, mirror, secrets, servers
from statestore.sources.dialects import with_marks_of_psycopg
from tests.sources.servers import Database, Server

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("embedded")]

LANGGRAPH = "langgraph/postgres.sql"


@pytest.fixture
def database(server: Server) -> Database:
    """Return a database of a PostgresSaver."""
    return server.made(LANGGRAPH)


def opened(url: str, **options: Any) -> models.Source:
    source = adding.add_source(url, using=store_alias(), **options)
    assert mirror.sync(source, using=store_alias()).is_complete, source.problem
    return source


def test_a_database_is_named_with_what_it_holds(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedded_store, "prepare", lambda: False)
    out = StringIO()
    call_command("open", database.url, no_serve=True, stdout=out)
    said = out.getvalue()
    assert f"LangGraph checkpoints, PostgreSQL, 1 thread, 13 checkpoints. Namespace: {database.name}." in said
    assert "geheim" not in said
    assert models.AgentState.objects.get().agent_id == f"{database.name}/pg-thread"


def test_a_password_is_kept_in_a_file_of_the_user_alone_and_shown_nowhere(
    database: Database, viewer: Client, settings: Any, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    source = opened(database.url)
    database.execute("DROP TABLE checkpoint_blobs")
    mirror.sync(source, using=store_alias())
    assert source.problem
    kept = Path(settings.VAR_DIR) / "sources.secrets"
    assert "geheim" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    stored = "".join(
        serialize("json", model.objects.all()) for model in (models.Source, models.SourceThread, models.AuditEntry)
    )
    pages = viewer.get("/sources/").content + viewer.get("/api/v1/sources").content
    assert source.name.encode() in pages
    for shown in (stored, pages.decode(), caplog.text, source.path, source.problem):
        assert "geheim" not in shown


@pytest.mark.parametrize("url", ["postgresql://me:ge%heim@host/db", "postgresql://me@host:1:2/db?geheim"])
def test_a_url_that_cannot_be_read_is_refused_without_a_word_of_it(url: str):
    with pytest.raises(ValidationError, match="percent-encoded") as refused:
        adding.add_source(url, using=store_alias())
    assert "heim" not in str(refused.value)
    assert refused.value.__cause__ is None, "the driver's words would stand in a log"


def test_without_the_driver_it_is_said_which_to_install(database: Database, monkeypatch: pytest.MonkeyPatch):
    source = opened(database.url)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ValidationError, match=r"Install descartes-statestore\[postgres\]"):
        adding.add_source(database.url, using=store_alias())
    mirror.sync(source, using=store_alias())
    assert "Install descartes-statestore[postgres]" in source.problem


def test_an_address_is_the_url_without_its_secrets():
    for url, address in (
        ("postgres://me:pw@db.example:5433/agents", "postgresql://me@db.example:5433/agents"),
        ("postgresql://[::1]/agents?password=pw&sslmode=require", "postgresql://[::1]/agents?sslmode=require"),
        ("postgresql://a%40b:p%3Aw@h/d%2Fb?options=-csearch_path%3Dai",
         "postgresql://a%40b@h/d%2Fb?options=-csearch_path%3Dai"),
        ("postgresql://h1:1,h2:2/db", "postgresql:///db?host=h1%2Ch2&port=1%2C2"),
        ("postgresql://?service=agents", "postgresql:///?service=agents"),
    ):  # fmt: skip
        assert servers.keep_secrets_of(url) == address
        assert servers.keep_secrets_of(address) == address, "an address is one of itself"


def test_an_address_without_a_password_keeps_the_one_that_is_known():
    address = servers.keep_secrets_of("postgresql://me:one@host/db")
    servers.keep_secrets_of(address)
    assert secrets.of(address) == {"password": "one"}
    servers.keep_secrets_of("postgresql://me:two@host/db")
    assert secrets.of(address) == {"password": "two"}


def test_tables_in_another_schema_are_named_with_the_option_that_leads_there(server: Server):
    database = server.made()
    database.execute('CREATE SCHEMA "my agents"')
    database.server.load(database.name, _in_schema(database, "my agents"))
    with pytest.raises(ValidationError) as refused:
        opened(database.url)
    words = str(refused.value)
    assert "has LangGraph checkpoints in the schema “my agents”" in words
    option = words.partition("put ?options=")[2].partition(" ")[0]
    source = opened(f"{database.url}?options={option}")
    assert source.threads.count() == 1


def _in_schema(database: Database, schema: str) -> Path:
    from tests.sources.conftest import FILES

    path = Path(database.server.cluster.home) / "moved.sql"
    path.write_text((FILES / LANGGRAPH).read_text().replace("public.", f'"{schema}".'))
    return path


def test_nothing_new_costs_no_query_of_the_frameworks_tables(database: Database, monkeypatch: pytest.MonkeyPatch):
    source = opened(database.url)
    mirror.sync(source, using=store_alias())
    asked: list[str] = []
    execute = servers.ServerRows.execute

    def noted(rows: servers.ServerRows, sql: str, *values: Any) -> Any:
        asked.append(sql)
        return execute(rows, sql, *values)

    monkeypatch.setattr(servers.ServerRows, "execute", noted)
    assert mirror.sync(source, using=store_alias()) == mirror.Synced()
    assert len(asked) == 1, "only the snapshot"
    database.execute("UPDATE checkpoints SET metadata = metadata")
    mirror.sync(source, using=store_alias())
    assert len(asked) > 2


def test_a_change_under_way_while_the_snapshot_was_taken_is_not_missed(database: Database):
    source = opened(database.url)
    with database.server.connected(database.name) as writer:
        writer.execute("BEGIN")
        writer.execute(COPY_THREAD, ["under way"])
        # It writes no more from here: its commit alone is the change.
        mirror.sync(source, using=store_alias())
        mirror.sync(source, using=store_alias())
        assert source.stamp
        writer.execute("COMMIT")
    mirror.sync(source, using=store_alias())
    assert source.threads.filter(thread_id="under way").exists()


COPY_THREAD = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
SELECT %s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints
"""


def test_what_is_read_is_locked_by_nobody_and_nothing_can_be_written(database: Database):
    address = servers.keep_secrets_of(database.url)
    with servers.opened(address) as rows:
        list(rows.execute("SELECT * FROM checkpoints"))
        held = "SELECT count(*) FROM pg_locks WHERE relation = 'checkpoints'::regclass"
        assert database.rows(held) == [(0,)], "a lock outlives its query"
        idle = "SELECT state, backend_xmin FROM pg_stat_activity WHERE application_name = 'descartes-statestore'"
        assert database.rows(idle) == [("idle", None)]
        database.execute("CREATE INDEX CONCURRENTLY other ON checkpoints (thread_id)")
    with pytest.raises(StateStoreError, match="read-only"), servers.opened(address) as rows:
        rows.execute("DELETE FROM checkpoints")


def test_a_table_that_a_program_keeps_for_itself_is_waited_for_shortly(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    source = opened(database.url)
    monkeypatch.setattr(servers, "_LOCK_SECONDS", 0.1)
    database.execute("UPDATE checkpoints SET metadata = metadata")
    with database.server.connected(database.name) as writer:
        writer.execute("BEGIN")
        writer.execute("LOCK TABLE checkpoints IN ACCESS EXCLUSIVE MODE")
        mirror.sync(source, using=store_alias())
        assert "has the tables of the database" in source.problem
        writer.execute("ROLLBACK")
    mirror.sync(source, using=store_alias())
    assert source.problem == ""


def test_a_server_that_is_away_is_named_and_comes_back(database: Database, monkeypatch: pytest.MonkeyPatch):
    source = opened(database.url)
    with servers.kept_connections():
        mirror.sync(source, using=store_alias())
        connect = psycopg.connect
        monkeypatch.setattr(psycopg, "connect", _away)
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'descartes-statestore'"
        with connect(host=str(database.server.cluster.home), user="postgres", dbname="postgres") as admin:
            admin.execute(end)
        assert not mirror.sync(source, using=store_alias()).is_complete
        assert f"The server of the database {database.name} cannot be reached: no route to host" in source.problem
        assert models.AgentState.objects.count() == 1, "the mirror stays"
        monkeypatch.setattr(psycopg, "connect", connect)
        assert mirror.sync(source, using=store_alias()).is_complete
        assert source.problem == ""


def _away(*words: Any, **parameters: Any) -> None:
    raise psycopg.OperationalError("no route to host")


def test_a_server_that_does_not_answer_is_refused_when_it_is_opened():
    with pytest.raises(Unavailable, match="The server of the database agents cannot be reached"):
        opened("postgresql://me:geheim@127.0.0.1:9/agents")


def test_a_role_without_rights_on_a_table_is_named_with_what_helps(database: Database):
    database.execute("DROP ROLE IF EXISTS looker")
    database.execute("CREATE ROLE looker LOGIN")
    database.execute("GRANT SELECT ON checkpoints, checkpoint_blobs TO looker")
    source = adding.add_source(database.url.replace("postgres:geheim", "looker"), using=store_alias())
    mirror.sync(source, using=store_alias())
    assert "permission denied for table checkpoint_writes" in source.problem
    assert "GRANT SELECT" in source.problem
    database.execute("GRANT SELECT ON checkpoint_writes TO looker")
    assert mirror.sync(source, using=store_alias()).is_complete, source.problem
    database.execute("DROP OWNED BY looker")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT 1", "has no tables"),
        ("CREATE TABLE checkpoints (thread_id text); CREATE TABLE checkpoint_blobs (id int);"
         " CREATE TABLE checkpoint_writes (id int)", "is of no format that is known here"),
        ("CREATE TABLE invoices (id int)", "Its tables: invoices. Known are: Agno sessions, Google ADK sessions"),
        ("CREATE TABLE agent_states (id int); CREATE TABLE state_transitions (id int)", "STORE_URL names it"),
        ("CREATE VIEW checkpoints AS SELECT 1", "has no tables"),
    ],
)  # fmt: skip
def test_a_database_of_another_kind_is_named_and_left_alone(server: Server, sql: str, words: str):
    database = server.made()
    database.execute(sql)
    with pytest.raises(ValidationError, match=words):
        opened(database.url)
    assert models.Source.objects.count() == 0


def test_a_question_mark_within_quotes_stands_for_no_value():
    assert (
        with_marks_of_psycopg("SELECT '?%' , \"a?\" FROM t WHERE a LIKE ?")
        == "SELECT '?%%' , \"a?\" FROM t WHERE a LIKE %s"
    )


def test_texts_that_postgresql_cannot_hold_find_nothing(database: Database):
    with servers.opened(servers.keep_secrets_of(database.url)) as rows:
        for text in ("\0", "\ud800"):
            assert list(rows.execute("SELECT 1 FROM checkpoints WHERE thread_id = ?", [text])) == []


def test_values_are_as_exact_as_the_database_has_them(database: Database):
    with servers.opened(servers.keep_secrets_of(database.url)) as rows:
        sql = (
            "SELECT '[1.10, 7]'::jsonb, timestamptz '2026-11-28 10:00:00.5+02', timestamp '2026-11-28', 7::bigint, NULL"
        )
        ((document, zoned, plain, number, nothing),) = rows.execute(sql)
    assert document == "[1.10, 7]", "a number keeps its digits"
    assert (zoned, plain) == ("2026-11-28 08:00:00.5+00", "2026-11-28 00:00:00")
    assert (number, nothing) == (7, None)


def test_the_option_of_a_search_path_is_kept_in_the_address(database: Database):
    address = servers.keep_secrets_of(f"{database.url}?options={quote('-csearch_path=public')}")
    with servers.opened(address) as rows:
        assert list(rows.execute("SHOW search_path")) == [("public",)]
