"""`manage.py leave`: take all that is ours out of a store and prove that its schema is as it was found."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connections

from statestore import archive
from statestore.access import audit
from statestore.adoption.adopt import journal_mode
from statestore.adoption.leave import Left, archived_records, found_at_adoption, leave, losses, ours
from statestore.adoption.probe import look
from statestore.adoption.temporary_store import store_at
from statestore.backups.sqlite_copy import BLOCKING_SECONDS, take_backup
from statestore.db import vendor
from statestore.db.routers import store_alias
from statestore.db.sqlite.base import is_out_of_reach
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import agreed, announced, one_line


class Command(StoreCommand):
    help = "Move out of the store: drop all that is the dashboard's, and prove the schema to be as it was found."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--path", help="an adopted file, instead of the one that STORE_URL names")
        parser.add_argument("--yes", action="store_true", help="do not ask, and accept what is lost")
        parser.add_argument(
            "--vacuum", action="store_true", help="rewrite the file if SQLite needs that to be as found"
        )
        parser.add_argument("--backup-dir", type=Path, default=settings.VAR_DIR / "backups")
        parser.add_argument("--stopped", action="store_true", help="no orchestrator is running: take your time")

    def needs_store(self, options: Mapping[str, object]) -> bool:
        """Return whether one of several stores must be named."""
        return options.get("path") is None

    def handle(
        self, *, path: str | None, yes: bool, vacuum: bool, backup_dir: Path, stopped: bool, **options: object
    ) -> None:
        try:
            with _store(path, stopped=stopped) as using:
                self._leave(using, yes=yes, vacuum=vacuum, backup_dir=backup_dir, stopped=stopped)
        except StateStoreError as error:
            raise CommandError(one_line(str(error))) from error

    def _leave(self, using: str, *, yes: bool, vacuum: bool, backup_dir: Path, stopped: bool) -> None:
        if not ours(using):
            raise CommandError("The dashboard has not moved into this store; there is nothing to take away.")
        original = found_at_adoption(using)
        self.stdout.write("The dashboard's tables will be dropped, with its audit log and the notes of restores.")
        if original is not None and original.migrations_added:
            self.stdout.write(f"The orchestrator's tables go back to {original.layout}. Stop it first.")
        lost = losses(using)
        self.stdout.writelines(f"Lost will be {loss}." for loss in lost)
        archived = archived_records(using)
        if archived:
            size = archive.archived_bytes(using)[1] / 1e6
            self.stdout.write(f"{archived:,} archived records are put back first: {size:,.1f} MB of states.")
        if not yes:
            agreed("Go on?")
        hurried = journal_mode(connections[using]) != "wal" and not stopped
        name = Path(str(connections[using].settings_dict["NAME"]))
        with announced(self.stdout.write, "Copying the file"):
            backup = take_backup(name, backup_dir, seconds=BLOCKING_SECONDS if hurried else None)
        self.stdout.write(f"Backup: {one_line(str(backup.path))}")
        if archived:
            with announced(self.stdout.write, "Putting archived records back"):
                archive.put_back(using, by=audit.SYSTEM)
        with announced(self.stdout.write, "Moving out"):
            left = leave(using, accept_losses=True, vacuum=vacuum)
        self._done(left)

    def _done(self, left: Left) -> None:
        self.stdout.write(f"Dropped: {', '.join(left.dropped)}.")
        self.stdout.writelines(left.notes)
        if left.identical:
            self.stdout.write(self.style.SUCCESS("The schema is identical to the one found."))
        elif left.identical is False:
            self.stdout.write(
                f"All that was found is as it was found. There since then: {one_line(', '.join(left.others))}."
            )


@contextmanager
def _store(path: str | None, *, stopped: bool) -> Iterator[str]:
    if path is None:
        using = store_alias()
        name = Path(str(connections[using].settings_dict["NAME"]))
        if vendor.is_sqlite(connections[using]) and not is_out_of_reach(str(name)) and not name.is_file():
            raise CommandError(one_line(f"{name} does not exist."))
        yield using
        return
    found = look(path, stopped=stopped)
    if found.refusal or not found.adopted:
        reason = found.refusal or "The dashboard has not moved into it."
        raise CommandError(one_line(f"{found.path} was left as it is. {reason}"))
    with store_at(found.path) as using:
        yield using
