"""`manage.py index`: bring the search index up to date and exit; `--rebuild` rebuilds it."""

import sys
import threading
import time
from argparse import ArgumentParser
from typing import Final

from django.core.management.base import CommandError

from statestore import search
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import one_line
from statestore.search.fts import daemon

TOLD_EVERY_SECONDS: Final = 1.0


class Command(StoreCommand):
    help = "Bring the search index up to date. The dashboard works meanwhile; interrupted, it goes on where it was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rebuild", action="store_true", help="throw the index away and build it again")
        parser.add_argument("--follow", action="store_true", help="go on until stdin is closed, as `serve` does")

    def handle(self, *, rebuild: bool, follow: bool, **options: object) -> None:
        if follow:
            daemon.follow_until_closed(sys.stdin.buffer)
            return
        self.told = 0.0
        try:
            was_ours = self._index(rebuild)
        except StateStoreError as error:
            raise CommandError(one_line(str(error))) from error
        if not was_ours:
            raise CommandError("Another process is indexing just now, most likely the dashboard's; stop it first.")
        self.stdout.write("The search index is up to date.")

    def _index(self, rebuild: bool) -> bool:
        if search.index_all(report=self._tell, rebuild=rebuild):
            return True
        if not rebuild:
            return False
        # The dashboard's own indexer has the lease: it rebuilds a deleted index.
        if daemon.rebuild_elsewhere(self._tell, threading.Event()):
            return True
        self.stdout.write("The dashboard has stopped; the index is built here.")
        return search.index_all(report=self._tell)

    def _tell(self, progress: search.Progress) -> None:
        if time.monotonic() - self.told < TOLD_EVERY_SECONDS:
            return
        self.told = time.monotonic()
        left = "" if progress.left_seconds is None else f", {progress.left_seconds:.0f} s left"
        share = progress.done / progress.total if progress.total else 1
        self.stdout.write(f"{progress.done:,} of {progress.total:,} events ({share:.0%}){left}")
