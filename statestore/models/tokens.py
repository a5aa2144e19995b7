"""API tokens, in our own database."""

from django.conf import settings
from django.db import models

from statestore.db.fields import UnixSeconds


class ApiToken(models.Model):
    """A script's key to the JSON API: acts for one user, within scopes and namespaces, until it expires or is revoked.

    Only an HMAC of the secret is stored: reading this table gives no usable token.
    """

    public_id = models.CharField(max_length=16, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64)
    scopes = models.CharField(max_length=60, help_text="Of read, write, restore, approve and admin, apart by spaces.")
    namespaces = models.JSONField(null=True, help_text="The namespaces that it sees; null for all.")
    stores = models.JSONField(null=True, help_text="The stores that it opens, of several; null for all.")
    created_at = UnixSeconds()
    expires_at = UnixSeconds()
    last_used_at = UnixSeconds(null=True)
    revoked_at = UnixSeconds(null=True)

    class Meta:
        db_table = "statestore_token"
        ordering = ["-created_at", "-id"]
        permissions = [
            ("ingest", "Can save states, transitions and events as an orchestrator does"),
            ("import_store", "Can import rows over those that are there"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def prefix(self) -> str:
        """The visible part of a token: enough to identify it, useless by itself."""
        return f"{PREFIX}.{self.public_id}"

    def is_expired(self, now: int) -> bool:
        """Return whether the token has expired at `now`."""
        return int(self.expires_at) <= now

    def opens(self, store: str) -> bool:
        """Return whether the token is good for a store, "" where there is one."""
        return not store or self.stores is None or store in self.stores

    def may(self, scope: str) -> bool:
        """Return whether the token has a scope."""
        return scope in self.scopes.split()


PREFIX = "dss"
