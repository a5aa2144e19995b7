"""What a user may do and see: the permissions of their roles, and the namespaces and stores that they are limited to.

All is read by one statement, once for each request, and kept with the user. In a store that is not theirs, users have
no permission and see no namespace.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Permission
from django.db import connections
from django.db.models import Q, TextField, Value
from django.db.models.functions import Cast

from statestore import models
from statestore.db import served
from statestore.db.routers import chosen_name
from statestore.errors import ValidationError

MOST_NAMESPACES: Final = 50
NAMESPACE_CHARACTERS: Final = 500
# The labels of the rows that have namespaces and stores; no app has such a label.
_OWN_NAMESPACES: Final = "namespaces of the user"
_OWN_STORES: Final = "stores of the user"
_GROUPS_NAMESPACES: Final = "namespaces of a group"
_GROUPS_STORES: Final = "stores of a group"
_LABELS: Final = (_OWN_NAMESPACES, _OWN_STORES, _GROUPS_NAMESPACES, _GROUPS_STORES)


def may(user: AbstractBaseUser | AnonymousUser, codename: str) -> bool:
    """Return whether a user's roles have a permission of ours."""
    load(user)
    return bool(user.has_perm(f"statestore.{codename}"))  # type: ignore[union-attr]


def namespaces_of(user: AbstractBaseUser | AnonymousUser) -> tuple[str, ...] | None:
    """Return the namespaces that a user is limited to, None for the whole store, which superusers always see."""
    load(user)
    namespaces: tuple[str, ...] | None = user._statestore_namespaces  # type: ignore[union-attr]
    return namespaces


def stores_of(user: AbstractBaseUser | AnonymousUser) -> tuple[str, ...] | None:
    """Return the stores that a user is limited to, None for all, which superusers always see."""
    load(user)
    stores: tuple[str, ...] | None = user._statestore_stores  # type: ignore[union-attr]
    return stores


def is_unlimited(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Return whether a user sees the whole of every store, and so may see the users and tokens of all."""
    return namespaces_of(user) is None and stores_of(user) is None


def visible_stores(user: AbstractBaseUser | AnonymousUser) -> list[str]:
    """Return those of several stores that a user may open, in the order in which they are served."""
    own = stores_of(user)
    return [name for name in served.aliases() if own is None or name in own]


def may_add_stores(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Return whether a user may add stores and remove them: who may import, and sees the whole of every store."""
    return may(user, "import_store") and is_unlimited(user)


def narrowed(namespaces: Iterable[str] | None, user: AbstractBaseUser | AnonymousUser) -> tuple[str, ...] | None:
    """Return those of some namespaces that a user sees; None stands for the whole store."""
    own = namespaces_of(user)
    if namespaces is None:
        return own
    return tuple(name for name in namespaces if own is None or name in own)


def load(user: Any) -> None:
    """Read what Django's own permission check would take two statements for, and the namespaces with it."""
    if hasattr(user, "_statestore_namespaces"):
        return
    user._statestore_namespaces = user._statestore_stores = None
    if user.pk is None or user.is_superuser:
        return
    with connections["default"].cursor() as cursor:
        cursor.execute(_sql(), [user.pk, user.pk, *chain.from_iterable((label, user.pk) for label in _LABELS)])
        rows = cursor.fetchall()
    limits = {name: [_named(text) for label, text in rows if label == name] for name in _LABELS}
    user._perm_cache = {f"{label}.{codename}" for label, codename in rows if label not in limits}
    user._statestore_namespaces = united(limits[_OWN_NAMESPACES], limits[_GROUPS_NAMESPACES])
    user._statestore_stores = united(limits[_OWN_STORES], limits[_GROUPS_STORES])
    store = chosen_name()
    if store and user._statestore_stores is not None and store not in user._statestore_stores:
        user._perm_cache, user._statestore_namespaces = set(), ()


@cache
def _sql() -> str:
    permissions = Permission.objects.using("default").filter(Q(user=1) | Q(group__user=1))
    rows = permissions.order_by().values_list("content_type__app_label", "codename")
    own = models.UserAccess.objects.using("default").filter(user=1)
    groups = models.GroupAccess.objects.using("default").filter(group__user=1)
    limits = (
        access.filter(**{f"{column}__isnull": False}).values_list(Value(label), Cast(column, TextField()))
        for label, access, column in zip(_LABELS, (own, own, groups, groups), ("namespaces", "stores") * 2, strict=True)
    )
    sql: str = rows.union(*limits, all=True).query.sql_with_params()[0]
    return sql


Limit = tuple[str, ...] | None


def united(own: Sequence[Limit], of_groups: Sequence[Limit]) -> Limit:
    """Return what a user is limited to: their own limit, else all that their limited groups may see together."""
    limits = own or of_groups
    if not limits or None in limits:
        return None
    return tuple(dict.fromkeys(name for names in limits for name in names or ()))


def _named(text: str) -> tuple[str, ...] | None:
    """Return the namespaces of a stored list. What is no list names none: such a user sees nothing."""
    names = json.loads(text)
    if names is None:
        return None
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def checked_namespaces(names: Iterable[str], what: str) -> list[str]:
    """Return the names of namespaces, sorted, each once. Raises ValidationError for what cannot be one."""
    distinct = sorted(set(names))
    if len(distinct) > MOST_NAMESPACES:
        raise ValidationError(f"{what} can be limited to at most {MOST_NAMESPACES} namespaces.", field="namespaces")
    for name in distinct:
        if len(name) > NAMESPACE_CHARACTERS or "\0" in name:
            raise ValidationError(
                f"“{name[:80]}” is not a valid namespace: at most {NAMESPACE_CHARACTERS} characters, no NUL.",
                field="namespaces",
            )
    return distinct
