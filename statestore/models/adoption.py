"""The store as adoption found it, and the orchestrator's migrations that it has seen."""

from collections.abc import Iterable
from typing import Final

from django.conf import settings
from django.db import models

from statestore.db.batching import batched
from statestore.db.fields import LenientInteger, LenientText, UnixSeconds
from statestore.models.rows import is_uuid


class Adoption(models.Model):
    """The store as adoption found it, so that `leave` can restore it exactly."""

    id = models.BigAutoField(primary_key=True)
    at = UnixSeconds()
    layout = models.CharField(
        max_length=40, help_text="What was found: version 4, version 5, the init layout, or nothing."
    )
    schema = LenientText(help_text="sqlite_master as it was found, as JSON.")
    journal_mode = models.CharField(max_length=20, blank=True, default="")

    class Meta:
        db_table = "dash_adoption"

    def __str__(self) -> str:
        return self.layout


IDS_AT_ONCE: Final = 500
NEEDS_UUID: Final = (
    "is not a UUID in lower case. The store belongs to an orchestrator, which reads any other id of a task or an event"
    " as a new random one each time. Leave the id out to have one made"
)


def is_shared(using: str) -> bool:
    """Return whether an orchestrator owns the store: it was named and adopted, not made by the dashboard."""
    return not settings.STORE_IS_EMBEDDED and bool(Adoption.objects.using(using).exists())


def unreadable_ids(using: str, model: type[models.Model], ids: Iterable[str]) -> set[str]:
    """Return the ids of new tasks or events that an orchestrator could not read.

    Rows that have such an id already can still be written; on a store of our own any id will do.
    """
    odd = {row_id for row_id in ids if not is_uuid(row_id)}
    if not odd or not is_shared(using):
        return set()
    stored: set[str] = set()
    for batch in batched(list(odd), IDS_AT_ONCE):
        stored.update(model._default_manager.using(using).filter(pk__in=batch).values_list("pk", flat=True))
    return odd - stored


class OrchestratorMigration(models.Model):
    """One of the orchestrator's own schema migrations that the file has seen."""

    version = LenientInteger(primary_key=True)
    name = LenientText(unique=True)
    description = LenientText(null=True)
    applied_at = UnixSeconds()
    rollback_script = LenientText(null=True)

    class Meta:
        db_table = "migrations"

    def __str__(self) -> str:
        return f"{self.version} {self.name}"
