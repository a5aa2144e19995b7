"""Commands that work on one store; where several are served, `--store` names it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.core.management.base import BaseCommand, CommandError, CommandParser

from statestore.db import served
from statestore.db.routers import chosen, is_chosen
from statestore.management.terminal import one_line


class StoreCommand(BaseCommand):
    """A command on the store that STORE_URL names, or on that one of several which `--store` names.

    It starts without Django's checks, which load every page and take longer than most commands; `serve` makes those
    that are about variables.
    """

    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: object) -> CommandParser:
        """Return the command's parser, with the option."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--store", metavar="NAME", help="which store, where several are served")
        return parser

    def execute(self, *args: object, **options: object) -> str | None:
        """Run the command in the store that was named."""
        served.refresh()
        with _named(options.pop("store", None), needs_one=self.needs_store(options)):
            return super().execute(*args, **options)

    def needs_store(self, options: Mapping[str, object]) -> bool:
        """Return whether one of several stores must be named; the processes of `serve` work on all."""
        return not options.get("follow")


@contextmanager
def _named(name: object, *, needs_one: bool) -> Iterator[None]:
    if name is None:
        if needs_one and not is_chosen():
            raise CommandError(f"There are several stores. Name one: --store {' | '.join(served.aliases())}")
        yield
        return
    if not served.are_several():
        raise CommandError(
            "There is one store, which STORE_URL names. --store is for several, which STORES and STORE_DIRS name."
        )
    names = served.aliases()
    if not isinstance(name, str) or name not in names:
        raise CommandError(one_line(f"There is no store “{name}”. There are: {', '.join(names)}."))
    with chosen(names[name]):
        yield
