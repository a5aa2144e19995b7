"""`manage.py backup`: copy both databases, verify the copies, and delete backups that nothing keeps."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from statestore import backups
from statestore.db.routers import backup_directory
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import announced, in_words, one_line


class Command(StoreCommand):
    help = "Copy both databases into a new directory, while they are in use, and verify the copies."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", type=Path, help="where backups lie (BACKUP_DIR)")
        parser.add_argument("--pack", action="store_true", help="compress the copies of SQLite files by zstd")
        parser.add_argument(
            "--copy-to", default=settings.BACKUP_COPY_TO, help="a directory or s3://bucket/prefix for a copy"
        )
        parser.add_argument("--keep-all", action="store_true", help="delete no old backups")

    def handle(self, *, to: Path | None, pack: bool, keep_all: bool, copy_to: str, **options: object) -> None:
        directory = (to or backup_directory()).resolve()
        try:
            with announced(self.stdout.write, "Copying"):
                backup = backups.take(directory, pack=pack)
            copy = backups.copy_to(backup, copy_to) if copy_to else ""
            rotation = backups.Rotation(
                settings.BACKUP_KEEP_DAYS, settings.BACKUP_KEEP_WEEKS, settings.BACKUP_KEEP_MONTHS
            )
            old = [] if keep_all else backups.superfluous(backups.newest_first(directory), rotation)
            for superfluous in old:
                backups.remove(superfluous)
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error
        for file in backup.manifest.files:
            rows = sum(table.rows for table in file.contents.values())
            how = "compared with the original" if file.compared else "opened and read"
            self.stdout.write(f"{file.name}: {file.bytes / 1e6:,.1f} MB, {rows:,} rows, {how}.")
        if copy:
            self.stdout.write(one_line(f"Copied to {copy}, and compared."))
        for superfluous in old:
            self.stdout.write(f"Deleted {superfluous.name}: newer backups of its day, week and month are kept.")
        self.stdout.write(one_line(str(backup.path)))
