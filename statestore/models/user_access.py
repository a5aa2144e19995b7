"""To which namespaces and stores users and groups are limited, in our own database."""

from collections.abc import Iterable

from django.conf import settings
from django.db import models


class _Access(models.Model):
    """Limits to namespaces and stores, which administrators set."""

    namespaces = models.JSONField(null=True, blank=True, help_text="The namespaces that are seen; null for all.")
    stores = models.JSONField(
        null=True, blank=True, help_text="The stores that may be opened, of several; null for all."
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return words_of(self.namespaces)


class UserAccess(_Access):
    """The limits of a user, which count instead of those of their groups."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="access")

    class Meta:
        db_table = "statestore_user_access"
        verbose_name = "access to namespaces"
        verbose_name_plural = "access to namespaces"


class GroupAccess(_Access):
    """The limits of the users of a group. Those of several groups are united; groups without limits change nothing."""

    group = models.OneToOneField("auth.Group", models.CASCADE, related_name="access")

    class Meta:
        db_table = "statestore_group_access"
        verbose_name = "access to namespaces"
        verbose_name_plural = "access to namespaces"


def words_of(namespaces: Iterable[object] | None) -> str:
    """Return in words which namespaces, or stores, a user or a token is limited to."""
    if namespaces is None:
        return "all"
    return ", ".join(str(name) or "(without namespace)" for name in namespaces) or "none"
