"""Load the demo fleet into the embedded store."""

from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from statestore import demo, models
from statestore.management import embedded_store


class Command(BaseCommand):
    help = "Make the embedded store with a small fleet and a story in it, and a login; never touches a store of yours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--if-new", action="store_true", help="do nothing where there is a store already")

    def handle(self, *args: object, **options: object) -> None:
        if not settings.STORE_IS_EMBEDDED:
            if options["if_new"]:
                return
            raise CommandError("STORE_URL names a store of your own: demo data goes only into the embedded one.")
        path = embedded_store.store_path()
        if path.exists() and not options["if_new"]:
            raise CommandError(
                f"There is a store already. Move {path.name} out of {path.parent.name}/ to get a new demo."
            )
        if embedded_store.prepare():
            counts = demo.load(models.now())
            self.stdout.write("Demo data: " + ", ".join(f"{count:,} {table}" for table, count in counts.items()))
        if login := embedded_store.login():
            self.stdout.write(login)
