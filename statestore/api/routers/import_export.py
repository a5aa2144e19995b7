"""The store out and in: NDJSON, streamed, packed as the other side can take it."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import parse_header_parameters
from ninja import Query

from statestore.access.scope import Scope
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_resumable
from statestore.api.parsers import reader
from statestore.api.problems import Problem
from statestore.api.responses import answer
from statestore.api.routers.agents import found_agent
from statestore.api.schemas.import_export import ExportIn, ImportIn, ImportOut
from statestore.import_export import Report, Wanted, export_lines, import_lines
from statestore.import_export.compression import packed, unpacked_lines

calls = Calls("export and import")
NDJSON: Final = "application/x-ndjson"


@calls.call("GET", "/export", {200: str}, may="view_agentstate", fails=(404,), extra={"x-answers": NDJSON})
def export_store(request: HttpRequest, asked: Query[ExportIn]) -> HttpResponse:
    """Read the store, or a part of it, as NDJSON: one row for each line, byte for byte.

    Streamed, and packed by gzip or zstd where Accept-Encoding takes it. The last line counts the rows and proves that
    none is missing.
    """
    who = caller(request)
    if asked.audit:
        who.require_permission("view_auditentry")
    scope = who.scope
    if asked.namespace is not None:
        scope = Scope((scope.namespace_for(asked.namespace) or "",), scope.using)
    agent_id = found_agent(request, asked.agent).agent_id if asked.agent else None
    tables = tuple(name for name in asked.tables.split(",") if name)
    lines = export_lines(Wanted(scope, tables, agent_id, asked.audit))
    encoding = _taken(request)
    response = StreamingHttpResponse(packed(lines, encoding), content_type=NDJSON)
    if encoding:
        response["Content-Encoding"] = encoding
    response["Content-Disposition"] = 'attachment; filename="statestore.ndjson"'
    return response  # type: ignore[return-value]


def _taken(request: HttpRequest) -> str:
    """Return the encoding to pack with: the one that the caller likes best, zstd before gzip, none where neither."""
    liked = {}
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, parameters = parse_header_parameters(part.strip())
        try:
            liked[name] = float(parameters.get("q", "1"))
        except ValueError:
            liked[name] = 0.0
    best = max(("zstd", "gzip"), key=lambda name: liked.get(name, liked.get("*", 0.0)))
    return best if liked.get(best, liked.get("*", 0.0)) > 0 else ""


@calls.call("POST", "/import", {200: ImportOut}, scope="admin", may="import_store", extra={"x-body": NDJSON})
def import_store(request: HttpRequest, asked: Query[ImportIn]) -> HttpResponse:
    """Put an export's rows into the store, each over one of the same key.

    What was interrupted is sent again as a whole: it goes over itself. `dry_run` tells what would be done. Body and
    Content-Encoding as GET /export gives them; this body may have any length, and may come in chunks.
    """
    who = caller(request)
    who.require_unrestricted("An import")
    if request.content_type not in (NDJSON, "application/octet-stream"):
        raise Problem("media-type", f"This call takes {NDJSON}, as /export gives it.")
    encoding = request.headers.get("Content-Encoding", "").strip().lower()

    def work(seed: str | None) -> HttpResponse:
        lines = unpacked_lines(reader(request), encoding)
        report = import_lines(lines, using=who.scope.using, by=who.actor, dry_run=asked.dry_run)
        return answer(_told(report))

    return run_resumable(request, work)


def _told(report: Report) -> dict[str, Any]:
    return {
        "dry_run": report.dry_run,
        "is_complete": report.is_complete,
        "problem": report.problem or None,
        "inserted": report.inserted,
        "updated": report.updated,
        "refused_count": report.refused_count,
        "refused": [{"line": one.line, "reason": serializers.text(one.reason)} for one in report.refused],
        "skipped_audit": report.skipped_audit,
        "normalised": report.normalised,
    }
