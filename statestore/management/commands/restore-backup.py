"""`manage.py restore-backup PATH --to FILE`: write a backup as a new file or into an empty database."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from statestore import backups
from statestore.adoption.temporary_store import database_at
from statestore.errors import StateStoreError
from statestore.management.terminal import announced, in_words, one_line


class Command(BaseCommand):
    help = "Write the store of a backup as a new file, or into an empty PostgreSQL database. Nothing is overwritten."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="the directory of a backup, as `backup` printed it")
        parser.add_argument("--to", required=True, help="the new file, or postgres://… of an empty database")
        parser.add_argument("--database", choices=("store", "dashboard"), default="store", help="which of the two")

    def handle(self, *, path: Path, to: str, database: str, **options: Any) -> None:
        try:
            with announced(self.stdout.write, "Restoring"):
                file = self._restore(backups.at(path), to, database)
        except (StateStoreError, OSError, ValueError) as error:
            raise CommandError(in_words(error)) from error
        rows = sum(table.rows for table in file.contents.values())
        self.stdout.write(f"{rows:,} rows in {len(file.contents)} tables, compared with the manifest.")
        variable = "STORE_URL" if database == "store" else "DATABASE_URL"
        self.stdout.write(f"To use it, stop the dashboard and name it in {variable}.")
        self.stdout.write(one_line(to if "://" in to else str(Path(to).resolve())))

    def _restore(self, backup: backups.Backup, to: str, database: str) -> backups.BackupFile:
        if to.startswith(("postgres://", "postgresql://")):
            with database_at(to) as alias:
                return backups.restore_to_database(backup, alias, database=database)
        return backups.restore_to_file(backup, Path(to).resolve(), database=database)
