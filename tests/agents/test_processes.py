"""The agents of `descartes ps`, which `descartes init` keeps in a table of their own, are shown and never written."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from statestore.agents import processes
from statestore.db.routers import store_alias
from tests.api.conftest import script_of
from tests.builders import make_agent

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

TABLE = (
    "CREATE TABLE agents (id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, model_backend TEXT NOT NULL,"
    " started_at INTEGER NOT NULL, completed_at INTEGER, task TEXT NOT NULL, metadata TEXT)"
)
ROWS = (
    "INSERT INTO agents VALUES ('a-1', 'first', 'Completed', 'local', 1790000000, 1790000060, 'look around', NULL)",
    "INSERT INTO agents VALUES ('<script>', x'ff', 'Running', 'local', 1790000100, NULL, '', NULL)",
)


def execute(*statements: str) -> None:
    with connections[store_alias()].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    processes._has_table.cache_clear()


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    processes._has_table.cache_clear()
    yield
    processes._has_table.cache_clear()


def test_a_page_without_the_table_says_nothing_of_it(viewer: Client):
    assert b"descartes ps" not in viewer.get("/agents/").content
    execute("CREATE TABLE agents (id TEXT)", "INSERT INTO agents VALUES ('of another program')")
    assert b"descartes ps" not in viewer.get("/agents/").content


def test_the_agents_are_listed_those_started_last_first(viewer: Client):
    execute(TABLE, *ROWS)
    page = viewer.get("/agents/").content.decode()
    assert page.index("&lt;script&gt;") < page.index("look around")
    assert "<script>\n" not in page.partition("descartes ps")[2].partition("</section>")[0]


def test_the_api_lists_them_for_those_who_see_the_whole_store(people: dict[str, User]):
    execute(TABLE, *ROWS)
    make_agent("a1", namespace="alpha")
    late, early = script_of(people["viewer"]).get("/processes").json()["items"]
    assert (late["id"], late["completed_at"], late["name"]) == ("<script>", None, "\ufffd")
    assert (early["started_at_seconds"], early["status"]) == (1790000000, "Completed")
    assert script_of(people["viewer"], namespaces=["alpha"]).get("/processes").json()["items"] == []


def test_a_view_under_its_name_is_not_read(viewer: Client):
    columns = ", ".join(f"i AS {column}" for column in processes._COLUMNS)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    execute(f"CREATE VIEW agents AS {endless} SELECT {columns} FROM n")
    assert viewer.get("/agents/").status_code == 200
