"""Switch the capture of changes on and off, and say what it costs."""

from argparse import ArgumentParser

from django.core.management.base import CommandError

from statestore.access import audit
from statestore.agents import capture
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand

DAY_SECONDS = 24 * 3600


class Command(StoreCommand):
    help = (
        "Keep each change of an agent's state by triggers in the store, for orchestrators that record no transitions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["status", "measure", "on", "off", "prune"], nargs="?", default="status")
        parser.add_argument("--days", type=int, help="with prune: delete what is older")

    def handle(self, *, what: str, days: int | None, **options: object) -> None:
        try:
            self._do(what, days)
        except StateStoreError as error:
            raise CommandError(str(error)) from None

    def _do(self, what: str, days: int | None) -> None:
        match what:
            case "on":
                self._measure()
                capture.switch_on(by=audit.SYSTEM)
            case "off":
                capture.switch_off(by=audit.SYSTEM)
            case "measure":
                self._measure()
                return
            case "prune":
                gone = capture.prune(older_than_seconds=None if days is None else days * DAY_SECONDS)
                self.stdout.write(f"{gone} changes deleted.")
        status = capture.status()
        skipped = f", of {status.skipped} only the time" if status.skipped else ""
        self.stdout.write(f"Capture is {'on' if status.is_on else 'off'}; {status.kept} changes kept{skipped}.")

    def _measure(self) -> None:
        self.stdout.write("A save takes, in ms, without and with capture:")
        for cost in capture.measure():
            note = "" if cost.is_kept else "  (too long to be kept: only the time is)"
            self.stdout.write(f"{cost.size_bytes:>12,} bytes {cost.without_ms:8.1f} {cost.with_ms:8.1f}{note}")
