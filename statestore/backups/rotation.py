"""Which backups are kept: all of the last day, and the newest one of each of the last days, weeks and months."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from statestore.backups.directory import Backup

# Those that a person took before a risky change are there the day after.
_RECENT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rotation:
    """How many days, weeks and months keep a backup each."""

    daily: int
    weekly: int
    monthly: int


def superfluous(backups: Sequence[Backup], rotation: Rotation) -> list[Backup]:
    """Return the backups that no day, week or month keeps; `backups` are newest first.

    The newest one is always kept, and so are those of the last 24 hours. One that was not verified, or was found
    damaged, takes no other one's place, and is left to people.
    """
    good = [backup for backup in backups if (check := backup.verified) is not None and check.is_good]
    recent = datetime.now(UTC) - _RECENT
    kept = {backup.name for number, backup in enumerate(good) if number == 0 or backup.made_at > recent}
    kept |= _newest_of_each(good, lambda at: at.date(), rotation.daily)
    kept |= _newest_of_each(good, lambda at: at.isocalendar()[:2], rotation.weekly)
    kept |= _newest_of_each(good, lambda at: (at.year, at.month), rotation.monthly)
    return [backup for backup in good if backup.name not in kept]


def _newest_of_each(good: Iterable[Backup], period: Callable[[datetime], object], count: int) -> set[str]:
    newest: dict[object, str] = {}
    for backup in good:
        newest.setdefault(period(backup.made_at), backup.name)
    return set(list(newest.values())[:count])


def remove(backup: Backup) -> None:
    """Delete a backup; killed in the middle, it is no backup any more."""
    # The manifest goes first: without it, nothing takes the rest for a backup.
    (backup.path / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(backup.path, ignore_errors=True)
