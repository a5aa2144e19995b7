"""Exports of search results and of the audit log: all matches, streamed, however many.

Invalid UTF-8 is exported to CSV as stored, and to JSON as \\udc80 to \\udcff.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from statestore import history, search
from statestore.access.scope import Scope
from statestore.db import pagination
from statestore.errors import ValidationError
from statestore.forms import AuditFilterForm, SearchForm
from statestore.models.audit import BY_AUDIT_TIME, AuditQuerySet
from statestore.models.events import EventQuerySet
from statestore.views import search_page
from statestore.views.access import require, scope
from statestore.views.formatting import utc

COLUMNS: Final = (
    "id", "event_type", "timestamp", "session_id", "actor_type", "actor_id", "content", "metadata", "git_commit",
)  # fmt: skip
AUDIT_COLUMNS: Final = (
    "id", "at", "actor", "ip_address", "action", "noun", "row_id", "summary", "before", "after", "reverts",
    "hash_before", "hash_after", "detail",
)  # fmt: skip
AUDIT_ROWS_AT_ONCE: Final = 500
TYPES: Final = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
# A spreadsheet guesses the character set of a file that does not say it; Excel's guess is wrong.
BOM: Final = "\ufeff".encode()
# What begins like this is a formula to a spreadsheet, which an agent might have written: some pass over what is unseen.
_UNSEEN: Final = r"[\s\x00-\x20\u200b\ufeff\"]*"
_SIGN: Final = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
_FORMULA: Final = re.compile(rf"{_UNSEEN}{_SIGN}|[\t\r\n]")
# One that splits lines at semicolons or tabs, as Excel does in half of Europe, begins a cell within a cell of ours.
_INNER_FORMULA: Final = re.compile(rf"([;\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]{_UNSEEN})(?={_SIGN})")


@require_safe
@require("view_event")
def export_events(request: HttpRequest) -> HttpResponseBase:
    """Return all matches of a query, newest first, as CSV, with a byte order mark if asked, or as JSON by line."""
    form = SearchForm(request.GET)
    if not form.is_valid():
        raise ValidationError(
            f"Nothing was exported. {form.errors['q'][0] if 'q' in form.errors else 'Run the search again.'}"
        )
    return _streamed(request, "events", COLUMNS, _events(form.cleaned_data["q"], scope(request).searched_events()))


@require_safe
@require("view_auditentry")
def export_audit(request: HttpRequest) -> HttpResponseBase:
    """Return all audit entries that pass the filters of the page, newest first, as CSV or as JSON by line."""
    seen = scope(request)
    return _streamed(request, "audit", AUDIT_COLUMNS, _audit(AuditFilterForm(request.GET).entries(seen), seen))


def _streamed(
    request: HttpRequest, name: str, columns: Sequence[str], rows: Iterator[dict[str, object]]
) -> StreamingHttpResponse:
    """Return rows as a file in the format that is asked for."""
    kind = request.GET.get("format", "csv")
    if kind not in TYPES:
        raise ValidationError(f"“{kind[:20]}” is not a valid export format. Use csv or ndjson.")
    with_bom = request.GET.get("bom") == "1"
    lines = _csv(columns, rows, with_bom=with_bom) if kind == "csv" else _lines(rows)
    response = StreamingHttpResponse(lines, content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="{name}-{search_page.now_text()}.{kind}"'
    return response


def _audit(entries: AuditQuerySet, seen: Scope) -> Iterator[dict[str, object]]:
    """Yield entries page by page: no statement stays open while a slow client reads."""
    cursor: str | None = ""
    while cursor is not None:
        page = pagination.page(entries, BY_AUDIT_TIME, cursor=cursor, size=AUDIT_ROWS_AT_ONCE)
        for entry, sentence in zip(page.rows, history.sentences(page.rows, seen), strict=True):
            own = {"at": _iso(entry.at), "summary": str(sentence)}
            yield {column: own.get(column) or _plain(getattr(entry, column)) for column in AUDIT_COLUMNS}
        cursor = page.older


def _iso(seconds: object) -> str:
    moment = utc(seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def _events(query: search.Query, among: EventQuerySet | None) -> Iterator[dict[str, object]]:
    for event in search.find_all(query, among=among):
        yield {column: _plain(getattr(event, column)) for column in COLUMNS}


def _plain(value: object) -> object:
    if value is None or type(value) is int:
        return value
    return str(getattr(value, "raw", value) if isinstance(value, int) else value)


def _csv(columns: Sequence[str], rows: Iterator[dict[str, object]], *, with_bom: bool) -> Iterator[bytes]:
    yield (BOM if with_bom else b"") + _line(columns)
    for row in rows:
        yield _line([_safe(value) for value in row.values()])


def _line(cells: Iterable[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode("utf-8", "surrogateescape")


def _safe(value: object) -> object:
    """Return the value of a cell, with an apostrophe before each sign that could begin a formula."""
    if not isinstance(value, str):
        return value
    inner = _INNER_FORMULA.sub(r"\1'", value)
    return f"'{inner}" if _FORMULA.match(value) else inner


def _lines(rows: Iterator[dict[str, object]]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row).encode() + b"\n"
