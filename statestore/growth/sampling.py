"""Samples: a walk through the tables in slices, which goes on with the next run, and what files say of their size.

A slice reads the lengths of texts and not the texts; no slice is one transaction with another.
"""

# ruff: noqa: S608  (names of tables and columns that are put into SQL here are constants of ours)

import heapq
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Final

from django.db import connections

from statestore import models
from statestore.db import sizes, transactions, vendor
from statestore.db.fields import text_bytes
from statestore.db.routers import backup_directory, search_index
from statestore.growth import limits
from statestore.jsondiff import parsing, pointer
from statestore.models.growth import Sample

# Not a table: the bytes that the states in the archive's frames have when they are read.
ARCHIVED: Final = "archived states"
# Table, the column of its order, the column of its agent, the columns whose bytes count.
_TABLES: Final[tuple[tuple[str, str, str, tuple[str, ...]], ...]] = (
    ("agent_states", "rowid", "agent_id", ("state_data", "metadata")),
    ("state_transitions", "rowid", "agent_id", ("state_before", "state_after", "metadata")),
    ("state_snapshots", "rowid", "agent_id", ("state_data",)),
    ("dash_frame", "id", "agent_id", ("data",)),
    (ARCHIVED, "id", "", ()),
    ("dash_capture", "id", "agent_id", ("state_before", "state_after")),
    ("events", "rowid", "", ("content", "metadata")),
    ("tasks", "rowid", "", ("description", "metadata")),
    ("sessions", "rowid", "", ("metadata",)),
    ("dash_audit", "id", "", ("detail", "before", "after")),
)
OF_DELETED: Final = "(of deleted agents)"
WALKED: Final = ("table", "archive", "namespace", "agent", "path", "state", "repeat")

GoesOn = Callable[[], bool]
# Rows and bytes.
Sums = dict[str, list[int]]


@dataclass
class Walk:
    """How far a walk has come: the place of the table, the last row that was read, and what was counted so far."""

    at: int
    table: int = 0
    after: int = -(2**63)
    tables: Sums = field(default_factory=dict)
    namespaces: Sums = field(default_factory=dict)
    agents: Sums = field(default_factory=dict)


def sample(using: str, now: int, go_on: GoesOn = lambda: True, *, seconds: float = limits.RUN_SECONDS) -> bool:
    """Sample what is due, for at most so long; return whether the walk through the tables has come to its end."""
    samples = Sample.objects.using(using)
    if _is_due(samples.last_at("place"), now):
        _note(using, _places(using, now))
        thin(using, now)
    walk = _kept_walk(using)
    if walk is None and not _is_due(samples.last_at("table"), now):
        return True
    walk = walk or Walk(now)
    is_done = _go(walk, using, go_on, time.monotonic() + seconds)
    with transactions.writing(using):
        samples.of("walk").delete()
        if not is_done:
            Sample(at=walk.at, kind="walk", name=json.dumps(asdict(walk))).save(using=using)
    if is_done:
        _note(using, _walked(walk, using))
    return is_done


def _is_due(last: int | None, now: int) -> bool:
    return last is None or not 0 <= now - int(last) < limits.LEAST_AGE


def _kept_walk(using: str) -> Walk | None:
    row = Sample.objects.using(using).of("walk").first()
    try:
        return None if row is None else Walk(**json.loads(row.name))
    except (ValueError, TypeError):
        return None


def _note(using: str, rows: list[Sample]) -> None:
    with transactions.writing(using):
        Sample.objects.using(using).bulk_create(rows)


# The walk


def _go(walk: Walk, using: str, go_on: GoesOn, until: float) -> bool:
    """Read slices until the end of the last table, or until the time is over."""
    size = min(limits.LEAST_SLICE_ROWS, limits.SLICE_ROWS)
    while walk.table < len(_TABLES):
        if not go_on() or time.monotonic() > until:
            return False
        began = time.monotonic()
        is_over = _slice(walk, using, size)
        # A slice that took long is followed by a quarter of it; a quick one by a slightly larger one.
        is_slow = time.monotonic() - began > limits.SLICE_SECONDS
        size = max(limits.LEAST_SLICE_ROWS, size // 4) if is_slow else size + size // 4 + 1
        size = min(limits.SLICE_ROWS, size)
        if is_over:
            walk.table, walk.after = walk.table + 1, Walk.after
    return True


def _slice(walk: Walk, using: str, size: int) -> bool:
    """Count some rows of the present table, and return whether it has no more."""
    table, order, agent, columns = _TABLES[walk.table]
    length = " + ".join(f"COALESCE({vendor.length_sql(connections[using], column)}, 0)" for column in columns)
    source, length = ("dash_frame", "unpacked_bytes") if table == ARCHIVED else (table, length)
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"SELECT {order}, {agent or 'NULL'}, {length} FROM {source} WHERE {order} > %s ORDER BY {order} LIMIT %s",
            [walk.after, size],
        )
        rows: list[tuple[int, object, int]] = cursor.fetchall()
    _add(walk.tables, table, len(rows), sum(int(number) for _, _, number in rows))
    if agent:
        _count_agents(walk, using, [(str(name), int(number)) for _, name, number in rows])
    walk.after = rows[-1][0] if rows else walk.after
    return len(rows) < size


def _count_agents(walk: Walk, using: str, rows: list[tuple[str, int]]) -> None:
    keys = models.AgentState.objects.using(using).filter(agent_id__in={name for name, _ in rows}).order_by()
    namespaces = {name: _namespace(key, name) for name, key in keys.values_list("agent_id", "key")}
    for name, number in rows:
        _add(walk.agents, name, 1, number)
        _add(walk.namespaces, namespaces.get(name, OF_DELETED), 1, number)
    walk.agents = _bounded(walk.agents, limits.COUNTED_AGENTS)
    walk.namespaces = _bounded(walk.namespaces, limits.COUNTED_NAMESPACES)


def _namespace(key: str, agent_id: str) -> str:
    return key.removesuffix(f":{agent_id}") if key != agent_id else ""


def _add(sums: Sums, name: str, rows: int, number: int) -> None:
    total = sums.setdefault(name, [0, 0])
    total[0] += rows
    total[1] += number


def _bounded(sums: Sums, most: int) -> Sums:
    """Forget the smallest where there are twice as many as are counted."""
    return _largest(sums, most) if len(sums) > 2 * most else sums


def _largest(sums: Sums, most: int) -> Sums:
    return dict(heapq.nlargest(most, sums.items(), key=lambda pair: (pair[1][1], pair[0])))


def _walked(walk: Walk, using: str) -> list[Sample]:
    """Return the samples of a walk that has ended."""
    agents = _largest(walk.agents, limits.LARGEST_AGENTS)
    measured = list(agents)[: limits.MEASURED_AGENTS]
    paths = {name: sums for agent in measured for name, sums in _paths(agent, using)}
    compared = {agent: _compared(agent, using) for agent in measured}
    states = {agent: read for agent, (read, _) in compared.items()}
    repeats = {agent: again for agent, (_, again) in compared.items()}
    archived = {name: sums for name, sums in walk.tables.items() if name == ARCHIVED}
    tables = {name: sums for name, sums in walk.tables.items() if name != ARCHIVED}
    namespaces = _largest(walk.namespaces, limits.LARGEST_NAMESPACES)
    found = ("table", tables), ("archive", archived), ("namespace", namespaces)
    return [
        Sample(at=walk.at, kind=kind, name=name, rows=rows, bytes=number)
        for kind, sums in (*found, ("agent", agents), ("path", paths), ("state", states), ("repeat", repeats))
        for name, (rows, number) in sums.items()
    ]


def _paths(agent_id: str, using: str) -> Iterator[tuple[str, list[int]]]:
    """Yield the largest top-level members of an agent's state, as JSON of agent and path, with items and bytes."""
    text = models.AgentState.objects.using(using).filter(agent_id=agent_id).values_list("state_data", flat=True).first()
    try:
        value = parsing.parse(str(text or ""))
        _, members = parsing.members(str(text), value) if isinstance(value, dict) else (None, {})
    except parsing.NotJson:
        return
    if isinstance(value, dict):
        measured = {name: len(member.encode("utf-8", "surrogatepass")) for name, member in members.items()}
        for name, number in heapq.nlargest(limits.PATHS, measured.items(), key=lambda pair: (pair[1], pair[0])):
            item = value[name]
            count = len(item) if isinstance(item, list | dict) else 1
            yield json.dumps([agent_id, pointer.join([name])]), [count, number]


def _compared(agent_id: str, using: str) -> tuple[list[int], list[int]]:
    """Return number and bytes of an agent's newest states, and of those that are among them more than once.

    Most are a transition's state before, which is the state after the one before it.
    """
    seen, read, again = set[bytes](), [0, 0], [0, 0]
    for text in _newest_states(agent_id, using):
        if read[1] >= limits.COMPARED_BYTES:
            break
        raw = text_bytes(text)
        read[0], read[1] = read[0] + 1, read[1] + len(raw)
        digest = blake2b(raw, digest_size=16).digest()
        if digest in seen:
            again[0], again[1] = again[0] + 1, again[1] + len(raw)
        seen.add(digest)
    return read, again


def _newest_states(agent_id: str, using: str) -> Iterator[str]:
    """Yield states of an agent's newest transitions and snapshots that are not archived, a record a query."""
    transitions = models.Transition.objects.using(using).live().of_agent(agent_id).newest_first()
    for pk in list(transitions.values_list("pk", flat=True)[: limits.COMPARED_RECORDS]):
        row = models.Transition.objects.using(using).live().filter(pk=pk)
        yield from chain.from_iterable(row.values_list("state_before", "state_after"))
    snapshots = models.Snapshot.objects.using(using).live().of_agent(agent_id).newest_first()
    for pk in list(snapshots.values_list("pk", flat=True)[: limits.COMPARED_RECORDS]):
        yield from models.Snapshot.objects.using(using).live().filter(pk=pk).values_list("state_data", flat=True)


# Files


def _places(using: str, now: int) -> list[Sample]:
    """Return the samples of all places: what is used of the disk, and what is free."""
    backups, backup_bytes = sizes.directory_bytes(backup_directory())
    index = sum(sizes.file_bytes(Path(f"{search_index()}{end}")) for end in ("", "-wal", "-shm"))
    used = {"store": (0, sizes.database_bytes(using)), "index": (0, index), "backups": (backups, backup_bytes)}
    if using != "default":
        used["dashboard"] = (0, sizes.database_bytes("default"))
    found = {**used, "used": (0, sum(number for _, number in used.values())),
             "free pages": (0, sizes.free_page_bytes(using))}  # fmt: skip
    if vendor.is_sqlite(connections[using]):
        folder = Path(str(connections[using].settings_dict["NAME"])).parent
        if folder.is_dir():
            found["disk free"] = (0, shutil.disk_usage(folder).free)
    return [Sample(at=now, kind="place", name=name, rows=rows, bytes=size) for name, (rows, size) in found.items()]


# Thinning


def thin(using: str, now: int) -> int:
    """Keep the samples of each hour for a week, of each day for a year; delete the others, and return their number."""
    samples = Sample.objects.using(using)
    deleted = 0
    for kind in ("place", *WALKED):
        kept: set[int] = set()
        gone: list[int] = []
        for at in samples.times(kind, now - limits.HOURLY_SECONDS):
            day = at // limits.DAY
            if at < now - limits.DAILY_SECONDS or day in kept:
                gone.append(at)
            kept.add(day)
        deleted += samples.delete_at(kind, gone)
    return deleted
