"""Single sign-on: who is signed in by which proxy's headers, with which roles, and who is not."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client

from statestore import models
from statestore.access import remote_user
from tests.builders import make_agent
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

PROXY, OUTSIDER = "10.0.0.1", "203.0.113.9"
# What each proxy sends by itself, with its documented names.
HEADER_SETS = {
    "oauth2-proxy": (
        "X-Forwarded-Preferred-Username",
        "X-Forwarded-Groups",
        {"X-Forwarded-Email": "ada@example.org", "X-Forwarded-User": "0c2f7e1a"},
    ),
    "Authelia": ("Remote-User", "Remote-Groups", {"Remote-Email": "ada@example.org", "Remote-Name": "Ada Lovelace"}),
}


@pytest.fixture(params=HEADER_SETS, autouse=True)
def proxy(request: pytest.FixtureRequest, settings: Any) -> dict[str, str]:
    """Configure one proxy, and return the headers that it sends beside the user's and the groups'."""
    user, groups, others = HEADER_SETS[request.param]
    settings.TRUSTED_PROXIES, settings.TRUSTED_PROXIES_ARE_NAMED = [PROXY], True
    settings.REMOTE_USER_HEADER, settings.REMOTE_GROUPS_HEADER = user, groups
    settings.REMOTE_ROLES = ["fleet-ops=operator", "cn=admins,dc=example=administrator"]
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, remote_user.BACKEND]
    return {**others, "X-Forwarded-For": "198.51.100.7"}


class Browser:
    """A browser behind a proxy that names its user."""

    def __init__(self, settings: Any, proxy: dict[str, str], *, peer: str = PROXY, csrf: bool = False) -> None:
        self.client = Client(enforce_csrf_checks=csrf, REMOTE_ADDR=peer)
        self.names, self.others = (settings.REMOTE_USER_HEADER, settings.REMOTE_GROUPS_HEADER), proxy

    def ask(self, address: str, user: str | None = "ada", groups: str = "", method: str = "get", **sent: Any) -> Any:
        headers = dict(self.others) if user is None else {**self.others, self.names[0]: user, self.names[1]: groups}
        headers |= sent.pop("headers", {})
        return getattr(self.client, method)(address, headers=headers, **sent)


@pytest.fixture
def browser(settings: Any, proxy: dict[str, str]) -> Browser:
    return Browser(settings, proxy)


def roles(name: str = "ada") -> set[str]:
    return {group.name for group in Group.objects.filter(user__username=name)}


def test_a_trusted_proxy_signs_in_with_the_roles_of_its_groups(browser: Browser):
    assert browser.ask("/", groups="staff,viewer").status_code == 200
    assert roles() == {"viewer"}
    user = User.objects.get(username="ada")
    assert not user.has_usable_password()
    assert not user.is_staff
    assert not user.is_superuser


def test_groups_are_mapped_and_followed_while_the_session_lasts(browser: Browser):
    User.objects.create(username="ada").groups.add(Group.objects.create(name="of our own"))
    make_agent("a1")
    assert browser.ask("/agents/a1/fork/?moment=now", groups="fleet-ops").status_code == 200
    assert roles() == {"operator", "of our own"}
    assert browser.ask("/agents/a1/fork/?moment=now", groups="viewer").status_code == 403
    assert roles() == {"viewer", "of our own"}
    browser.ask("/", groups="manager,viewer")
    assert User.objects.get(username="ada").is_staff
    assert browser.ask("/", groups="").status_code == 403
    assert roles() == {"of our own"}
    assert not User.objects.get(username="ada").is_staff


@pytest.mark.parametrize("peer", [OUTSIDER, "127.0.0.1", "10.0.0.2"])
def test_a_forged_header_from_elsewhere_is_ignored(settings: Any, proxy: dict[str, str], peer: str):
    User.objects.create_superuser("root", password="right and long")
    browser = Browser(settings, proxy, peer=peer)
    for address in ("/", "/admin/", "/api/v1/agents"):
        answer = browser.ask(address, user="root", groups="administrator")
        assert answer.status_code in {302, 401}, address
    assert not models.BrowserSession.objects.exists()


def test_loopback_that_is_trusted_by_default_names_no_user(settings: Any, proxy: dict[str, str]):
    settings.TRUSTED_PROXIES, settings.TRUSTED_PROXIES_ARE_NAMED = ["127.0.0.0/8"], False
    assert Browser(settings, proxy, peer="127.0.0.1").ask("/", groups="viewer").status_code == 302
    assert not User.objects.exists()


def test_signed_out_at_the_proxy_is_signed_out_here(browser: Browser):
    browser.ask("/", groups="viewer")
    answer = browser.ask("/", user=None)
    assert answer.status_code == 302
    assert not models.BrowserSession.objects.exists()
    # And another user there is another user here.
    browser.ask("/", groups="viewer")
    page = browser.ask("/", user="bob", groups="viewer").content.decode()
    assert "bob ▾" in page


def test_a_session_is_of_no_use_past_the_proxy(browser: Browser, settings: Any, proxy: dict[str, str]):
    browser.ask("/", groups="viewer")
    direct = Client(REMOTE_ADDR=OUTSIDER)
    direct.cookies = browser.client.cookies
    assert direct.get("/").status_code == 302
    assert direct.get("/api/v1/agents").status_code == 401


@pytest.mark.parametrize("name", ["", " ", "a" * 151, "ada,eve", "a\x00b", "a\nb", "a\u200bb"])
def test_a_name_that_is_none_signs_nobody_in(browser: Browser, name: str):
    assert browser.ask("/", user=name, groups="viewer").status_code == 302
    assert not User.objects.exists()


def test_a_name_of_other_letters_arrives_as_it_is(browser: Browser):
    browser.ask("/", user="Zoë".encode().decode("latin-1"), groups="viewer")
    assert User.objects.get().username == "Zoë"


def test_a_form_that_was_open_when_the_session_ended_is_sent_all_the_same(settings: Any, proxy: dict[str, str]):
    make_agent("a1")
    browser = Browser(settings, proxy, csrf=True)
    page = browser.ask("/agents/a1/", groups="operator").content.decode()
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    models.BrowserSession.objects.all().delete()
    fields = {"description": "kept", "csrfmiddlewaretoken": token}
    sent = browser.ask("/agents/a1/snapshot/", groups="operator", method="post", data=fields)
    assert sent.status_code == 302
    assert models.Snapshot.objects.get().description == "kept"
    # The proxy vouches for the user, but not for where the form came from.
    models.BrowserSession.objects.all().delete()
    forged = browser.ask("/agents/a1/snapshot/", groups="operator", method="post", data={"description": "forged"})
    assert forged.status_code == 403
    assert models.Snapshot.objects.count() == 1


def test_the_admin_and_the_api_follow(browser: Browser, settings: Any, proxy: dict[str, str]):
    make_agent("a1")
    script = Browser(settings, proxy)
    assert script.ask("/api/v1/agents", groups="viewer").status_code == 200
    assert script.ask("/api/v1/agents", groups="").status_code == 403
    # Scripts that keep no cookie leave no sessions behind.
    assert not models.BrowserSession.objects.exists()
    assert browser.ask("/admin/", groups="administrator").status_code == 200
    assert browser.ask("/api/v1/agents", groups="administrator").status_code == 200
    assert browser.ask("/admin/", groups="viewer").status_code == 302


def test_a_token_counts_more_than_the_proxy_s_user(browser: Browser, people: dict[str, User]):
    from statestore.access import tokens

    _, secret = tokens.create(people["viewer"], "t", ["read"])
    headers = {"Authorization": f"Bearer {secret}"}
    me = browser.ask("/api/v1/me", groups="administrator", headers=headers).json()
    assert me["user"] == "viewer"
    assert not User.objects.filter(username="ada").exists()


def test_no_password_is_asked_for_again(browser: Browser):
    browser.ask("/", groups="administrator")
    session = browser.client.session
    session["password_proved_at"] = 0
    session.save()
    sent = {"name": "t", "scopes": ["read"], "days": "5"}
    assert browser.ask("/tokens/", groups="administrator", method="post", data=sent).status_code == 200
    assert models.ApiToken.objects.exists()


@pytest.mark.one_store
def test_signing_out_here_says_what_it_does_not_do(browser: Browser, settings: Any):
    settings.REMOTE_SIGN_OUT_URL = "/oauth2/sign_out"
    browser.ask("/", groups="viewer")
    page = browser.ask("/logout/", groups="viewer", method="post")
    assert page.status_code == 200
    assert "not from your single sign-on" in page.content.decode()
    assert 'href="/oauth2/sign_out"' in page.content.decode()
    assert page["Clear-Site-Data"]


def test_logins_by_password_stay_possible(browser: Browser, people: dict[str, User]):
    client = signed_in(people["viewer"])
    client.defaults["REMOTE_ADDR"] = PROXY
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("TRUSTED_PROXIES_ARE_NAMED", False, "E008"),
        ("TRUSTED_PROXIES", ["10.0.0.300"], "E007"),
        ("REMOTE_USER_HEADER", "", "E009"),
        ("REMOTE_ROLES", ["admins=king"], "E010"),
    ],
)
def test_a_wrong_setting_is_named(settings: Any, name: str, value: object, code: str):
    call_command("check")
    setattr(settings, name, value)
    with pytest.raises(SystemCheckError, match=code):
        call_command("check")
