"""What was opened, and how far it was read."""

import json
from dataclasses import dataclass

from django.db.models import Count, Q

from statestore.models.sources import Source
from statestore.sources import locations


@dataclass(frozen=True, slots=True)
class Standing:
    """A source, how many agents show it, and how many of their threads their framework has deleted."""

    source: Source
    agents: int
    gone: int
    counts: dict[str, int]

    @property
    def is_being_written(self) -> bool:
        """Whether it was changed within the last seconds."""
        return not self.source.upload_name and locations.of(self.source.path).is_being_written()

    @property
    def holds(self) -> str:
        """How many there are of what it holds."""
        return ", ".join(number_of(number, what) for what, number in self.counts.items())


def standing(using: str) -> list[Standing]:
    """Return the sources by name."""
    rows = Source.objects.using(using).by_name()
    counted = rows.annotate(agents=Count("threads"), gone=Count("threads", filter=Q(threads__gone_at__isnull=False)))
    agents = {pk: (number, gone) for pk, number, gone in counted.values_list("pk", "agents", "gone")}
    return [Standing(row, *agents.get(row.pk, (0, 0)), json.loads(row.counts)) for row in rows]


def number_of(number: int, what: str) -> str:
    """Return a number with a noun that readers give in the plural: "1 prefix", "20 checkpoints"."""
    singular = what.removesuffix("es") if what.endswith(("xes", "shes")) else what.removesuffix("s")
    return f"{number:,} {singular if number == 1 else what}"
