"""Responses kept for calls with an Idempotency-Key."""

from django.db import models

from statestore.db.fields import LenientText, UnixSeconds


class IdempotentResponse(models.Model):
    """The response to a call with an Idempotency-Key, kept for a day, written in the call's own transaction.

    A call of several transactions takes the key first: then `status` is 0, and others wait until `busy_until`.

    It lies beside what it speaks of: in our own database it could be kept and the write lost, or the other way round.
    """

    id = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of who called, and the key.")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was asked.")
    status = models.IntegerField(default=0)
    headers = LenientText(default="{}")
    body = LenientText(default="")
    expires_at = UnixSeconds()
    busy_until = UnixSeconds(default=0)

    class Meta:
        db_table = "dash_kept_answer"
        indexes = [models.Index(fields=["expires_at"], name="dash_kept_answer_at")]

    def __str__(self) -> str:
        return self.id
