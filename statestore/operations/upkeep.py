"""How well a store is kept: its backups, its archive, the chain of its audit log. Everything here only reads."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings

from statestore import archive, backups, models
from statestore.backups import Backup, Check, Manifest
from statestore.db.routers import backup_directory
from statestore.errors import DatabaseError
from statestore.models import Hold, HousekeepingRun, RetentionPolicy
from statestore.operations import housekeeping

# Backups that lists show; rotation keeps fewer.
MOST_BACKUPS: Final = 100
# Looked through for a good one.
_MOST_EXAMINED: Final = 1_000
# There may be one for each table and namespace.
MOST_POLICIES: Final = 200
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class ListedBackup:
    """A backup as lists show it. `fault` says why its manifest cannot be read."""

    name: str
    made_at: int
    bytes: int
    manifest: Manifest | None
    fault: str
    verified: Check | None
    drilled: Check | None

    @property
    def is_good(self) -> bool:
        """Whether it was opened and compared, and nothing was wrong."""
        return not self.fault and self.verified is not None and self.verified.is_good


def list_backups(most: int = MOST_BACKUPS) -> list[ListedBackup]:
    """Return the newest backups. Raises DatabaseError if their directory cannot be read."""
    found = []
    for backup in backups.newest_first(backup_directory())[:most]:
        try:
            told = backups.described(backup)
        except OSError:
            continue  # Housekeeping has just deleted it.
        del told["backup"]
        found.append(ListedBackup(**{**told, "name": backup.name, "made_at": int(backup.made_at.timestamp())}))
    return found


def newest_good_backup() -> Backup | None:
    """Return the newest backup that was verified and found good. Raises DatabaseError."""
    for backup in backups.newest_first(backup_directory())[:_MOST_EXAMINED]:
        if (check := backup.verified) is not None and check.is_good:
            return backup
    return None


def backup_problem(*, now: int) -> str:
    """Return in a sentence what is wrong with the backups as a whole, or nothing."""
    try:
        newest = newest_good_backup()
    except DatabaseError as error:
        return str(error)
    if newest is None:
        return f"There is no verified backup in {backup_directory()}."
    age = now - int(newest.made_at.timestamp())
    hours = settings.BACKUP_EVERY_HOURS
    if hours and age > 2 * hours * _HOUR:
        return f"The newest verified backup is {_in_words(age)} old, but one is due every {hours:,} hours."
    return ""


def _in_words(seconds: int) -> str:
    hours = seconds // _HOUR
    return f"{hours // 24:,} days" if hours >= 48 else f"{hours} hours"


@dataclass(frozen=True, slots=True)
class ArchiveSize:
    """How many records are archived, the bytes of their states, and those of the frames that these lie in."""

    records: int
    state_bytes: int
    frame_bytes: int

    @property
    def ratio(self) -> float:
        """How many times smaller the states are."""
        return self.state_bytes / self.frame_bytes if self.frame_bytes else 0.0


def archive_size(using: str) -> ArchiveSize:
    """Return what the archive holds."""
    size = models.ArchiveFrame.objects.using(using).bytes()
    return ArchiveSize(archive.archived_records(using), size.states, size.frames)


def newest_runs(using: str, most: int) -> list[HousekeepingRun]:
    """Return what housekeeping did lately, newest first."""
    return list(HousekeepingRun.objects.using(using).without_clock().newest_first()[:most])


def newest_holds(using: str, most: int) -> list[Hold]:
    """Return what was held last."""
    return list(Hold.objects.using(using).newest_first()[:most])


def list_policies(using: str) -> list[RetentionPolicy]:
    """Return the retention policies by table and namespace, up to as many as a page shows."""
    return list(RetentionPolicy.objects.using(using).in_order()[:MOST_POLICIES])


def last_verification(using: str) -> HousekeepingRun | None:
    """Return when the chain of the audit log was last walked, and what was found."""
    return HousekeepingRun.objects.using(using).of(housekeeping.CHAIN.name).newest_first().first()
