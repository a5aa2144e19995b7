"""Nothing of one store is on a page, in an answer or in a file of another, though their rows have the same ids."""

import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import get_resolver, reverse

from descartes_site.stores import alias_of
from statestore import models, restore
from statestore.access import audit, tokens
from statestore.access.audit import Actor
from statestore.api.site import site, urlpatterns
from statestore.db.routers import NoStoreChosen, chosen, store_alias
from statestore.events import saved_searches
from statestore.store import StateStore
from tests.conftest import signed_in
from tests.views.test_access import named_urls

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

IDS: dict[str, object] = {
    "agent_id": "a1", "snapshot_id": "s1", "transition_id": "t1", "event_id": "e1", "session_id": "session-1",
    "task_id": "k1", "sha": "a41f", "entry_id": 1, "view_id": 1, "restore_id": "none", "batch_id": "none",
    "policy_id": str(uuid.UUID(int=1)), "public_id": "none", "started_at": 1,
    "source_id": 1, "group": uuid.UUID(int=1),
}  # fmt: skip
# What a link on a page of a store may begin with besides the store: files, and the list of stores.
SHARED = re.compile(r"/static/|/$|#|\?|data:")
ADMIN = ("agentstate", "transition", "snapshot", "event", "session", "task", "auditentry", "restore")


def pages() -> Iterator[str]:
    """Yield the address of every page within a store, with ids that both stores have."""
    for pattern in named_urls(get_resolver().url_patterns):
        yield reverse(str(pattern.name), kwargs={name: IDS[name] for name in pattern.pattern.converters})
    yield from ("/find/?q=agent", "/events/?q=content", "/search/live/?q=content", "/admin/")
    yield from (f"/admin/statestore/{model}/" for model in ADMIN)


def calls() -> Iterator[str]:
    """Yield the address of every call that reads."""
    schema = site.get_openapi_schema(path_prefix="/api/v1/")
    for path, methods in schema["paths"].items():
        if "get" in methods:
            yield re.sub(r"{(\w+)}", lambda found: str(IDS.get(found[1], "none")), path)


@pytest.fixture
def admin(people: dict[str, User]) -> Client:
    user = people["administrator"]
    user.is_superuser = True
    user.save()
    return signed_in(user)


def body_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return str(content.decode("utf-8", "replace"))


@pytest.mark.parametrize(("mine", "other"), [("crimson", "azure"), ("azure", "crimson")])
def test_no_page_shows_or_leads_to_anything_of_another_store(
    stores: dict[str, Path], admin: Client, mine: str, other: str
):
    seen = ""
    # The other one first, so that whatever is kept between requests has it.
    for store in (other, mine):
        for address in pages():
            response = admin.get(f"/stores/{store}{address}")
            assert response.status_code < 500, address
            text = body_of(response)
            if store == other:
                continue
            # A token is for stores that one chooses there.
            text = re.sub(r"<legend>Stores</legend>.*?</fieldset>", "", text, flags=re.DOTALL)
            assert other not in text, f"{address} shows something of the store {other}"
            seen += text
            for link in re.findall(r'(?:href|action|hx-get|hx-post)="([^"]+)"', text):
                assert link.startswith((f"/stores/{mine}/", "http")) or SHARED.match(link), f"{address} leads to {link}"
    for kind in ("agent", "state", "snapshot", "reason", "content", "title"):
        assert f"{mine} {kind}" in seen, f"no page showed the store's own {kind}"


@pytest.mark.parametrize(("mine", "other"), [("crimson", "azure"), ("azure", "crimson")])
def test_no_call_answers_with_anything_of_another_store(stores: dict[str, Path], admin: Client, mine: str, other: str):
    seen = ""
    for store in (other, mine):
        for address in calls():
            response = admin.get(f"/stores/{store}{address}")
            assert response.status_code < 500, address
            text = body_of(response)
            if store == mine:
                assert other not in text, f"{address} tells something of the store {other}"
                seen += text
    assert f"{mine} state" in seen


def test_a_stream_that_is_read_after_its_request_stays_in_its_store(stores: dict[str, Path], admin: Client):
    answers = {colour: admin.get(f"/stores/{colour}/api/v1/export") for colour in stores}
    # By other threads, as the server does.
    texts: dict[str, str] = {}
    for colour, answer in answers.items():
        thread = threading.Thread(target=lambda c=colour, a=answer: texts.update({c: body_of(a)}))
        thread.start()
        thread.join()
    assert "crimson state" in texts["crimson"]
    assert "azure" not in texts["crimson"]
    assert "azure state" in texts["azure"]
    assert "crimson" not in texts["azure"]


def test_without_a_choice_there_is_no_store(stores: dict[str, Path]):
    with pytest.raises(NoStoreChosen, match="crimson, azure"):
        store_alias()
    with pytest.raises(NoStoreChosen):
        list(models.AgentState.objects.all())


def test_a_write_in_one_store_leaves_the_file_of_another_as_it_was(stores: dict[str, Path], admin: Client):
    before = stores["azure"].read_bytes()
    assert admin.post("/stores/crimson/agents/a1/snapshot/", {"description": "kept"}).status_code == 302
    assert admin.post("/stores/crimson/agents/a1/status/", {"status": "paused"}).status_code == 302
    assert stores["azure"].read_bytes() == before
    with chosen(alias_of("crimson")):
        assert models.Snapshot.objects.filter(description="kept").exists()


def test_an_undo_belongs_to_the_store_of_its_restore_whatever_is_chosen(stores: dict[str, Path]):
    crimson, azure = StateStore(using=alias_of("crimson")), alias_of("azure")
    with chosen(alias_of("crimson")):
        made = crimson.restore_snapshot("s1")
    with chosen(azure):
        restore.undo(made, by=Actor("ada"))
        assert "azure state" in models.AgentState.objects.get(agent_id="a1").state_data
    with chosen(alias_of("crimson")):
        assert "crimson state" in models.AgentState.objects.get(agent_id="a1").state_data


@pytest.mark.parametrize(
    "address",
    ["agents/a1/restore/?moment=snapshot:s1", "agents/a1/", "agents/a1/fork/", "snapshots/s1/"],
)
def test_where_something_is_confirmed_its_store_is_named_in_its_colour(
    stores: dict[str, Path], admin: Client, address: str
):
    hues = set()
    for colour in stores:
        page = body_of(admin.get(f"/stores/{colour}/{address}"))
        named = re.findall(rf'in the store <strong class="store-name" data-hue="(\d)">{colour}</strong>', page)
        assert len(named) >= max(1, page.count('data-kind="danger"')), address
        hues |= set(named)
    assert len(hues) == len(stores)


def test_a_message_waits_for_a_page_of_its_own_store(stores: dict[str, Path], admin: Client):
    admin.post("/stores/crimson/agents/a1/snapshot/", {"description": "kept"})
    assert "notice" not in body_of(admin.get("/stores/azure/agents/"))
    assert 'class="notice"' in body_of(admin.get("/stores/crimson/agents/"))


def test_a_saved_search_is_kept_for_its_store(stores: dict[str, Path], people: dict[str, User]):
    pk = int(people["viewer"].pk)
    with chosen(alias_of("crimson")):
        saved_searches.save(pk, "mine", "type:message")
    with chosen(alias_of("azure")):
        assert saved_searches.by_name(pk) == []
        saved_searches.save(pk, "mine", "type:tool")
    with chosen(alias_of("crimson")):
        assert [view.query for view in saved_searches.by_name(pk)] == ["type:message"]


def test_what_one_store_keeps_in_the_cache_no_other_finds(stores: dict[str, Path]):
    with chosen(alias_of("crimson")):
        cache.set("key", "crimson")
    with chosen(alias_of("azure")):
        assert cache.get("key") is None


def test_one_key_in_two_stores_makes_two_tokens(stores: dict[str, Path], admin: Client):
    made = [
        admin.post(
            f"/stores/{colour}/api/v1/tokens", {"name": "script", "scopes": ["read"]}, "application/json",
            headers={"Idempotency-Key": "one"},
        ).json()
        for colour in stores
    ]  # fmt: skip
    ids = {each.get("public_id") or each.get("prefix") for each in made}
    assert len(ids) == 2, made


@pytest.fixture
def limited(people: dict[str, User]) -> User:
    """An administrator who may open the crimson store alone."""
    models.UserAccess.objects.create(user=people["administrator"], stores=["crimson"])
    return people["administrator"]


def test_a_user_of_one_store_opens_no_other(stores: dict[str, Path], limited: User):
    client = signed_in(limited)
    assert client.get("/stores/crimson/agents/").status_code == 200
    for address in ("/agents/", "/agents/a1/", "/events/", "/api/v1/agents"):
        response = client.get(f"/stores/azure{address}")
        assert response.status_code in {403, 404}, address
        assert "azure state" not in body_of(response)
    page = body_of(client.get("/"))
    assert "/stores/crimson/" in page
    assert "azure" not in page
    assert "azure" not in body_of(client.get("/find/?q=agent"))


def read_list(secret: str) -> Any:
    return Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/stores")


def test_a_script_lists_the_stores_that_its_token_opens(stores: dict[str, Path], people: dict[str, User]):
    with chosen(alias_of("crimson")):
        _, one = tokens.create(people["operator"], "one", ["read"], stores=["crimson"], by=audit.SYSTEM)
        _, both = tokens.create(people["operator"], "both", ["read"], stores=["crimson", "azure"], by=audit.SYSTEM)
    (item,) = read_list(one).json()["items"]
    assert (item["name"], item["page"], item["api"]) == ("crimson", "/stores/crimson/", "/stores/crimson/api/v1/")
    assert [item["name"] for item in read_list(both).json()["items"]] == ["crimson", "azure"]


def test_a_token_that_sees_a_namespace_is_told_no_figures_of_the_store(
    stores: dict[str, Path], people: dict[str, User]
):
    with chosen(alias_of("crimson")):
        _, secret = tokens.create(
            people["operator"], "limited", ["read"], namespaces=["build"], stores=["crimson"], by=audit.SYSTEM
        )
    (item,) = read_list(secret).json()["items"]
    assert "agents" not in item


def test_the_list_for_scripts_needs_a_token_or_a_login(stores: dict[str, Path], client: Client):
    for answer in (client.get("/api/v1/stores"), read_list("wrong")):
        assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
        assert client.get(answer.json()["type"]).json()["title"] == answer.json()["title"]
    assert client.get("/api/v1/agents").status_code == 404
    assert "/stores/NAME/api/v1/" in client.get("/api/v1/agents").json()["detail"]
    assert client.post("/api/v1/stores").status_code == 401
    assert client.put("/api/v1/stores")["Allow"] == "GET, HEAD, POST"


def test_a_token_of_one_store_is_refused_by_another(stores: dict[str, Path], people: dict[str, User]):
    with chosen(alias_of("crimson")):
        _, secret = tokens.create(people["operator"], "script", ["read"], stores=["crimson"], by=audit.SYSTEM)
    headers = {"Authorization": f"Bearer {secret}"}
    assert Client().get("/stores/crimson/api/v1/agents", headers=headers).status_code == 200
    refused = Client().get("/stores/azure/api/v1/agents", headers=headers)
    assert refused.status_code == 403
    assert "not for the store azure" in refused.json()["detail"]


def test_an_administrator_of_one_store_widens_nobody_and_takes_nobody_over(
    stores: dict[str, Path], people: dict[str, User]
):
    limited = people["administrator"]
    other = User.objects.create_user("other", password="secret-enough-7", is_staff=True)
    other.groups.set(limited.groups.all())
    models.UserAccess.objects.create(user=limited, stores=["crimson"])
    with chosen(alias_of("crimson")):
        tokens.create(other, "elsewhere", ["read"], stores=["azure"], by=audit.SYSTEM)
    client = signed_in(limited)
    assert client.get("/stores/crimson/agents/").status_code == 200
    for user in (limited, other):
        for page in ("change", "password"):
            assert client.get(f"/stores/crimson/admin/auth/user/{user.pk}/{page}/").status_code == 403, (user, page)
    assert client.get("/stores/crimson/admin/auth/group/").status_code == 403
    assert client.get("/stores/crimson/sign-ins/").status_code == 403
    assert "elsewhere" not in body_of(client.get("/stores/crimson/tokens/"))
    assert "elsewhere" not in body_of(client.get("/stores/crimson/api/v1/tokens"))


def test_a_command_asks_for_the_store_and_works_in_it(stores: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(CommandError, match=r"Name one: --store crimson \| azure"):
        call_command("doctor")
    with pytest.raises(CommandError, match="no store “green”"):
        call_command("doctor", store="green")
    call_command("export", "-", store="azure")
    assert "azure state" in capsys.readouterr().out


def test_the_site_map_of_the_front_has_no_page_of_a_store():
    front = {pattern.name for pattern in named_urls(get_resolver("descartes_site.front_urls").url_patterns)}
    assert front.isdisjoint({"agents", "agent", "restores", "tasks", "tokens", "audit"})
    assert urlpatterns, "the API is below each store"
