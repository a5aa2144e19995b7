"""Exports of search results: all matches, streamed, however many.

Invalid UTF-8 is exported to CSV as stored, and to JSON as \\udc80 to \\udcff.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from statestore import search
from statestore.errors import ValidationError
from statestore.forms import SearchForm
from statestore.models.events import EventQuerySet
from statestore.views import search_page
from statestore.views.access import require, scope

COLUMNS: Final = (
    "id", "event_type", "timestamp", "session_id", "actor_type", "actor_id", "content", "metadata", "git_commit",
)  # fmt: skip
TYPES: Final = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
# What begins like this is a formula to a spreadsheet, which an agent might have written: some pass over what is unseen.
_FORMULA: Final = re.compile(r"[\s\x00-\x20\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


@require_safe
@require("view_event")
def export_events(request: HttpRequest) -> HttpResponseBase:
    """Return all matches of a query, newest first, as CSV or as one JSON object per line."""
    form = SearchForm(request.GET)
    kind = request.GET.get("format", "csv")
    if not form.is_valid():
        raise ValidationError(
            f"Nothing was exported. {form.errors['q'][0] if 'q' in form.errors else 'Run the search again.'}"
        )
    if kind not in TYPES:
        raise ValidationError(f"“{kind[:20]}” is not a valid export format. Use csv or ndjson.")
    events = _events(form.cleaned_data["q"], scope(request).searched_events())
    response = StreamingHttpResponse(_csv(events) if kind == "csv" else _lines(events), content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="events-{search_page.now_text()}.{kind}"'
    return response


def _events(query: search.Query, among: EventQuerySet | None) -> Iterator[dict[str, object]]:
    for event in search.find_all(query, among=among):
        yield {column: _plain(getattr(event, column)) for column in COLUMNS}


def _plain(value: object) -> object:
    if value is None or type(value) is int:
        return value
    return str(getattr(value, "raw", value) if isinstance(value, int) else value)


def _csv(events: Iterator[dict[str, object]]) -> Iterator[bytes]:
    yield _line(COLUMNS)
    for event in events:
        yield _line([_safe(value) for value in event.values()])


def _line(cells: Iterable[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode("utf-8", "surrogateescape")


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _lines(events: Iterator[dict[str, object]]) -> Iterator[bytes]:
    for event in events:
        yield json.dumps(event).encode() + b"\n"
