"""Forks that are being written into a framework's store."""

from typing import Self

from django.db import models

from statestore.db.fields import LenientText, UnixSeconds, new_id
from statestore.models.sources import Source


class IntendedForkQuerySet(models.QuerySet["IntendedFork"]):
    def of_source(self, store: str, source: Source) -> Self:
        """Those into a source of a store, oldest first."""
        return self.filter(store=store, source_id=source.pk).order_by("at", "id")


class IntendedFork(models.Model):
    """A fork in a framework's store, noted before it is written there, so that it is recorded whatever happens.

    In our own database, as an IntendedRestore is. It goes once the fork is recorded, or is known not to be there.
    """

    id = LenientText(primary_key=True, default=new_id)
    store = models.CharField(max_length=100)
    source_id = models.BigIntegerField()
    reader = LenientText()
    thread_id = LenientText(help_text="The id of the new thread, as the mirror knows it.")
    agent_id = LenientText(help_text="The agent that is forked.")
    at = UnixSeconds()
    about = LenientText(help_text="The moment, the hash of its state, by whom and why, as JSON.")

    objects = IntendedForkQuerySet.as_manager()

    class Meta:
        db_table = "dashboard_intended_fork"

    def __str__(self) -> str:
        return str(self.id)
