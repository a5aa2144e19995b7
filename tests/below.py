"""The suite with its store below /stores/x/: `pytest -p tests.below`.

What a test sends goes below that address, and what it gets has the address taken off again, so that every expectation
stays as it is. That links carry the address is tested in tests/many_stores.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.test.client import RequestFactory

from statestore.db.routers import chosen

PLACE: Final = "/stores/x"


@pytest.fixture(autouse=True)
def _below() -> Iterator[None]:
    alias = str(settings.STORE_ALIAS)
    with override_settings(STORES={"x": alias}), chosen(alias):
        yield


@pytest.fixture(scope="session", autouse=True)
def _clients() -> Iterator[None]:
    generic, encode, request = RequestFactory.generic, RequestFactory._encode_data, Client.request

    def below(self: RequestFactory, method: str, path: str, *arguments: Any, **options: Any) -> Any:
        if isinstance(self, Client):
            path = _placed(path)
            headers = {name: _placed(value) for name, value in (options.pop("headers", None) or {}).items()}
            options = {name: _placed(value) for name, value in options.items()} | {"headers": headers}
        return generic(self, method, path, *arguments, **options)

    def encoded(self: RequestFactory, data: Any, content_type: str) -> Any:
        if isinstance(self, Client) and isinstance(data, dict) and "next" in data:
            data = data | {"next": _placed(data["next"])}
        return encode(self, data, content_type)

    def stripped(self: Client, **environment: Any) -> Any:
        response = request(self, **environment)
        if "Location" in response:
            response["Location"] = response["Location"].replace(PLACE, "")
        if not response.streaming:
            response.content = response.content.replace(PLACE.encode(), b"")
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RequestFactory, "generic", below)
        patch.setattr(RequestFactory, "_encode_data", encoded)
        patch.setattr(Client, "request", stripped)
        yield


def _placed(value: Any) -> Any:
    """Return an address of this site below the place; all else as it is."""
    if not isinstance(value, str) or PLACE in value:
        return value
    for host in ("http://testserver", "https://testserver", ""):
        if value.startswith(f"{host}/") and not value.startswith(f"{host}//"):
            return f"{host}{PLACE}{value.removeprefix(host)}"
    return value
