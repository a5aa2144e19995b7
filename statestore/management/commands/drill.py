"""`manage.py drill`: restore the newest backup into a scratch file and compare it."""

from pathlib import Path

from django.core.management.base import CommandError, CommandParser

from descartes_site.locations import COMMAND
from statestore import backups
from statestore.db.routers import backup_directory
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import announced, in_words, one_line


class Command(StoreCommand):
    help = "Restore the newest backup into a scratch file, compare it with its manifest, and delete it again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", type=Path, dest="directory", help="BACKUP_DIR")

    def handle(self, *, directory: Path | None, **options: object) -> None:
        directory = (directory or backup_directory()).resolve()
        try:
            newest = next(iter(backups.newest_first(directory)), None)
            if newest is None:
                raise CommandError(one_line(f"{directory} has no backups. Run `{COMMAND} backup`."))
            with announced(self.stdout.write, "Restoring into a scratch file"):
                problems = backups.drill(newest)
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error
        if problems:
            raise CommandError("\n".join(map(one_line, [f"{newest.path} cannot be restored.", *problems])))
        self.stdout.write(self.style.SUCCESS(one_line(f"{newest.path} can be restored: every table was compared.")))
