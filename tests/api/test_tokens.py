"""Tokens by the API: listed, made by logins alone, revoked."""

import pytest
from django.contrib.auth.models import User

from statestore import models
from statestore.access import tokens
from tests.api.conftest import ROOT, Script, script_of
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db
WANTED = {"name": "ci", "scopes": ["write", "read"], "namespaces": ["n"], "days": 7}


def test_a_login_makes_a_token_and_is_told_its_secret_once(people: dict[str, User]):
    client = signed_in(people["viewer"])
    made = client.post(f"{ROOT}/tokens", WANTED, content_type="application/json")
    assert made.status_code == 201
    found = tokens.check(made.json()["secret"])
    assert found is not None
    assert (found.name, found.scopes, found.namespaces) == ("ci", "read write", ["n"])
    assert int(found.expires_at) - int(found.created_at) == 7 * tokens.DAY_SECONDS
    read = client.get(made["Location"])
    assert "secret" not in read.json()
    assert made.json().items() >= (read.json() | {"last_used_at": None, "last_used_at_seconds": None}).items()


def test_a_repeated_call_makes_no_second_token_and_keeps_no_secret(people: dict[str, User]):
    client = signed_in(people["viewer"])

    def make() -> dict[str, str]:
        answer = client.post(f"{ROOT}/tokens", WANTED, "application/json", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201
        found: dict[str, str] = answer.json()
        return found

    first, again = make(), make()
    assert again == {**first, "secret": None}
    assert not [kept for kept in models.IdempotentResponse.objects.all() if first["secret"].split(".")[2] in kept.body]
    # Killed before the answer was kept: the key is still reserved, until the reservation ends.
    models.IdempotentResponse.objects.update(status=0, busy_until=0)
    assert make() == again
    assert models.ApiToken.objects.count() == 1


def test_a_token_makes_no_tokens(script: Script):
    answer = script.post("/tokens", WANTED)
    assert answer.status_code == 403
    assert "Sign in" in answer.json()["detail"]
    assert models.ApiToken.objects.count() == 1


def test_one_sees_and_revokes_only_ones_own(people: dict[str, User]):
    viewer, operator, administrator = (script_of(people[who]) for who in ("viewer", "operator", "administrator"))
    assert len(viewer.get("/tokens").json()["items"]) == 1
    assert len(administrator.get("/tokens").json()["items"]) == 3
    (own,) = operator.get("/tokens").json()["items"]
    assert viewer.get(f"/tokens/{own['id']}").status_code == 404
    assert viewer.post(f"/tokens/{own['id']}/revoke").status_code == 404
    answer = administrator.post(f"/tokens/{own['prefix']}/revoke")
    assert (answer.status_code, answer.json()["revoked_at"] is None) == (200, False)
    assert operator.get("/tokens").status_code == 401


@pytest.mark.parametrize(
    ("change", "where"),
    [({"scopes": []}, "/scopes"), ({"scopes": ["fly"]}, "/scopes/0"), ({"days": 0}, "/days"), ({"name": ""}, "/name"),
     ({"secret": "x"}, "/secret"), ({"namespaces": ["x"] * 51}, "/namespaces")],
)  # fmt: skip
def test_a_wish_that_cannot_be_is_refused_with_its_place(
    people: dict[str, User], change: dict[str, object], where: str
):
    answer = signed_in(people["viewer"]).post(f"{ROOT}/tokens", {**WANTED, **change}, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == where
    assert not models.ApiToken.objects.exists()


def test_the_page_links_to_its_json(people: dict[str, User]):
    assert f'"{ROOT}/tokens"' in signed_in(people["viewer"]).get("/tokens/").text
