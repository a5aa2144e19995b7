"""A clock that jumped: nothing goes by age until a person has confirmed it."""

from datetime import UTC, datetime
from typing import Final

from descartes_site.locations import COMMAND
from statestore import models
from statestore.models import HousekeepingRun
from statestore.models.rows import LAST_SECOND
from statestore.retention import limits

# The work under which the clock's last known time is noted.
_WORK: Final = "clock"
_NOTED_SECONDS: Final = 3_600


def doubt(using: str, *, now: int) -> str:
    """Return in a sentence why the clock cannot be trusted, or nothing.

    It is compared with the time that housekeeping noted last; before the first time, with the newest record.
    """
    noted = HousekeepingRun.objects.using(using).of(_WORK).newest_first().values_list("ended_at", flat=True).first()
    last, what = (
        (noted, "housekeeping last looked")
        if noted is not None
        else (_newest_record(using), "the newest record was made")
    )
    if last is None:
        return ""
    ahead = now - int(last)
    if -limits.CLOCK_BACK_SECONDS <= ahead <= limits.CLOCK_SECONDS:
        return ""
    when = datetime.fromtimestamp(min(max(int(last), 0), LAST_SECOND), UTC)
    direction = "after" if ahead > 0 else "before"
    return (
        f"The clock stands {abs(ahead) // 86_400:,} days {direction} {when:%Y-%m-%d}, when {what}. Nothing is deleted"
        f" until you confirm that it is right: {COMMAND} housekeeping --once --confirm-clock"
    )


def _newest_record(using: str) -> int | None:
    agents = models.AgentState.objects.using(using).order_by("-updated_at").values_list("updated_at", flat=True)
    transitions = models.Transition.objects.using(using).live().newest_first().values_list("timestamp", flat=True)
    times = [int(at) for at in (agents.first(), transitions.first()) if at is not None]
    return max(times, default=None)


def note(using: str, *, now: int) -> None:
    """Note the time once an hour, unless it is in doubt."""
    rows = HousekeepingRun.objects.using(using).of(_WORK)
    last = rows.newest_first().first()
    if doubt(using, now=now):
        return
    if last is None:
        confirm(using, by="", now=now)
    elif now - last.ended_at >= _NOTED_SECONDS:
        rows.filter(pk=last.pk).update(ended_at=now)


def confirm(using: str, *, by: str, now: int) -> None:
    """Note that a person has confirmed the clock."""
    HousekeepingRun.objects.using(using).create(work=_WORK, about=by, started_at=now, ended_at=now)
