"""Django's `migrate`, which takes a store of STORES by its name."""

from django.core.management.commands import migrate

from statestore.db.routers import chosen_name, store_alias
from statestore.management.store_command import StoreCommand


class Command(StoreCommand, migrate.Command):
    def execute(self, *args: object, **options: object) -> str | None:
        """Run the command; without a store, on our own database or on the one that `--database` names."""
        if options.get("store") is None:
            options.pop("store", None)
            return migrate.Command.execute(self, *args, **options)
        return super().execute(*args, **options)

    def handle(self, *args: object, **options: object) -> None:
        """Migrate."""
        if chosen_name():
            options["database"] = store_alias()
        super().handle(*args, **options)
