"""The suite with its store as one of two: `pytest --below-a-store`, or `make test-stores`.

Tests name addresses as they are where there is one store. Here each request goes below /stores/x/, where the middleware
alone chooses the store; in what it answers, that part is taken off again, unless it is missing, which fails the test.
What a test does outside of requests works on the store x.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from django.conf import settings
from django.http.response import HttpResponseBase
from django.test.client import Client

from statestore.db import routers
from statestore.search.fts import index_file

NAME: Final = "x"
BELOW: Final = f"/stores/{NAME}"
OTHER: Final = "store-other"
# Links and forms that are about no store: files, and the list of stores.
_OUTSIDE: Final = re.compile(rb"/static/|/(?:[?#]|$)|//")
_ADDRESS: Final = re.compile(rb"(?:href|action|hx-get|hx-post|formaction|src)=[\"'](/[^\"']*)")
_IN_ADDRESSES: Final = re.compile(rb"/stores/x(?=[/\"'?#]|$)|%2Fstores%2Fx(?=%2F)")
# Where a form was, or leads back to.
_FROM_HERE: Final = re.compile(r"^(https?://testserver)?/(?!/|stores/x/)")
_NEXT: Final = re.compile(r"((?:^|&)next=)(?:/|%2F)(?!/|%2F|stores)")
# What is done with several stores in their own way.
LEFT_OUT: Final = ("many_stores", "deployed", "replication", "browser", "faults", "bench", "load")


def add_option(parser: pytest.Parser) -> None:
    """Let pytest know the option."""
    parser.addoption("--below-a-store", action="store_true", help="run the tests with the store below /stores/x/")


def begin(config: pytest.Config) -> None:
    """Serve two stores from here on, if that is asked for."""
    if not config.getoption("--below-a-store"):
        return
    alias = str(settings.STORE_ALIAS)
    settings.DATABASES[OTHER] = deepcopy(settings.DATABASES[alias]) | {"NAME": "/nonexistent/other.db"}
    settings.STORES = {"other": OTHER, NAME: alias}
    routers._chosen = ContextVar("chosen", default=alias)
    # The index of several stores lies beside our own database, which is one for all tests.
    index_file.search_index = lambda: Path(settings.SEARCH_INDEX)
    Client.request = _below(Client.request)  # type: ignore[method-assign]
    Client.post = _posted_below(Client.post)  # type: ignore[method-assign]


def left_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what starts servers of its own, or is about several stores anyway."""
    if not config.getoption("--below-a-store"):
        return
    here = Path(__file__).parent
    gone = [
        item
        for item in items
        if item.path.relative_to(here).parts[0] in LEFT_OUT or item.get_closest_marker("one_store")
    ]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in set(gone)]


def _below(request_one: Any) -> Any:
    def request(client: Client, **environ: Any) -> Any:
        path = str(environ.get("PATH_INFO", "/"))
        if not settings.STORES or path.startswith(BELOW):
            return request_one(client, **environ)
        for header in ("HTTP_REFERER", "HTTP_HX_CURRENT_URL"):
            if address := environ.get(header):
                environ[header] = _FROM_HERE.sub(rf"\1{BELOW}/", address)
        environ["QUERY_STRING"] = _NEXT.sub(rf"\1{quote(BELOW, safe='')}%2F", str(environ.get("QUERY_STRING", "")))
        with _nothing_chosen():
            response = request_one(client, **{**environ, "PATH_INFO": f"{BELOW}{path}"})
        _take_off(response)
        return response

    return request


def _posted_below(post_one: Any) -> Any:
    def post(client: Client, path: str, data: Any = None, *more: Any, **how: Any) -> Any:
        if isinstance(data, dict) and str(data.get("next", "")).startswith("/"):
            data = {**data, "next": _FROM_HERE.sub(rf"\1{BELOW}/", data["next"])}
        return post_one(client, path, data, *more, **how)

    return post


@contextmanager
def _nothing_chosen() -> Iterator[None]:
    """Let the request choose its store itself, as in a server."""
    before = routers._chosen.set(None)
    try:
        yield
    finally:
        routers._chosen.reset(before)


def _take_off(response: HttpResponseBase) -> None:
    for name, value in list(response.headers.items()):
        response.headers[name] = _IN_ADDRESSES.sub(b"", value.encode()).decode()
    if response.streaming:
        return
    content = response.content
    if str(response.headers.get("Content-Type", "")).startswith("text/html"):
        outside = [each for each in _ADDRESS.findall(content) if not each.startswith(BELOW.encode())]
        stray = [each for each in outside if not _OUTSIDE.match(each)]
        assert not stray, f"These lead out of the store: {stray[:5]}"
    response.content = _IN_ADDRESSES.sub(b"", content)
