"""`manage.py verify-backup PATH`: open a backup and compare it with its manifest."""

from pathlib import Path

from django.core.management.base import CommandError, CommandParser

from statestore import backups
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import in_words, one_line


class Command(StoreCommand):
    help = "Open a backup, read all of it, and compare it with its manifest. Exits with 1 if anything is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="the directory of a backup, as `backup` printed it")

    def handle(self, *, path: Path, **options: object) -> None:
        try:
            backup = backups.at(path)
            problems = backups.verify(backup)
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error
        if problems:
            raise CommandError("\n".join(map(one_line, problems)))
        for file in backup.manifest.files:
            rows = sum(table.rows for table in file.contents.values())
            self.stdout.write(f"{file.name}: {len(file.contents)} tables, {rows:,} rows, as the manifest says.")
        self.stdout.write(self.style.SUCCESS("The backup is whole."))
