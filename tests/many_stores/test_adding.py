"""Administrators add stores on a page, from directories that a setting allows; nothing else gets in."""

import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client

from statestore import children, models
from statestore.access import tokens
from statestore.adoption.status import forget_store_status
from statestore.api.auth import wrong_tokens
from statestore.db import connection_limit, served
from statestore.db.routers import chosen
from tests.builders import make_agent
from tests.conftest import migrate_into, signed_in
from tests.many_stores.conftest import fill
from tests.stores import make_store
from tests.templates import Templates
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


@pytest.fixture
def directory(any_database: None, templates: Templates, tmp_path: Path, settings: Any) -> Iterator[Path]:
    """Return a directory from which stores may be added, with one store in it; none is served yet."""
    directory = (tmp_path / "srv").resolve()
    directory.mkdir()
    settings.VAR_DIR, settings.STORE_DIRS, settings.STORE_IS_EMBEDDED = tmp_path / "var", [str(directory)], False
    settings.VAR_DIR.mkdir()
    settings.STORES = {}
    shutil.copy(templates.get("migrated", migrate_into) / "store.db", directory / "green.db")
    before = connections.databases
    yield directory
    forget_store_status()
    vars(connection_limit._local).clear()
    for alias in set(connections.databases) - set(before):
        connections[alias].close()
        del connections[alias]
    connections.settings = before


@pytest.fixture
def client(people: dict[str, User]) -> Client:
    return signed_in(people["administrator"])


def add(client: Client, name: str, path: Path | str) -> Any:
    return client.post("/add-store/", {"name": name, "path": json.dumps(str(path))})


def names(client: Client) -> list[str]:
    return [item["name"] for item in client.get("/api/v1/stores").json()["items"]]


def offered(client: Client) -> list[str]:
    """Return the files that the page offers, and the name that it proposes for each."""
    page = client.get("/").content.decode()
    files = re.findall(r'name="path" value="&quot;(.*?)&quot;"', page)
    return [
        f"{Path(file).name} as {name}"
        for file, name in zip(files, re.findall(r'name="name"\s+value="(.*?)"', page), strict=True)
    ]


def audit_of(client: Client) -> str:
    """Return the words of the audit log of the store green."""
    return " ".join(re.sub(r"<[^>]*>", " ", client.get("/stores/green/audit/").content.decode()).split())


def test_a_store_that_was_added_is_served_at_once_and_its_audit_log_says_by_whom(directory: Path, client: Client):
    assert offered(client) == ["green.db as green"]
    answer = add(client, "green", directory / "green.db")
    assert answer.status_code == 302, answer.content.decode()
    page = client.get("/")
    assert "The store green is served now." in page.content.decode()
    assert offered(client) == [], "what is served is offered no more"
    with chosen(served.aliases()["green"]):
        fill("green")
    assert "green agent" in client.get("/stores/green/agents/").content.decode()
    assert "administrator added this store as “green”" in audit_of(client)


def test_the_registry_is_for_the_user_alone_that_the_dashboard_runs_as(directory: Path, client: Client, settings: Any):
    add(client, "green", directory / "green.db")
    assert served.registry().stat().st_mode & 0o777 == 0o600
    assert {path.name for path in settings.VAR_DIR.iterdir() if "stores" in path.name} == {"stores.json", "stores.lock"}


def test_a_removed_store_is_gone_and_its_file_as_it_was(directory: Path, client: Client):
    add(client, "green", directory / "green.db")
    client.get("/stores/green/agents/")
    answer = client.post("/remove-store/green/")
    assert answer.status_code == 302, answer.content.decode()
    assert client.get("/stores/green/agents/").status_code == 404
    assert names(client) == []
    assert (directory / "green.db").exists()
    again = client.post("/remove-store/green/")
    assert again.status_code == 404
    add(client, "green", directory / "green.db")
    assert "administrator removed this store from the dashboard, where it was “green”" in audit_of(client)


def test_another_file_under_the_name_of_one_that_was_removed_is_another_store(directory: Path, client: Client):
    shutil.copy(directory / "green.db", directory / "second.db")
    add(client, "green", directory / "green.db")
    with chosen(served.aliases()["green"]):
        make_agent("a1", name="of the first")
    assert "of the first" in client.get("/stores/green/agents/").content.decode()
    client.post("/remove-store/green/")
    add(client, "green", directory / "second.db")
    assert "of the first" not in client.get("/stores/green/agents/").content.decode()


@pytest.mark.parametrize("name", ["a/b", "Green", "", "a b", "x" * 41, "-a", "../a"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(directory: Path, client: Client, name: str):
    answer = add(client, name, directory / "green.db")
    assert answer.status_code == 422
    assert not served.registry().exists(), "something was written"


def test_a_name_that_is_taken_is_refused(directory: Path, client: Client):
    shutil.copy(directory / "green.db", directory / "second.db")
    add(client, "green", directory / "green.db")
    answer = add(client, "green", directory / "second.db")
    assert answer.status_code == 409
    assert "There is a store “green” already" in answer.content.decode()


def test_two_names_of_one_file_are_refused(directory: Path, client: Client):
    add(client, "green", directory / "green.db")
    (directory / "twin.db").hardlink_to(directory / "green.db")
    for name in ("green.db", "twin.db"):
        answer = add(client, "twin", directory / name)
        assert answer.status_code == 422, name
        assert "is the file of green already" in answer.content.decode(), name
    assert offered(client) == []


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "{dir}", "{dir}/../outside.db", "{dir}/link.db", "{dir}/folder/green.db", "green.db", "{dir}/\0"],
)
def test_nothing_outside_of_the_directories_is_read(directory: Path, client: Client, path: str):
    shutil.copy(directory / "green.db", directory.parent / "outside.db")
    (directory / "link.db").symlink_to(directory.parent / "outside.db")
    (directory / "folder").symlink_to(directory)
    answer = add(client, "x", path.format(dir=directory))
    assert answer.status_code in {403, 422}, answer.content.decode()
    assert names(client) == []
    assert offered(client) == ["green.db as green"]


def test_what_is_no_store_is_neither_offered_nor_added(directory: Path, client: Client):
    (directory / "notes.txt").write_text("no database")
    (directory / "list.json").write_text('[{"role": "user"}]')
    other = make_store(directory / "orchestrators.db")
    assert set(offered(client)) == {"green.db as green", "orchestrators.db as orchestrators"}
    for name in ("notes.txt", "list.json"):
        answer = add(client, "x", directory / name)
        assert answer.status_code == 422, answer.content.decode()
    assert names(client) == []
    assert add(client, "orchestrators", other).status_code == 302
    page = client.get("/stores/orchestrators/agents/")
    assert page.status_code == 503
    assert "adopt" in page.content.decode(), "a store that is not adopted says how it is"


def test_a_file_that_becomes_a_link_is_not_followed(directory: Path, client: Client):
    add(client, "green", directory / "green.db")
    assert client.get("/stores/green/agents/").status_code == 200
    shutil.copy(directory / "green.db", directory.parent / "outside.db")
    (directory / "green.db").rename(directory.parent / "mine.db")
    (directory / "green.db").symlink_to(directory.parent / "outside.db")
    answer = client.get("/stores/green/agents/")
    assert answer.status_code == 503, "the link was followed"
    assert "is a link now, which is not followed" in answer.content.decode()
    (directory / "green.db").unlink()
    (directory.parent / "mine.db").rename(directory / "green.db")
    assert client.get("/stores/green/agents/").status_code == 200


def test_a_file_that_is_replaced_by_another_kind_is_told_in_words(directory: Path, client: Client):
    add(client, "green", directory / "green.db")
    assert client.get("/stores/green/agents/").status_code == 200
    (directory / "new").write_text("not a database at all" * 100)
    (directory / "new").replace(directory / "green.db")
    answer = client.get("/stores/green/agents/")
    assert answer.status_code == 503
    assert "cannot be read as a store" in answer.content.decode()


def test_a_store_of_a_directory_that_is_allowed_no_more_is_not_served(directory: Path, client: Client, settings: Any):
    add(client, "green", directory / "green.db")
    settings.STORE_DIRS = [str(directory.parent / "elsewhere")]
    assert client.get("/stores/green/agents/").status_code == 404
    assert "is in none of the directories" in client.get("/").content.decode()


def test_a_registry_that_names_a_file_elsewhere_serves_nothing_of_it(directory: Path, client: Client, settings: Any):
    shutil.copy(directory / "green.db", directory.parent / "outside.db")
    row = {"name": "x", "path": str(directory.parent / "outside.db"), "by": "eve", "at": 1}
    served.registry().write_text(json.dumps({"stores": [row]}))
    assert client.get("/stores/x/agents/").status_code == 404
    served.registry().write_text("{half a file")
    assert client.get("/").status_code == 200


def test_only_administrators_who_see_everything_add_and_remove(
    directory: Path, people: dict[str, User], client: Client
):
    for role in ("nobody", "viewer", "operator", "manager"):
        assert add(signed_in(people[role]), "green", directory / "green.db").status_code == 403, role
    assert add(Client(), "green", directory / "green.db")["Location"].startswith("/login/")
    add(client, "green", directory / "green.db")
    models.UserAccess.objects.create(user=people["administrator"], stores=["green"])
    limited = signed_in(people["administrator"])
    assert "can be added" not in limited.get("/").content.decode()
    assert limited.post("/remove-store/green/").status_code == 403
    assert limited.delete("/api/v1/stores/green").status_code == 403
    models.UserAccess.objects.all().delete()
    assert client.post("/remove-store/green/").status_code == 302
    assert client.get("/add-store/").status_code == 405


def test_a_script_adds_and_removes_stores(directory: Path, people: dict[str, User], client: Client):
    shutil.copy(directory / "green.db", directory / "second.db")
    add(client, "green", directory / "green.db")
    _, secret = tokens.create(people["administrator"], "ci", ["admin"], stores=["green"])
    script = Client(headers={"Authorization": f"Bearer {secret}"})
    body = {"name": "second", "path": str(directory / "second.db")}
    made = script.post("/api/v1/stores", body, content_type="application/json")
    assert made.status_code == 201, made.content
    assert made.json()["name"] == "second"
    refused = script.delete("/api/v1/stores/second")
    assert refused.status_code == 403, "a token of one store removed another"
    assert client.delete("/api/v1/stores/second").status_code == 204
    assert names(client) == ["green"]
    wrongs: list[object] = [{"name": "x"}, {"name": "x", "path": 3}, {**body, "more": 1}, []]
    for wrong in wrongs:
        assert script.post("/api/v1/stores", wrong, content_type="application/json").status_code == 422, wrong
    _, secret = tokens.create(people["administrator"], "reader", ["read"], stores=["green"])
    reader = Client(headers={"Authorization": f"Bearer {secret}"})
    assert reader.post("/api/v1/stores", body, content_type="application/json").status_code == 403
    wrong_tokens.forget()
    assert Client().post("/api/v1/stores", body, content_type="application/json").status_code == 401


def test_a_login_adds_by_the_api_with_a_csrf_token_alone(directory: Path, people: dict[str, User]):
    strict = signed_in(people["administrator"])
    strict.handler.enforce_csrf_checks = True
    body = {"name": "green", "path": str(directory / "green.db")}
    assert strict.post("/api/v1/stores", body, content_type="application/json").status_code == 403
    assert not served.registry().exists()


def test_stores_of_the_setting_cannot_be_removed_or_taken(stores: dict[str, Path], settings: Any, client: Client):
    settings.STORE_DIRS = [str(stores["azure"].parent.resolve())]
    answer = client.post("/remove-store/azure/")
    assert answer.status_code == 409
    assert "STORES names azure" in answer.content.decode()
    assert add(client, "azure", stores["crimson"]).status_code == 409
    assert add(client, "blue", stores["crimson"]).status_code == 422
    assert names(client) == ["crimson", "azure"]


def test_without_the_setting_nothing_can_be_added(stores: dict[str, Path], client: Client):
    assert "can be added" not in client.get("/").content.decode()
    assert add(client, "blue", stores["crimson"]).status_code == 409


def test_commands_know_added_stores(directory: Path, client: Client, capsys: Any):
    add(client, "green", directory / "green.db")
    with chosen(served.aliases()["green"]):
        make_agent("a1")
    call_command("housekeeping", "--once", "--store", "green")
    with pytest.raises(CommandError, match="There is no store “blue”"):
        call_command("housekeeping", "--once", "--store", "blue")


def test_work_begins_for_a_name_that_came_and_ends_for_one_that_went(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "_NAMES_SECONDS", 0.01)
    present, running, stop = ["a"], set[str](), threading.Event()

    def work(name: str, ends: threading.Event) -> None:
        running.add(name)
        ends.wait(30)
        running.discard(name)

    loop = threading.Thread(target=children.in_threads, args=(lambda: list(present), work, stop))
    loop.start()
    wait_for(lambda: running == {"a"}, "the first")
    present.append("b")
    wait_for(lambda: running == {"a", "b"}, "the second")
    present.remove("a")
    wait_for(lambda: running == {"b"}, "the end of the first")
    stop.set()
    loop.join(10)
    assert not loop.is_alive()
    assert not running


def test_a_look_at_what_is_served_costs_one_question_to_the_file_system(
    directory: Path, client: Client, monkeypatch: pytest.MonkeyPatch
):
    add(client, "green", directory / "green.db")
    asked, stat = list[object](), os.stat

    def counted(path: Path, *more: Any, **how: Any) -> os.stat_result:
        asked.append(path)
        return stat(path, *more, **how)

    monkeypatch.setattr(os, "stat", counted)
    served.refresh()
    monkeypatch.undo()
    assert asked == [served.registry()]
