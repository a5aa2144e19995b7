"""A session that ends while someone works, the password asked for again, and what browsers keep of private pages."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from statestore import models
from statestore.access import reauthentication
from statestore.views import kept_forms
from statestore.views.kept_forms import KeptForm
from tests.builders import make_agent, make_task, make_transition
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

PASSWORD = "right and long"
HOST = "http://testserver"


@pytest.fixture
def ada(people: dict[str, User]) -> User:
    user = people["administrator"]
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(user: User, client: Client | None = None, **fields: str) -> Client:
    client = client or Client()
    answer = client.post("/login/", {"username": user.username, "password": PASSWORD, **fields})
    assert answer.status_code == 302, answer.content
    client.landed = answer["Location"]
    return client


def leave(client: Client) -> Client:
    """End the session as time does: the browser keeps its cookies."""
    models.BrowserSession.objects.all().delete()
    return client


def kept_in(answer: Any) -> str:
    found = re.search(r'name="kept" value="([^"]+)"', answer.content.decode())
    return unescape(found[1]) if found else ""


def late(client: Client, address: str, page: str, fields: dict[str, Any]) -> Any:
    """Send a form after the session ended."""
    return leave(client).post(address, fields, headers={"Referer": f"{HOST}{page}"})


# A form that is sent too late


def test_what_was_typed_too_late_is_in_the_form_after_signing_in(ada: User):
    make_agent("a1")
    client = sign_in(ada)
    typed = {"moment": "now", "agent_id": "copy “1” <b>", "name": "x & y", "reason": "because"}
    answer = late(client, "/agents/a1/fork/", "/agents/a1/fork/?moment=now", typed)
    assert answer.status_code == 401
    assert "nothing was done" in answer.content.decode()
    sign_in(ada, client, kept=kept_in(answer), next="/")
    assert client.landed == "/agents/a1/fork/?moment=now"
    page = client.get(client.landed).content.decode()
    assert "nothing was done" in page
    for value in ("copy “1” &lt;b&gt;", "x &amp; y", "because"):
        assert f'value="{value}"' in page
    assert models.AgentState.objects.count() == 1
    # Once: the next look at the page is as ever.
    assert "copy “1”" not in client.get(client.landed).content.decode()


def test_the_form_of_another_address_on_its_page_is_filled_and_opened(ada: User):
    make_agent("a1", status="idle")
    client = sign_in(ada)
    answer = late(client, "/agents/a1/status/", "/agents/a1/", {"status": "paused", "reason": "lunch"})
    sign_in(ada, client, kept=kept_in(answer))
    page = client.get(client.landed).content.decode()
    form = page[page.index('action="/agents/a1/status/"') :]
    form = form[: form.index("</form>")]
    assert 'value="lunch"' in form
    assert re.findall(r'<option value="(\w+)" selected', form) == ["paused"]
    assert models.AgentState.objects.get().status == "idle"
    # Every page is whole: what comes before and after the form is as it was.
    again = client.get(client.landed).content.decode()
    assert re.sub(r"\s+|<[^>]*>", "", page.partition('id="page">')[2]).count("Status") == re.sub(
        r"\s+|<[^>]*>", "", again.partition('id="page">')[2]
    ).count("Status")


def test_a_page_of_the_admin_has_what_was_typed_too(ada: User):
    task = make_task(title="old")
    address = f"/admin/statestore/task/{task.pk}/change/"
    client = sign_in(ada)
    answer = late(client, address, address, {"title": "new title", "description": "line 1\nline <2>", "status": "Done"})
    sign_in(ada, client, kept=kept_in(answer))
    page = client.get(client.landed).content.decode()
    assert 'value="new title"' in page
    assert "line 1\nline &lt;2&gt;</textarea>" in page
    assert '<option value="Done" selected>' in page
    task.refresh_from_db()
    assert task.title == "old"


def test_what_was_typed_is_told_where_the_form_is_gone(ada: User):
    client = sign_in(ada)
    answer = late(client, "/agents/a1/status/", "/agents/", {"status": "paused", "reason": "<b>lunch"})
    sign_in(ada, client, kept=kept_in(answer))
    page = client.get(client.landed).content.decode()
    assert "no longer has the form" in page
    assert "reason: &lt;b&gt;lunch" in page


def test_a_button_that_was_pressed_too_late_leads_back_to_its_page(ada: User):
    make_agent("a1", is_deleted=1)
    client = sign_in(ada)
    answer = late(client, "/agents/a1/undelete/", "/trash/", {})
    sign_in(ada, client, kept=kept_in(answer))
    assert client.landed == "/trash/"
    assert "Press the button once more" in client.get("/trash/").content.decode()
    assert models.AgentState._base_manager.get().is_deleted == 1


def test_what_was_typed_is_for_its_own_user(ada: User, people: dict[str, User]):
    make_agent("a1")
    other = people["operator"]
    other.set_password(PASSWORD)
    other.save()
    client = sign_in(ada)
    answer = late(client, "/agents/a1/fork/", "/agents/a1/fork/?moment=now", {"reason": "a secret"})
    sign_in(other, client, kept=kept_in(answer), next="/agents/a1/fork/?moment=now")
    assert "a secret" not in client.get(client.landed).content.decode()
    assert "a secret" not in client.get("/agents/a1/fork/?moment=now").content.decode()


def test_nothing_is_kept_of_unknown_senders_secrets_long_forms_and_forgeries(ada: User, people: dict[str, User]):
    assert Client().post("/theme/", {"theme": "dark"}).status_code == 302
    client = sign_in(ada)
    answer = late(client, "/password/", "/password/", {"old_password": "x", "new_password1": "y", "note": "z"})
    form = kept_forms.opened(kept_in(answer), ada.pk)
    assert form is not None
    assert form.fields == {"note": ["z"]}
    import random

    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=64_000))
    too_long = late(client, "/agents/a1/fork/", "/", {"reason": noise[:62_000]})
    assert kept_in(too_long) == ""
    assert "go back and copy it" in too_long.content.decode()
    sealed = kept_in(late(client, "/theme/", "/", {"theme": "dark"}))
    assert kept_forms.opened(sealed, ada.pk) is not None
    for forged in (sealed[:-1], sealed[1:], "x", "a:b:c", ""):
        assert kept_forms.opened(forged, ada.pk) is None
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert kept_forms.opened(sealed, ada.pk) is None


@pytest.mark.one_store
@pytest.mark.parametrize(
    "referer", ["https://evil.example/agents/", "http://testserver@evil.example/", "//x", "", "x\\y"]
)
def test_a_form_leads_back_to_no_other_site(ada: User, referer: str):
    client = sign_in(ada)
    answer = leave(client).post("/theme/", {"theme": "dark"}, headers={"Referer": referer})
    form = kept_forms.opened(kept_in(answer), ada.pk)
    assert form is not None
    assert form.page == "/"
    anonymous = Client().post("/agents/a1/snapshot/", headers={"Referer": referer})
    assert anonymous["Location"] == "/login/?next=/"


def test_a_wrong_password_in_between_keeps_the_form(ada: User):
    client = sign_in(ada)
    sealed = kept_in(late(client, "/theme/", "/agents/", {"theme": "dark"}))
    answer = client.post("/login/", {"username": ada.username, "password": "wrong", "kept": sealed, "next": "/agents/"})
    assert kept_in(answer) == sealed
    assert "nothing was done" in answer.content.decode()


def test_boxes_and_choices_are_as_they_were_sent():
    html = (
        '<main id="page"><form method="POST" action="/x/"><input type=checkbox name=a value="1" checked>'
        '<input type="checkbox" name="a" value="2"><input type="radio" name="r" value="é" >'
        '<input name="t" value="old"/><input name="t"><input type="hidden" name="etag" value="fresh">'
        '<textarea name="n">old &amp; more</textarea><input type="password" name="p"><select name="s" multiple>'
        "<option value=1 selected>1<option value='2'>2</select></form>\r\n"
        '<form method="post" action="/y/"><input name="t" value="kept"></form></main>'
    )
    fields = {
        "a": ["2"], "r": ["é"], "t": ["<1>", '"2"'], "etag": ["stale"], "n": ["</textarea><script>"], "p": ["x"],
        "s": ["2"],
    }  # fmt: skip
    from django.http import HttpResponse

    response = HttpResponse(html)
    kept_forms.fill(response, KeptForm(1, "/page/", "/x/?q=1", fields))
    filled = response.content.decode()
    for piece in (
        '<input type="checkbox" name="a" value="1">', '<input type="checkbox" name="a" value="2" checked>',
        '<input type="radio" name="r" value="é" checked>', '<input name="t" value="&lt;1&gt;">',
        '<input name="t" value="&quot;2&quot;">', 'name="etag" value="fresh"', '<input type="password" name="p">',
        "&lt;/textarea&gt;&lt;script&gt;</textarea>", '<option value="1">1', '<option value="2" selected>2',
        '<form method="post" action="/y/"><input name="t" value="kept"></form>',
    ):  # fmt: skip
        assert piece in filled, piece
    assert "<script>" not in filled


# htmx, and the login page


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_fragment_without_a_session_leads_its_page_to_the_login(method: str):
    headers = {"HX-Request": "true", "HX-Current-URL": f"{HOST}/agents/?status=failed&q=x"}
    answer = getattr(Client(), method)("/agents/?cursor=abc", headers=headers)
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/login/?next=/agents/%3Fstatus%3Dfailed%26q%3Dx"
    assert answer.content == b""
    elsewhere = Client().get("/agents/", headers=headers | {"HX-Current-URL": "https://evil.example/"})
    assert elsewhere["HX-Redirect"] == "/login/?next=/"


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/agents/?q=x", "/agents/?q=x"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/login/", "/"),
        ("/login/?next=/login/", "/"),
        ("/admin/login/", "/"),
        ("", "/"),
    ],
)
def test_the_login_page_leads_who_is_signed_in_on(viewer: Client, wanted: str, leads_to: str):
    answer = viewer.get("/login/", {"next": wanted})
    assert (answer.status_code, answer["Location"]) == (302, leads_to)


# The password asked for again


def stale(client: Client) -> Client:
    """Let the last proof be older than it may be."""
    session = client.session
    session[reauthentication.PROVED_AT] = models.now() - reauthentication.FRESH_SECONDS - 1
    session.save()
    return client


def test_a_token_is_made_after_the_password_was_given_again_and_nothing_is_typed_twice(ada: User):
    client = stale(sign_in(ada))
    typed = {"name": "my <script>", "scopes": ["read", "write"], "namespaces": "a, b", "days": "30"}
    asked = client.post("/tokens/", typed)
    page = asked.content.decode()
    assert asked.status_code == 403
    assert "Confirm your password" in page
    carried = [(unescape(name), unescape(value)) for name, value in
               re.findall(r'<input type="hidden" name="(?!csrf)([^"]+)" value="([^"]*)"', page)]  # fmt: skip
    expected = [
        ("name", "my <script>"),
        ("scopes", "read"),
        ("scopes", "write"),
        ("namespaces", "a, b"),
        ("days", "30"),
    ]
    assert carried == expected
    assert not models.ApiToken.objects.exists()
    wrong = client.post("/tokens/", typed | {"confirm_password": "wrong"})
    assert wrong.status_code == 422
    assert "Wrong password. Nothing was done." in wrong.content.decode()
    assert client.post("/tokens/", typed | {"confirm_password": PASSWORD}).status_code == 200
    token = models.ApiToken.objects.get()
    assert (token.name, token.scopes, token.namespaces) == ("my <script>", "read write", ["a", "b"])
    # For a while, it is not asked for again.
    client.post("/tokens/", typed)
    assert models.ApiToken.objects.count() == 2


@pytest.mark.parametrize(
    ("address", "fields"),
    [("/agents/a1/purge/", {}), ("/capture/", {"switch": "on"}), ("/admin/auth/user/{}/password/", {"password1": "x"})],
)
def test_what_cannot_be_undone_asks_for_the_password(ada: User, address: str, fields: dict[str, str]):
    make_agent("a1", is_deleted=1)
    client = stale(sign_in(ada))
    answer = client.post(address.format(ada.pk), fields)
    assert answer.status_code == 403
    assert "Confirm your password" in answer.content.decode()
    assert models.AgentState._base_manager.filter(agent_id="a1").exists()
    # Reading asks for nothing.
    assert client.get("/capture/").status_code == 200


def test_wrong_passwords_here_are_counted_as_at_the_login(ada: User):
    client = stale(sign_in(ada))
    statuses = [client.post("/tokens/", {"confirm_password": "wrong"}).status_code for _ in range(11)]
    assert statuses == [422] * 9 + [429] * 2


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("/api/v1/tokens", {"name": "t", "scopes": ["read"]}),
        ("/api/v1/agents/a1/purge", None),
        ("/api/v1/capture/on", None),
        ("/api/v1/import", None),
    ],
)
def test_calls_of_a_login_that_is_not_fresh_are_refused_until_it_is_confirmed(ada: User, call: str, body: Any):
    make_agent("a1", is_deleted=1)
    client = stale(sign_in(ada))
    answer = client.post(call, body, content_type="application/json")
    assert answer.status_code == 403
    assert "/confirm/?next=" in answer.json()["detail"]
    assert client.get("/confirm/").status_code == 200
    assert (
        client.post("/confirm/", {"confirm_password": PASSWORD, "next": "/api/v1/docs"})["Location"] == "/api/v1/docs"
    )
    assert client.post(call, body, content_type="application/json").status_code != 403
    stale(client)
    evil = client.post("/confirm/", {"confirm_password": PASSWORD, "next": "https://evil.example/"})
    assert evil["Location"] == "/"


# What browsers keep


def test_nothing_private_is_stored_by_browsers_and_proxies(ada: User):
    make_transition(make_agent("a1"))
    client = sign_in(ada)
    addresses = (
        "/", "/agents/", "/agents/a1/", "/agents/a1/state/", "/search/export/?q=", "/nowhere/", "/login/", "/admin/",
        "/admin/statestore/task/", "/api/v1/agents", "/api/v1/export", "/api/v1/agents/a1", "/api/v1/docs", "/metrics",
        "/search/complete/?q=a", "/tokens/",
    )  # fmt: skip
    for address in addresses:
        assert "no-store" in client.get(address)["Cache-Control"], address
        assert "no-store" in Client().get(address)["Cache-Control"], address
    fragment = client.get("/agents/", headers={"HX-Request": "true"})
    assert fragment["Cache-Control"] == "private, no-store"
    assert "no-store" not in client.get("/healthz").get("Cache-Control", "")


def test_signing_out_makes_the_browser_forget(ada: User):
    client = sign_in(ada)
    answer = client.post("/logout/")
    assert answer["Clear-Site-Data"] == '"cache", "storage"'
    assert client.get("/").status_code == 302
    assert not models.BrowserSession.objects.filter(user=ada).exists()


def test_the_same_holds_for_the_admin_s_sign_out(ada: User):
    client = signed_in(ada)
    assert client.post("/admin/logout/")["Clear-Site-Data"] == '"cache", "storage"'
    assert client.get("/").status_code == 302
