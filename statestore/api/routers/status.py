"""The store itself: its health, its audit log, its migrations; and who calls."""

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models
from statestore.adoption.status import store_status
from statestore.api import serializers
from statestore.api.auth import caller
from statestore.api.calls import Calls, id_of
from statestore.api.responses import answer, listed
from statestore.api.schemas.common import Listed
from statestore.api.schemas.tasks import AuditIn, AuditOut, HealthOut, MeOut, MigrationOut
from statestore.db import pagination
from statestore.operations import doctor

calls = Calls("store")


@calls.call("GET", "/me", {200: MeOut})
def get_me(request: HttpRequest) -> HttpResponse:
    """Tell who calls, and what they may do."""
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
    """Tell how the store is, and how many agents there are of each status."""
    status = store_status()
    findings = doctor.examine(thorough=False)
    return answer(
        {
            "ready": status.is_ready,
            "store": status.found or status.state,
            "agents": {
                serializers.text(word): number
                for word, number in caller(request).scope.agents().alive().counts_by_status().items()
            },
            "findings": [
                {"level": one.level, "title": one.title, "meaning": one.meaning, "remedy": one.remedy}
                for one in findings
            ],
        }
    )


@calls.call("GET", "/audit", {200: Listed[AuditOut]}, may="view_auditentry", fails=(404,))
def list_audit(request: HttpRequest, asked: Query[AuditIn]) -> HttpResponse:
    """List what people did, newest first."""
    rows = caller(request).scope.audit()
    if asked.row:
        rows = rows.about(id_of(asked.row, "row"))
    if asked.verb:
        rows = rows.with_action(asked.verb)
    return answer(listed(pagination.page(rows, ("-id",), cursor=asked.cursor, size=asked.limit), serializers.audit))


@calls.call("GET", "/migrations", {200: Listed[MigrationOut]}, may="view_agentstate")
def list_migrations(request: HttpRequest) -> HttpResponse:
    """List the orchestrator's own migrations that the store has seen, oldest first."""
    rows = caller(request).store().get_migration_history()
    return answer(listed(rows, _migration))


def _migration(row: models.OrchestratorMigration) -> dict[str, object]:
    return {
        "version": serializers.number(row.version),
        "name": serializers.text(row.name),
        "description": serializers.text(row.description),
        **serializers.times(row, "applied_at"),
    }
