"""Single sign-on: a trusted proxy names the user, Django's own remote-user support signs them in.

Identity is the proxy's matter, and so are second factors. Here is only what connects the two: which header is believed
from whom, which role a group of the proxy's gives, and that a sign-out there is a sign-out here.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import Group, User
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from statestore.access import proxies

BACKEND: Final = "statestore.access.remote_user.ProxyBackend"
ROLES: Final = ("viewer", "operator", "manager", "administrator")
# The roles whose pages are partly those of Django's admin, which asks for this flag.
STAFF: Final = frozenset({"manager", "administrator"})
LONGEST_NAME: Final = 150
MOST_GROUPS: Final = 500
_GROUPS_SEEN: Final = "remote_groups"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def believe(environment: dict[str, object]) -> None:
    """Put right what a request says of where it comes from; the headers that name a user survive from proxies alone."""
    trusted = proxies.trusted_networks()
    if not settings.TRUSTED_PROXIES_ARE_NAMED:
        # Loopback is trusted by default for addresses; but any program on this machine could name a user.
        for key in _keys():
            environment.pop(key, None)
    proxies.believe(environment, trusted, _keys())


def _keys() -> list[str]:
    return [proxies.key_of(name) for name in (settings.REMOTE_USER_HEADER, settings.REMOTE_GROUPS_HEADER) if name]


def is_remote(request: HttpRequest) -> bool:
    """Return whether the proxy vouches for the user of this request: then there is no password of ours to ask for."""
    return getattr(request.user, "backend", "") == BACKEND or request.session.get(auth.BACKEND_SESSION_KEY) == BACKEND


def roles_of(groups: str) -> set[str]:
    """Return the roles that the proxy's groups give, in the header's text: names separated by commas."""
    given = {word.strip() for word in groups.split(",")[:MOST_GROUPS]}
    return {role for group, role in role_map().items() if group in given}


def role_map() -> dict[str, str]:
    """Return the role of each group: its own name's, and what REMOTE_ROLES says. Raises ValueError for a wrong one."""
    mapped = {role: role for role in ROLES}
    for text in settings.REMOTE_ROLES:
        group, _, role = (part.strip() for part in text.rpartition("="))
        if not group or role not in ROLES:
            raise ValueError(f"“{text}” is not group=role with one of the roles {', '.join(ROLES)}.")
        mapped[group] = role
    return mapped


class ProxyBackend(RemoteUserBackend):
    """Finds or creates the user that a proxy names, and gives the roles that it says."""

    def configure_user(self, request: HttpRequest | None, user: Any, created: bool = True) -> Any:
        """Keep passwords out of it for a new user, and bring the roles up to date."""
        if created:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        if settings.REMOTE_GROUPS_HEADER and request is not None:
            give_roles(user, _groups(request.META))
        return user


def give_roles(user: User, groups: str) -> None:
    """Let a user have the roles that the proxy's groups give, and no other; groups that are not roles stay."""
    wanted = roles_of(groups)
    present = set(user.groups.filter(name__in=ROLES).values_list("name", flat=True))
    if lost := present - wanted:
        user.groups.remove(*Group.objects.filter(name__in=lost))
    if gained := wanted - present:
        user.groups.add(*Group.objects.filter(name__in=gained))
    is_staff = bool(wanted & STAFF) or user.is_superuser
    if user.is_staff != is_staff:
        user.is_staff = is_staff
        user.save(update_fields=["is_staff"])


def _groups(environment: Mapping[str, object]) -> str:
    return str(environment.get(proxies.key_of(settings.REMOTE_GROUPS_HEADER), ""))


def _name_in(environment: dict[str, object], key: str) -> str | None:
    """Return the user that a header names, and drop one that is no name; two of them arrive joined by a comma."""
    text = environment.pop(key, None)
    if text is None:
        return None
    try:
        name = str(text).encode("latin-1").decode()  # WSGI hands over each byte as a character.
    except UnicodeError:
        name = str(text)
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or "," in name:
        return None
    environment[key] = name
    return name


class RemoteUser(RemoteUserMiddleware):
    """Signs in the user that the proxy names with each request, and signs out a user that it stops naming."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.REMOTE_USER_HEADER:
            raise MiddlewareNotUsed
        super().__init__(get_response)

    @property
    def header(self) -> str:  # type: ignore[override]
        """The header's key in a request's environment."""
        return proxies.key_of(settings.REMOTE_USER_HEADER)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if "Authorization" in request.headers and request.path_info.startswith("/api/"):
            return self.get_response(request)  # A token says who calls; logins are ignored.
        return super().__call__(request)

    def process_request(self, request: HttpRequest) -> None:
        """Sign in or out. A form that was open while the session ended is still the user's: the proxy says so."""
        name = _name_in(request.META, self.header)
        if name is not None and self._is_call_without_session(request):
            user = auth.authenticate(request, remote_user=name)
            if user is not None:
                user.backend = BACKEND
                request.user = user
            return
        form_token = request.META.get("CSRF_COOKIE")
        super().process_request(request)
        if form_token and request.method not in _SAFE_METHODS:
            request.META["CSRF_COOKIE"] = form_token
        if name is not None and request.user.is_authenticated and is_remote(request):
            self._follow_groups(request)

    def _is_call_without_session(self, request: HttpRequest) -> bool:
        """Return whether a script calls: a session for each of its calls would help no one."""
        return request.path_info.startswith("/api/") and settings.SESSION_COOKIE_NAME not in request.COOKIES

    def _follow_groups(self, request: HttpRequest) -> None:
        groups = _groups(request.META)
        if settings.REMOTE_GROUPS_HEADER and request.session.get(_GROUPS_SEEN) != groups:
            give_roles(request.user, groups)  # type: ignore[arg-type]
            request.session[_GROUPS_SEEN] = groups
