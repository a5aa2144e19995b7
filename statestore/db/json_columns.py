"""Values of Python as columns of JSON text hold them."""

import json

from statestore.errors import SerializationError


def as_text(value: object, what: str = "state") -> str:
    """Return a value as the column holds it: text stays as it is, anything else becomes JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The {what} cannot be written as JSON: {error}. Nothing was changed."
        raise SerializationError(message, field=what) from None


def optional_text(value: object, what: str = "metadata") -> str | None:
    """Return a value as its column holds it, or None for none."""
    return None if value is None else as_text(value, what)
