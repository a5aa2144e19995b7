"""`manage.py transfer FROM TO`: move a store between SQLite and PostgreSQL."""

import time
from typing import Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from statestore import transfer
from statestore.db.errors import translated_errors
from statestore.errors import StateStoreError
from statestore.management.terminal import in_words, one_line
from statestore.transfer.moving import Progress

_SAID_EVERY_SECONDS: Final = 10.0


class Command(BaseCommand):
    help = (
        "Copy a store into an empty PostgreSQL database, a schema of one, or a new SQLite file, and compare both. The"
        " source stays as it is and may be in use. A transfer that was stopped goes on when it is started again."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        place = "sqlite:////path, postgres://…/name?search_path=schema, or the name of a store of STORES"
        parser.add_argument("source", metavar="FROM", help=f"the store: {place}")
        parser.add_argument("target", metavar="TO", help="where it goes: the same forms")
        parser.add_argument("--stopped", action="store_true", help="the orchestrator that shares FROM is stopped")

    def handle(self, *, source: str, target: str, stopped: bool, **options: object) -> None:
        try:
            with translated_errors():
                done = transfer.transfer(source, target, is_stopped=stopped, progress=self._progress())
        except ValueError as error:
            raise CommandError(one_line(f"FROM and TO are places of stores: {error}.")) from error
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error
        self.stdout.write(f"{done.rows:,} rows in {len(done.contents)} tables, read back and compared.")
        if done.converted:
            self.stdout.write(f"{done.converted:,} texts that were stored as blobs are stored as texts now.")
        if done.left_out:
            self.stdout.write(one_line(f"Not copied, being no tables of a store: {', '.join(done.left_out)}."))
        self.stdout.write(
            "What was saved after the transfer began is not in the copy. To use it, stop the dashboard and"
        )
        self.stdout.write("let STORE_URL, or its line in STORES, name the new place.")

    def _progress(self) -> Progress:
        said = time.monotonic()

        def tell(table: str, rows: int) -> None:
            nonlocal said
            if time.monotonic() - said > _SAID_EVERY_SECONDS:
                said = time.monotonic()
                self.stdout.write(f"{table} … {rows:,} rows")

        return tell
