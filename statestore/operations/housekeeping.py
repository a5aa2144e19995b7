"""Housekeeping: what a store needs from time to time, done by one process at a time.

Each piece of work is bounded or goes on where it stopped, tells in `dash_run` what it did, and lets the next one begin
also after a failure.
"""

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connections

from statestore import archive, backups, children, growth, models, partitions, retention
from statestore.access import audit, audit_chain, captured_seals
from statestore.adoption.status import store_status
from statestore.agents import retention as agent_retention
from statestore.db import served, transactions, vendor
from statestore.db.errors import translated_errors
from statestore.db.routers import backup_directory, chosen, store_alias, store_aliases
from statestore.errors import Conflict, StateStoreError
from statestore.models import HousekeepingRun, RetentionPolicy
from statestore.models.audit import Action
from statestore.models.snapshots import SnapshotQuerySet

log = logging.getLogger(__name__)
_one_at_a_time: Final = threading.Lock()

_TICK_SECONDS: Final = 15.0
# A server that has just started has other things to do.
_FIRST_PAUSE_SECONDS: Final = 20.0
_HOUR: Final = 3600
# A request waits no longer for a verification; the command and housekeeping walk the whole chain.
VERIFY_SECONDS: Final = 20.0
_KEPT_RUNS: Final = 10_000
# Any two numbers that no other advisory lock has.
_LOCK: Final = (1_684_104_037, 2)

GoesOn = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a piece of work did; `about` names the policy or the backup."""

    rows: int = 0
    bytes: int = 0
    about: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of housekeeping: how often it is looked at, and the function that does it for a store.

    What deletes by age waits while the clock is in doubt.
    """

    name: str
    every_seconds: int
    do: Callable[[str, GoesOn], Iterator[Outcome]]
    deletes_by_age: bool = False


def delete_expired(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Delete expired snapshots, if that is wanted for this store."""
    if settings.DELETE_EXPIRED:
        yield Outcome(agent_retention.delete_expired_snapshots(using, _expired(using), by=audit.SYSTEM))


def carry_out_policies(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Delete what the policies that are on let go."""
    now = models.now()
    for policy in list(RetentionPolicy.objects.using(using).switched_on().in_order()):
        gone = retention.carry_out(policy, using, by=audit.SYSTEM, now=now, go_on=go_on)
        yield Outcome(gone.rows, gone.bytes, str(policy))


def make_partitions(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Make the partitions of the coming months, of a store that has some."""
    yield Outcome(rows=partitions.make_coming(using, models.now()))


def archive_old(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Archive what is older than ARCHIVE_AFTER_HOURS, agents that have enough of it."""
    if not settings.ARCHIVE_AFTER_HOURS:
        return
    before = models.now() - settings.ARCHIVE_AFTER_HOURS * _HOUR
    total = archive.Archived()
    for _, moved in archive.archive_before(using, before, by=audit.SYSTEM, least=archive.LEAST_RECORDS, go_on=go_on):
        total += moved
    yield Outcome(total.records, total.bytes - total.packed_bytes)


def sample_growth(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Sample how many rows and bytes there are; what this run does not reach, the next one does."""
    growth.sample(using, models.now(), go_on)
    yield from ()


def take_backup(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Take a backup if the newest one is too old, and delete those that no day, week or month keeps."""
    if not settings.BACKUP_EVERY_HOURS:
        return
    every = backups.newest_first(backup_directory())
    good = [backup for backup in every if (check := backup.verified) is not None and check.is_good]
    due = datetime.now(UTC) - timedelta(hours=settings.BACKUP_EVERY_HOURS)
    if good and good[0].made_at > due:
        return
    made = backups.take(backup_directory())
    rotation = backups.Rotation(settings.BACKUP_KEEP_DAYS, settings.BACKUP_KEEP_WEEKS, settings.BACKUP_KEEP_MONTHS)
    is_doubtful = bool(retention.clock_doubt(using, now=models.now()))
    for old in [] if is_doubtful else backups.superfluous(backups.newest_first(backup_directory()), rotation):
        backups.remove(old)
    yield Outcome(bytes=made.bytes, about=made.name)
    if settings.BACKUP_COPY_TO:
        yield Outcome(about=backups.copy_to(made, settings.BACKUP_COPY_TO))


def drill_backup(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Restore the newest backup into a scratch file, if that was not done for it and the last time is a week ago."""
    every = backups.newest_first(backup_directory()) if settings.BACKUP_EVERY_HOURS else []
    week_ago = datetime.now(UTC) - timedelta(days=7)
    if not every or any(backup.drilled is not None and backup.made_at > week_ago for backup in every):
        return
    problems = backups.drill(every[0])
    yield Outcome(about=every[0].name, problem=" ".join(problems))


def seal_captured(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Seal the captured changes that no entry of the audit log seals yet."""
    ranges = captured_seals.unsealed(using, now=models.now())
    if not ranges:
        return
    with transactions.writing(using):
        audit.record(
            Action.SEAL, captured_seals.NOUN, by=audit.SYSTEM, row_id="", using=using, detail={"ranges": ranges}
        )
    yield Outcome(sum(rows for rows, _ in ranges.values()))


def note_head(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Note the newest entry of the audit log in our own database."""
    head = audit_chain.head_of(using)
    if head is not None:
        audit_chain.note_head(using, *head)
    yield from ()


def verify_chain(using: str, go_on: GoesOn) -> Iterator[Outcome]:
    """Walk the chain of the audit log."""
    found = audit_chain.verify(using, go_on=go_on)
    if found.is_complete or not found.is_good:
        yield _verified(found)


def _verified(found: audit_chain.Verification) -> Outcome:
    faults = [fault.text for fault in found.faults or []]
    more = f" And {len(faults) - 3} more." if len(faults) > 3 else ""
    return Outcome(found.entries, problem=" ".join(faults[:3]) + more)


CHAIN: Final = Work("chain of the audit log", 24 * _HOUR, verify_chain)
WORKS: Final = (
    Work("expired snapshots", 60, delete_expired, deletes_by_age=True),
    Work("policies", _HOUR, carry_out_policies, deletes_by_age=True),
    Work("partitions", _HOUR, make_partitions),
    Work("archive", _HOUR, archive_old, deletes_by_age=True),
    Work("growth", _HOUR, sample_growth),
    Work("backup", 600, take_backup),
    Work("drill", _HOUR, drill_backup),
    Work("seals of captured changes", _HOUR, seal_captured),
    Work("head of the audit log", 600, note_head),
    CHAIN,
)


def run_once(using: str | None = None, *, go_on: GoesOn = lambda: True) -> list[HousekeepingRun]:
    """Do each piece of work that is due, and return what was noted. Raises Conflict while another process does it."""
    using = using or store_alias()
    with _lease(using) as is_ours:
        if not is_ours:
            raise Conflict("Another process keeps house just now, most likely the dashboard's. Nothing was done.")
        runs = [run for work in WORKS if go_on() for run in do(work, using, go_on)]
        with translated_errors():
            retention.note_clock(using, now=models.now())
        return runs


def do(work: Work, using: str, go_on: GoesOn) -> list[HousekeepingRun]:
    """Do one piece of work and return what was noted; what went wrong is noted and logged, and raises nothing."""
    began, noted = models.now(), []
    for outcome in _outcomes(work, using, go_on):
        if (run := _note(work, outcome, using, began)) is not None:
            noted.append(run)
            if outcome.problem:
                log.warning("Housekeeping, %s: %s", work.name, outcome.problem)
    return noted


def verify_now(using: str) -> audit_chain.Verification:
    """Walk the chain of the audit log because a person asks, and note what was found as housekeeping does.

    A walk that takes longer than VERIFY_SECONDS is stopped; unless it found a fault by then, it is not noted.
    """
    began, ends = models.now(), time.monotonic() + VERIFY_SECONDS
    with translated_errors():
        found = audit_chain.verify(using, go_on=lambda: time.monotonic() < ends)
        if found.is_complete or not found.is_good:
            _note(CHAIN, _verified(found), using, began)
    return found


def _outcomes(work: Work, using: str, go_on: GoesOn) -> Iterator[Outcome]:
    try:
        with translated_errors():
            doubt = retention.clock_doubt(using, now=models.now()) if work.deletes_by_age else ""
            if not doubt:
                yield from work.do(using, go_on)
            elif _deletes_something(using):
                yield Outcome(problem=doubt)
    except StateStoreError as error:
        yield Outcome(problem=str(error))


def _deletes_something(using: str) -> bool:
    """Return whether there is anything that work would delete by its age, if the clock is right."""
    is_any_on = RetentionPolicy.objects.using(using).switched_on().exists()
    return is_any_on or (settings.DELETE_EXPIRED and _expired(using).exists())


def _expired(using: str) -> SnapshotQuerySet:
    return models.Snapshot.objects.using(using).expiring_between(0, models.now())


def _note(work: Work, outcome: Outcome, using: str, began: int) -> HousekeepingRun | None:
    """Note what was done; work that did nothing leaves no note, and a problem that goes on is noted once an hour."""
    if not (outcome.rows or outcome.bytes or outcome.problem or outcome.about):
        return None
    runs = HousekeepingRun.objects.using(using)
    last = runs.of(work.name).newest_first().first()
    is_same = last is not None and last.problem == outcome.problem and bool(outcome.problem)
    if is_same and last is not None and began - last.ended_at < _HOUR:
        return None
    return _write(
        HousekeepingRun(
            work=work.name, about=outcome.about, started_at=began, ended_at=models.now(), rows=outcome.rows,
            bytes=outcome.bytes, problem=outcome.problem,
        ),
        using,
    )  # fmt: skip


def _write(run: HousekeepingRun, using: str) -> HousekeepingRun | None:
    try:
        with translated_errors():
            run.save(using=using, force_insert=True)
            HousekeepingRun.objects.using(using).filter(pk__lte=run.pk - _KEPT_RUNS).delete()
    except StateStoreError as error:
        log.warning("Housekeeping cannot note what it did: %s", error)
        return None
    return run


def follow(stop: threading.Event, using: str | None = None) -> None:
    """Keep house until told to stop: look at each piece of work as often as it wants."""
    using = using or store_alias()
    looked: dict[str, float] = {}
    with _lease(using) as is_ours:
        pause = _FIRST_PAUSE_SECONDS
        while is_ours and not stop.wait(pause):
            pause = _TICK_SECONDS
            if not store_status(using).is_ready:
                continue
            for work in WORKS:
                now = time.monotonic()
                if not stop.is_set() and now - looked.get(work.name, -work.every_seconds) >= work.every_seconds:
                    looked[work.name] = now
                    with _one_at_a_time:
                        do(work, using, lambda: not stop.is_set())
            _note_clock(using)


def _note_clock(using: str) -> None:
    try:
        with translated_errors():
            retention.note_clock(using, now=models.now())
    except StateStoreError as error:
        log.info("Housekeeping cannot note the time: %s", error)


@contextmanager
def _lease(using: str) -> Iterator[bool]:
    """Yield whether this process keeps house; the system ends the lease of one that dies.

    A file holds off others on this machine; on PostgreSQL an advisory lock those on other machines, unless a pooler
    would leave it to another client.
    """
    with _machine_lease(using) as is_free:
        connection = connections[using]
        if not is_free or vendor.is_sqlite(connection) or not vendor.keeps_sessions(connection):
            yield is_free
            return
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", _LOCK)
            (is_ours,) = cursor.fetchone()
            yield is_ours
            if is_ours:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", _LOCK)


@contextmanager
def _machine_lease(using: str) -> Iterator[bool]:
    name = "store" if settings.STORE_IS_EMBEDDED else audit_chain.store_name(using)
    path = settings.VAR_DIR / f"housekeeping-{models.sha256(name)[:8]}.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def watch() -> None:
    """Keep a housekeeping process running, if `serve` started this process."""
    children.watch("housekeeping", ["housekeeping", "--follow"], _is_lease_free)


def follow_all(stop: threading.Event) -> None:
    """Keep house in each store until told to stop; one piece of work at a time, however many stores there are."""

    def follow_in(alias: str, ends: threading.Event) -> None:
        with chosen(alias):
            follow(ends, alias)

    children.in_threads(_present_aliases, follow_in, stop)


def _present_aliases() -> list[str]:
    served.refresh()
    return store_aliases()


def _is_lease_free() -> bool:
    return any(_is_free(alias) for alias in _present_aliases())


def _is_free(alias: str) -> bool:
    try:
        with _machine_lease(alias) as is_free:
            return is_free
    except OSError as error:
        log.info("Housekeeping cannot start: %s", error)
        return False
