"""Up to where stores had been written when users and tokens last wrote."""

from typing import Self

from django.db import models

from statestore.db.fields import UnixSeconds


class LastWriteQuerySet(models.QuerySet["LastWrite"]):
    def older_than(self, time: int) -> Self:
        """Those that were noted before a time."""
        return self.filter(at__lt=time)


class LastWrite(models.Model):
    """Up to where a store's log had come when a user or token last wrote: a replica that lacks it is not read to them.

    In our own database, so that all server processes know it.
    """

    id = models.BigAutoField(primary_key=True)
    store = models.CharField(max_length=100)
    writer = models.CharField(max_length=100)
    position = models.BigIntegerField()
    at = UnixSeconds()

    objects = LastWriteQuerySet.as_manager()

    class Meta:
        db_table = "dashboard_last_write"
        constraints = [models.UniqueConstraint(fields=["writer", "store"], name="dashboard_last_write_writer")]

    def __str__(self) -> str:
        return f"{self.writer} in {self.store}"
