"""`manage.py open FILE…`: look at the stores of other agent frameworks, mirror them, and serve the dashboard."""

import json
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Final

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.management import embedded_store
from statestore.management.commands.serve import port_number
from statestore.management.terminal import one_line
from statestore.models.sources import Source
from statestore.sources import adding, locations, mirror, number_of, servers

# What was not read by then is read while the dashboard serves, the newest threads first.
FIRST_READ_SECONDS: Final = 1.0


class Command(BaseCommand):
    help = (
        "Open stores of other agent frameworks: name what they are, mirror them into a store of our own, and serve."
        " The files are only read, and stay as they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "paths",
            nargs="+",
            metavar="FILE",
            help="a framework's file, a folder of JSON files, or the URL of a database: postgresql://…",
        )
        parser.add_argument("--name", default="", help="the namespace of its agents (default: the file's name)")
        parser.add_argument("--no-serve", action="store_true", help="mirror the files to their ends, and exit")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--port", type=port_number, default=8000)

    def handle(self, *, paths: list[str], name: str, no_serve: bool, host: str, port: int, **options: object) -> None:
        if name and len(paths) > 1:
            raise CommandError("--name is for one file. Open several without it, or one after the other.")
        embedded_store.prepare()
        try:
            with servers.kept_connections():
                sources = [adding.add_source(path, name=name, using=store_alias()) for path in paths]
                self._mirror(sources, FIRST_READ_SECONDS if not no_serve else None)
        except StateStoreError as error:
            raise CommandError(one_line(str(error))) from error
        if no_serve:
            return
        if login := embedded_store.login():
            self.stdout.write(login)
        self.stdout.flush()
        call_command("serve", host=host, port=port, stdout=self.stdout, stderr=self.stderr)

    def _mirror(self, sources: list[Source], seconds: float | None) -> None:
        go_on = _for(seconds)
        for source in sources:
            done = mirror.sync(source, using=store_alias(), go_on=go_on)
            if source.problem:
                raise CommandError(one_line(source.problem))
            location = locations.of(source.path)
            words = [source.formats, location.database]
            words += [number_of(number, what) for what, number in json.loads(source.counts).items()]
            words += ["being written"] if location.is_being_written() else []
            rest = "" if done.is_complete else " The rest is read while the dashboard serves."
            self.stdout.write(one_line(f"{source.path}: {', '.join(words)}. Namespace: {source}.{rest}"))


def _for(seconds: float | None) -> Callable[[], bool]:
    """Return what says whether some seconds have not passed since it was asked first; without any, it says so always.

    To list the threads of a large source takes time of its own.
    """
    began: list[float] = []

    def go_on() -> bool:
        began.append(time.monotonic())
        return seconds is None or began[-1] - began[0] < seconds

    return go_on
