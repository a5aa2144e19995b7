"""`manage.py import FILE`: an export's rows, or an orchestrator's agent history, into the store."""

import sys
from argparse import BooleanOptionalAction
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management.base import CommandError, CommandParser

from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.import_export import Report, agent_history, import_lines
from statestore.import_export.compression import unpacked_lines
from statestore.management.commands.export import ENCODINGS
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import agreed, in_words, one_line

TOLD_LINES = 20


class Command(StoreCommand):
    help = "Put an export's rows into the store that STORE_URL names, each over one of the same key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "path", help="the file that `export` wrote, or a database with an agent history; - for standard input"
        )
        parser.add_argument("--dry-run", action=BooleanOptionalAction, default=False, help="only tell what it would do")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, path: str, dry_run: bool, yes: bool, **options: object) -> None:
        if not dry_run and not yes and path != "-" and not agreed("Rows of the same keys will be overwritten. Go on?"):
            return
        try:
            with _lines_of(path) as lines:
                report = import_lines(lines, using=store_alias(), by=Actor("command"), dry_run=dry_run)
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error
        self._show(report)

    def _show(self, report: Report) -> None:
        would = "would be " if report.dry_run else ""
        for table in report.inserted:
            new, old = report.inserted[table], report.updated[table]
            self.stdout.write(f"  {table:<20}{new:>10,} {would}inserted {old:>10,} {would}overwritten")
        if report.skipped_audit:
            self.stdout.write(f"  {report.skipped_audit:,} audit entries were left out: they are not ours.")
        if report.normalised:
            self.stdout.write(
                f"  {report.normalised:,} times that were text are numbers now; an export gives them back as text."
            )
        for refused in report.refused[:TOLD_LINES]:
            self.stdout.write(f"  line {refused.line}: {one_line(refused.reason)}")
        if report.refused_count > TOLD_LINES:
            self.stdout.write(f"  … {report.refused_count:,} lines were left out in all.")
        if report.problem or report.refused_count:
            raise CommandError(report.problem or "Some lines were left out; all others are as the report says.")


@contextmanager
def _lines_of(path: str) -> Iterator[Iterator[bytes]]:
    """Yield the lines of an export, or those that are made of an agent history."""
    if path == "-":
        yield unpacked_lines(sys.stdin.buffer.read, "")
    elif agent_history.is_in(Path(path)):
        yield agent_history.lines(Path(path))
    else:
        with Path(path).open("rb") as file:
            yield unpacked_lines(file.read, ENCODINGS.get(Path(path).suffix, ""))
