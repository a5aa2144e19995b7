"""Rows by their addresses in paths, as far as the caller can see them, and the responses for one row."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from statestore import history, models
from statestore.access import audited_rows
from statestore.access.scope import Scope
from statestore.api.auth import caller
from statestore.api.responses import if_match, listed, must_be_new, no_content, resource, written
from statestore.api.schemas.common import PageIn
from statestore.db import pagination
from statestore.db.ids import ADDRESS, RowId, from_address
from statestore.errors import Conflict, Moved, NotFound
from statestore.models.audit import BY_AUDIT_TIME, AuditQuerySet
from statestore.models.querysets import AddressedQuerySet

Row = TypeVar("Row", bound=Model)


def id_of(address: str, noun: str) -> RowId:
    """Return the id that an address in a path encodes. Raises NotFound if it is not the id's only valid encoding."""
    try:
        if not re.fullmatch(ADDRESS, address):
            raise ValueError(address)
        return from_address(address)
    except ValueError:
        raise not_found(noun, address) from None


def not_found(noun: str, address: str, hint: str = "") -> NotFound:
    """Return the error for a row that does not exist, or that the caller cannot see."""
    return NotFound(f"{noun.capitalize()} “{address[:80]}” not found. {hint}".rstrip())


def entries_of(
    request: HttpRequest, rows: AuditQuerySet, params: PageIn, serialize: Callable[..., object]
) -> HttpResponse:
    """Return the page of audit entries that the parameters request, each with its sentence as `summary`."""
    page = pagination.page(rows, BY_AUDIT_TIME, cursor=params.cursor, size=params.limit)
    told = zip(page.rows, history.sentences(page.rows, caller(request).scope), strict=True)
    return listed(told, lambda pair: serialize(pair[0], summary=str(pair[1])), page.older)


def find(rows: AddressedQuerySet[Row], noun: str, address: str, *, column: str = "pk", hint: str = "") -> Row:
    """Return the row at an address. Raises NotFound."""
    row = rows.named(id_of(address, noun), column)
    if row is None:
        raise not_found(noun, address, hint)
    return row


def find_agent(request: HttpRequest, address: str, *, trash: bool = True) -> models.AgentState:
    """Return the agent at an address; in the trash only with `trash`. Raises NotFound, which says what remains."""
    agent = find_past(request, address, trash=trash)
    if agent.is_gone:
        raise not_found("agent", address, str(history.not_there(agent.agent_id)))
    return agent


def find_past(request: HttpRequest, address: str, *, trash: bool = True) -> models.AgentState:
    """Return the agent at an address, or what remains of it if its orchestrator deleted it. Raises NotFound.

    Whose namespace it was is then unknown: only callers who see the whole store are shown what remains.
    """
    scope, row_id = caller(request).scope, id_of(address, "agent")
    agent: models.AgentState | None = scope.agents().named(row_id, "agent_id")
    if agent is None and scope.is_unrestricted:
        agent = history.remains_of(row_id, using=scope.using)
    if agent is None:
        raise not_found("agent", address, "Its orchestrator may have deleted it.")
    if agent.is_deleted and not trash:
        raise NotFound(
            f"Agent “{address[:80]}” is in the trash. Read it with ?trash=true, or restore it with"
            f" POST {reverse('api:undelete_agent', args=[address])}."
        )
    return agent


@dataclass(frozen=True, slots=True)
class Resource(Generic[Row]):
    """A noun each of whose resources is one row, with the hash of the row as its ETag."""

    noun: str
    rows: Callable[[Scope], AddressedQuerySet[Row]]
    serialize: Callable[[Row], object]
    hint: str = ""

    def find(self, request: HttpRequest, address: str) -> Row:
        """Return the row at an address. Raises NotFound."""
        return find(self.rows(caller(request).scope), self.noun, address, hint=self.hint)

    def read(self, request: HttpRequest, address: str) -> HttpResponse:
        """Return the response of a GET."""
        row = self.find(request, address)
        return resource(request, models.row_hash(row), lambda: self.serialize(row))

    def written(self, row: Row, *, is_new: bool = False) -> HttpResponse:
        """Return the response of a write."""
        return written(self.serialize(row), etag=models.row_hash(row), is_new=is_new)

    def find_for_put(self, request: HttpRequest, address: str) -> tuple[str, Row | None]:
        """Return the id of a PUT and the row to overwrite, None to create.

        Raises Conflict if the caller cannot see the row, Moved if it exists and the request may only create.
        """
        who, row_id, only_new = caller(request), id_of(address, self.noun), must_be_new(request)
        pk = row_id if isinstance(row_id, str) else str(self.find(request, address).pk)
        rows = self.rows(who.scope)
        row = rows.filter(pk=pk).first()
        if row is not None and only_new:
            raise Moved(f"A {self.noun} with this id already exists. Nothing was changed.", models.row_hash(row))
        if row is None:
            who.require_permission(f"add_{self.noun}")
            if rows.model is models.Session:
                who.scope.require_new_session(pk)
            if (
                not who.scope.is_unrestricted
                and rows.model._default_manager.using(who.scope.using).filter(pk=pk).exists()
            ):
                raise Conflict(f"The id “{pk[:80]}” is already in use. Nothing was changed. Choose another id.")
        return pk, row

    def delete(self, request: HttpRequest, address: str) -> HttpResponse:
        """Delete the row at an address and record it in the audit log."""
        who, row = caller(request), self.find(request, address)
        audited_rows.delete(who.scope.using, row, by=who.actor, if_match=if_match(request))
        return no_content()
