"""Sources: the stores of other frameworks that are mirrored here."""

from typing import Annotated, Final

from django.http import HttpRequest, HttpResponse
from ninja import Query
from pydantic import BaseModel, Field

from statestore import sources
from statestore.api.auth import Caller, caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_in_transaction
from statestore.api.parsers import reader
from statestore.api.problems import Problem
from statestore.api.resources import not_found
from statestore.api.responses import answer, no_content, tagged
from statestore.api.schemas.sources import SourceIn, SourceOut, SourcesOut
from statestore.models.sources import Source
from statestore.sources import Standing, adding, allowed, quarantine

calls = Calls("sources")
_FILE: Final = "application/octet-stream"


class UploadIn(BaseModel):
    """What an uploaded file was called."""

    name: Annotated[
        str,
        Field(
            min_length=1, max_length=200, description="The file's name; its namespace is like it.",
            examples=["transcript.jsonl"],
        ),
    ]  # fmt: skip


def _unrestricted(request: HttpRequest) -> Caller:
    who = caller(request)
    who.require_unrestricted("Sources")
    return who


@calls.call("GET", "/sources", {200: SourcesOut}, may="view_agentstate", tagged=True)
def list_sources(request: HttpRequest) -> HttpResponse:
    """List the stores of other frameworks that were opened, and how far they were read."""
    found = sources.standing(_unrestricted(request).scope.using)
    return tagged(request, SourcesOut(items=list(map(_source, found))))


@calls.call("POST", "/sources", {201: SourceOut}, scope="admin", may="import_store")
def add_source(request: HttpRequest, body: SourceIn) -> HttpResponse:
    """Mirror a file, or a database by its URL, from now on: of a directory or a server that may be mirrored."""
    who = _unrestricted(request)
    allowed.check(body.path)

    def write() -> HttpResponse:
        return _written(allowed.mirror(body.path, using=who.scope.using, by=who.actor), who)

    return run_in_transaction(request, write)


@calls.call("POST", "/uploads", {201: SourceOut}, scope="admin", may="import_store", extra={"x-body": _FILE})
def upload_source(request: HttpRequest, params: Query[UploadIn]) -> HttpResponse:
    """Upload a file, the body as it is. It is mirrored once, and not followed."""
    who = _unrestricted(request)
    if request.content_type != _FILE:
        raise Problem("media-type", f"This call takes {_FILE}.")
    quarantine.refuse_uploads()
    if int(request.headers.get("Content-Length") or 0) > quarantine.limit_bytes():
        raise quarantine.too_large()

    def write() -> HttpResponse:
        return _written(quarantine.receive(reader(request), params.name, using=who.scope.using, by=who.actor), who)

    return run_in_transaction(request, write)


@calls.call("DELETE", "/sources/{source_id}", {204: None}, scope="admin", may="import_store", conditional=False)
def remove_source(request: HttpRequest, source_id: str) -> HttpResponse:
    """Mirror a source no more. Its agents stay, with all their history; its file stays where it is."""
    who = _unrestricted(request)
    if not (source_id.isascii() and source_id.isdecimal() and len(source_id) <= 18):
        raise not_found("source", source_id)
    adding.remove_source(int(source_id), using=who.scope.using, by=who.actor)
    return no_content()


def _written(source: Source, who: Caller) -> HttpResponse:
    standing = next(row for row in sources.standing(who.scope.using) if row.source.pk == source.pk)
    return answer(_source(standing), status=201)


def _source(row: Standing) -> SourceOut:
    return SourceOut(
        id=row.source.pk, name=row.source.name, path=row.source.path if not row.source.upload_name else "",
        upload=row.source.upload_name, formats=row.source.formats, counts=row.counts, agents=row.agents, gone=row.gone,
        is_being_written=row.is_being_written, synced_at=row.source.synced_at, problem=row.source.problem,
    )  # fmt: skip
