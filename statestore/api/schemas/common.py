"""What all nouns share: how a list is asked for, what a problem looks like."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from statestore.models.rows import LAST_SECOND

Row = TypeVar("Row")
Stored = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Seconds = Annotated[int, Field(ge=0, le=LAST_SECOND, description="Seconds since 1970 UTC.")]
Time = Annotated[str | None, Field(description="ISO 8601, UTC.", json_schema_extra={"format": "date-time"})]
StoredSeconds = Annotated[int | None, Field(description="The stored seconds since 1970 UTC.")]
CURSOR = r"^[A-Za-z0-9._-]*$"
ADDRESS = r"^[A-Za-z0-9._:@~!-]*$"
# As it stands in an address, percent-encoded, a query is up to twelve times as long; a server takes 64 KB.
QUERY_CHARACTERS = 2_000
Id = Annotated[str, Field(min_length=1, max_length=500)]
Reason = Annotated[str, Field(max_length=500, description="Why; it stands in the record for good.")]


class In(BaseModel):
    """What comes in: nothing else than what is named."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Out(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid")


class InTrashIn(BaseModel):
    """Whether an agent in the trash may be read."""

    trash: Annotated[bool, Field(description="Read the agent also if it is in the trash; without this it is 404.")] = (
        False
    )


class PageIn(BaseModel):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="Rows in one answer.")] = 100
    cursor: Annotated[str, Field(max_length=8000, pattern=CURSOR, description="`next` of the answer before.")] = ""


class AgentPageIn(PageIn, InTrashIn):
    """Which part of a list that belongs to one agent."""


class Listed(Out, Generic[Row]):
    """A part of a list; `next` asks for the following one, null at the end."""

    items: list[Row]
    next: str | None


class PlaceOut(Out):
    """Where something is wrong: in the body, the query, the path or the headers."""

    where: str
    name: str | None = None
    pointer: Annotated[str | None, Field(description="A JSON Pointer into the body.")] = None
    line: int | None = None
    column: int | None = None
    byte: int | None = None
    detail: str


class ProblemOut(Out):
    """A problem (RFC 9457). Its `type` is one for each kind, and an address that explains it."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    errors: list[PlaceOut] | None = None


Raw = Annotated[
    dict[str, str] | None,
    Field(description="Stored bytes, in base64, of fields that are no valid UTF-8; the fields show U+FFFD for them."),
]
AnyJson = Any
