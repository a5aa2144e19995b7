"""Sources: stores of other frameworks that are mirrored here, and their threads."""

from typing import Final, Self

from django.db import models
from django.db.models import QuerySet

from statestore.db.fields import LenientText, UnixSeconds
from statestore.models.agents import AgentState
from statestore.models.rows import now

# In the metadata of an agent that mirrors a thread, so that other agents need no query.
MIRROR_MARK: Final = "$source"


class SourceQuerySet(QuerySet["Source"]):
    """Stores of other frameworks."""

    def by_name(self) -> Self:
        return self.order_by("name")


class Source(models.Model):
    """A store of another framework that is mirrored. Its name is the namespace of its agents."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=60, unique=True)
    path = LenientText(help_text="Where the file is.")
    formats = LenientText(blank=True, default="", help_text="What it holds, as its readers call it.")
    counts = LenientText(blank=True, default="{}", help_text="How many there are of what it holds, as JSON.")
    stamp = LenientText(blank=True, default="", help_text="What the file was like when it was mirrored to its end.")
    created_at = UnixSeconds(default=now)
    synced_at = UnixSeconds(null=True)
    problem = LenientText(blank=True, default="")
    upload_name = LenientText(blank=True, default="", help_text="What an uploaded file was called.")

    objects = SourceQuerySet.as_manager()

    class Meta:
        db_table = "dash_source"

    def __str__(self) -> str:
        return self.name


class SourceThreadQuerySet(QuerySet["SourceThread"]):
    """Threads of sources."""

    def of_agent(self, agent_id: str) -> Self:
        return self.filter(agent_id=agent_id)

    def of_reader(self, source: Source, reader: str) -> Self:
        return self.filter(source=source, reader=reader)

    def gone(self) -> Self:
        """Keep those that their framework has deleted."""
        return self.filter(gone_at__isnull=False)


class SourceThread(models.Model):
    """A thread of a source, the agent that shows it here, and how far it has been read."""

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.CASCADE, related_name="threads")
    reader = LenientText()
    thread_id = LenientText()
    agent_id = LenientText(unique=True)
    position = LenientText(blank=True, default="")
    last_step = LenientText(blank=True, default="")
    gone_at = UnixSeconds(null=True)

    objects = SourceThreadQuerySet.as_manager()

    class Meta:
        db_table = "dash_source_thread"
        constraints = [
            models.UniqueConstraint(fields=["source", "reader", "thread_id"], name="dash_source_thread_once"),
        ]

    def __str__(self) -> str:
        return str(self.agent_id)


def mirrored_thread(agent: AgentState, using: str) -> SourceThread | None:
    """Return the thread that an agent mirrors, with its source; None for an agent of our own."""
    if MIRROR_MARK not in agent.metadata:
        return None
    return SourceThread.objects.using(using).select_related("source").of_agent(agent.agent_id).first()
