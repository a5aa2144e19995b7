"""Types shared by all nouns: base classes, pages of lists, problems."""

from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from statestore import models
from statestore.api import serializers
from statestore.api.schemas.fields import Stored
from statestore.jsondiff.diff import MISSING
from statestore.models.rows import LAST_SECOND

Row = TypeVar("Row")
Integer32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Seconds = Annotated[int, Field(ge=0, le=LAST_SECOND, description="Unix time in seconds.")]
CURSOR = r"^[A-Za-z0-9._-]*$"
ADDRESS = r"^[A-Za-z0-9._:@~!-]*$"
Id = Annotated[str, Field(min_length=1, max_length=500)]
Reason = Annotated[str, Field(max_length=500, description="The reason, kept permanently in the record.")]


def example(body: JsonDict) -> ConfigDict:
    """Return the configuration by which a body's description shows an example of it."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class In(BaseModel):
    """A request body. Unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Out(BaseModel):
    """A response body, read from the attributes of a row. The times `x` and `x_seconds` both read `x`."""

    model_config = ConfigDict(
        extra="forbid",
        from_attributes=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: name.removesuffix("_seconds")),
        json_schema_serialization_defaults_required=True,
    )

    @classmethod
    def of(cls, row: Any, /, **values: object) -> Self:
        """Return the response for a row. `values` are used instead of its attributes."""
        return cls.model_validate(_Overlay(row, values) if values else row)

    def members(self) -> dict[str, object]:
        """Return the members of the JSON object."""
        return self.__dict__


class _Overlay:
    """A row with some of its attributes replaced."""

    def __init__(self, row: object, values: dict[str, object]) -> None:
        self.__dict__ = {**values, "_row": row}

    def __getattr__(self, name: str) -> object:
        return getattr(self._row, name)


class RowOut(Out):
    """A row of a table, with `raw` and, if it has the field, `etag`."""

    _stored: ClassVar[tuple[str, ...]] = ()
    _has_etag: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, **options: object) -> None:
        fields = cls.model_fields.items()
        cls._stored = tuple(str(field.validation_alias or name) for name, field in fields if Stored in field.metadata)
        cls._has_etag = "etag" in cls.model_fields

    @classmethod
    def of(cls, row: Any, /, **values: object) -> Self:
        """Return the response for a row. `values` are used instead of its attributes."""
        if cls._has_etag:
            values["etag"] = models.row_hash(row)
        source = _Overlay(row, values) if values else row
        if "raw" not in values and (raw := serializers.odd_bytes(source, cls._stored)):
            source = _Overlay(source, {"raw": raw})
        return cls.model_validate(source)


class SparseOut(Out):
    """A response body without members for what is missing; null is a value."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)
    _attributes: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **options: object) -> None:
        cls._attributes = tuple(str(field.validation_alias) for field in cls.model_fields.values())

    @model_validator(mode="before")
    @classmethod
    def _leave_out_missing(cls, row: object) -> object:
        if isinstance(row, dict):
            return row
        values = {name: getattr(row, name, MISSING) for name in cls._attributes}
        return {name: value for name, value in values.items() if value is not MISSING}

    def members(self) -> dict[str, object]:
        """Return the members of the JSON object."""
        return {name: value for name, value in self.__dict__.items() if name in self.model_fields_set}


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


class PlaceOut(SparseOut):
    """The place of an error: in the body, the query, the path or the headers."""

    where: str
    name: str | None = None
    pointer: Annotated[str | None, Field(description="A JSON Pointer into the body.")] = None
    line: int | None = None
    column: int | None = None
    byte: int | None = None
    detail: str


class ProblemOut(SparseOut):
    """A problem (RFC 9457). `type` identifies the kind of problem and is a URL that explains it."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    errors: list[PlaceOut] | None = None
