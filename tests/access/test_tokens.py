"""Tokens: made by page and by command, shown once, checked, revoked."""

from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from statestore import models
from statestore.access import rights, tokens
from statestore.errors import ValidationError

pytestmark = pytest.mark.django_db


def run(*words: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("token", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_prints_the_secret_alone(people: dict[str, User]):
    out, err = run("create", "ci", "--user", "operator", "--scopes", "read,write", "--namespaces", "n,")
    token = tokens.check(out.strip())
    assert out == f"{out.strip()}\n"
    assert token is not None
    assert (token.user.username, token.scopes, token.namespaces) == ("operator", "read write", ["", "n"])
    assert out.split(".")[2].strip() not in err
    assert out.split(".")[2].strip() not in token.digest


def test_the_command_lists_and_revokes(people: dict[str, User]):
    secret, _ = run("create", "ci", "--user", "operator")
    prefix = secret.rpartition(".")[0]
    assert prefix in run("list")[0]
    assert secret.strip() not in run("list")[0]
    run("revoke", prefix)
    assert tokens.check(secret.strip()) is None
    assert "revoked" in run("list")[0]


@pytest.mark.parametrize(
    "words", [["--user", "x"], ["--user", "viewer", "--scopes", "fly"], ["--user", "viewer", "--days", "0"]]
)
def test_the_command_says_what_cannot_be(people: dict[str, User], words: list[str]):
    with pytest.raises(CommandError):
        run("create", "ci", "--user", *words)


def test_a_token_holds_for_ninety_days(people: dict[str, User]):
    with time_machine.travel(1_795_000_000, tick=False):
        _, secret = tokens.create(people["viewer"], "t", ["read"])
    with time_machine.travel(1_795_000_000 + 90 * 86400 - 1, tick=False):
        assert tokens.check(secret) is not None
    with time_machine.travel(1_795_000_000 + 90 * 86400, tick=False):
        assert tokens.check(secret) is None


def test_its_use_is_noted_at_most_once_a_minute(people: dict[str, User], django_assert_num_queries: Any):
    with time_machine.travel(1_795_000_000, tick=False) as clock:
        _, secret = tokens.create(people["viewer"], "t", ["read"])
        tokens.check(secret)
        with django_assert_num_queries(2):
            tokens.check(secret)
        clock.shift(60)
        tokens.check(secret)
    assert models.ApiToken.objects.get().last_used_at == 1_795_000_060


@pytest.mark.parametrize(
    "text", ["", "dss", "dss..", "dss.x.y", "dss.\0.y", "x" * 100_000, "dss.é.y", "abc.{id}.{secret}"]
)
def test_what_is_no_token_is_none(people: dict[str, User], text: str):
    token, secret = tokens.create(people["viewer"], "t", ["read"])
    assert tokens.check(text.format(id=token.public_id, secret=secret.split(".")[2])) is None


def test_the_permissions_are_those_that_django_gives(people: dict[str, User]):
    for user in people.values():
        loaded = User.objects.get(pk=user.pk)
        rights.load(loaded)
        assert loaded.get_all_permissions() == user.get_all_permissions()


def test_a_token_needs_a_name_and_a_scope(people: dict[str, User]):
    for name, scopes in ((" ", ["read"]), ("x" * 101, ["read"]), ("t", [])):
        with pytest.raises(ValidationError):
            tokens.create(people["viewer"], name, scopes)


def test_the_page_shows_the_secret_once(viewer: Client):
    answer = viewer.post("/tokens/", {"name": "<b>ci", "scopes": ["read"], "days": 7, "namespaces": "a, b"})
    secret = answer.context["secret"]
    assert tokens.check(secret) is not None
    assert "no-store" in answer["Cache-Control"]
    assert secret in answer.content.decode()
    page = viewer.get("/tokens/").content.decode()
    assert secret not in page
    assert "&lt;b&gt;ci" in page
    assert models.ApiToken.objects.get().namespaces == ["a", "b"]


def test_one_sees_and_revokes_ones_own_only(viewer: Client, operator: Client, people: dict[str, User]):
    token, secret = tokens.create(people["operator"], "theirs", ["read"])
    assert "theirs" not in viewer.get("/tokens/").content.decode()
    assert viewer.post(f"/tokens/{token.public_id}/revoke/").status_code == 404
    assert tokens.check(secret) is not None
    assert operator.post(f"/tokens/{token.public_id}/revoke/").status_code == 302
    assert tokens.check(secret) is None


def test_a_form_that_is_wrong_says_so(viewer: Client):
    answer = viewer.post("/tokens/", {"name": "", "scopes": ["fly"], "days": 0})
    assert answer.status_code == 422
    assert not models.ApiToken.objects.exists()


def test_making_and_revoking_stand_in_the_audit_log_without_the_secret(people: dict[str, User]):
    secret, _ = run("create", "ci", "--user", "operator")
    tokens.revoke(secret.split(".")[1], by=people["operator"])
    revoked, made = models.AuditEntry.objects.newest_first()
    assert (made.action, made.actor) == ("create", "system")
    assert (revoked.action, revoked.actor) == ("revoke", "operator")
    assert made.row_id == revoked.row_id == secret.rpartition(".")[0]
    assert secret.strip().rpartition(".")[2] not in made.detail + revoked.detail
