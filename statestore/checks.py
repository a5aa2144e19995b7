"""What is checked when a process starts: variables that are right each for itself, and wrong together.

Each variable by itself is checked where it is read: descartes_site/environment.py.
"""

import re

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from statestore.access import path_prefix, proxies, remote_user

_ORIGIN = re.compile(r"https?://(\*\.)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?")


@register(Tags.security)
def check_proxies(**_: object) -> list[CheckMessage]:
    """Return what is wrong with the settings about proxies and single sign-on."""
    found: list[CheckMessage] = []
    try:
        proxies.trusted_networks()
    except ValueError as error:
        hint = "Separate addresses and networks by commas: 127.0.0.1,10.0.0.0/8"
        found.append(Error(f"TRUSTED_PROXIES is wrong: {error}.", hint=hint, id="statestore.E007"))
    if settings.REMOTE_USER_HEADER and not settings.TRUSTED_PROXIES_ARE_NAMED:
        hint = "Name the addresses of the proxy that signs users in; from others, the header is dropped."
        found.append(Error("REMOTE_USER_HEADER needs TRUSTED_PROXIES.", hint=hint, id="statestore.E008"))
    if settings.REMOTE_GROUPS_HEADER and not settings.REMOTE_USER_HEADER:
        found.append(Error("REMOTE_GROUPS_HEADER needs REMOTE_USER_HEADER.", id="statestore.E009"))
    try:
        remote_user.role_map()
    except ValueError as error:
        found.append(Error(f"REMOTE_ROLES is wrong: {error}", id="statestore.E010"))
    return found


@register(Tags.security)
def check_addresses(**_: object) -> list[CheckMessage]:
    """Return what is wrong with the settings about the addresses that users see."""
    found: list[CheckMessage] = []
    if settings.PATH_PREFIX and not proxies.is_prefix(settings.PATH_PREFIX):
        hint = "Write a path of letters, digits, dots, dashes and underscores: /statestore"
        found.append(Error(f"PATH_PREFIX is “{settings.PATH_PREFIX}”.", hint=hint, id="statestore.E011"))
    elif settings.PATH_PREFIX and path_prefix.is_own_address(settings.PATH_PREFIX):
        hint = "Then it cannot be told whether a proxy took it off. Use another word."
        text = f"PATH_PREFIX is “{settings.PATH_PREFIX}”, and addresses of the dashboard begin like that."
        found.append(Error(text, hint=hint, id="statestore.E012"))
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if not _ORIGIN.fullmatch(origin):
            hint = "Write scheme, host and port, without a path: https://dash.example.org:8443"
            found.append(Error(f"CSRF_TRUSTED_ORIGINS has “{origin}”.", hint=hint, id="statestore.E013"))
    return found


@register(Tags.security, deploy=True)
def check_https_proxy(**_: object) -> list[CheckMessage]:
    """Return a warning where HTTPS is on and nothing says which proxy ends it."""
    if not settings.HTTPS or settings.TRUSTED_PROXIES_ARE_NAMED:
        return []
    hint = "Set TRUSTED_PROXIES to the proxy's address, unless it runs on this machine."
    text = "HTTPS is on without TRUSTED_PROXIES: X-Forwarded-Proto is believed from this machine alone."
    return [Warning(text, hint=hint, id="statestore.W001")]
