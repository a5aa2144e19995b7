"""Authentication by token or login, and what the caller may do, see, and how often."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from descartes_site.locations import COMMAND
from statestore import models
from statestore.access import proxies, reauthentication, rights, tokens
from statestore.access.audit import Actor
from statestore.access.scope import Scope, scope_of
from statestore.api import throttling
from statestore.api.problems import Problem
from statestore.db.routers import chosen_name
from statestore.store import StateStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated user, the token if one was used, and the rows that are visible."""

    user: Any
    actor: Actor
    scope: Scope
    token: models.ApiToken | None = None

    @property
    def key(self) -> str:
        """A key for this caller, unique and stable across restarts."""
        return f"user {self.user.pk}" if self.token is None else f"token {self.token.public_id}"

    def store(self, prefix: str | None = None) -> StateStore:
        """Return the store, acting for the caller."""
        return StateStore(prefix=prefix, actor=self.actor)

    def require_permission(self, codename: str) -> None:
        """Raise a problem unless the user's role has a permission."""
        if not rights.may(self.user, codename):
            raise Problem("forbidden", f"The user {self.user.get_username()} lacks the permission {codename}.")

    def require_unrestricted(self, what: str) -> None:
        """Raise a problem if the caller is limited to namespaces: `what` concerns the whole store."""
        self.scope.require_whole_store(what)


def caller(request: HttpRequest) -> Caller:
    """Return the caller that the framework authenticated."""
    authenticated: Caller = request.auth  # type: ignore[attr-defined]
    return authenticated


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a call requires: a scope of the token, a permission of the user."""

    scope: str
    codename: str
    # Whether a login must have given the password lately.
    proof: bool = False

    def check(self, caller: Caller) -> Caller:
        """Return the caller, or raise a problem."""
        if caller.token is not None:
            self.check_token(caller.token)
        if self.codename:
            caller.require_permission(self.codename)
        return caller

    def check_token(self, token: models.ApiToken) -> None:
        """Raise a problem unless a token opens the chosen store and has the scope."""
        if not token.opens(chosen_name()):
            raise Problem("forbidden", f"This token is not for the store {chosen_name()}.")
        if not token.may(self.scope):
            challenge = f'Bearer realm="Descartes StateStore", error="insufficient_scope", scope="{self.scope}"'
            raise Problem(
                "forbidden",
                f"This call requires the scope {self.scope}; the token has {token.scopes}.",
                headers={"WWW-Authenticate": challenge},
            )


class Token(HttpBearer):
    """A bearer token. With an Authorization header the session cookie is ignored."""

    def __init__(self, requirement: Requirement) -> None:
        super().__init__()
        self.requirement = requirement

    def __call__(self, request: HttpRequest) -> Caller | None:
        token = token_of(request)
        return None if token is None else self.authenticate(request, token)

    def authenticate(self, request: HttpRequest, token: Any) -> Caller:
        """Return the token's user as the caller."""
        scope = scope_of(token.user, token)
        return self.requirement.check(Caller(token.user, actor_of(token, request), scope, token))


def actor_of(token: models.ApiToken, request: HttpRequest) -> Actor:
    """Return who acts by a token, as the audit log names them."""
    address = f"{request.META.get('REMOTE_ADDR', '')} (token {token.prefix})"
    return Actor(token.user.get_username(), address, f"token {token.prefix}")


def token_of(request: HttpRequest) -> models.ApiToken | None:
    """Return the token of a request, None without one. Raises a problem for one that is not good."""
    if "Authorization" not in request.headers:
        return None
    scheme, _, secret = request.headers["Authorization"].partition(" ")
    token = tokens.check(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        count_wrong(request)
        raise Problem(
            "unauthenticated",
            "The token is invalid, expired or revoked. Create one on the Tokens page or with"
            f" `{COMMAND} token create`.",
        )
    count(request, token)
    return token


NOT_OURS: Final = (
    "Writing with a login requires the CSRF token in X-CSRFToken, from a page of the same origin; origins that a proxy"
    " changes are set in CSRF_TRUSTED_ORIGINS."
)


class Login(APIKeyCookie):
    """A session cookie. Writes require the CSRF header."""

    param_name = settings.SESSION_COOKIE_NAME

    def __init__(self, requirement: Requirement) -> None:
        super().__init__(csrf=False)
        self.requirement = requirement

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        """Return the signed-in user as the caller."""
        if "Authorization" in request.headers or not request.user.is_authenticated:
            return None
        if check_csrf(request):
            raise Problem("forbidden", NOT_OURS)
        actor = Actor(request.user.get_username(), request.META.get("REMOTE_ADDR", ""), "session")
        checked = self.requirement.check(Caller(request.user, actor, scope_of(request.user)))
        if self.requirement.proof and not reauthentication.is_fresh(request):
            page = f"{reverse('confirm')}?{urlencode({'next': reverse('api:docs')})}"
            raise Problem(
                "forbidden",
                f"This call needs a login whose password was given lately. Confirm it at {page}, then retry.",
            )
        return checked


_windows: Final = throttling.Windows()
# Wrong tokens: a secret of 256 bits is not found by trying, but a sender that goes on trying is told to stop.
wrong_tokens: Final = throttling.Windows()
WRONG_TOKENS: Final = 60
WRONG_TOKENS_SECONDS: Final = 60


def count_wrong(request: HttpRequest) -> None:
    """Count a wrong token against its sender's address. Raises a problem above the limit; right ones still work."""
    sender = proxies.source_of(request.META.get("REMOTE_ADDR", "")) or ""
    remaining, reset = wrong_tokens.count(sender, WRONG_TOKENS, WRONG_TOKENS_SECONDS)
    if remaining == -1:
        log.warning("More than %s wrong tokens in a minute from %s", WRONG_TOKENS, sender)
    if remaining < 0:
        raise Problem(
            "rate",
            f"More than {WRONG_TOKENS} wrong tokens in {WRONG_TOKENS_SECONDS} s from your address. Check your token.",
            headers={"Retry-After": str(reset)},
        )


def count(request: HttpRequest, token: models.ApiToken) -> None:
    """Count a call against the token's rate limit. Raises a problem above it. Each server process counts separately."""
    limit, seconds = settings.API_RATE
    remaining, reset = _windows.count(token.public_id, limit, seconds)
    request.rate = {  # type: ignore[attr-defined]
        "RateLimit-Policy": f'"token";q={limit};w={seconds}',
        "RateLimit": f'"token";r={max(0, remaining)};t={reset}',
    }
    if remaining < 0:
        raise Problem(
            "rate",
            f"Rate limit exceeded: {limit:,} calls in {seconds} s per token. Nothing was changed.",
            headers={"Retry-After": str(reset)},
        )
