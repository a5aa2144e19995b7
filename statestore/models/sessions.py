"""Sessions: stretches of an agent's work."""

from collections.abc import Collection
from typing import Self

from django.db import models

from statestore.db.fields import InsertionOrder, LenientText, UnixSeconds
from statestore.db.ids import url_of
from statestore.models.querysets import AddressedQuerySet
from statestore.models.rows import new_id, now


class SessionStatus(models.TextChoices):
    """The words that are used for a session's status; others occur."""

    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"


class SessionQuerySet(AddressedQuerySet["Session"]):
    """Stretches of work."""

    def of_agent(self, agent_id: str) -> Self:
        return self.filter(agent_id=agent_id)

    def of_agents(self, agent_ids: Collection[str]) -> Self:
        return self.filter(agent_id__in=agent_ids)

    def open(self) -> Self:
        return self.filter(ended_at__isnull=True)

    def matching(self, text: str, status: str, agent_id: str) -> Self:
        """Keep sessions with the text in their id, with a status, of an agent; what is empty keeps all."""
        rows = self.filter(pk__holds=text) if text else self
        rows = rows.filter(status=status) if status else rows
        return rows.of_agent(agent_id) if agent_id else rows

    def newest_first(self) -> Self:
        return self.order_by("-started_at", "-rowid")


class Session(models.Model):
    """A stretch of work of one agent."""

    id = LenientText(primary_key=True, default=new_id)
    agent_id = LenientText()
    started_at = UnixSeconds()
    ended_at = UnixSeconds(null=True, blank=True)
    status = LenientText()
    metadata = LenientText(null=True, blank=True)
    created_at = UnixSeconds(editable=False, default=now)
    rowid = InsertionOrder()

    objects = SessionQuerySet.as_manager()

    class Meta:
        db_table = "sessions"

    def __str__(self) -> str:
        return str(self.id)

    def get_absolute_url(self) -> str:
        return url_of("session", self.pk)
