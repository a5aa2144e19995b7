"""Users and groups in the admin: who administers them gives no right that they do not have, and takes over no one.

With Django's own pages, the right to change users is the right to become a superuser: by ticking the box, by setting a
superuser's password, by giving a permission to oneself or to a group. Here, only a superuser makes superusers; all
others see and change the users and groups whose rights they have themselves. Users concern all of every store: who is
limited to namespaces or stores sees none, and could otherwise take over an account that is not.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator

from statestore import models
from statestore.access import rights
from statestore.db import served
from statestore.forms.access import GroupAccessForm, UserAccessForm
from statestore.models.user_access import words_of
from statestore.views.formatting import line
from statestore.views.sign_in import confirmed

admin.site.unregister(User)
admin.site.unregister(Group)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def _own_permissions(request: HttpRequest) -> QuerySet[Permission]:
    """Return the permissions that the acting user has, and so may give."""
    if _is_superuser(request):
        return Permission.objects.all()
    own = request.user.get_all_permissions()
    candidates = Permission.objects.filter(codename__in={name.partition(".")[2] for name in own})
    named = (
        (each.pk, f"{each.content_type.app_label}.{each.codename}")
        for each in candidates.select_related("content_type")
    )
    return Permission.objects.filter(pk__in=[pk for pk, name in named if name in own])


def _is_within(request: HttpRequest, user: User) -> bool:
    """Return whether the acting user has every right of another user, and so wins nothing by changing them."""
    if _is_superuser(request):
        return True
    if user.is_superuser:
        return False
    # Rights of an inactive user count too: they come back with the next tick.
    own = request.user.get_all_permissions()
    given = Permission.objects.filter(user=user) | Permission.objects.filter(group__user=user)
    pairs = given.values_list("content_type__app_label", "codename")
    return all(f"{label}.{codename}" in own for label, codename in pairs)


def _own_groups(request: HttpRequest) -> QuerySet[Group]:
    """Return the groups whose rights the acting user has."""
    if _is_superuser(request):
        return Group.objects.all()
    beyond = Permission.objects.exclude(pk__in=_own_permissions(request))
    return Group.objects.exclude(permissions__in=beyond)


def _sees_all(request: HttpRequest) -> bool:
    return rights.is_unlimited(request.user)


def _namespaces_of(user: User) -> rights.Limit:
    own = [_limit(user)]
    of_groups = [_limit(group) for group in user.groups.all()]
    return rights.united([each for each in own if each is not None], [each for each in of_groups if each is not None])


def _limit(whose: User | Group) -> rights.Limit:
    access = getattr(whose, "access", None)
    return None if access is None or access.namespaces is None else tuple(map(str, access.namespaces))


class _Bounded(admin.ModelAdmin):  # type: ignore[type-arg]
    """Fields that offer what the acting user may give, and nothing else."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: object) -> Any:
        """Offer the rights and groups that the acting user has."""
        if db_field.name in {"permissions", "user_permissions"}:
            kwargs["queryset"] = _own_permissions(request).select_related("content_type")
        elif db_field.name == "groups":
            kwargs["queryset"] = _own_groups(request)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def is_within(self, request: HttpRequest, row: Any) -> bool:
        """Return whether a row gives no right that the acting user lacks."""
        raise NotImplementedError

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _sees_all(request) and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _sees_all(request) and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _sees_all(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _sees_all(request) and super().has_change_permission(request, obj) and self._is_allowed(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _sees_all(request) and super().has_delete_permission(request, obj) and self._is_allowed(request, obj)

    def _is_allowed(self, request: HttpRequest, row: Model | None) -> bool:
        return row is None or self.is_within(request, row)

    def get_actions(self, request: HttpRequest) -> dict[str, tuple[Callable[..., str], str, str] | None]:
        """Offer no deletion of many at once: it asks about the table and not about each row."""
        actions = super().get_actions(request)
        if not _is_superuser(request):
            actions.pop("delete_selected", None)
        return actions


class _AccessInline(admin.StackedInline):  # type: ignore[type-arg]
    """The namespaces and stores that a user or a group is limited to."""

    can_delete = False
    verbose_name_plural = "Access to namespaces"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Offer stores to choose from where there are several."""
        return [name for name in super().get_fields(request, obj) if served.are_several() or "store" not in str(name)]


class UserAccessInline(_AccessInline):
    """The limits of a user, which count instead of those of their groups."""

    model = models.UserAccess
    form = UserAccessForm


class GroupAccessInline(_AccessInline):
    """The limits of a group's users."""

    model = models.GroupAccess
    form = GroupAccessForm


@admin.register(User)
class PersonAdmin(_Bounded, UserAdmin):  # type: ignore[type-arg]
    """Users, with the namespaces that they are limited to."""

    inlines = (UserAccessInline,)
    list_display = ("username", "email", "first_name", "last_name", "is_staff", "sees")
    list_select_related = ("access",)

    def get_inline_instances(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the inline for a user that exists: the page for a new one asks for name and password alone."""
        return super().get_inline_instances(request, obj) if obj is not None else []

    @admin.display(description="namespaces")
    def sees(self, user: User) -> str:
        return line("all" if user.is_superuser else words_of(_namespaces_of(user)), 80)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Read the limits of groups with the list."""
        return super().get_queryset(request).prefetch_related("groups__access")

    def is_within(self, request: HttpRequest, row: User) -> bool:
        return _is_within(request, row)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Let only superusers make superusers."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if _is_superuser(request) else (*fields, "is_superuser")

    @method_decorator(confirmed)
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Set a password without the old one, which is why one's own is asked for."""
        response: HttpResponse = super().user_change_password(request, id, form_url)
        return response


@admin.register(Group)
class RoleAdmin(_Bounded, GroupAdmin):  # type: ignore[misc]
    """Groups: roles, and teams that are limited to namespaces and stores."""

    inlines = (GroupAccessInline,)

    def get_inline_instances(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the inline for a group that exists."""
        return super().get_inline_instances(request, obj) if obj is not None else []

    def is_within(self, request: HttpRequest, row: Group) -> bool:
        return _is_superuser(request) or _own_groups(request).filter(pk=row.pk).exists()
