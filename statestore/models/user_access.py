"""To which namespaces and stores a user is limited, in our own database."""

from collections.abc import Iterable

from django.conf import settings
from django.db import models


class UserAccess(models.Model):
    """The namespaces and stores that a user sees; administrators set them. A user without a row sees all."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="access")
    namespaces = models.JSONField(
        null=True, blank=True, help_text="The namespaces that the user sees; null for the whole store."
    )

    stores = models.JSONField(
        null=True, blank=True, help_text="The stores that the user may open, of several; null for all."
    )

    class Meta:
        db_table = "statestore_user_access"
        verbose_name = "access to namespaces"
        verbose_name_plural = "access to namespaces"

    def __str__(self) -> str:
        return words_of(self.namespaces)


def words_of(namespaces: Iterable[object] | None) -> str:
    """Return in words which namespaces, or stores, a user or a token is limited to."""
    if namespaces is None:
        return "all"
    return ", ".join(str(name) or "(without namespace)" for name in namespaces) or "none"
