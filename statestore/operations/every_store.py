"""One question to every store at the same time; a store that does not answer holds up none of the others.

Each store is asked by one of a few threads, which closes its connections afterwards. A store that has not answered for
a while is not asked anything else until it has: a store that hangs takes one thread, not one for each question.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from django.db import connections

from statestore import models
from statestore.access import path_prefix
from statestore.adoption.status import store_status
from statestore.db import served
from statestore.db.errors import translated_errors
from statestore.db.routers import chosen
from statestore.errors import StateStoreError

Found = TypeVar("Found")

# So many stores are asked at the same time; with more threads, the one that answers the page gets fewer turns. One that
# hangs is not counted after a while: another thread takes over.
ASKED_AT_ONCE: Final = 4
HANGS_AFTER_SECONDS: Final = 3.0
MOST_THREADS: Final = 64
_SILENT: Final = "It did not answer in time."


@dataclass(frozen=True, slots=True)
class Answer(Generic[Found]):
    """What a store answered: `found`, or the `problem` that it has; `at` is Unix time, None if it did not answer."""

    store: str
    found: Found | None = None
    problem: str = ""
    at: int | None = None


def ask(names: Sequence[str], question: Callable[[], Found], *, patience_seconds: float) -> dict[str, Answer[Found]]:
    """Return the answer of each store by name; a store that has not answered when the time is up says so."""
    asked = start(names, question)
    wait(asked.values(), timeout=patience_seconds)
    return {name: _answer(name, asked.get(name)) for name in names}


def start(names: Sequence[str], question: Callable[[], Found]) -> dict[str, "Future[Answer[Found]]"]:
    """Ask the stores that do not hang, and return what will be their answers."""
    prefix = path_prefix.current()
    return {
        name: _workers.do(name, lambda name=name: _look(name, question, prefix))  # type: ignore[misc]
        for name in names
        if not _workers.hangs(name)
    }


def _answer(name: str, asked: "Future[Answer[Found]] | None") -> Answer[Found]:
    return asked.result() if asked is not None and asked.done() else Answer(name, problem=_SILENT)


def _look(name: str, question: Callable[[], Found], prefix: str) -> Answer[Found]:
    now, alias = models.now(), served.aliases().get(name)
    if alias is None:
        return Answer(name, problem="It is not served any more.", at=now)
    try:
        with chosen(alias), path_prefix.addresses_of(name, prefix), translated_errors():
            status = store_status()
            if not status.is_ready:
                return Answer(name, problem=f"{status.found} {status.remedy}".strip(), at=now)
            return Answer(name, question(), at=now)
    except StateStoreError as error:
        return Answer(name, problem=str(error), at=now)
    finally:
        connections["default"].close()
        connections[alias].close()


class Newest(Generic[Found]):
    """The newest answers to one question, kept so that a page need not wait: each is asked anew after some seconds."""

    def __init__(self, question: Callable[[], Found], *, seconds: float) -> None:
        self._question = question
        self._seconds = seconds
        # By alias: a store that was removed may be followed by another one of its name.
        self._kept: dict[str, tuple[float, Answer[Found]]] = {}
        self._asked: dict[str, Future[Answer[Found]]] = {}
        self._lock = threading.Lock()

    def get(self, names: Sequence[str], *, patience_seconds: float) -> Mapping[str, Answer[Found]]:
        """Return the newest answers by name; of a store that does not answer, what it answered last, if anything."""
        with self._lock:
            self._asked |= start([name for name in names if self._is_due(name)], self._question)
            pending = [asked for name, asked in self._asked.items() if name in names]
        wait(pending, timeout=patience_seconds)
        with self._lock:
            return {name: self._newest(name) for name in names}

    def _is_due(self, name: str) -> bool:
        asked_at, _ = self._kept.get(_alias_of(name), (-self._seconds, None))
        return name not in self._asked and time.monotonic() - asked_at >= self._seconds

    def _newest(self, name: str) -> Answer[Found]:
        asked = self._asked.get(name)
        if asked is not None and asked.done():
            del self._asked[name]
            self._kept[_alias_of(name)] = time.monotonic(), asked.result()
        _, newest = self._kept.get(_alias_of(name), (0.0, Answer(name)))
        if name in self._asked or newest.at is None:
            return Answer(name, newest.found, _SILENT, newest.at)
        return newest


def _alias_of(name: str) -> str:
    return served.aliases().get(name, name)


class _Workers:
    """Threads that ask, as many as are needed up to a limit; those that hang are replaced."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[str, Future[Any], Callable[[], Any]]] = SimpleQueue()
        # What each thread asks now, and since when.
        self._busy: dict[int, tuple[str, float]] = {}
        self._threads = 0
        self._lock = threading.Lock()

    def hangs(self, name: str) -> bool:
        """Return whether a store has not answered a question for a while."""
        with self._lock:
            return any(busy == name for busy, _ in self._hanging())

    def do(self, name: str, work: Callable[[], Found]) -> "Future[Found]":
        """Let a thread ask a store, and return what will be its answer."""
        done: Future[Found] = Future()
        self._work.put((name, done, work))
        with self._lock:
            if self._threads - len(self._hanging()) < ASKED_AT_ONCE and self._threads < MOST_THREADS:
                self._threads += 1
                threading.Thread(target=self._run, name="every-store", daemon=True).start()
        return done

    def _hanging(self) -> list[tuple[str, float]]:
        now = time.monotonic()
        return [(name, since) for name, since in self._busy.values() if now - since > HANGS_AFTER_SECONDS]

    def _run(self) -> None:
        me = threading.get_ident()
        while True:
            name, done, work = self._work.get()
            with self._lock:
                self._busy[me] = name, time.monotonic()
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
            finally:
                with self._lock:
                    del self._busy[me]


_workers: Final = _Workers()
