"""The indexer: marked events first, then a walk through events that were never indexed or may have been missed."""

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
from statestore.db.sqlite.base import identity_of
from statestore.errors import StateStoreError
from statestore.search import limits
from statestore.search.fts import change_log, index_file, source
from statestore.search.fts.change_log import LogStatus, StoreReplaced
from statestore.search.fts.documents import Documents, Positions
from statestore.search.fts.ordering import LOWEST
from statestore.search.fts.source import StoredEvent
from statestore.search.progress import Progress

IDLE_SECONDS: Final = 0.5
log = logging.getLogger(__name__)


class Indexer:
    """Writes the index. Create it under the lease; call `step` until nothing is left to do."""

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

    def _positions(self, keys: Sequence[bytes]) -> Positions:
        return source.positions(self.using, keys)

    def _read(self, keys: Sequence[bytes]) -> list[StoredEvent]:
        return [event for chunk in source.by_keys(self.using, keys) for event in chunk]

    def _meta(self, name: str) -> Any:
        return index_file.meta(self.index, name)

    def _note(self, **values: object) -> None:
        with index_file.writing(self.index):
            index_file.set_meta(self.index, **values)

    def _begin(self) -> None:
        """Go on with the index if it belongs to this state of the store; otherwise begin a new walk."""
        log = change_log.status(self.using)
        meta = index_file.all_meta(self.index)
        if not belongs_to(meta, self.using, log):
            self._adopt(log)
            self.start_walk()
            return
        if log.token is not None and log.token == meta.get("next_token"):
            self._note(token=log.token, next_token=None)
        if meta.get("walk") is not None and not self._is_at(meta["walk"], meta["walk_name"]):
            self.start_walk()

    def _adopt(self, log: LogStatus) -> None:
        """Put the same token into the store and the index: an older copy of either has another one."""
        token = secrets.token_hex(8)
        self._note(
            store=store_identity(self.using),
            file=file_number(self.using),
            is_marking=log.is_marking,
            token=token,
            next_token=None,
            trusted=False,
        )
        if log.is_marking:
            change_log.clear(self.using, [], token, instead_of=log.token)

    def _is_at(self, rowid: int, key: bytes | None) -> bool:
        """Return whether rows have kept their rowids; loading a dump numbers them anew."""
        return key is None or source.row_at(self.using, rowid) in (None, (rowid, key))

    def start_walk(self, *, checking: bool = False) -> None:
        """Walk through all events, last inserted first. With `checking`, searches trust the index meanwhile."""
        last = source.last_row(self.using)
        start = last[0] + 1 if last else LOWEST + 1
        with index_file.writing(self.index):
            index_file.set_meta(self.index, walk=start, walk_name=None, trusted=checking, started=int(time.time()),
                          total=_count(self.using), done=0, sweep=LOWEST)  # fmt: skip
            if not checking:
                index_file.configure(self.index, **index_file.BULK_OPTIONS)
                index_file.set_meta(self.index, seen=last[0] if last else None, seen_name=last[1] if last else None)
        self.walked_rows, self.began = 0, time.monotonic()

    def step(self) -> bool:
        """Do one short piece of work, and return whether there was any to do."""
        log = change_log.status(self.using)
        if not belongs_to(index_file.all_meta(self.index), self.using, log):
            # The store is another one than at the last step: an older copy was put in its place, or its triggers went.
            self._begin()
            log = change_log.status(self.using)
        try:
            worked = self._index_marked(log.token) if log.is_marking else self._index_new()
        except StoreReplaced:
            return True
        return worked or self._walk() or self._sweep() or self._merge() or self._check_again()

    def _index_marked(self, present_token: str | None) -> bool:
        marks = change_log.marked(self.using, limits.MARKS_AT_ONCE)
        if not marks:
            return False
        keys = self._due([key for key, _ in marks])
        token = secrets.token_hex(8)
        events = self._read(keys)
        changed = self._changed(events)
        unchanged = {event.key for event in events} - {event.key for event in changed}
        self._replace([key for key in keys if key not in unchanged], changed, next_token=token)
        change_log.clear(self.using, marks, token, instead_of=present_token)
        self._note(token=token, next_token=None)
        return True

    def _due(self, keys: list[bytes]) -> list[bytes]:
        """Return those of some changed events that the walk will not reach anyway."""
        walk = self._meta("walk")
        if walk is None or self._meta("trusted"):
            return keys
        positions = self._positions(keys)
        return [key for key in keys if key not in positions or positions[key][1] >= walk]

    def _changed(self, events: list[StoredEvent]) -> list[StoredEvent]:
        """Return those of some events that are not in the index as they are."""
        known = self.documents.known([event.key for event in events])
        return [event for event in events if known.get(event.key, (0, None))[1] != event.hash]

    def _replace(self, keys: Sequence[bytes], events: list[StoredEvent], **meta: object) -> None:
        try:
            with index_file.writing(self.index):
                self.documents.replace(keys, events)
                index_file.set_meta(self.index, **meta)
        except BaseException:
            self.documents.names.clear()
            raise

    def _index_new(self) -> bool:
        """Without triggers: index what was inserted since the last poll. A replaced row is inserted anew."""
        seen = self._meta("seen")
        if seen is not None and source.row_at(self.using, seen) != (seen, self._meta("seen_name")):
            self.start_walk()
            return True
        events = source.after(self.using, LOWEST if seen is None else seen)
        if not events:
            return False
        last = max(events, key=lambda event: event.rowid)
        self._replace([event.key for event in events], events, seen=last.rowid, seen_name=last.key)
        return True

    def _walk(self) -> bool:
        position = self._meta("walk")
        if position is None:
            return False
        new: list[StoredEvent] = []
        read, size, first, rest = 0, 0, None, position
        while rest is not None and read < limits.WALK_ROWS and size < limits.WALK_BYTES:
            events, rest = source.before(self.using, rest)
            new += self._changed(events)
            first = min(events, key=lambda event: event.rowid, default=first)
            read += len(events)
            size += sum(len(event.content) for event in events)
        done = self._meta("done") + read
        meta: dict[str, object] = {"walk": rest, "walk_name": first.key if first and rest is not None else None}
        if rest is None:
            meta |= {"trusted": True, "built": int(time.time()), "unmerged": "begin"}
        self._replace([event.key for event in new], new, done=done, **meta)
        self.walked_rows += read
        return True

    def _sweep(self) -> bool:
        """After a walk: remove documents whose events were deleted."""
        after = self._meta("sweep")
        if after is None:
            return False
        rows = self.index.execute(
            "SELECT docid, pk FROM doc WHERE docid > ? ORDER BY docid LIMIT ?", (after, limits.CHUNK_ROWS * 5)
        ).fetchall()
        keys = [key for _, key in rows]
        existing = self._positions(keys)
        self._replace([key for key in keys if key not in existing], [], sweep=rows[-1][0] if rows else None)
        return True

    def _merge(self) -> bool:
        """Merge some of the FTS5 segments that a walk has left: a search then looks into fewer."""
        stage = self._meta("unmerged")
        if not stage:
            return False
        before = self.index.total_changes
        with index_file.writing(self.index):
            # A negative number of pages begins to merge all segments into one; positive ones go on with it.
            pages = -limits.MERGE_PAGES if stage == "begin" else limits.MERGE_PAGES
            self.index.execute("INSERT INTO text (text, rank) VALUES ('merge', ?)", (pages,))
            is_over = self.index.total_changes - before < 2
            index_file.set_meta(self.index, unmerged=None if is_over else "go on")
            if is_over:
                index_file.configure(self.index, **index_file.USUAL_OPTIONS)
        if is_over:
            # No other program writes to this file, so its WAL may be truncated. In the store, that would block writers.
            self.index.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return True

    def _check_again(self) -> bool:
        if self._meta("is_marking") or time.time() - (self._meta("built") or 0) < limits.CHECK_SECONDS:
            return False
        self.start_walk(checking=True)
        return True

    @property
    def progress(self) -> Progress | None:
        """How far the walk is, or None if there is none."""
        if self._meta("walk") is None:
            return None
        done, total = int(self._meta("done")), max(int(self._meta("total")), int(self._meta("done")))
        rate = self.walked_rows / max(time.monotonic() - self.began, 0.001)
        return Progress(done, total, (total - done) / rate if self.walked_rows else None)


def store_identity(using: str) -> str:
    """Return the name by which an index knows its store."""
    return str(connections[using].settings_dict["NAME"])


def file_number(using: str) -> int | None:
    """Return the inode of the store's file: a file that was put in its place has another one."""
    identity = identity_of(store_identity(using))
    return None if identity is None else identity[1]


def belongs_to(meta: dict[str, object], using: str, log: LogStatus) -> bool:
    """Return whether an index belongs to a store, and to its present state: a copy of either has another token.

    Without triggers, no token says so; any other file is taken for another state.
    """
    if meta.get("store") != store_identity(using) or bool(meta.get("is_marking")) != log.is_marking:
        return False
    if not log.is_marking:
        return meta.get("file") == file_number(using)
    return log.token is not None and log.token in (meta.get("token"), meta.get("next_token"))


def _count(using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events")
        return int(cursor.fetchone()[0])


def index_all(using: str, report: Callable[[Progress], None] | None, *, rebuild: bool) -> bool:
    """Bring the index up to date, and return whether this process held the indexer's lease."""
    with index_file.lease() as is_ours:
        if not is_ours:
            return False
        if rebuild:
            index_file.delete()
        indexer = Indexer(using)
        try:
            while indexer.step():
                if report and (progress := indexer.progress):
                    report(progress)
        finally:
            indexer.close()
    return True


def follow(stop: threading.Event, using: str | None = None) -> None:
    """Keep the index up to date until told to stop; after an error, try again."""
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
    path = index_file.path()
    inode = path.stat().st_ino
    try:
        while not stop.is_set():
            if not path.exists() or path.stat().st_ino != inode:
                return  # The index was deleted: begin a new one.
            if not indexer.step():
                stop.wait(settings.SEARCH_POLL_SECONDS)
    finally:
        indexer.close()
