"""A script with a token, and what it gets."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore.access import tokens
from statestore.api.site import site

ROOT = "/api/v1"
# All scopes of a token that may approve: none has this one and `restore`.
APPROVING = tuple(scope for scope in tokens.ALL_SCOPES if scope != "restore")


@dataclass
class Script:
    """A program that calls the API with a token, and checks that each answer is one that is documented."""

    secret: str
    client: Client

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return the response; `body` is sent as JSON, unless it is bytes."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent: Any = {f"HTTP_{name.upper()}": value for name, value in headers.items() if name != "content_type"}
        media = headers.get("content_type", "application/json")
        return self.client.generic(
            method, ROOT + path, raw, content_type=media, HTTP_AUTHORIZATION=f"Bearer {self.secret}", **sent
        )

    def get(self, path: str, **headers: str) -> Any:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("POST", path, {} if body is None else body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self("PUT", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self("DELETE", path, **headers)


def script_of(user: User, *scopes: str, namespaces: list[str] | None = None) -> Script:
    """Return a script that acts for a user."""
    _, secret = tokens.create(user, "a script", scopes or tokens.SCOPES, namespaces=namespaces)
    return Script(secret, Client())


@pytest.fixture
def script(people: dict[str, User]) -> Script:
    """A script of an administrator, with every scope."""
    return script_of(people["administrator"])


@pytest.fixture(scope="session")
def description() -> dict[str, Any]:
    """The API as it describes itself."""
    found: dict[str, Any] = site.get_openapi_schema(path_prefix="/api/v1/")
    return found
