"""Export and import of the store as a stream of NDJSON, compressed as negotiated."""

from typing import Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import parse_header_parameters
from ninja import Query

from statestore.access.scope import Scope
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_resumable
from statestore.api.parsers import reader
from statestore.api.problems import Problem
from statestore.api.resources import find_agent
from statestore.api.responses import answer
from statestore.api.schemas.import_export import ExportIn, ImportIn, ImportOut
from statestore.import_export import Wanted, export_lines, import_lines
from statestore.import_export.compression import packed, unpacked_lines

calls = Calls("export and import")
NDJSON: Final = "application/x-ndjson"


@calls.call("GET", "/export", {200: str}, may="view_agentstate", fails=(404,), extra={"x-answers": NDJSON})
def export_store(request: HttpRequest, params: Query[ExportIn]) -> HttpResponse:
    """Export the store, or a part of it, as NDJSON: one row per line, byte for byte.

    Streamed, and compressed with zstd or gzip according to Accept-Encoding. The last line has the number of rows and
    proves that the export is complete.
    """
    who = caller(request)
    if params.audit:
        who.require_permission("view_auditentry")
    scope = who.scope
    if params.namespace is not None:
        scope = Scope((scope.namespace_for(params.namespace) or "",), scope.using)
    agent_id = find_agent(request, params.agent).agent_id if params.agent else None
    tables = tuple(name for name in params.tables.split(",") if name)
    lines = export_lines(Wanted(scope, tables, agent_id, params.audit))
    encoding = _negotiated_encoding(request)
    response = StreamingHttpResponse(packed(lines, encoding), content_type=NDJSON)
    if encoding:
        response["Content-Encoding"] = encoding
    response["Content-Disposition"] = 'attachment; filename="statestore.ndjson"'
    return response  # type: ignore[return-value]


def _negotiated_encoding(request: HttpRequest) -> str:
    """Return the acceptable encoding with the highest quality, zstd before gzip, or an empty text."""
    quality = {}
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, parameters = parse_header_parameters(part.strip())
        try:
            quality[name] = float(parameters.get("q", "1"))
        except ValueError:
            quality[name] = 0.0
    best = max(("zstd", "gzip"), key=lambda name: quality.get(name, quality.get("*", 0.0)))
    return best if quality.get(best, quality.get("*", 0.0)) > 0 else ""


@calls.call(
    "POST", "/import", {200: ImportOut}, scope="admin", proof=True, may="import_store", extra={"x-body": NDJSON}
)
def import_store(request: HttpRequest, params: Query[ImportIn]) -> HttpResponse:
    """Import an export. Rows with the same key are replaced.

    An interrupted import can be sent again. `dry_run` reports what would change. Send the body and Content-Encoding as
    received from `GET /export`; the body has no size limit and may be chunked.
    """
    who = caller(request)
    who.require_unrestricted("An import")
    if request.content_type not in (NDJSON, "application/octet-stream"):
        raise Problem("media-type", f"This call takes {NDJSON}, as returned by /export.")
    encoding = request.headers.get("Content-Encoding", "").strip().lower()

    def work(seed: str | None) -> HttpResponse:
        lines = unpacked_lines(reader(request), encoding)
        report = import_lines(lines, using=who.scope.using, by=who.actor, dry_run=params.dry_run)
        return answer(ImportOut.of(report))

    return run_resumable(request, work)
