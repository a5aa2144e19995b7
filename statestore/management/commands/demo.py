"""Load the demo fleet into the embedded store."""

import secrets
from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from statestore import demo, models
from statestore.db.routers import store_alias

USERNAME = "demo"


class Command(BaseCommand):
    help = "Make the embedded store with a small fleet and a story in it, and a login; never touches a store of yours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--if-new", action="store_true", help="do nothing where there is a store already")

    def handle(self, *args: object, **options: object) -> None:
        if not settings.STORE_IS_EMBEDDED:
            if options["if_new"]:
                return
            raise CommandError("STORE_URL names a store of your own: demo data goes only into the embedded one.")
        settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(connections[store_alias()].settings_dict["NAME"])
        is_new = not path.exists()
        if not is_new and not options["if_new"]:
            raise CommandError(
                f"There is a store already. Move {path.name} out of {path.parent.name}/ to get a new demo."
            )
        for alias in dict.fromkeys(("default", store_alias())):
            call_command("migrate", database=alias, verbosity=0)
        if is_new:
            self._use_wal()
            counts = demo.load(models.now())
            self.stdout.write("Demo data: " + ", ".join(f"{count:,} {table}" for table, count in counts.items()))
        self._show_login()

    def _use_wal(self) -> None:
        """Let readers and the writer of the embedded store not wait for each other; the file is ours alone."""
        with connections[store_alias()].cursor() as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")

    def _show_login(self) -> None:
        """Print the demo's login, made on the first run and kept in var/ for the next."""
        kept = settings.VAR_DIR / "demo_login"
        if not kept.exists():
            if get_user_model().objects.exists():
                return
            kept.touch(mode=0o600)
            kept.write_text(secrets.token_urlsafe(9))
        password = kept.read_text().strip()
        if not get_user_model().objects.filter(username=USERNAME).exists():
            get_user_model().objects.create_superuser(USERNAME, "demo@example.org", password)
        self.stdout.write(f"Sign in as {USERNAME} with the password {password}")
