"""Keeping the index up to date: marks first, then the walk through what was never indexed or may have been missed."""

import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.conf import settings
from django.db import connections

from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.search import limits
from statestore.search.fts import change_log, index_file, source
from statestore.search.fts.change_log import LogStatus
from statestore.search.fts.documents import Documents
from statestore.search.fts.ordering import LOWEST
from statestore.search.fts.source import Source
from statestore.search.progress import Progress

IDLE_SECONDS: Final = 0.5
log = logging.getLogger(__name__)


class Indexer:
    """The one who writes the index. Make it under the lease; `step` until nothing is left to do."""

    def __init__(self, using: str | None = None) -> None:
        self.using = using or store_alias()
        self.index = index_file.open_to_write()
        self.documents = Documents(self.index, self._positions, self._read)
        self.walked_rows = 0
        self.began = time.monotonic()
        self._begin()

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def _positions(self, names: Sequence[bytes]) -> dict[bytes, tuple[Any, int]]:
        return source.positions(self.using, names)

    def _read(self, names: Sequence[bytes]) -> list[Source]:
        return [event for chunk in source.named(self.using, names) for event in chunk]

    def _meta(self, name: str) -> Any:
        return index_file.meta(self.index, name)

    def _note(self, **values: Any) -> None:
        with index_file.writing(self.index):
            index_file.set_meta(self.index, **values)

    def _begin(self) -> None:
        """Decide whether what the index holds can be believed; where not, everything is gone through again."""
        status = change_log.status(self.using)
        identity = store_identity(self.using)
        is_known = self._meta("store") == identity and self._meta("is_marking") == status.is_marking
        is_continued = status.token is not None and status.token in (self._meta("token"), self._meta("next_token"))
        if is_known and (is_continued or not status.is_marking):
            if status.token is not None and status.token == self._meta("next_token"):
                self._note(token=status.token, next_token=None)
            if self._meta("walk") is not None and not self._is_at(self._meta("walk"), self._meta("walk_name")):
                self.start_walk()
            return
        self._introduce(identity, status)
        self.start_walk()

    def _introduce(self, identity: str, status: LogStatus) -> None:
        """Agree with the store on a token: an older copy of either is recognised by another one."""
        token = secrets.token_hex(8)
        self._note(store=identity, is_marking=status.is_marking, token=token, next_token=None, trusted=False)
        if status.is_marking:
            change_log.clear(self.using, [], token)

    def _is_at(self, rowid: int, name: bytes | None) -> bool:
        """Return whether rows are still numbered as they were; a dump that was loaded again numbers them anew."""
        return name is None or source.row_at(self.using, rowid) in (None, (rowid, name))

    def start_walk(self, *, checking: bool = False) -> None:
        """Go through all events from the last inserted to the first; when checking, the index is trusted meanwhile."""
        last = source.last_row(self.using)
        start = last[0] + 1 if last else LOWEST + 1
        with index_file.writing(self.index):
            index_file.set_meta(self.index, walk=start, walk_name=None, trusted=checking, started=int(time.time()),
                          total=_count(self.using), done=0, sweep=LOWEST)  # fmt: skip
            if not checking:
                index_file.configure(self.index, **index_file.IN_BULK)
                index_file.set_meta(self.index, seen=last[0] if last else None, seen_name=last[1] if last else None)
        self.walked_rows, self.began = 0, time.monotonic()

    def step(self) -> bool:
        """Do one short piece of work, and return whether there was any."""
        if change_log.status(self.using).is_marking != bool(self._meta("is_marking")):
            self._begin()
        if self._meta("is_marking"):
            worked = self._index_marked()
        else:
            worked = self._index_new()
        return worked or self._walk() or self._sweep() or self._merge() or self._check_again()

    def _index_marked(self) -> bool:
        seen = change_log.marked(self.using, limits.MARKS_AT_ONCE)
        if not seen:
            return False
        names = self._due([name for name, _ in seen])
        token = secrets.token_hex(8)
        events = self._read(names)
        known = self.documents.known(names)
        same = {event.name for event in events if known.get(event.name, (0, None))[1] == event.hash}
        names = [name for name in names if name not in same]
        self._replace(names, [event for event in events if event.name not in same], next_token=token)
        change_log.clear(self.using, seen, token)
        self._note(token=token, next_token=None)
        return True

    def _due(self, names: list[bytes]) -> list[bytes]:
        """Return those of some changed events that the walk will not come to anyway."""
        walk = self._meta("walk")
        if walk is None or self._meta("trusted"):
            return names
        at = self._positions(names)
        return [name for name in names if name not in at or at[name][1] >= walk]

    def _replace(self, names: Sequence[bytes], events: list[Source], **notes: Any) -> None:
        try:
            with index_file.writing(self.index):
                self.documents.replace(names, events)
                index_file.set_meta(self.index, **notes)
        except BaseException:
            self.documents.names.clear()
            raise

    def _index_new(self) -> bool:
        """Without triggers: index what was inserted since; a replaced row is inserted anew."""
        seen = self._meta("seen")
        if seen is not None and source.row_at(self.using, seen) != (seen, self._meta("seen_name")):
            self.start_walk()
            return True
        events = source.after(self.using, LOWEST if seen is None else seen)
        if not events:
            return False
        last = max(events, key=lambda event: event.rowid)
        self._replace([event.name for event in events], events, seen=last.rowid, seen_name=last.name)
        return True

    def _walk(self) -> bool:
        position = self._meta("walk")
        if position is None:
            return False
        new: list[Source] = []
        read, size, first, rest = 0, 0, None, position
        # Few large transactions: at the end of each, FTS5 writes out all that it has gathered.
        while rest is not None and read < limits.WALK_ROWS and size < limits.WALK_BYTES:
            events, rest = source.before(self.using, rest)
            known = self.documents.known([event.name for event in events])
            new += (event for event in events if known.get(event.name, (0, None))[1] != event.hash)
            first = min(events, key=lambda event: event.rowid, default=first)
            read += len(events)
            size += sum(len(event.content) for event in events)
        done = self._meta("done") + read
        notes: dict[str, Any] = {"walk": rest, "walk_name": first.name if first and rest is not None else None}
        if rest is None:
            notes |= {"trusted": True, "built": int(time.time()), "unmerged": "begin"}
        self._replace([event.name for event in new], new, done=done, **notes)
        self.walked_rows += read
        return True

    def _sweep(self) -> bool:
        """After a walk: let documents go whose events are no more."""
        after = self._meta("sweep")
        if after is None:
            return False
        rows = self.index.execute(
            "SELECT docid, pk FROM doc WHERE docid > ? ORDER BY docid LIMIT ?", (after, limits.CHUNK_ROWS * 5)
        ).fetchall()
        names = [name for _, name in rows]
        there = self._positions(names)
        gone = [name for name in names if name not in there]
        self._replace(gone, [], sweep=rows[-1][0] if rows else None)
        return True

    def _merge(self) -> bool:
        """Merge a little of what a walk has left in many pieces: a search then has to look into fewer."""
        stage = self._meta("unmerged")
        if not stage:
            return False
        before = self.index.total_changes
        with index_file.writing(self.index):
            # A negative number begins to merge all pieces into one; positive ones go on with it.
            pages = -limits.MERGE_PAGES if stage == "begin" else limits.MERGE_PAGES
            self.index.execute("INSERT INTO text (text, rank) VALUES ('merge', ?)", (pages,))
            is_over = self.index.total_changes - before < 2
            index_file.set_meta(self.index, unmerged=None if is_over else "go on")
            if is_over:
                index_file.configure(self.index, **index_file.BY_AND_BY)
        if is_over:
            # The file is ours alone: nobody waits when its log is folded in. On the store that would be harm.
            self.index.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return True

    def _check_again(self) -> bool:
        if self._meta("is_marking") or time.time() - (self._meta("built") or 0) < limits.CHECK_SECONDS:
            return False
        self.start_walk(checking=True)
        return True

    @property
    def progress(self) -> Progress | None:
        """How far the walk is, or None where there is none."""
        if self._meta("walk") is None:
            return None
        done, total = int(self._meta("done")), max(int(self._meta("total")), int(self._meta("done")))
        rate = self.walked_rows / max(time.monotonic() - self.began, 0.001)
        return Progress(done, total, (total - done) / rate if self.walked_rows else None)


def store_identity(using: str) -> str:
    """Return which store an index belongs to."""
    return str(connections[using].settings_dict["NAME"])


def _count(using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events")
        return int(cursor.fetchone()[0])


def index_all(using: str, tell: Callable[[Progress], None] | None, *, rebuild: bool) -> bool:
    """Bring the index up to date, and return whether this process held the indexer's lease."""
    with index_file.lease() as is_ours:
        if not is_ours:
            return False
        if rebuild:
            index_file.delete()
        indexer = Indexer(using)
        try:
            while indexer.step():
                if tell and (progress := indexer.progress):
                    tell(progress)
        finally:
            indexer.close()
    return True


def follow(stop: threading.Event, using: str | None = None) -> None:
    """Keep the index up to date until told to stop; whatever fails is tried again."""
    pause = IDLE_SECONDS
    while not stop.wait(pause):
        pause = min(pause * 2, 30.0)
        try:
            with index_file.lease() as is_ours:
                if is_ours:
                    _follow(stop, using)
        except (StateStoreError, sqlite3.Error, OSError) as error:
            log.warning("The search index waits: %s", error)
        else:
            pause = IDLE_SECONDS


def _follow(stop: threading.Event, using: str | None) -> None:
    indexer = Indexer(using)
    where = index_file.path()
    inode = where.stat().st_ino
    try:
        while not stop.is_set():
            if not where.exists() or where.stat().st_ino != inode:
                return  # Somebody deleted the index: begin a new one.
            if not indexer.step():
                stop.wait(settings.SEARCH_POLL_SECONDS)
    finally:
        indexer.close()
