"""`manage.py housekeeping`: expired snapshots, policies, backups, the chain of the audit log."""

import signal
import sys
import threading
from argparse import SUPPRESS

from django.core.management.base import CommandError, CommandParser

from statestore import children, models, retention
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import in_words, one_line
from statestore.models import HousekeepingRun, RetentionPolicy
from statestore.operations import housekeeping


class Command(StoreCommand):
    help = (
        "Do what the store needs from time to time: delete what has expired and what policies let go, take backups,"
        " verify the audit log. `serve` runs this by itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due now, and exit")
        parser.add_argument("--dry-run", action="store_true", help="say what policies would delete; nothing is done")
        parser.add_argument("--confirm-clock", action="store_true", help="the clock is right, however far it jumped")
        parser.add_argument("--follow", action="store_true", help=SUPPRESS)

    def handle(self, *, once: bool, dry_run: bool, confirm_clock: bool, follow: bool, **options: object) -> None:
        if follow:
            housekeeping.follow_all(_until_closed())
            return
        using = store_alias()
        try:
            if confirm_clock:
                with translated_errors():
                    retention.confirm_clock(using, by="the command line", now=models.now())
            if dry_run:
                self._simulate(using)
            elif once:
                self._tell(housekeeping.run_once(using))
            else:
                housekeeping.follow(_until_signalled(), using)
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error

    def _simulate(self, using: str) -> None:
        expired = models.Snapshot.objects.using(using).expiring_between(0, models.now()).count()
        self.stdout.write(f"{expired:,} snapshots have expired.")
        for policy in RetentionPolicy.objects.using(using).in_order():
            found = retention.simulate(policy, using=using)
            state = "on" if policy.is_on else "off"
            self.stdout.write(
                one_line(f"{policy} ({state}): {found.rows:,} rows, {found.bytes:,} bytes, of {found.agents:,} agents.")
            )
            for loss in found.largest:
                left = "" if loss.restore_points_left is None else f", {loss.restore_points_left:,} snapshots stay"
                self.stdout.write(one_line(f"  {loss.agent_id}: {loss.rows:,} rows, {loss.bytes:,} bytes{left}"))

    def _tell(self, runs: list[HousekeepingRun]) -> None:
        for run in runs:
            about = f" ({run.about})" if run.about else ""
            self.stdout.write(
                one_line(f"{run.work}{about}: {run.rows:,} rows, {run.bytes:,} bytes. {run.problem}".strip())
            )
        if any(run.problem for run in runs):
            raise CommandError("Not all could be done; see above.")
        self.stdout.write(self.style.SUCCESS("The house is kept."))


def _until_closed() -> threading.Event:
    return children.stopped_when_closed(sys.stdin.buffer)


def _until_signalled() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
