"""`manage.py archive --before AGE`: move old transitions and snapshots into compressed frames, or put them back."""

import re
from argparse import ArgumentTypeError
from typing import Final

from django.core.management.base import CommandError, CommandParser

from statestore import archive, models
from statestore.access import audit
from statestore.archive import limits
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import agreed, in_words, one_line

_AGE: Final = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def age(text: str) -> int:
    """Return the seconds of an age such as 30d or 12h. Raises ArgumentTypeError."""
    match = _AGE.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(f"{text} is not an age. Write a number and a unit: 30d, 12h, 90m")
    return int(match[1]) * _SECONDS[match[2]]


class Command(StoreCommand):
    help = (
        "Move transitions and snapshots older than an age into compressed frames. All pages, calls and restores read"
        " them as before; the orchestrator's own history no longer has them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--before", type=age, metavar="AGE", help="what is older is archived: 30d, 12h")
        what.add_argument("--undo", action="store_true", help="put all archived records back where they were")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, before: int | None, undo: bool, yes: bool, **options: object) -> None:
        using = store_alias()
        try:
            with translated_errors():
                if undo:
                    self._put_back(using, yes=yes)
                elif before is not None:
                    self._archive(using, models.now() - before, yes=yes)
        except StateStoreError as error:
            raise CommandError(in_words(error)) from error

    def _archive(self, using: str, before: int, *, yes: bool) -> None:
        found = sorted(archive.archivable(using, before), key=lambda agent: -agent.bytes)
        records, size = sum(agent.records for agent in found), sum(agent.bytes for agent in found)
        for agent in found[: limits.NAMED_AGENTS]:
            self.stdout.write(one_line(f"{agent.agent_id}: {agent.records:,} records, {agent.bytes:,} bytes of states"))
        self.stdout.write(f"{records:,} records of {len(found):,} agents, {size:,} bytes of states, can be archived.")
        if not records:
            return
        if not yes:
            agreed("Archive them?")
        total = archive.Archived()
        for _, moved in archive.archive_before(using, before, by=audit.SYSTEM):
            total += moved
        ratio = total.bytes / total.packed_bytes if total.packed_bytes else 0
        self.stdout.write(
            self.style.SUCCESS(
                f"{total.records:,} records were archived: {total.bytes:,} bytes became {total.packed_bytes:,},"
                f" {ratio:.0f} times smaller."
            )
        )

    def _put_back(self, using: str, *, yes: bool) -> None:
        records, size = archive.archived_bytes(using)
        self.stdout.write(f"{records:,} records are archived; their frames hold {size:,} bytes of states.")
        if records and not yes:
            agreed("Put them back?")
        self.stdout.write(self.style.SUCCESS(f"{archive.put_back(using, by=audit.SYSTEM):,} records were put back."))
