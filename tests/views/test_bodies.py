"""What a request may bring along: no files at all, and little from a sender who is not known."""

import json
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessFailureLog
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.test import Client

from statestore import middleware
from statestore.access import tokens
from statestore.models import AgentState
from tests.builders import make_agent

pytestmark = pytest.mark.django_db

LARGE = middleware.ANONYMOUS_BODY_BYTES + 1
ADDRESSES = ("/login/", "/logout/", "/password/", "/theme/", "/admin/login/", "/agents/a/restore/", "/", "/api/v1/docs")
API_ADDRESSES = ("/api/v1/agents", "/api/v1/agents/a", "/api/v1/import", "/api/v1/events:batch", "/api/v1/nowhere")


class Unreadable:
    """A body that fails the test when it is read."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("The body was read.")

    readline = read


def unread(size: int | str, kind: str = "application/json") -> dict[str, Any]:
    """Return the request's environment for a body of this size that nothing may read."""
    return {"CONTENT_LENGTH": str(size), "CONTENT_TYPE": kind, "wsgi.input": Unreadable()}


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_large_body_of_an_anonymous_sender_is_refused_unread(client: Client, address: str, kind: str):
    answer = client.generic("POST", address, **unread(LARGE, kind))
    assert answer.status_code == 413
    assert "at most 64 KB" in answer.content.decode()


@pytest.mark.parametrize("header", ["", "Bearer dss.x.y", "Basic eA=="])
@pytest.mark.parametrize("address", API_ADDRESSES)
def test_a_large_body_without_a_valid_token_is_a_problem_and_unread(client: Client, address: str, header: str):
    headers: dict[str, Any] = {"HTTP_AUTHORIZATION": header} if header else {}
    answer = client.generic("PUT", address, **unread(LARGE), **headers)
    assert answer.status_code == 413
    assert answer.json()["type"].endswith("/problems/too-large")
    assert "at most 64 KB" in answer.json()["detail"]


def test_a_chunked_body_without_a_valid_token_is_unread(client: Client):
    chunked: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked"}
    for address in API_ADDRESSES:
        answer = client.generic("POST", address, **unread("", "application/x-ndjson"), **chunked)
        assert answer.status_code in {401, 404, 405, 411}, address
    for address in ADDRESSES:
        answer = client.generic("POST", address, **unread("", "multipart/form-data; boundary=x"), **chunked)
        assert answer.status_code < 500, address


def test_a_token_or_a_login_may_bring_more(client: Client, operator: Client, people: dict[str, User]):
    _, secret = tokens.create(people["operator"], "t", ["write"])
    body = json.dumps({"state": "x" * LARGE})
    kind = "application/json"
    sent = client.put("/api/v1/agents/a", body, content_type=kind, headers={"Authorization": f"Bearer {secret}"})
    assert sent.status_code == 201
    agent = AgentState.objects.get()
    form = {"moment": "now", "etag": "0" * 64, "reason": "x" * LARGE}
    assert operator.post(f"/agents/{agent.agent_id}/restore/", form).status_code != 413


def test_a_file_is_refused_before_it_is_written(
    client: Client, operator: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def write(*_: object, **__: object) -> None:
        raise AssertionError("A file was about to be written.")

    monkeypatch.setattr(TemporaryFileUploadHandler, "new_file", write)
    make_agent("a")
    for visitor, address in ((client, "/login/"), (operator, "/agents/a/snapshot/"), (operator, "/theme/")):
        answer = visitor.post(address, {"file": SimpleUploadedFile("x.txt", b"x" * 100)})
        assert answer.status_code == 413, address
        assert "takes no files" in answer.content.decode()


def test_a_form_that_is_too_long_in_all_is_refused_at_its_length(operator: Client, settings: Any):
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = operator.generic("POST", "/theme/", **unread(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1, kind))
        assert answer.status_code == 413
        assert "at most 64 MB" in answer.content.decode()


def test_a_file_sent_to_the_api_is_a_problem(operator: Client):
    answer = operator.post("/api/v1/agents/a/snapshots", {"file": SimpleUploadedFile("x.txt", b"x")})
    assert answer.status_code in {403, 415}


@pytest.mark.parametrize("address", ["/login/", "/admin/login/"])
@pytest.mark.parametrize(
    ("username", "password"), [("u" * 151, "p"), ("u", "p" * 4097), ("u" * 10_000, "p" * 10_000), ("", ""), ("u", "")]
)
def test_a_login_with_values_that_no_user_has_is_refused_and_not_stored(
    client: Client, address: str, username: str, password: str
):
    answer = client.post(address, {"username": username, "password": password})
    assert answer.status_code == 200
    assert "at most" in answer.content.decode() or "Enter a username" in answer.content.decode()
    assert not AccessFailureLog.objects.exists()


def test_a_failed_login_stores_little(client: Client):
    client.post(
        f"/login/?{'q' * 20_000}",
        {"username": "u" * 150, "password": "p" * 4096, "more": "m" * 20_000, "next": "n" * 20_000},
        headers={"User-Agent": "a" * 20_000, "Accept": "b" * 20_000},
    )
    attempt = AccessFailureLog.objects.values().get()
    assert sum(len(str(value)) for value in attempt.values()) < 1_000


def test_a_password_that_is_too_long_is_refused(operator: Client, people: dict[str, User]):
    answer = operator.post("/password/", dict.fromkeys(("old_password", "new_password1"), "x" * 4097))
    assert "at most 4,096 characters" in answer.content.decode()


def test_a_form_that_cannot_be_read_is_told(client: Client):
    answer = client.generic("POST", "/login/", b"nonsense", content_type="multipart/form-data; boundary=\xff")
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.content.decode()
