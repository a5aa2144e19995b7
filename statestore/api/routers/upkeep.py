"""What keeps the store healthy: housekeeping's runs, backups, the chain of the audit log."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from ninja import Query

from statestore import models
from statestore.api.auth import Caller, caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_resumable
from statestore.api.responses import answer, listed, page_of
from statestore.api.schemas.common import Listed, PageIn
from statestore.api.schemas.upkeep import BackupFileOut, BackupOut, FaultOut, RunOut, VerificationOut
from statestore.operations import housekeeping, upkeep

calls = Calls("upkeep")
_MOST_FAULTS: Final = 1_000


def _unrestricted(request: HttpRequest) -> Caller:
    who = caller(request)
    who.require_unrestricted("Upkeep")
    return who


@calls.call("GET", "/upkeep/runs", {200: Listed[RunOut]}, may="view_agentstate")
def list_runs(request: HttpRequest, params: Query[PageIn]) -> HttpResponse:
    """List what housekeeping did, newest first."""
    rows = models.HousekeepingRun.objects.using(_unrestricted(request).scope.using).without_clock()
    return page_of(rows, ("-id",), params, RunOut.of)


@calls.call("GET", "/backups", {200: Listed[BackupOut]}, may="view_agentstate")
def list_backups(request: HttpRequest) -> HttpResponse:
    """List the newest 100 backups in `BACKUP_DIR`, newest first."""
    _unrestricted(request)
    return listed(upkeep.list_backups(), _backup)


def _backup(backup: upkeep.ListedBackup) -> BackupOut:
    files = backup.manifest.files if backup.manifest else ()
    return BackupOut.of(backup, files=[BackupFileOut.of(file) for file in files])


@calls.call("POST", "/audit/verify", {200: VerificationOut}, scope="admin", may="manage_retention")
def verify_audit(request: HttpRequest) -> HttpResponse:
    """Walk the chain of the audit log and say what is wrong with it. Reads all entries.

    If nothing is wrong, the newest entry is noted, and the next walk expects it.
    """
    using = _unrestricted(request).scope.using

    def work(seed: str | None) -> HttpResponse:
        found = housekeeping.verify_now(using)
        faults = found.faults or []
        shown = [FaultOut.of(fault) for fault in faults[:_MOST_FAULTS]]
        return answer(VerificationOut.of(found, fault_count=len(faults), faults=shown))

    return run_resumable(request, work)
