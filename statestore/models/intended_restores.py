"""Restores that are being written into a framework's store."""

from typing import Self

from django.db import models

from statestore.db.fields import LenientText, UnixSeconds


class IntendedRestoreQuerySet(models.QuerySet["IntendedRestore"]):
    def of_agents(self, store: str, agent_ids: models.QuerySet[models.Model] | list[str]) -> Self:
        """Those of some agents of a store, oldest first."""
        return self.filter(store=store, agent_id__in=agent_ids).order_by("at", "id")


class IntendedRestore(models.Model):
    """A restore in a framework's store, noted before it is written there, so that it is recorded whatever happens.

    In our own database: the store's transaction is open meanwhile. It goes once the restore is recorded, or is known
    not to have been written.
    """

    id = LenientText(primary_key=True, help_text="The id of the restore.")
    store = models.CharField(max_length=100)
    agent_id = LenientText()
    at = UnixSeconds()
    position = LenientText(help_text="The position of the thread before it.")
    last_step = LenientText(help_text="The last step of the thread before it.")
    plan = LenientText(help_text="What was planned, and what is noted of the write, as JSON.")

    objects = IntendedRestoreQuerySet.as_manager()

    class Meta:
        db_table = "dashboard_intended_restore"

    def __str__(self) -> str:
        return str(self.id)
