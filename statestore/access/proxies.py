"""Which forwarding headers are believed: those of requests that come from a trusted proxy, and no others.

Any client can send `X-Forwarded-For`. So the request's environment is put right once, ahead of everything else, and all
other code reads what Django offers: `REMOTE_ADDR`, `is_secure()`, `get_host()`, and `FORWARDED_PREFIX` below.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from django.conf import settings

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Keys of the environment that are set here: whether the request carried a forwarding header, believed or not; the path
# that a trusted proxy takes off ("" without one); whether a header with a scheme was dropped as an untrusted sender's.
IS_FORWARDED: Final = "statestore.is_forwarded"
FORWARDED_PREFIX: Final = "statestore.forwarded_prefix"
DROPPED_SCHEME: Final = "statestore.dropped_scheme"

_FOR, _PROTO, _HOST, _PREFIX = (f"HTTP_X_FORWARDED_{name}" for name in ("FOR", "PROTO", "HOST", "PREFIX"))
BELIEVED: Final = (_FOR, _PROTO, _HOST, _PREFIX)
# Never believed, since proxies that do not set them pass on what their client sent; they tell of a proxy all the same.
_HINTS: Final = ("HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_SERVER")
_LONGEST_HEADER: Final = 4096
_PREFIX_SHAPE: Final = re.compile(r"(?:/[A-Za-z0-9._~-]{1,64}){1,8}")
# How much of an IPv6 address names a customer: the rest is theirs to choose.
_CUSTOMER_BITS: Final = 64


def believe(environment: dict[str, object], trusted: Sequence[Network], identity: Sequence[str] = ()) -> None:
    """Put what a trusted proxy forwards into a request's environment, and drop what other senders forward.

    `identity`: the keys of the headers that name the user, which are dropped from an untrusted sender as well. May be
    called again further in: what was decided first holds.
    """
    if IS_FORWARDED in environment:
        return
    environment[IS_FORWARDED] = any(name in environment for name in (*BELIEVED, *_HINTS))
    environment[FORWARDED_PREFIX] = ""
    environment[DROPPED_SCHEME] = False
    # Of a long one the end, to which proxies add: its beginning is the client's.
    sent = {name: str(value)[-_LONGEST_HEADER:] for name in BELIEVED if (value := environment.pop(name, None))}
    peer = parsed_address(str(environment.get("REMOTE_ADDR", "")))
    if not _is_trusted(peer, trusted):
        environment[DROPPED_SCHEME] = _PROTO in sent
        for name in identity:
            environment.pop(name, None)
        return
    client, hops = _client(_words(sent, _FOR), trusted)
    if client is not None:
        environment["REMOTE_ADDR"] = str(client)
    scheme = _of_hop(_words(sent, _PROTO), hops).lower()
    if scheme in {"http", "https"}:
        environment["wsgi.url_scheme"] = scheme
    if host := _of_hop(_words(sent, _HOST), hops):
        environment["HTTP_HOST"] = host
    prefix = _of_hop(_words(sent, _PREFIX), hops).rstrip("/")
    if is_prefix(prefix):
        environment[FORWARDED_PREFIX] = prefix


def is_prefix(text: str) -> bool:
    """Return whether a text can be the path below which the dashboard is served."""
    return _PREFIX_SHAPE.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))


def _words(sent: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in sent.get(name, "").split(",") if word.strip()]


def _client(addresses: Sequence[str], trusted: Sequence[Network]) -> tuple[Address | None, int]:
    """Return the first address from the right that is no trusted proxy's, and how many proxies stand before it.

    What is further left was written by that client. An address that cannot be read ends the search: then the client
    is the last proxy before it.
    """
    client, hops = None, 1
    for text in reversed(addresses):
        address = parsed_address(text)
        if address is None:
            break
        client = address
        if not _is_trusted(address, trusted):
            break
        hops += 1
    return client, hops


def _of_hop(words: Sequence[str], hops: int) -> str:
    """Return what the proxy nearest to the client wrote, in a header to which each proxy may have added a word."""
    return words[-min(hops, len(words))] if words else ""


def _is_trusted(address: Address | None, trusted: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in trusted)


def parsed_address(text: str) -> Address | None:
    """Return an address as proxies write it, with or without a port; None for other text."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


@lru_cache(maxsize=8)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return addresses and networks from their texts. Raises ValueError that names the wrong one."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts if text.strip())


def trusted_networks() -> tuple[Network, ...]:
    """Return the networks whose forwarding headers are believed."""
    return networks(tuple(settings.TRUSTED_PROXIES))


def is_forwarded(environment: Mapping[str, object]) -> bool:
    """Return whether a request carried a forwarding header, trusted or not: then it may come from anywhere."""
    return bool(environment.get(IS_FORWARDED))


def source_of(text: str) -> str | None:
    """Return what is counted as one sender: an IPv4 address, or the first address of an IPv6 customer's network."""
    address = parsed_address(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _CUSTOMER_BITS), strict=False).network_address)
    return None if address is None else str(address)


def key_of(header: str) -> str:
    """Return a header's key in a request's environment."""
    return f"HTTP_{header.strip().upper().replace('-', '_')}" if header.strip() else ""
