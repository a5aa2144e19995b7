"""The store's health, audit log and migrations, and the caller's permissions."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models
from statestore.adoption.status import store_status
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls
from statestore.api.resources import id_of
from statestore.api.responses import answer, listed, page_of
from statestore.api.schemas.common import Listed
from statestore.api.schemas.status import AuditIn, AuditOut, HealthOut, MeOut, MigrationOut
from statestore.operations import doctor

calls = Calls("store")


@calls.call("GET", "/me", {200: MeOut})
def get_me(request: HttpRequest) -> HttpResponse:
    """Read the authenticated user, token and permissions."""
    who = caller(request)
    token = who.token
    return answer(
        {
            "user": who.user.get_username(),
            "token": None if token is None else token.prefix,
            "scopes": None if token is None else token.scopes.split(),
            "namespaces": None if token is None else token.namespaces,
            "permissions": sorted(
                name.removeprefix("statestore.")
                for name in who.user.get_all_permissions()
                if name.startswith("statestore.")
            ),
        }
    )


@calls.call("GET", "/health", {200: HealthOut}, may="view_agentstate")
def get_health(request: HttpRequest) -> HttpResponse:
    """Read the store's health, and the number of agents by status."""
    status = store_status()
    findings = doctor.examine(thorough=False)
    return answer(
        {
            "ready": status.is_ready,
            "store": status.found or status.state,
            "agents": {
                serializers.text(value): count
                for value, count in caller(request).scope.agents().alive().counts_by_status().items()
            },
            "findings": [
                {name: getattr(finding, name) for name in ("level", "title", "meaning", "remedy")}
                for finding in findings
            ],
        }
    )


@calls.call("GET", "/audit", {200: Listed[AuditOut]}, may="view_auditentry", fails=(404,))
def list_audit(request: HttpRequest, params: Query[AuditIn]) -> HttpResponse:
    """List the audit log, newest first."""
    rows = caller(request).scope.audit()
    if params.row:
        rows = rows.about(id_of(params.row, "row"))
    if params.verb:
        rows = rows.with_verb(params.verb)
    return page_of(rows, ("-id",), params, serializers.audit)


@calls.call("GET", "/migrations", {200: Listed[MigrationOut]}, may="view_agentstate")
def list_migrations(request: HttpRequest) -> HttpResponse:
    """List the orchestrator's migrations applied to the store, oldest first."""
    rows = caller(request).store().get_migration_history()
    return listed(rows, _migration)


def _migration(row: models.OrchestratorMigration) -> dict[str, object]:
    return {
        "version": serializers.number(row.version),
        "name": serializers.text(row.name),
        "description": serializers.text(row.description),
        **serializers.times(row, "applied_at"),
    }
