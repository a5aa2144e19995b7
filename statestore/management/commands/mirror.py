"""Mirror what is new in the sources."""

import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from statestore import children
from statestore.db.routers import store_alias
from statestore.management.terminal import one_line
from statestore.models.sources import Source
from statestore.sources import following, mirror


class Command(BaseCommand):
    help = "Mirror what is new in the opened stores of other frameworks; a server does so by itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--follow", action="store_true", help="go on until standard input ends")

    def handle(self, *args: object, **options: object) -> None:
        using = store_alias()
        if options["follow"]:
            following.follow(children.stopped_when_closed(sys.stdin.buffer), using)
            return
        for source in Source.objects.using(using).by_name():
            done = mirror.sync(source, using=using)
            self.stdout.write(
                one_line(
                    f"{source}: {done.threads:,} threads, {done.steps:,} steps, {done.events:,} events."
                    f" {source.problem}".strip()
                )
            )
