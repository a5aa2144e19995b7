"""Types shared by all nouns: base classes, pages of lists, problems."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from statestore.models.rows import LAST_SECOND

Row = TypeVar("Row")
Stored = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Seconds = Annotated[int, Field(ge=0, le=LAST_SECOND, description="Unix time in seconds.")]
Time = Annotated[str | None, Field(description="ISO 8601, UTC.", json_schema_extra={"format": "date-time"})]
StoredSeconds = Annotated[int | None, Field(description="The stored Unix time in seconds.")]
CURSOR = r"^[A-Za-z0-9._-]*$"
ADDRESS = r"^[A-Za-z0-9._:@~!-]*$"
# Percent-encoded in a URL a query is up to twelve times as long; the server accepts request lines of 64 KB.
QUERY_CHARACTERS = 2_000
Id = Annotated[str, Field(min_length=1, max_length=500)]
Reason = Annotated[str, Field(max_length=500, description="The reason, kept permanently in the record.")]


class In(BaseModel):
    """A request body. Unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Out(BaseModel):
    """A response body."""

    model_config = ConfigDict(extra="forbid")


class InTrashIn(BaseModel):
    """Access to agents in the trash."""

    trash: Annotated[bool, Field(description="Also find the agent in the trash; otherwise it is 404.")] = False


class PageIn(BaseModel):
    """A page of a list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="Maximum number of items.")] = 100
    cursor: Annotated[str, Field(max_length=8000, pattern=CURSOR, description="`next` of the previous page.")] = ""


class AgentPageIn(PageIn, InTrashIn):
    """A page of a list of one agent."""


class Listed(Out, Generic[Row]):
    """A page of a list. `next` is the cursor of the next page, null on the last one."""

    items: list[Row]
    next: str | None


class PlaceOut(Out):
    """The place of an error: in the body, the query, the path or the headers."""

    where: str
    name: str | None = None
    pointer: Annotated[str | None, Field(description="A JSON Pointer into the body.")] = None
    line: int | None = None
    column: int | None = None
    byte: int | None = None
    detail: str


class ProblemOut(Out):
    """A problem (RFC 9457). `type` identifies the kind of problem and is a URL that explains it."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    errors: list[PlaceOut] | None = None


Raw = Annotated[
    dict[str, str] | None,
    Field(description="Stored bytes, in base64, of fields that are not valid UTF-8, which show U+FFFD instead."),
]
