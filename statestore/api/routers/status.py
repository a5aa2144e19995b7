"""The store's health, audit log and migrations, and the caller's permissions."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore.adoption.status import store_status
from statestore.agents import processes
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.resources import entries_of, id_of
from statestore.api.responses import answer, listed
from statestore.api.schemas.common import Listed
from statestore.api.schemas.status import AuditIn, AuditOut, FindingOut, HealthOut, MeOut, MigrationOut, ProcessOut
from statestore.history import moments
from statestore.operations import doctor

calls = Calls("store")


@calls.call("GET", "/me", {200: MeOut})
def get_me(request: HttpRequest) -> HttpResponse:
    """Read the authenticated user, token and permissions."""
    who = caller(request)
    token = who.token
    permissions = (name.partition(".") for name in who.user.get_all_permissions())
    return answer(
        MeOut(
            user=who.user.get_username(),
            token=None if token is None else token.prefix,
            scopes=None if token is None else token.scopes.split(),
            namespaces=None if who.scope.namespaces is None else list(who.scope.namespaces),
            permissions=sorted(name for app, _, name in permissions if app == "statestore"),
        )
    )


@calls.call("GET", "/health", {200: HealthOut}, may="view_agentstate")
def get_health(request: HttpRequest) -> HttpResponse:
    """Read the store's health, and the number of agents by status.

    Findings concern the whole store: callers that are limited to namespaces get none.
    """
    status, scope = store_status(), caller(request).scope
    findings = [FindingOut.of(finding) for finding in doctor.examine(thorough=False)] if scope.is_unrestricted else []
    agents = scope.agents().alive().counts_by_status()
    state = status.found or status.state
    return answer(HealthOut(ready=status.is_ready, store=state, agents=agents, findings=findings))


@calls.call("GET", "/audit", {200: Listed[AuditOut]}, may="view_auditentry", fails=(404,))
def list_audit(request: HttpRequest, params: Query[AuditIn]) -> HttpResponse:
    """List the audit log, newest first."""
    moments.check_range(params.start, params.end)
    rows = caller(request).scope.audit()
    if params.row:
        rows = rows.about(id_of(params.row, "row"))
    rows = rows.matching(person=params.person, action=params.verb, start=params.start, end=params.end)
    return entries_of(request, rows, params, AuditOut.of)


@calls.call("GET", "/migrations", {200: Listed[MigrationOut]}, may="view_agentstate")
def list_migrations(request: HttpRequest) -> HttpResponse:
    """List the orchestrator's migrations applied to the store, oldest first."""
    rows = caller(request).store().get_migration_history()
    return listed(rows, MigrationOut.of)


@calls.call("GET", "/processes", {200: Listed[ProcessOut]}, may="view_agentstate")
def list_processes(request: HttpRequest) -> HttpResponse:
    """List the agents of `descartes ps` that were started last, from the table that `descartes init` makes.

    They have no namespace, so that callers that are limited to some see none.
    """
    scope = caller(request).scope
    return listed(processes.newest(scope.using) if scope.is_unrestricted else [], ProcessOut.of)
