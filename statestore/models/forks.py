"""Forks: agents that started with the state of another one."""

from django.db import models

from statestore.db.fields import LenientText, UnixSeconds


class Fork(models.Model):
    """The agent and the moment that an agent was forked from."""

    agent_id = LenientText(primary_key=True)
    parent_id = LenientText()
    moment = LenientText()
    at = UnixSeconds()
    actor = LenientText()
    reason = LenientText(blank=True, default="")
    state_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "dash_fork"
        indexes = [models.Index(fields=["parent_id"], name="dash_fork_parent")]

    def __str__(self) -> str:
        return f"{self.agent_id} from {self.parent_id}"
