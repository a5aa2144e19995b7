"""Django's `migrate`, which takes a store of STORES by its name."""

from collections.abc import Mapping

from django.core.management.commands import migrate

from statestore.db.routers import chosen_name, store_alias
from statestore.management.store_command import StoreCommand


class Command(StoreCommand, migrate.Command):
    def needs_store(self, options: Mapping[str, object]) -> bool:
        """Return no: without a store, our own database is migrated, or the one that `--database` names."""
        return False

    def handle(self, *args: object, **options: object) -> None:
        """Migrate."""
        if chosen_name():
            options["database"] = store_alias()
        super().handle(*args, **options)
