"""Types of response fields: what a row holds, and how JSON shows it."""

from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field

from statestore.api import serializers


class Stored:
    """Marks the text columns whose stored bytes are in `raw` if they are not valid UTF-8."""


Text = Annotated[str, BeforeValidator(serializers.text)]
OptionalText = Annotated[str | None, BeforeValidator(serializers.text)]
# NULL and the empty text are both null.
TextOrNull = Annotated[str | None, BeforeValidator(lambda value: serializers.text(value) or None)]
StoredText = Annotated[Text, Stored]
OptionalStoredText = Annotated[OptionalText, Stored]
Source = Annotated[
    OptionalText, Field(description="The source of another framework that it is mirrored from, by name; null if none.")
]
Raw = Annotated[
    dict[str, str] | None,
    Field(description="Stored bytes, in base64, of fields that are not valid UTF-8, which show U+FFFD instead."),
]

Integer = Annotated[int | None, BeforeValidator(serializers.number)]
Size = Annotated[int | None, BeforeValidator(serializers.size), Field(description="Size in bytes.")]
Flag = Annotated[bool, BeforeValidator(bool)]
# A time is shown twice: `at` and `at_seconds` read the same attribute.
Time = Annotated[
    str | None,
    BeforeValidator(serializers.iso),
    Field(description="ISO 8601, UTC.", json_schema_extra={"format": "date-time"}),
]
StoredSeconds = Annotated[
    int | None, BeforeValidator(serializers.number), Field(description="The stored Unix time in seconds.")
]

ChangedColumns = Annotated[
    dict[str, object] | None,
    BeforeValidator(serializers.changed_columns),
    Field(description="The changed columns; null if the row did not exist, or if they are not known."),
]
StoredJson = Annotated[object, BeforeValidator(serializers.stored_json)]
ParsedJson = Annotated[object, BeforeValidator(serializers.parsed_json)]
Cursor = Annotated[str | None, BeforeValidator(lambda position: None if position is None else str(position))]
Address = Annotated[str, BeforeValidator(serializers.address), Field(description="The id as used in paths.")]


def api_url(call: str) -> BeforeValidator:
    """Show an id as the URL of the call that reads it."""
    return page_url(f"api:{call}")


def page_url(view: str) -> BeforeValidator:
    """Show an id as the URL of its page in the dashboard."""
    return BeforeValidator(partial(serializers.url, view))
