"""API tokens: made, checked, revoked. `dss.ID.SECRET`: the ID finds the row, an HMAC of the SECRET proves the rest."""

import logging
import re
import secrets
from collections.abc import Sequence
from typing import Any, Final

from django.contrib.auth.models import AnonymousUser, User
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare, salted_hmac

from descartes_site.locations import COMMAND
from statestore import models
from statestore.access import audit, rights
from statestore.access.audit import SYSTEM, Actor
from statestore.db import fast_rows, served, transactions
from statestore.db.routers import chosen_name, store_alias
from statestore.errors import Forbidden, NotFound, StateStoreError, ValidationError
from statestore.models.audit import Action
from statestore.models.tokens import PREFIX

log = logging.getLogger(__name__)
SCOPES: Final = ("read", "write", "restore", "admin")
# To approve is a person's: no token has this scope unless it is asked for, and none that may restore.
APPROVE: Final = "approve"
ALL_SCOPES: Final = ("read", "write", "restore", APPROVE, "admin")
USUAL_DAYS: Final = 90
MOST_DAYS: Final = 3650
DAY_SECONDS: Final = 24 * 3600
# Each use noted would turn every read into a write.
NOTED_EVERY_SECONDS: Final = 60
ID_DIGITS: Final = 12
_ID: Final = re.compile("[0-9a-f]{1,16}")


def create(
    user: Any,
    name: str,
    scopes: Sequence[str],
    *,
    namespaces: Sequence[str] | None = None,
    stores: Sequence[str] | None = None,
    days: int = USUAL_DAYS,
    seed: str | None = None,
    by: Actor | None = None,
) -> tuple[models.ApiToken, str]:
    """Create a token and return it with its secret, which is not stored and cannot be shown again.

    Where several stores are served, it opens `stores`, or the chosen one. `seed`: hex digits that its id is made of,
    for a call that may be repeated; `made_of` finds it again. `by` stands in the audit log.
    """
    name = name.strip()
    if not name or len(name) > 100:
        raise ValidationError("A token needs a name of 1 to 100 characters.")
    _check_scopes(scopes)
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError(f"A token can be valid for 1 to {MOST_DAYS} days.")
    limited_to = None if namespaces is None else _within_account(user, rights.checked_namespaces(namespaces, "A token"))
    public_id = seed[:ID_DIGITS] if seed else secrets.token_hex(ID_DIGITS // 2)
    secret, now = secrets.token_urlsafe(32), models.now()
    token = models.ApiToken.objects.create(
        public_id=public_id, user=user, name=name, digest=_digest(secret),
        scopes=" ".join(scope for scope in ALL_SCOPES if scope in scopes),
        namespaces=limited_to, stores=_among_stores(user, stores or [chosen_name()]) if served.are_several() else None,
        created_at=now, expires_at=now + days * DAY_SECONDS,
    )  # fmt: skip
    if by is not None:
        _note(Action.CREATE, token, by)
    return token, f"{PREFIX}.{token.public_id}.{secret}"


def _check_scopes(scopes: Sequence[str]) -> None:
    known = ", ".join(ALL_SCOPES)
    if unknown := [scope for scope in scopes if scope not in ALL_SCOPES]:
        raise ValidationError(f"“{unknown[0]}” is not a valid scope. Use one or more of {known}.", field="scopes")
    if not scopes:
        raise ValidationError(f"A token needs at least one scope of {known}.", field="scopes")
    if {"restore", APPROVE} <= set(scopes):
        raise ValidationError(
            "A token cannot have both of the scopes restore and approve: its script would approve what it restores."
            " No token was created. Let another person approve, or make the token without one of them.",
            field="scopes",
        )


def _within_account(user: User | AnonymousUser, namespaces: list[str]) -> list[str]:
    """Return the namespaces of a new token. Raises Forbidden for one that its user does not see."""
    own = rights.namespaces_of(user)
    if own is not None and (beyond := [name for name in namespaces if name not in own]):
        name = f"“{beyond[0][:80]}”" if beyond[0] else "agents without a namespace"
        raise Forbidden(f"The account {user.get_username()} has no access to {name}. No token was created.")
    return namespaces


def _among_stores(user: User | AnonymousUser, stores: Sequence[str]) -> list[str]:
    """Return the stores of a new token. Raises ValidationError for one that its user may not open."""
    visible = rights.visible_stores(user)
    if unknown := [name for name in stores if name not in visible]:
        raise ValidationError(
            f"The account {user.get_username()} has no store “{unknown[0][:80]}”. No token was created.", field="stores"
        )
    return [name for name in visible if name in stores]


def made_of(user: User | AnonymousUser, seed: str | None) -> models.ApiToken | None:
    """Return the token of a user's that was made of a seed, None without one."""
    return models.ApiToken.objects.filter(user=user.pk, public_id=seed[:ID_DIGITS]).first() if seed else None


def _digest(secret: str) -> str:
    return salted_hmac("statestore.tokens", secret, algorithm="sha256").hexdigest()


def check(text: str) -> models.ApiToken | None:
    """Return the token with its user, or None for one that is wrong, expired, revoked, or of a user who left.

    A wrong id costs as much time as a wrong secret.
    """
    prefix, _, rest = text.partition(".")
    public_id, _, secret = rest.partition(".")
    token = None
    if prefix == PREFIX and len(public_id) <= 16 and public_id.isalnum() and public_id.isascii():
        token = fast_rows.find_with(models.ApiToken, "default", "user", "public_id", public_id)
    is_right = constant_time_compare(token.digest if token else "", _digest(secret))
    now = models.now()
    if not is_right or token is None or token.revoked_at is not None or token.is_expired(now):
        return None
    user = token.user
    if not user.is_active:
        return None
    rights.load(user)
    _note_use(token, now)
    return token


def _note_use(token: models.ApiToken, now: int) -> None:
    """Record when a token was used, at most once a minute. If our database cannot be written, calls still work."""
    if token.last_used_at is not None and now - int(token.last_used_at) < NOTED_EVERY_SECONDS:
        return
    try:
        models.ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    except DatabaseError:
        return


def visible_to(user: User | AnonymousUser) -> QuerySet[models.ApiToken]:
    """Return the tokens that a user may see: their own, or all for administrators."""
    tokens = models.ApiToken.objects.select_related("user")
    return tokens if sees_all(user) else tokens.filter(user_id=user.pk or 0)


def sees_all(user: User | AnonymousUser) -> bool:
    """Return whether a user sees every user's tokens. Their namespaces are those of the whole store."""
    return rights.may(user, "view_apitoken") and rights.is_unlimited(user)


def shown_namespaces(token: models.ApiToken, *, to: User | AnonymousUser) -> list[str] | None:
    """Return the namespaces of a token as far as a user may read their names; None for the whole store."""
    names = rights.narrowed(token.namespaces, to)
    return None if names is None else list(names)


def find(tokens: QuerySet[models.ApiToken], public_id: str) -> models.ApiToken:
    """Return the token with an id, or with the id at the beginning of a token's text. Raises NotFound."""
    public_id = public_id.removeprefix(f"{PREFIX}.")
    token = tokens.filter(public_id=public_id).first() if _ID.fullmatch(public_id) else None
    if token is None:
        raise NotFound(f"Token not found. Run `{COMMAND} token list` to see all tokens.")
    return token


def revoke(public_id: str, *, by: User | AnonymousUser | None = None) -> models.ApiToken:
    """Revoke a token and return it. Raises NotFound, also if `by` may not revoke it."""
    tokens = models.ApiToken.objects.select_related("user")
    if by is not None and not (rights.may(by, "change_apitoken") and sees_all(by)):
        tokens = tokens.filter(user=by.pk)
    token = find(tokens, public_id)
    if token.revoked_at is None:
        token.revoked_at = models.now()
        token.save(update_fields=["revoked_at"])
        _note(Action.REVOKE, token, SYSTEM if by is None else Actor(by.get_username()))
    return token


def _note(action: Action, token: models.ApiToken, by: Actor) -> None:
    """Record an action on a token in the audit log. If the store cannot be written, the action is still done."""
    try:
        with transactions.writing(store_alias()):
            detail: dict[str, object] = {"name": token.name, "user": token.user.get_username()}
            detail |= {"scopes": token.scopes, "namespaces": token.namespaces}
            audit.record(action, token, by=by, row_id=token.prefix, detail=detail)
    except StateStoreError as error:
        log.warning("Could not write %s of token %s to the audit log: %s", action, token.prefix, error)
