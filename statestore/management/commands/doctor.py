"""`manage.py doctor`: say what is unhealthy about the store and what to do."""

from django.core.management.base import CommandParser

from statestore.management.store_command import StoreCommand
from statestore.management.terminal import one_line
from statestore.operations.doctor import Finding, examine


class Command(StoreCommand):
    help = "Examine the store that STORE_URL names. Exit code 1 when something is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quick", action="store_true", help="only what takes milliseconds")

    def handle(self, *, quick: bool, **options: object) -> None:
        findings = examine(thorough=not quick)
        for finding in findings:
            self._show(finding)
        if any(finding.level == "error" for finding in findings):
            raise SystemExit(1)

    def _show(self, finding: Finding) -> None:
        style = {"ok": self.style.SUCCESS, "warn": self.style.WARNING, "error": self.style.ERROR}[finding.level]
        self.stdout.write(f"{style(f'{finding.level:<6}')}{one_line(finding.title)}")
        self.stdout.write(f"      {one_line(finding.meaning)}")
        if finding.remedy:
            self.stdout.write(f"      {one_line(finding.remedy)}")
