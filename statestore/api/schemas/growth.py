"""Growth."""

from typing import Annotated

from pydantic import Field

from statestore.api.schemas.common import Out
from statestore.api.schemas.fields import Text
from statestore.growth import Forecast, Report

Grown = Annotated[int | None, Field(description="Bytes since the sample of a day before, or since the first one.")]


class MeasuredOut(Out):
    """What was measured of one thing."""

    name: Text
    rows: int
    bytes: int
    grown: Grown


class MeasuredAgentOut(MeasuredOut):
    """The records of an agent."""

    repeated: Annotated[
        float | None,
        Field(description="Percent of the bytes of its newest states that are there already; null if not measured."),
    ]


class PathOut(MeasuredOut):
    """A top-level member of a state, with its items and bytes."""

    agent_id: Text
    share: Annotated[float, Field(description="Percent of the agent's measured members.")]


class ForecastOut(Out):
    """A line through the samples of the last 30 days."""

    bytes_per_day: int
    samples: int
    seconds: Annotated[int, Field(description="How long the samples reach back.")]
    full_at: Annotated[int | None, Field(description="When the disk is full; null if it will not be, or is unknown.")]


class GrowthOut(Out):
    """Where the bytes are. Times are null before housekeeping has sampled anything."""

    at: int | None
    walked_at: Annotated[int | None, Field(description="When the tables were measured.")]
    before_at: Annotated[int | None, Field(description="The sample that growth is measured against.")]
    places: Annotated[list[MeasuredOut], Field(description="Files and databases, and what is free.")]
    tables: list[MeasuredOut]
    namespaces: list[MeasuredOut]
    agents: Annotated[list[MeasuredAgentOut], Field(description="The largest, with all their records.")]
    paths: Annotated[list[PathOut], Field(description="Of the states of the largest agents.")]
    archived_bytes: Annotated[int, Field(description="The bytes of the states in the archive, as they are read.")]
    forecast: ForecastOut | None

    @classmethod
    def read(cls, found: Report) -> "GrowthOut":
        """Return the response for a report."""
        lists = {
            "places": list(found.places.values()), "tables": found.tables, "namespaces": found.namespaces,
        }  # fmt: skip
        return cls.of(
            found, **{name: [MeasuredOut.of(one) for one in rows] for name, rows in lists.items()},
            agents=[MeasuredAgentOut.of(one, repeated=found.repeated.get(one.name)) for one in found.agents],
            paths=[PathOut.of(one) for one in found.paths], forecast=_forecast(found.forecast),
        )  # fmt: skip


def _forecast(found: Forecast | None) -> ForecastOut | None:
    return None if found is None else ForecastOut.of(found)
