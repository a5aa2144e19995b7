"""The heads of the audit log's chain, noted outside of the store."""

from django.db import models

from statestore.db.fields import LenientText, UnixSeconds


class ChainHead(models.Model):
    """The newest entry of a store's audit log at some time, kept in our own database.

    Who can write the store can make a chain of their own from any entry on; it will not have this one.
    """

    id = models.BigAutoField(primary_key=True)
    at = UnixSeconds()
    store = LenientText(help_text="The path of the store, or the address of its database.")
    entry_id = models.BigIntegerField()
    digest = models.CharField(max_length=64)

    class Meta:
        db_table = "dashboard_chain_head"
        indexes = [models.Index(fields=["store", "id"], name="dashboard_chain_head_store")]

    def __str__(self) -> str:
        return f"entry {self.entry_id} of {self.store}"
