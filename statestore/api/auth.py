"""Who calls: by token or by login, what they may do, what they may see, and how often they may ask."""

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from statestore import models
from statestore.access import tokens
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.api import throttling
from statestore.api.problems import Problem
from statestore.store import StateStore


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls, on whose behalf, and what is in their reach."""

    user: Any
    actor: Actor
    scope: Scope
    token: models.ApiToken | None = None

    @property
    def key(self) -> str:
        """What tells this caller from all others, over restarts."""
        return f"user {self.user.pk}" if self.token is None else f"token {self.token.public_id}"

    def store(self, prefix: str | None = None) -> StateStore:
        """Return the store on behalf of the caller."""
        return StateStore(prefix=prefix, actor=self.actor)

    def require_permission(self, codename: str) -> None:
        """Raise a problem unless the caller's role has a permission."""
        if not self.user.has_perm(f"statestore.{codename}"):
            raise Problem("forbidden", f"{self.user.get_username()} has no role with the permission {codename}.")

    def require_unrestricted(self, what: str) -> None:
        """Raise a problem for a caller who sees some namespaces only: `what` is about the store as a whole."""
        if not self.scope.is_unrestricted:
            raise Problem("forbidden", f"{what} is about the whole store; this token is limited to some namespaces.")


def caller(request: HttpRequest) -> Caller:
    """Return who calls; the framework has asked them before."""
    found: Caller = request.auth  # type: ignore[attr-defined]
    return found


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one call asks of its callers: the token's scope, the role's permission."""

    scope: str
    codename: str

    def check(self, who: Caller) -> Caller:
        """Return the caller, or raise a problem."""
        if who.token is not None and not who.token.may(self.scope):
            wanted = f'Bearer realm="Descartes StateStore", error="insufficient_scope", scope="{self.scope}"'
            raise Problem(
                "forbidden",
                f"This token has the scopes {who.token.scopes}; this call needs {self.scope}.",
                headers={"WWW-Authenticate": wanted},
            )
        if self.codename:
            who.require_permission(self.codename)
        return who


class Token(HttpBearer):
    """A token in the Authorization header. Where there is one, cookies do not count."""

    def __init__(self, need: Requirement) -> None:
        super().__init__()
        self.need = need

    def __call__(self, request: HttpRequest) -> Caller | None:
        if "Authorization" not in request.headers:
            return None
        scheme, _, text = request.headers["Authorization"].partition(" ")
        found = tokens.check(text.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Problem(
                "unauthenticated",
                "This token is wrong, expired or revoked. Make one on the page Tokens or by `manage.py token create`.",
            )
        count(request, found)
        return self.authenticate(request, found)

    def authenticate(self, request: HttpRequest, token: Any) -> Caller:
        """Return the caller that a token stands for."""
        scope = Scope(None if token.namespaces is None else tuple(token.namespaces))
        address = f"{request.META.get('REMOTE_ADDR', '')} (token {token.prefix})"
        return self.need.check(Caller(token.user, Actor(token.user.get_username(), address), scope, token))


class Login(APIKeyCookie):
    """The session of somebody who has signed in; writes need the CSRF header."""

    param_name = settings.SESSION_COOKIE_NAME

    def __init__(self, need: Requirement) -> None:
        super().__init__(csrf=False)
        self.need = need

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        """Return the caller whose session it is."""
        if "Authorization" in request.headers or not request.user.is_authenticated:
            return None
        if check_csrf(request):
            raise Problem("forbidden", "With a login, calls that write need the page's token in X-CSRFToken.")
        actor = Actor(request.user.get_username(), request.META.get("REMOTE_ADDR", ""))
        return self.need.check(Caller(request.user, actor, Scope()))


_windows: Final = throttling.Windows()


def count(request: HttpRequest, token: models.ApiToken) -> None:
    """Count a call of a token, and raise a problem where it is one too many. Each server process counts for itself."""
    amount, seconds = throttling.parsed(settings.API_RATE)
    left, resets = _windows.count(token.public_id, amount, seconds)
    request.rate = {  # type: ignore[attr-defined]
        "RateLimit-Policy": f'"token";q={amount};w={seconds}',
        "RateLimit": f'"token";r={max(0, left)};t={resets}',
    }
    if left < 0:
        raise Problem(
            "rate",
            f"This token may call {amount:,} times in {seconds} s. Nothing was done.",
            headers={"Retry-After": str(resets)},
        )
