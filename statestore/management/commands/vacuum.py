"""`manage.py vacuum`: give the free pages of an SQLite store back to the disk."""

from django.core.management.base import CommandError, CommandParser

from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import agreed, announced, in_words
from statestore.operations import vacuum


class Command(StoreCommand):
    help = (
        "Give the free pages of the store back to the disk: says what that needs, and asks. Stop the dashboard first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--stopped", action="store_true", help="the orchestrator that shares the store is stopped")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, stopped: bool, yes: bool, **options: object) -> None:
        using = store_alias()
        try:
            self.stdout.write(vacuum.words(vacuum.needed(using)))
            if not yes:
                agreed("Do it now?")
            with announced(self.stderr.write, "VACUUM"):
                before, after = vacuum.vacuum(using, is_stopped=stopped)
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error
        self.stdout.write(self.style.SUCCESS(f"{before:,} bytes became {after:,}."))
