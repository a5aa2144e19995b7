"""What is checked when a process starts: variables that are right each for itself, and wrong together.

Each variable by itself is checked where it is read: descartes_site/environment.py.
"""

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from statestore.access import proxies, remote_user


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


@register(Tags.security, deploy=True)
def check_https_proxy(**_: object) -> list[CheckMessage]:
    """Return a warning where HTTPS is on and nothing says which proxy ends it."""
    if not settings.HTTPS or settings.TRUSTED_PROXIES_ARE_NAMED:
        return []
    hint = "Set TRUSTED_PROXIES to the proxy's address, unless it runs on this machine."
    text = "HTTPS is on without TRUSTED_PROXIES: X-Forwarded-Proto is believed from this machine alone."
    return [Warning(text, hint=hint, id="statestore.W001")]
