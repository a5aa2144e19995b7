"""Log lines: what agents wrote cannot forge one, and each names the request that it is about."""

import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

log = logging.getLogger(__name__)

# The request that is answered: its id, and what is known of it by now.
_about: ContextVar[dict[str, str] | None] = ContextVar("about", default=None)
_REQUEST_ID: Final = re.compile(r"[\w.-]{8,64}", re.ASCII)


class OneLineFormatter(logging.Formatter):
    """Formats a record so that control characters in what was logged cannot start a new line or colour a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the base class's name)
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in super().formatMessage(record))


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with the request, the user and the store that it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _by_route(record),
            **(_about.get() or {}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _by_route(record: logging.LogRecord) -> str:
    """Return what was logged. Django names a request by its path, in which agents' ids stand: here it is the route."""
    request = getattr(record, "request", None)
    path = str(getattr(request, "path", ""))
    if not path or not isinstance(record.args, tuple):
        return record.getMessage()
    match = getattr(request, "resolver_match", None)
    route = match.route if match is not None else "(no page)"
    # Django has escaped what it was given.
    named = {path, path.encode("unicode_escape").decode("ascii")}
    return str(record.msg) % tuple(route if each in named else each for each in record.args)


@contextmanager
def about_request(given_id: str) -> Iterator[dict[str, str]]:
    """Let all that is logged in the block name one request: by the id that its sender gave it, or by a new one."""
    about = {"request_id": given_id if _REQUEST_ID.fullmatch(given_id) else secrets.token_hex(8)}
    before = _about.set(about)
    try:
        yield about
    finally:
        _about.reset(before)


def slow_queries(least_ms: int) -> Callable[..., object]:
    """Return what a connection runs each statement through, to log those that take so long, without their values."""

    def run(execute: Callable[..., object], sql: str, params: object, many: bool, context: dict[str, object]) -> object:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            took_ms = (time.perf_counter() - began) * 1000
            if took_ms >= least_ms:
                fields = {"ms": round(took_ms, 1), "database": getattr(context["connection"], "alias", ""), "sql": sql}
                log.warning("A statement took %d ms: %s", took_ms, sql, extra={"fields": fields})

    return run
