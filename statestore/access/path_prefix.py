"""A dashboard that is served below a path of its host, such as https://example.org/statestore/.

The prefix is the setting PATH_PREFIX, or what a trusted proxy forwards. A proxy may take it off the path or pass it on.
Django puts it before each address that it makes; cookies are confined to it here.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.cookies import Morsel
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, parse_cookie
from django.http.response import HttpResponseBase
from django.urls import URLResolver, get_resolver, get_script_prefix, set_script_prefix

from statestore.access import proxies
from statestore.db.routers import chosen_name

# Browsers take a cookie named __Host-… for the whole host alone. The other name only promises HTTPS.
_OF_HOST: Final = "__Host-"
_OF_PATH: Final = "__Secure-"
_FIRST_WORD: Final = re.compile(r"[\w-]+")


def current() -> str:
    """Return the prefix of the request that is being answered, "" without one, and without the store's."""
    return get_script_prefix().removesuffix(of_store(chosen_name()) + "/").rstrip("/")


def of_store(name: str) -> str:
    """Return what stands before the addresses of a store of several, "" for no name."""
    return f"/stores/{name}" if name else ""


@contextmanager
def in_store(request: HttpRequest, name: str) -> Iterator[None]:
    """Take the store's part off the request's path too, and put it before all addresses that are made in the block."""
    outer = get_script_prefix().rstrip("/")
    prefix = f"{outer}{of_store(name)}"
    path = request.path_info.removeprefix(of_store(name)) or "/"
    request.path_info, request.path = path, f"{prefix}{path}"
    request.META["PATH_INFO"], request.META["SCRIPT_NAME"] = path, prefix
    with addresses_of(name, outer):
        yield


@contextmanager
def addresses_of(name: str, prefix: str) -> Iterator[None]:
    """Let all addresses that are made in the block be those of a store, below a path prefix."""
    before = get_script_prefix()
    set_script_prefix(f"{prefix}{of_store(name)}/")
    try:
        yield
    finally:
        set_script_prefix(before)


def enter(request: HttpRequest) -> None:
    """Take the prefix off the request's path, and let all addresses that are made for it begin with the prefix."""
    taken_off = str(request.META.get("SCRIPT_NAME", "")).rstrip("/")
    prefix = taken_off or request.META.get(proxies.FORWARDED_PREFIX) or settings.PATH_PREFIX
    set_script_prefix(f"{prefix}/")
    if not prefix:
        return
    path = request.path_info
    if not taken_off and f"{path}/".startswith(f"{prefix}/") and not is_own_address(prefix):
        path = path.removeprefix(prefix) or "/"
    request.path_info, request.path = path, f"{prefix}{path}"
    request.META["PATH_INFO"], request.META["SCRIPT_NAME"] = path, prefix
    request.COOKIES = _own_cookies(request)


def is_own_address(prefix: str) -> bool:
    """Return whether addresses of the dashboard begin like the prefix: then no path tells whether it was taken off."""
    return prefix.split("/")[1] in _first_words()


@cache
def _first_words() -> frozenset[str]:
    """Return what the paths of the site map begin with."""

    def words(resolver: URLResolver) -> set[str]:
        found: set[str] = set()
        for pattern in resolver.url_patterns:
            word = _FIRST_WORD.match(str(pattern.pattern))
            if word:
                found.add(word[0])
            elif isinstance(pattern, URLResolver):
                found |= words(pattern)
        return found

    return frozenset(words(get_resolver()) | {settings.STATIC_URL.strip("/"), "stores"})


def _own_cookies(request: HttpRequest) -> dict[str, str]:
    """Return the cookies under the names that the settings have, without those of another dashboard on this host.

    Of the same name, the one of the longest path counts, which browsers send first.
    """
    nearest_last = ";".join(reversed(str(request.META.get("HTTP_COOKIE", "")).split(";")))
    sent = parse_cookie(nearest_last).items()
    return {_inner(name): value for name, value in sent if not name.startswith(_OF_HOST)}


def confine_cookies(response: HttpResponseBase) -> None:
    """Keep the response's cookies below the prefix: other programs of the same host get none of them."""
    prefix = current()
    if not prefix:
        return
    cookies: dict[str, Morsel[Any]] = response.cookies
    for name, cookie in list(cookies.items()):
        if cookie["path"] == "/":
            cookie["path"] = prefix
        if name.startswith(_OF_HOST):
            outer = name.replace(_OF_HOST, _OF_PATH, 1)
            cookie.set(outer, cookie.value, cookie.coded_value)
            cookies[outer] = cookies.pop(name)


def _inner(name: str) -> str:
    return name.replace(_OF_PATH, _OF_HOST, 1) if name.startswith(_OF_PATH) else name
