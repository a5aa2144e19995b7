"""`manage.py adopt FILE`: look at an orchestrator's store, say what will be done, and move in."""

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connections

from descartes_site import database_urls
from descartes_site.locations import COMMAND
from statestore.adoption.adopt import Adopted, adopt, intentions
from statestore.adoption.probe import Look, look
from statestore.db.routers import chosen_name, store_alias
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import agreed, announced, one_line


class Command(StoreCommand):
    help = "Move into an orchestrator's SQLite file: look, back up, bring up to date, add the side tables."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", nargs="?", help="the orchestrator's file; STORE_URL is not read")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--dry-run", action="store_true", help="look and say what would be done; write nothing")
        parser.add_argument("--wal", action="store_true", help="also switch the file to WAL")
        parser.add_argument("--backup-dir", type=Path, default=settings.VAR_DIR / "backups")
        parser.add_argument("--stopped", action="store_true", help="no orchestrator is running: take your time")

    def needs_store(self, options: Mapping[str, object]) -> bool:
        """Return whether one of several stores must be named: a file need not be one of them yet."""
        return options.get("path") is None

    def handle(self, *, path: str | None, wal: bool, stopped: bool, backup_dir: Path, **options: object) -> None:
        if path is None and not chosen_name():
            raise CommandError(f"Name the orchestrator's file: {COMMAND} adopt /absolute/path/to/descartes.db")
        path = path or str(connections[store_alias()].settings_dict["NAME"])
        try:
            with announced(self.stdout.write, "Looking at the file"):
                found = look(path, stopped=stopped)
            self._show(found)
            steps = intentions(found, backup_dir, wal=wal)
            if not steps:
                self.stdout.write("It is adopted already, and up to date. Nothing to do.")
                return
            self.stdout.write("\n".join(["", "This will be done:", *(f"  {one_line(step)}" for step in steps)]))
            if options["dry_run"]:
                self.stdout.write("Nothing was written.")
            elif options["yes"] or agreed("Go on?"):
                with announced(self.stdout.write, "Copying the file and moving in"):
                    done = adopt(path, backup_dir=backup_dir, wal=wal, stopped=stopped)
                self._done(done)
        except StateStoreError as error:
            raise CommandError(one_line(str(error))) from error

    def _show(self, look: Look) -> None:
        if look.refusal:
            raise CommandError(one_line(f"{look.path} cannot be adopted. {look.refusal}"))
        self.stdout.write(f"{one_line(str(look.path))}: {look.layout}, journal mode {look.journal_mode}")
        for table, rows in look.rows.items():
            self.stdout.write(f"  {table:<20}{'many' if rows is None else f'{rows:,}':>12}")
        for quirk in look.quirks:
            self.stdout.write(f"  Note: {quirk}")

    def _done(self, done: Adopted) -> None:
        if done.backup is not None:
            self.stdout.write(f"Backup: {one_line(str(done.backup.path))}\n  SHA-256 {done.backup.sha256}")
        for note in done.notes:
            self.stdout.write(note)
        if done.journal_mode != "wal" and not done.notes:
            self.stdout.write(
                f"Its journal mode is {done.journal_mode}: a long read makes the orchestrator's saves wait. "
                "Repeat with --wal to switch; the orchestrator works on as before."
            )
        if chosen_name():
            self.stdout.write(self.style.SUCCESS("Adopted."))
            return
        self.stdout.write(self.style.SUCCESS("Adopted. Before you start the dashboard:"))
        # Percent-encoded, it has no character that a shell takes for something else.
        self.stdout.write(f"export STORE_URL={database_urls.sqlite_url(str(done.found.path))}")
