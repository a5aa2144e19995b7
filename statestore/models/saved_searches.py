"""Searches that users keep under a name, in our own database."""

from django.conf import settings
from django.db import models


class SavedSearch(models.Model):
    """A query of the search page, saved by a user under a name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=80)
    query = models.TextField(blank=True)
    store = models.TextField(blank=True, default="", help_text="The store that it asks, of several.")

    class Meta:
        db_table = "dashboard_saved_view"
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "store", "name"], name="dashboard_saved_view_name")]

    def __str__(self) -> str:
        return self.name
