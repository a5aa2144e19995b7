"""A store that hangs, is locked, or is gone holds up no other; the list names it."""

import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from descartes_site.stores import alias_of
from statestore import models
from statestore.db import connection_limit
from statestore.db.routers import chosen, store_alias
from statestore.operations import every_store, fair_share, store_summaries
from statestore.operations.store_summaries import Summary
from statestore.views import stores as views
from tests.builders import make_agent, make_event, make_transition
from tests.conftest import migrate_into, signed_in
from tests.many_stores.conftest import database_at, served
from tests.templates import Templates
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


@pytest.fixture
def client(people: dict[str, User]) -> Client:
    people["administrator"].is_superuser = True
    people["administrator"].save()
    return signed_in(people["administrator"])


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Begin without answers that are kept, and let what hangs go on at the end."""
    go_on = threading.Event()
    monkeypatch.setattr(store_summaries, "_summaries", every_store.Newest(store_summaries.summarise, seconds=0.0))
    monkeypatch.setattr(every_store, "_workers", every_store._Workers())
    monkeypatch.setattr(views, "LIST_PATIENCE_SECONDS", 2.0)  # A busy machine is slow for all.
    yield go_on
    go_on.set()


def rows_of(page: str) -> dict[str, str]:
    """Return the text of each store's row."""
    rows = re.findall(r"<tr data-row>(.*?)</tr>", page, re.DOTALL)
    return {re.search(r'/stores/([\w-]+)/"', row)[1]: row for row in rows}  # type: ignore[index]


def test_the_list_shows_each_store_with_its_figures(stores: dict[str, Path], client: Client):
    rows = rows_of(client.get("/").content.decode())
    assert set(rows) == {"crimson", "azure"}
    assert "SQLite" in rows["azure"]
    wait_for(lambda: all("agents" in item for item in client.get("/api/v1/stores").json()["items"]), "all figures")
    items = client.get("/api/v1/stores").json()["items"]
    assert [item["name"] for item in items] == ["crimson", "azure"]
    assert items[0]["agents"]["idle"] == 1


def test_a_store_that_hangs_is_named_and_the_others_are_shown(
    stores: dict[str, Path], client: Client, monkeypatch: pytest.MonkeyPatch, released: threading.Event
):
    def summarise() -> Summary:
        if store_alias() == alias_of("crimson"):
            released.wait(30)
        return Summary("SQLite", 1, [("idle", 7)], 0, None, 0)

    monkeypatch.setattr(store_summaries, "_summaries", every_store.Newest(summarise, seconds=0.0))
    began = time.monotonic()
    rows = rows_of(client.get("/").content.decode())
    assert time.monotonic() - began < 5
    assert "did not answer" in rows["crimson"]
    assert "7" in rows["azure"]


def test_a_store_that_hangs_is_not_asked_again_until_it_answers(
    stores: dict[str, Path], monkeypatch: pytest.MonkeyPatch, released: threading.Event
):
    monkeypatch.setattr(every_store, "HANGS_AFTER_SECONDS", 0.05)
    asked = []

    def hang() -> int:
        asked.append(store_alias())
        if asked[-1] == alias_of("crimson"):
            released.wait(30)
        return 1

    names = list(stores)
    first = every_store.ask(names, hang, patience_seconds=0.5)
    assert first["azure"].found == 1
    assert first["crimson"].problem
    again = every_store.ask(names, hang, patience_seconds=0.5)
    assert again["azure"].found == 1
    assert asked.count(alias_of("crimson")) == 1
    released.set()
    wait_for(lambda: every_store.ask(names, hang, patience_seconds=1)["crimson"].found, "an answer")


def test_a_missing_and_a_locked_store_are_told_in_words(stores: dict[str, Path], client: Client):
    stores["crimson"].unlink()
    lock = sqlite3.connect(stores["azure"])
    try:
        lock.execute("BEGIN EXCLUSIVE")
        page = client.get("/find/?q=agent").content.decode()
    finally:
        lock.close()
    assert "crimson</strong> is not among the results" in page
    assert "does not exist" in page
    assert "azure</strong> is not among the results" in page


def test_what_is_found_names_its_store_and_leads_there(stores: dict[str, Path], client: Client):
    for address in ("/find/?q=agent", "/events/?q=content", "/changes/"):
        page = client.get(address).content.decode()
        if address == "/changes/":
            continue
        for colour in stores:
            assert f'href="/stores/{colour}/' in page, address
            assert f"{colour} " in page, address


def test_what_agents_wrote_is_text_on_the_pages_of_all_stores(stores: dict[str, Path], client: Client):
    with chosen(alias_of("crimson")):
        agent = make_agent("h1", name="<script>alert(1)</script>")
        make_event(id="h2", actor_id="<img src=x>", content="<script>alert(2)</script>")
        make_transition(agent, {}, {"n": 1}, reason="<script>alert(3)</script>", timestamp=models.now() - 60)
    for address, found in {
        "/find/?q=script": "alert(1)",
        "/events/?q=alert": "alert(2)",
        "/changes/": "alert(3)",
    }.items():
        page = client.get(address).content.decode()
        assert found in page, address
        assert f"<script>{found}" not in page, address
        assert "<img src=x>" not in page, address


def test_slow_requests_of_one_store_leave_half_of_the_threads_to_the_others(
    stores: dict[str, Path], client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fair_share, "SLOW_SECONDS", 0.0)
    monkeypatch.setenv("STATESTORE_THREADS", "4")
    slow = [fair_share.enter(alias_of("crimson")) for _ in range(2)]
    assert None not in slow
    refused = client.get("/stores/crimson/agents/")
    assert refused.status_code == 503
    assert refused["Retry-After"]
    assert "does not answer" in refused.content.decode()
    assert client.get("/stores/azure/agents/").status_code == 200
    for share in slow:
        assert share is not None
        share.leave()
    assert client.get("/stores/crimson/agents/").status_code == 200


def test_a_request_that_the_collector_of_garbage_ends_waits_for_no_other():
    """The collector runs at any point: also in the thread that is just entering, which would wait for itself."""
    share = fair_share.Share("crimson")
    leaves = threading.Thread(target=share.leave, daemon=True)
    with fair_share._lock:
        leaves.start()
        leaves.join(timeout=5)
        assert not leaves.is_alive(), "It waits for the one that enters."


def test_a_thread_keeps_connections_to_the_stores_that_it_used_last(
    stores: dict[str, Path], client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    settings.STORE_CONNECTIONS = 1
    monkeypatch.setattr(connection_limit, "_local", threading.local())
    client.get("/stores/crimson/agents/")
    assert connections[alias_of("crimson")].connection is not None
    client.get("/stores/azure/agents/")
    assert connections[alias_of("crimson")].connection is None
    assert connections[alias_of("azure")].connection is not None


def test_the_list_of_a_hundred_stores_opens_few_files_and_waits_for_none(
    any_database: None, templates: Templates, tmp_path: Path, settings: Any, client: Client
):
    made = templates.get("migrated", migrate_into) / "store.db"
    files = {f"s{number}": Path(shutil.copy(made, tmp_path / f"{number}.db")) for number in range(100)}
    files["s3"].unlink()
    with served(settings, {name: database_at(file) for name, file in files.items()}):
        first = rows_of(client.get("/").content.decode())
        assert len(first) == 100
        wait_for(
            lambda: all("0 s" not in row and ("SQLite" in row or "does not exist" in row)
                        for row in rows_of(client.get("/").content.decode()).values()),
            "an answer of each store",
        )  # fmt: skip
        fds = Path("/proc/self/fd")
        if fds.exists():
            opened = [link for link in fds.iterdir() if str(tmp_path) in _target(link)]
            assert len(opened) < 60, "connections stay open"


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def test_no_store_of_this_name_and_an_address_without_its_slash(stores: dict[str, Path], client: Client):
    for address in ("/stores/green/", "/stores/green/agents/", "/stores/CRIMSON/", "/stores/a%2Fb/"):
        page = client.get(address)
        assert page.status_code == 404, address
        assert "no store of this name" in page.content.decode() or address.endswith("b/"), address
    assert client.get("/stores/crimson")["Location"] == "/stores/crimson/"
    assert client.get("/agents/").status_code == 404


def test_the_login_of_a_store_leads_back_to_its_page(stores: dict[str, Path]):
    response = Client().get("/stores/azure/agents/?status=idle")
    assert response.status_code == 302
    assert response["Location"] == "/stores/azure/login/?next=/stores/azure/agents/%3Fstatus%3Didle"
    assert Client().get("/")["Location"] == "/login/?next=/"


def test_cookies_are_for_all_stores(stores: dict[str, Path], client: Client):
    response = client.post("/stores/azure/theme/", {"theme": "dark", "next": "/stores/azure/agents/"})
    assert response["Location"] == "/stores/azure/agents/"
    assert response.cookies["theme"]["path"] == "/"


def test_below_a_path_prefix_stores_are_found_too(stores: dict[str, Path], client: Client, settings: Any):
    settings.PATH_PREFIX = "/statestore"
    page = client.get("/statestore/stores/azure/agents/").content.decode()
    assert 'href="/statestore/stores/azure/agents/a1/"' in page
    assert "azure agent" in page
    assert 'href="/statestore/"' in page, "no way to the list of stores"


def test_probes_and_figures_at_the_root_are_about_no_store(stores: dict[str, Path]):
    assert Client().get("/healthz").status_code == 200
    ready = Client().get("/readyz")
    assert ready.status_code == 200, ready.content
    assert "statestore_ready 1.0" in Client().get("/metrics").content.decode()
    assert "statestore_agents" in Client().get("/stores/azure/metrics").content.decode()
